"""Listings, in pages: the history of a name, the artifacts of a tenant, the versions that hold some bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from casstore import grammar, limits
from casstore.catalog import versions
from casstore.errors import Code, Invalid
from casstore.model import Digest, Page, State, Version
from casstore.operations import Context, get
from casstore.operations.lifecycle import check_state
from casstore.operations.put import check_metadata
from casstore.refs import DIGEST as _DIGEST
from casstore.refs import Ref

__all__ = ["digest_prefix", "history", "list_heads", "page_size", "same_pixels_as", "where_used"]


async def history(context: Context, name: str, *, cursor: str | None, limit: int) -> Page[Version]:
    """Versions of a name, newest first."""
    return await versions.history(context.catalog, context.tenant, grammar.check_name(name), cursor, page_size(limit))


async def list_heads(
    context: Context,
    *,
    type: str | None,  # noqa: A002 - the field's word
    label: Mapping[str, str] | None,
    metadata: Mapping[str, Any] | None,
    state: State | None,
    name_prefix: str | None,
    cursor: str | None,
    limit: int,
) -> Page[Version]:
    """The newest version of each artifact that fits, newest first."""
    return await versions.heads(
        context.catalog,
        context.tenant,
        type=None if type is None else grammar.check_type(type),
        labels=None if label is None else grammar.check_labels(label),
        metadata=None if metadata is None else check_metadata(metadata),
        state=None if state is None else check_state(state),
        name_prefix=grammar.check_name_prefix(name_prefix or ""),
        cursor=cursor,
        limit=page_size(limit),
    )


async def where_used(context: Context, digest: str | Digest, *, cursor: str | None, limit: int) -> Page[Version]:
    """Versions that hold the bytes of this digest, or are of this manifest; a prefix will do."""
    prefix = digest.hex() if isinstance(digest, Digest) else digest_prefix(digest)
    low, high = bytes.fromhex(prefix.ljust(64, "0")), bytes.fromhex(prefix.ljust(64, "f"))
    return await versions.where_used(context.catalog, context.tenant, low, high, cursor=cursor, limit=page_size(limit))


async def same_pixels_as(context: Context, ref: str | Ref, *, cursor: str | None, limit: int) -> Page[Version]:
    """Versions with a component that shows the same picture as the one that `ref` means."""
    size = page_size(limit)
    component = (await get.get(context, ref)).component
    if component.pixels is None:
        message = f"{ref} is no PNG that decodes"
        raise Invalid(Code.BAD_PICTURE, message, hint=f"It is {component.media_type}; `where_used` finds equal bytes.")
    return await versions.same_pixels(context.catalog, context.tenant, component.pixels, cursor=cursor, limit=size)


def digest_prefix(text: str) -> str:
    """The hex digits of a digest or of its beginning; raises Invalid (bad_digest)."""
    match = _DIGEST.fullmatch(text) if isinstance(text, str) else None
    if match:
        return match.group(1)
    hint = f"Write b3: and {limits.DIGEST_PREFIX_MIN_HEX} to 64 lower-case hex digits."
    raise Invalid(Code.BAD_DIGEST, f"{text!a:.80} is no digest", hint=hint)


def page_size(limit: int) -> int:
    """Return `limit` if a page may have so many items; raise Invalid (bad_argument) otherwise."""
    if type(limit) is int and 1 <= limit <= limits.PAGE_MAX:
        return limit
    raise Invalid(
        Code.BAD_ARGUMENT, f"limit={limit!r} is out of range", hint=f"A page has 1 to {limits.PAGE_MAX} items."
    )
