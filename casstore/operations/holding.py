"""hold: what has one is not deleted, purged or erased, whoever asks; until it is released."""

from __future__ import annotations

from casstore import grammar
from casstore.catalog import holds
from casstore.errors import Code, Invalid
from casstore.model import Hold, Page
from casstore.operations import Context
from casstore.operations.get import whole
from casstore.operations.listing import page_size
from casstore.refs import LATEST, Ref

__all__ = ["hold", "holds_of", "release"]


async def hold(context: Context, target: str | Ref | None, name: str, *, by: str, reason: str | None) -> Hold:
    """Place a hold on a version, an artifact, or all of the tenant's."""
    return await holds.place(context.catalog, context.tenant, *_placed(context, target, name, by, reason))


async def release(context: Context, target: str | Ref | None, name: str, *, by: str, reason: str | None) -> Hold:
    """Release a hold from just what it was placed on."""
    return await holds.release(context.catalog, context.tenant, *_placed(context, target, name, by, reason))


async def holds_of(context: Context, *, released: bool, cursor: str | None, limit: int) -> Page[Hold]:
    """The holds there are, or those that were released; the last placed first."""
    size = page_size(limit)
    return await holds.holds(context.catalog, context.tenant, released=released, cursor=cursor, limit=size)


def _placed(
    context: Context, target: str | Ref | None, name: str, by: str, reason: str | None
) -> tuple[Ref | None, holds.Why]:
    why = None if reason is None else grammar.check_reason(reason)
    return _meant(context, target), (grammar.check_hold(name), grammar.check_actor(by), why)


def _meant(context: Context, target: str | Ref | None) -> Ref | None:
    """A target that will mean no other; raises Invalid (bad_reference)."""
    if target is None:
        return None
    parsed = whole(context, target)
    is_name = parsed.selector == LATEST and not (isinstance(target, str) and "@" in target)
    if parsed.id is None and parsed.selector.kind != "number" and not is_name:
        message = f"{parsed} may mean another version by the time it is held"
        hint = "One version by its number, name@3, or id; or a whole artifact by its name alone."
        raise Invalid(Code.BAD_REFERENCE, message, hint=hint)
    return parsed
