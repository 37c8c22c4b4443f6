"""Holds in the catalog."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias

from casstore.catalog.connection import Catalog
from casstore.catalog.rows import cursor_of, parse_cursor
from casstore.model import Hold, Page
from casstore.refs import Ref

__all__ = ["Why", "holds", "place", "release"]

Why: TypeAlias = tuple[str, str, str | None]  # the hold's name, who does it, and the reason
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_PLACE: Final = "select * from casstore.place_hold(%s, %s, %s::int, %s::uuid, %s, %s, %s)"


async def place(catalog: Catalog, tenant: str, target: Ref | None, why: Why) -> Hold:
    """Hold a version by its number or id, an artifact by its name alone, or, without a target, all of the tenant's.

    Raises:
        NotFound: artifact_not_found, version_not_found.
        Conflict: The version was purged (version_purged).
    """
    return _hold_of(await catalog.one(_PLACE, (tenant, *_meant(target), *why)))


_RELEASE: Final = "select * from casstore.release_hold(%s, %s, %s::int, %s::uuid, %s, %s, %s)"


async def release(catalog: Catalog, tenant: str, target: Ref | None, why: Why) -> Hold:
    """Release a hold from just what it was placed on; raises NotFound, also where it never was (hold_not_found)."""
    return _hold_of(await catalog.one(_RELEASE, (tenant, *_meant(target), *why)))


_HOLDS: Final = "select * from casstore.holds_of(%s, %s, %s::timestamptz, %s::bigint, %s::int)"


async def holds(catalog: Catalog, tenant: str, *, released: bool, cursor: str | None, limit: int) -> Page[Hold]:
    """The holds there are, or those that were released; the last placed first."""
    micros, identity = parse_cursor("holds", cursor, 2)
    at = None if micros is None else _EPOCH + timedelta(microseconds=micros)
    rows = await catalog.call(_HOLDS, (tenant, released, at, identity, limit + 1))
    items = tuple(map(_hold_of, rows[:limit]))
    return Page[Hold](items=items, cursor=_cursor(rows[limit - 1]) if len(rows) > limit else None)


def _cursor(row: Sequence[Any]) -> str:
    return cursor_of("holds", (_hold_of(row).at - _EPOCH) // timedelta(microseconds=1), row[-1])


def _meant(target: Ref | None) -> tuple[Any, ...]:
    return (None, None, None) if target is None else (target.name or None, target.selector.number, target.id)


def _hold_of(row: Sequence[Any]) -> Hold:
    hold, name, number, at, actor, reason, released_at, released_by, *_ = row
    return Hold(
        hold=hold,
        name=name,
        number=number,
        at=at,
        by=actor,
        reason=reason,
        released_at=released_at,
        released_by=released_by,
    )
