"""delete: hide versions, keep all of them, give them back when asked to."""

from __future__ import annotations

from casstore import grammar
from casstore.catalog import trash
from casstore.errors import Code, Invalid
from casstore.model import Deleted, Page, Version
from casstore.operations import Context
from casstore.operations.get import whole
from casstore.operations.listing import page_size
from casstore.refs import Ref

__all__ = ["delete", "delete_artifact", "trash_of", "undelete", "undelete_artifact"]


async def delete(context: Context, ref: str | Ref, *, by: str, reason: str | None) -> Deleted:
    """Put one version into the trash."""
    (deleted,) = await trash.delete(context.catalog, context.tenant, _one(context, ref), *_why(by, reason))
    return deleted


async def delete_artifact(context: Context, name: str, *, by: str, reason: str | None) -> tuple[Deleted, ...]:
    """Put all versions of an artifact into the trash."""
    return await trash.delete(context.catalog, context.tenant, Ref(name=grammar.check_name(name)), *_why(by, reason))


async def undelete(context: Context, ref: str | Ref, *, by: str, reason: str | None) -> Version:
    """Take one version back."""
    (version,) = await trash.undelete(context.catalog, context.tenant, _one(context, ref), *_why(by, reason))
    return version


async def undelete_artifact(context: Context, name: str, *, by: str, reason: str | None) -> tuple[Version, ...]:
    """Take all versions of an artifact back."""
    return await trash.undelete(context.catalog, context.tenant, Ref(name=grammar.check_name(name)), *_why(by, reason))


async def trash_of(context: Context, *, cursor: str | None, limit: int) -> Page[Deleted]:
    """What is in the trash, the last deleted first."""
    return await trash.trash(context.catalog, context.tenant, cursor=cursor, limit=page_size(limit))


def _one(context: Context, ref: str | Ref) -> Ref:
    """A reference to one version that will mean no other; raises Invalid (bad_reference)."""
    parsed = whole(context, ref)
    if parsed.id is None and parsed.selector.kind != "number":
        message = f"{parsed} may mean another version by the time it is deleted"
        raise Invalid(
            Code.BAD_REFERENCE,
            message,
            hint="Give its number, name@3, or its id. The whole artifact: `casstore delete --all NAME`.",
        )
    return parsed


def _why(by: str, reason: str | None) -> tuple[str, str | None]:
    return grammar.check_actor(by), None if reason is None else grammar.check_reason(reason)
