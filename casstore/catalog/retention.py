"""Policies of retention, and what they do, in the catalog."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from casstore import limits
from casstore.catalog.connection import Catalog
from casstore.catalog.rows import cursor_of, parse_cursor
from casstore.model import Hold, Page
from casstore.refs import Ref
from casstore.retention import RetentionPolicy

__all__ = [
    "Custody",
    "Expiry",
    "Retained",
    "Retention",
    "RetentionPreview",
    "RetentionTotals",
    "Verdict",
    "custody",
    "drop",
    "expire",
    "preview",
    "purge",
    "retention",
    "set_policy",
    "to_drop",
    "totals",
]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class Retention(_Value):
    """The policy of a tenant that counts now."""

    policy: RetentionPolicy
    revision: int  # counts the tenant's policies from 1
    at: datetime
    by: str


class Verdict(_Value):
    """What retention would do with a version now, and why."""

    id: UUID
    name: str
    number: int
    type: str
    created_at: datetime
    rule: str | None  # that decides; "ttl" where it has expired; None: no rule is about it
    drops: bool
    why: str  # in words
    expires_at: datetime | None  # from then on "ttl" decides; None: never

    @property
    def ref(self) -> str:
        """The version."""
        return f"{self.name}@{self.number}"


class RetentionTotals(_Value):
    """What applying retention to all of a tenant's versions would do now."""

    drops: int  # versions
    keeps: int  # versions
    frees_blobs: int  # contents that none but the dropped versions hold
    frees_bytes: int  # of these; let go of when they are purged


class RetentionPreview(Page[Verdict]):
    """Verdicts, the newest version first; with the first page the totals of all."""

    totals: RetentionTotals | None = None


class Retained(_Value):
    """What applying retention has done."""

    dropped: int  # versions
    kept_back: int  # that were used, held or decided otherwise between the look and the deed
    purged: int  # that retention dropped earlier
    left_in_trash: (
        int  # that would have been purged, were they not held or what something that can come back was made from
    )


class Expiry(_Value):
    """When a version expires."""

    name: str
    number: int
    at: datetime | None  # None: never
    by: str | None  # who said so; None where nobody was named, by a put
    reason: str | None


_SET: Final = "select * from casstore.set_retention(%s, %s::jsonb, %s, %s::int)"


async def set_policy(catalog: Catalog, tenant: str, policy: RetentionPolicy, by: str, expect: int | None) -> Retention:
    """Set the tenant's policy; raises Conflict (retention_moved)."""
    return _retention_of(await catalog.one(_SET, (tenant, json.dumps(policy.to_dict()), by, expect)))


_OF: Final = "select * from casstore.retention_of(%s)"


async def retention(catalog: Catalog, tenant: str) -> Retention | None:
    """The tenant's policy; None where none was set."""
    rows = await catalog.call(_OF, (tenant,))
    return _retention_of(rows[0]) if rows else None


_EXPIRE: Final = (
    "select * from casstore.expire_version(%s, %s, %s::int, %s::uuid, %s::timestamptz, %s::interval, %s, %s)"
)


async def expire(
    catalog: Catalog, tenant: str, ref: Ref, when: datetime | timedelta | None, why: tuple[str, str | None]
) -> Expiry:
    """Say when a version expires: at an instant, so long from now, or never; raises NotFound."""
    meant = ref.name or None, ref.selector.number, ref.id
    at, after = (when, None) if isinstance(when, datetime) else (None, when)
    name, number, expires_at, actor, reason = await catalog.one(_EXPIRE, (tenant, *meant, at, after, *why))
    return Expiry(name=name, number=number, at=expires_at, by=actor, reason=reason)


class Custody(_Value):
    """What keeps a version, and until when it is wanted."""

    expiry: Expiry
    holds: tuple[Hold, ...]  # on it, on its artifact and on all of the tenant's; the last placed first


_CUSTODY: Final = "select * from casstore.custody_of(%s, %s)"


async def custody(catalog: Catalog, tenant: str, version_id: UUID) -> Custody:
    """When a version expires, and the holds that keep it; raises NotFound."""
    rows = await catalog.call(_CUSTODY, (tenant, version_id))
    name, number, expires_at, by, reason, *_ = rows[0]
    return Custody(
        expiry=Expiry(name=name, number=number, at=expires_at, by=by, reason=reason),
        holds=tuple(
            Hold(hold=hold, name=of, number=n, at=at, by=actor, reason=why, released_at=None, released_by=None)
            for *_, hold, of, n, at, actor, why in rows
            if hold is not None
        ),
    )


_PREVIEW: Final = "select * from casstore.preview_retention(%s, %s, %s::bigint, %s::int)"
_TOTALS: Final = "select * from casstore.retention_totals(%s)"


async def preview(catalog: Catalog, tenant: str, *, cursor: str | None, limit: int) -> RetentionPreview:
    """What retention would do with each version; the newest first."""
    (before,) = parse_cursor("retention", cursor, 1)
    rows = await catalog.call(_PREVIEW, (tenant, False, before, limit + 1))
    return RetentionPreview(
        items=tuple(map(_verdict_of, rows[:limit])),
        cursor=cursor_of("retention", rows[limit - 1][0]) if len(rows) > limit else None,
        totals=await totals(catalog, tenant) if cursor is None else None,
    )


async def totals(catalog: Catalog, tenant: str) -> RetentionTotals:
    """What retention would do with all versions."""
    drops, keeps, blobs, size = await catalog.one(_TOTALS, (tenant,))
    return RetentionTotals(drops=drops, keeps=keeps, frees_blobs=blobs, frees_bytes=size)


async def to_drop(catalog: Catalog, tenant: str, before: int | None) -> list[tuple[int, UUID]]:
    """Places in the order of all versions, and ids, of the newest that retention drops; none are left where it is empty."""
    rows = await catalog.call(_PREVIEW, (tenant, True, before, limits.RETENTION_PLAN))
    return [(row[0], row[1]) for row in rows]


_APPLY: Final = "select casstore.apply_retention(%s, %s::int, %s::uuid[], %s)"


async def drop(catalog: Catalog, tenant: str, revision: int, ids: Sequence[UUID], by: str) -> int:
    """Drop what of these the policy still drops, and say how many; raises Conflict (retention_moved)."""
    (dropped,) = await catalog.one(_APPLY, (tenant, revision, list(ids), by))
    return int(dropped)


_PURGE: Final = "select * from casstore.purge_retained(%s, %s, %s::bigint, %s::int, %s)"


async def purge(
    catalog: Catalog, tenant: str, age: timedelta, before: int | None, by: str
) -> tuple[int, int, int | None]:
    """Purge some of what retention dropped so long ago: how many, how many were left, and where to go on."""
    purged, kept, last = await catalog.one(_PURGE, (tenant, age, before, limits.RETENTION_BATCH, by))
    return int(purged), int(kept), last


def _retention_of(row: Sequence[Any]) -> Retention:
    policy, revision, at, actor = row
    return Retention(policy=RetentionPolicy.from_dict(policy), revision=revision, at=at, by=actor)


def _verdict_of(row: Sequence[Any]) -> Verdict:
    _, identity, name, number, kind, created_at, rule, drops, why, expires_at = row
    return Verdict(
        id=identity,
        name=name,
        number=number,
        type=kind,
        created_at=created_at,
        rule=rule,
        drops=drops,
        why=why,
        expires_at=expires_at,
    )
