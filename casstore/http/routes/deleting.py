"""Letting go: into the trash, back from it, and for ever."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from casstore.http.asking import Paging, Why
from casstore.http.callers import Administers, Reads, Writes
from casstore.http.shapes import DeletedShape, Items, Listed, VersionShape, deleted
from casstore.model import Impact
from casstore.operations.deleting import Verb
from casstore.operations.receipts import ContentReceipt

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["trash"])


class Age(Why):
    """How long ago something was deleted, as an ISO 8601 duration or in seconds."""

    older_than: timedelta


class Erasing(Why):
    """How long backups of the catalog are kept, as an ISO 8601 duration or in seconds."""

    backups: timedelta = timedelta()


class Purged(BaseModel):
    """How many versions were purged."""

    purged: int


class Trash(Paging):
    """Which part of the trash."""

    purged: bool = False


def _is_name(ref: str) -> bool:
    """Whether a reference is a name alone, and so means a whole artifact here."""
    return "@" not in ref and ":" not in ref and "#" not in ref


@router.delete("/artifacts/{ref:path}")
async def delete(caller: Writes, ref: str, why: Annotated[Why, Query()]) -> Items[DeletedShape]:
    """Put a version (`name@3`, `id:…`) into the trash, or all of an artifact (`name`)."""
    who, reason = caller.by(why.by), why.reason
    if _is_name(ref):
        return deleted(await caller.tenant.delete_artifact(ref, by=who, reason=reason))
    return deleted([await caller.tenant.delete(ref, by=who, reason=reason)])


@router.get("/trash")
async def trash(caller: Reads, page: Annotated[Trash, Query()]) -> Listed[DeletedShape]:
    """What is in the trash, the last deleted first; with `purged`, what is left of what was purged."""
    found = await caller.tenant.trash(purged=page.purged, cursor=page.cursor, limit=page.limit)
    return Listed(items=[DeletedShape.of(each) for each in found], cursor=found.cursor)


@router.post("/undelete/{ref:path}")
async def undelete(caller: Writes, ref: str, why: Why | None = None) -> Items[VersionShape]:
    """Take a version (`name@3`, `id:…`) back from the trash, or all of an artifact (`name`)."""
    why = why or Why()
    who, reason = caller.by(why.by), why.reason
    if _is_name(ref):
        found = await caller.tenant.undelete_artifact(ref, by=who, reason=reason)
    else:
        found = (await caller.tenant.undelete(ref, by=who, reason=reason),)
    return Items(items=[VersionShape.of(each) for each in found])


@router.post("/purge/{ref:path}")
async def purge(caller: Administers, ref: str, why: Why | None = None) -> Items[DeletedShape]:
    """Let go of a version in the trash (`name@3`, `id:…`), or of all of an artifact there (`name`), for ever."""
    why = why or Why()
    who, reason = caller.by(why.by), why.reason
    if _is_name(ref):
        return deleted(await caller.tenant.purge_artifact(ref, by=who, reason=reason))
    return deleted([await caller.tenant.purge(ref, by=who, reason=reason)])


@router.post("/empty-trash")
async def empty_trash(caller: Administers, age: Age) -> Purged:
    """Purge all that was deleted so long ago or earlier."""
    count = await caller.tenant.empty_trash(age.older_than, by=caller.by(age.by), reason=age.reason)
    return Purged(purged=count)


@router.post("/erase-content/{digest}")
async def erase_content(caller: Administers, digest: str, asked: Erasing | None = None) -> ContentReceipt:
    """Erase one content, for ever, from all versions that have it; answers the receipt."""
    asked = asked or Erasing()
    return await caller.tenant.erase_content(digest, by=caller.by(asked.by), reason=asked.reason, backups=asked.backups)


@router.get("/explain/{verb}/{ref:path}")
async def explain(caller: Reads, verb: Verb, ref: str) -> Impact:
    """What `delete`, `delete_artifact`, `purge`, `purge_artifact` or `erase_content` would do now; it changes nothing."""
    return await caller.tenant.explain(verb, ref)
