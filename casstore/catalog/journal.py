"""The log as records of the journal, and how far it has been exported. For the role that owns the schema."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from casstore.catalog.connection import Catalog
from casstore.model import Digest

__all__ = [
    "Exported",
    "LogRow",
    "Stray",
    "confirm",
    "exported_at",
    "exported_from",
    "has_settled",
    "horizon",
    "newest",
    "plan",
    "records",
    "strays",
]


@dataclass(frozen=True, slots=True)
class Exported:
    """A segment as the catalog knows it; without a digest, one that is planned."""

    first: int
    last: int
    last_seq: int
    digest: Digest | None


@dataclass(frozen=True, slots=True)
class Stray:
    """A row that the log does not account for."""

    table: str
    place: str
    what: str


_HORIZON: Final = "select seq, until::text from casstore.log_horizon()"


async def horizon(catalog: Catalog) -> tuple[int, str]:
    """The last number given in the log, and the transaction below which all must have ended until that is final."""
    seq, until = await catalog.one(_HORIZON, ())
    return seq, until


_HAS_SETTLED: Final = "select casstore.has_settled(%s::text::xid8)"


async def has_settled(catalog: Catalog, until: str) -> bool:
    """Whether all transactions below this one have ended."""
    (settled,) = await catalog.one(_HAS_SETTLED, (until,))
    return bool(settled)


@dataclass(frozen=True, slots=True)
class LogRow:
    """A row of the log as a record, and what its tenant's records are sealed with."""

    seq: int
    record: dict[str, Any]
    purged: bool  # it lacks what was purged since it was written
    erased: list[str] | None  # of a put: roles of components that it lacks, because their content was erased
    key: UUID | None  # None: nothing of the tenant was sealed yet
    secret: bytes | None  # None besides: the tenant was erased
    salt: bytes | None  # while its erasing is under way

    @property
    def op(self) -> str:
        """What was done."""
        return str(self.record["log"][2])


_RECORDS: Final = """
select seq, record, purged, erased, key, secret, salt from casstore.journal_records(%s::bigint, %s::bigint, %s::int)
"""


async def records(catalog: Catalog, after: int, until: int, limit: int) -> list[LogRow]:
    """The first `limit` rows of the log after one and up to another."""
    return [LogRow(*row) for row in await catalog.call(_RECORDS, (after, until, limit))]


_NEWEST: Final = "select first, last, last_seq, digest::bytea from casstore.journal order by first desc limit 2"


async def newest(catalog: Catalog) -> list[Exported]:
    """The last two segments, the newest first."""
    return [_exported(row) for row in await catalog.call(_NEWEST, ())]


_FROM: Final = """
select first, last, last_seq, digest::bytea from casstore.journal where first >= %s::bigint order by first limit %s::int
"""


async def exported_from(catalog: Catalog, first: int, limit: int) -> list[Exported]:
    """Up to `limit` segments, from the place `first` on."""
    return [_exported(row) for row in await catalog.call(_FROM, (first, limit))]


async def exported_at(catalog: Catalog, first: int) -> Exported | None:
    """The segment whose first record has this place."""
    found = await exported_from(catalog, first, 1)
    return found[0] if found and found[0].first == first else None


_PLAN: Final = "select casstore.plan_segment(%s::bigint, %s::bigint, %s::bigint)"


async def plan(catalog: Catalog, first: int, last: int, last_seq: int) -> None:
    """Write down the range of the next segment, unless somebody has: look which one counts."""
    await catalog.call(_PLAN, (first, last, last_seq))


_CONFIRM: Final = "select casstore.confirm_segment(%s::bigint, %s)"


async def confirm(catalog: Catalog, first: int, digest: Digest) -> None:
    """Remember that a segment's object is there."""
    await catalog.call(_CONFIRM, (first, bytes(digest)))


_STRAYS: Final = "select table_name, place, what from casstore.strays(%s::int)"


async def strays(catalog: Catalog, limit: int) -> list[Stray]:
    """Up to `limit` rows that the log does not account for. Reads the whole catalog, however long that takes."""
    async with catalog.transaction() as connection:
        return [Stray(*row) for row in await (await connection.execute(_STRAYS, (limit,))).fetchall()]


def _exported(row: tuple[Any, ...]) -> Exported:
    first, last, last_seq, digest = row
    return Exported(first, last, last_seq, None if digest is None else Digest(digest))
