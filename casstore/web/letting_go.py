"""The trash, putting things there, and taking them back."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

from fastapi import Form, Request, Response

from casstore.http.callers import Reads, Writes
from casstore.operations.deleting import Verb
from casstore.web.rendering import page, url
from casstore.web.route import go, pages

__all__ = ["router"]

router = pages()


def _is_name(ref: str) -> bool:
    """Whether a reference means a whole artifact here."""
    return "@" not in ref and ":" not in ref


@router.get("/trash")
async def trash(request: Request, caller: Reads, cursor: str = "", deleted: str = "") -> Response:
    """What was deleted and can come back."""
    found = await caller.tenant.trash(cursor=cursor or None)
    following = url("/trash", cursor=found.cursor) if found.cursor else None
    return page(
        request,
        caller,
        "trash",
        items=found.items,
        counts=Counter(item.name for item in found),
        following=following,
        is_first=not cursor,
        deleted=deleted,
    )


@router.get("/delete/{ref:path}")
async def ask(request: Request, caller: Writes, ref: str) -> Response:
    """What deleting would do, and what is in its way; nothing is done yet."""
    verb: Verb = "delete_artifact" if _is_name(ref) else "delete"
    impact = await caller.tenant.explain(verb, ref)
    return page(request, caller, "delete", ref=ref, is_artifact=_is_name(ref), impact=impact)


@router.post("/delete/{ref:path}")
async def delete(request: Request, caller: Writes, ref: str, reason: Annotated[str, Form()] = "") -> Response:
    """Put a version, or (a name alone) all of an artifact, into the trash."""
    actor, why = caller.principal.actor, reason.strip() or None
    if _is_name(ref):
        await caller.tenant.delete_artifact(ref, by=actor, reason=why)
    else:
        await caller.tenant.delete(ref, by=actor, reason=why)
    return go(request, url("/trash", deleted=ref))


@router.post("/undelete/{ref:path}")
async def undelete(request: Request, caller: Writes, ref: str) -> Response:
    """Take a version, or all of an artifact, back."""
    if _is_name(ref):
        await caller.tenant.undelete_artifact(ref, by=caller.principal.actor)
        return go(request, url(f"/artifact/{ref}"))
    version = await caller.tenant.undelete(ref, by=caller.principal.actor)
    return go(request, url(f"/version/{version.ref}", stored="back"))
