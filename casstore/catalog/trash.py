"""The trash in the catalog."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from casstore import limits
from casstore.catalog.connection import Catalog
from casstore.catalog.rows import cursor_of, parse_cursor, version_of
from casstore.model import Deleted, Digest, Impact, Page, Version
from casstore.refs import Ref

__all__ = ["delete", "empty", "explain", "purge", "trash", "undelete"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DELETE: Final = "select * from casstore.delete_versions(%s, %s, %s::int, %s::uuid, %s, %s)"


async def delete(catalog: Catalog, tenant: str, ref: Ref, by: str, reason: str | None) -> tuple[Deleted, ...]:
    """Put a version by its number or id, or all of an artifact by its name alone, into the trash.

    Raises:
        NotFound: artifact_not_found, version_not_found.
        Conflict: It is held, something points at it, or was made from it (still_used).
    """
    rows = await catalog.call(_DELETE, (tenant, *_meant(ref), by, reason))
    return tuple(map(_deleted_of, rows))


_UNDELETE: Final = "select * from casstore.undelete_versions(%s, %s, %s::int, %s::uuid, %s, %s)"


async def undelete(catalog: Catalog, tenant: str, ref: Ref, by: str, reason: str | None) -> tuple[Version, ...]:
    """Take them back, and answer them; raises NotFound, and Conflict where a source is still in the trash (source_deleted)."""
    rows = await catalog.call(_UNDELETE, (tenant, *_meant(ref), by, reason))
    return tuple(map(version_of, rows))


_PURGE: Final = "select * from casstore.purge_versions(%s, %s, %s::int, %s::uuid, %s, %s)"


async def purge(catalog: Catalog, tenant: str, ref: Ref, by: str, reason: str | None) -> tuple[Deleted, ...]:
    """Take their components away, for ever.

    Raises:
        NotFound: artifact_not_found, version_not_found.
        Conflict: Not in the trash (not_deleted), held, or something that can come back was made from it (still_used).
    """
    rows = await catalog.call(_PURGE, (tenant, *_meant(ref), by, reason))
    return tuple(map(_deleted_of, rows))


_EMPTY: Final = "select casstore.empty_trash(%s, %s, %s, %s, %s::int)"


async def empty(catalog: Catalog, tenant: str, age: timedelta, by: str, reason: str | None) -> int:
    """Purge some of what was deleted so long ago, and say how many versions that were; none are left at 0."""
    (purged,) = await catalog.one(_EMPTY, (tenant, age, by, reason, limits.PURGE_BATCH))
    return int(purged)


_EXPLAIN: Final = "select * from casstore.explain(%s, %s, %s, %s::int, %s::uuid)"


async def explain(catalog: Catalog, tenant: str, ref: Ref, *, purge: bool) -> Impact:
    """What deleting or purging would do now; raises what they would, but for what keeps them."""
    name, numbers, uses, blobs, size = await catalog.one(_EXPLAIN, (tenant, purge, *_meant(ref)))
    return Impact(
        versions=tuple(f"{name}@{number}" for number in numbers),
        holds=tuple(uses["holds"]) if uses else (),
        pointers=tuple(uses["pointers"]) if uses else (),
        dependants=tuple(uses["dependants"]) if uses else (),
        blockers=uses["count"] if uses else 0,
        frees_blobs=blobs,
        frees_bytes=size,
        is_reversible=not purge,
        kept_for=limits.QUARANTINE,
    )


_TRASH: Final = """
select (t.entry).*, t.artifact_id from casstore.trash_of(%s, %s, %s::timestamptz, %s::bigint, %s::int, %s::int) t
"""


async def trash(catalog: Catalog, tenant: str, *, purged: bool, cursor: str | None, limit: int) -> Page[Deleted]:
    """What is in the trash, or what is left of what was purged; the last deleted first."""
    micros, artifact, number = parse_cursor("trash", cursor, 3)
    at = None if micros is None else _EPOCH + timedelta(microseconds=micros)
    rows = await catalog.call(_TRASH, (tenant, purged, at, artifact, number, limit + 1))
    items = tuple(_deleted_of(row) for row in rows[:limit])
    return Page[Deleted](items=items, cursor=_cursor(rows[limit - 1]) if len(rows) > limit else None)


def _cursor(row: Sequence[Any]) -> str:
    deleted, artifact = _deleted_of(row), row[-1]
    return cursor_of("trash", (deleted.at - _EPOCH) // timedelta(microseconds=1), artifact, deleted.number)


def _meant(ref: Ref) -> tuple[Any, ...]:
    return ref.name or None, ref.selector.number, ref.id


def _deleted_of(row: Sequence[Any]) -> Deleted:
    identity, name, number, kind, title, at, actor, reason, manifest, purged_at, purged_by, *_ = row
    return Deleted(
        id=identity,
        name=name,
        number=number,
        type=kind,
        title=title,
        digest=Digest(manifest),
        at=at,
        by=actor,
        reason=reason,
        purged_at=purged_at,
        purged_by=purged_by,
    )
