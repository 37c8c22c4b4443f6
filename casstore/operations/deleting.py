"""delete: hide versions, keep all of them, give them back when asked to. purge: let go of what is in the trash, for ever."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal, TypeAlias, get_args

from casstore import grammar, limits
from casstore.catalog import trash
from casstore.errors import Code, Invalid
from casstore.model import Deleted, Impact, Page, Version
from casstore.operations import Asking, Context, erasing_content
from casstore.operations.get import whole
from casstore.operations.listing import page_size
from casstore.refs import Ref

__all__ = [
    "Verb",
    "delete",
    "delete_artifact",
    "empty_trash",
    "explain",
    "one_version",
    "purge",
    "purge_artifact",
    "trash_of",
    "undelete",
    "undelete_artifact",
]

Verb: TypeAlias = Literal["delete", "delete_artifact", "purge", "purge_artifact", "erase_content"]


async def delete(context: Context, ref: str | Ref, *, by: str, reason: str | None) -> Deleted:
    """Put one version into the trash."""
    (deleted,) = await trash.delete(
        context.catalog, context.tenant, one_version(context, ref, "delete"), *grammar.check_why(by, reason)
    )
    return deleted


async def delete_artifact(context: Context, name: str, *, by: str, reason: str | None) -> tuple[Deleted, ...]:
    """Put all versions of an artifact into the trash."""
    return await trash.delete(context.catalog, context.tenant, _all(name), *grammar.check_why(by, reason))


async def undelete(context: Context, ref: str | Ref, *, by: str, reason: str | None) -> Version:
    """Take one version back."""
    (version,) = await trash.undelete(
        context.catalog, context.tenant, one_version(context, ref, "undelete"), *grammar.check_why(by, reason)
    )
    return version


async def undelete_artifact(context: Context, name: str, *, by: str, reason: str | None) -> tuple[Version, ...]:
    """Take all versions of an artifact back."""
    return await trash.undelete(context.catalog, context.tenant, _all(name), *grammar.check_why(by, reason))


async def purge(context: Context, ref: str | Ref, *, by: str, reason: str | None) -> Deleted:
    """Let go of one version that is in the trash."""
    (purged,) = await trash.purge(
        context.catalog, context.tenant, one_version(context, ref, "purge"), *grammar.check_why(by, reason)
    )
    return purged


async def purge_artifact(context: Context, name: str, *, by: str, reason: str | None) -> tuple[Deleted, ...]:
    """Let go of what of an artifact is in the trash."""
    return await trash.purge(context.catalog, context.tenant, _all(name), *grammar.check_why(by, reason))


async def empty_trash(context: Context, older_than: timedelta, *, by: str, reason: str | None) -> int:
    """Let go of all that was deleted so long ago and is not held; a crash leaves some of it for the next call."""
    if not isinstance(older_than, timedelta) or not timedelta() <= older_than <= limits.PERIOD_MAX:
        hint = "A timedelta, from zero to a hundred years."
        raise Invalid(Code.BAD_ARGUMENT, f"older_than={older_than!r} is no age", hint=hint)
    why, count = grammar.check_why(by, reason), 0
    while purged := await trash.empty(context.catalog, context.tenant, older_than, *why):
        count += purged
    return count


async def explain(context: Context, verb: Verb, target: str | Ref) -> Impact:
    """What one of these would do now."""
    if verb not in get_args(Verb):
        raise Invalid(Code.BAD_ARGUMENT, f"{verb!r} cannot be explained", hint=f"One of {', '.join(get_args(Verb))}.")
    if verb == "erase_content":
        return await erasing_content.explain(context, str(target))
    ref = _all(str(target)) if verb.endswith("artifact") else one_version(context, target, verb)
    return await trash.explain(context.catalog, context.tenant, ref, purge=verb.startswith("purge"))


async def trash_of(context: Context, *, purged: bool, cursor: str | None, limit: int) -> Page[Deleted]:
    """What is in the trash, or was purged; the last deleted first."""
    size = page_size(limit)
    return await trash.trash(context.catalog, context.tenant, purged=purged, cursor=cursor, limit=size)


def _all(name: str) -> Ref:
    return Ref(name=grammar.check_name(name))


def one_version(context: Asking, ref: str | Ref, verb: str) -> Ref:
    """A reference to one version that will mean no other; raises Invalid (bad_reference), which tells what `verb` takes."""
    parsed = whole(context, ref)
    if parsed.id is None and parsed.selector.kind != "number":
        message = f"{parsed} may mean another version by then"
        hint = f"Give its number, name@3, or its id. The whole artifact: `casstore {verb} --all NAME`."
        raise Invalid(Code.BAD_REFERENCE, message, hint=hint)
    return parsed
