"""Aliases and tags in the catalog."""

from __future__ import annotations

from typing import Final

from casstore.catalog.connection import Catalog
from casstore.catalog.rows import cursor_of, parse_cursor, pointer_of
from casstore.catalog.versions import selector_arguments
from casstore.model import Page, Pointer
from casstore.refs import Selector

__all__ = ["move_pointer", "pointer_history", "pointers_of"]

_MOVE: Final = "select * from casstore.move_pointer(%s, %s, %s, %s::int, %s, %s, %s, %s, %s::int, %s)"


async def move_pointer(
    catalog: Catalog,
    tenant: str,
    name: str,
    target: Selector | None,
    pointer: str,
    *,
    is_tag: bool,
    expect: int | None,
    by: str | None,
) -> Pointer:
    """Point at what `target` selects (None removes the alias); a pointer that is there already is a success.

    Raises:
        NotFound: The artifact, the version, or the alias to be removed.
        Conflict: tag_frozen, pointer_kind, or alias_moved where it is not at version `expect` (0: must not exist).
    """
    selected = selector_arguments(target) if target else (None, None, None, None)
    return pointer_of(name, await catalog.one(_MOVE, (tenant, name, *selected, pointer, is_tag, expect, by)))


_POINTERS: Final = "select * from casstore.pointers_of(%s, %s)"


async def pointers_of(catalog: Catalog, tenant: str, name: str) -> list[Pointer]:
    """Where each alias and tag of an artifact points now, by name."""
    return [pointer_of(name, row) for row in await catalog.call(_POINTERS, (tenant, name))]


_POINTER_HISTORY: Final = "select * from casstore.pointer_history(%s, %s, %s, %s::int, %s::int)"


async def pointer_history(
    catalog: Catalog, tenant: str, name: str, pointer: str, *, cursor: str | None, limit: int
) -> Page[Pointer]:
    """Every move of one alias or tag, newest first."""
    (before,) = parse_cursor("pointer", cursor, 1)
    rows = await catalog.call(_POINTER_HISTORY, (tenant, name, pointer, before, limit + 1))
    items = tuple(pointer_of(name, row) for row in rows[:limit])
    return Page[Pointer](items=items, cursor=cursor_of("pointer", rows[limit - 1][5]) if len(rows) > limit else None)
