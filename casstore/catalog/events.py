"""The log as its tenant may follow it: in its order, and never a row before all that may still come below it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from casstore.catalog import oplog
from casstore.catalog.connection import Catalog
from casstore.catalog.rows import cursor_of, parse_cursor

__all__ = ["OPS", "Event", "Place", "events", "has_settled", "look"]

# What is told: not what says nothing any more, and not what changed nothing (`events_of` leaves these out).
OPS: Final = tuple(op for op in oplog.OPS if op not in ("erased", "erase_tenant", "transaction"))


class Event(BaseModel):
    """One change of state, told to who follows a tenant; told again, it is the same to the last letter."""

    model_config = ConfigDict(frozen=True)

    cursor: str  # goes on after it
    id: int  # as in the operation log; greater is later
    op: str  # put, alias, tag, unalias, accepted, obsolete, delete, undelete, purge, hold, release, expire, retention, undo …
    name: str | None  # of the artifact; None of what is about all of the tenant
    type: str | None  # of the artifact
    number: int | None  # of the version; None also where an alias was removed
    version: UUID | None  # its id
    at: datetime
    by: str | None  # as they said; None where nobody was named, as puts and pointers need nobody
    reason: str | None
    before: int | str | None  # as in `Operation`
    after: int | str | None
    pointer: str | None  # the alias or tag
    undoes: int | None  # of an undo: the id of what it took back

    @property
    def ref(self) -> str | None:
        """The reference that always means its version; the name alone where it is of none."""
        return f"{self.name}@{self.number}" if self.number else self.name


@dataclass(frozen=True, slots=True)
class Place:
    """Where a reader is in the log: after a row; and the end of what it may read next, once all before a transaction have ended."""

    after: int
    until: int = 0  # 0: nobody has looked
    transaction: int = 0

    @classmethod
    def parse(cls, cursor: str | None) -> Place:
        """The place of a cursor, the beginning without one; raises Invalid (bad_cursor)."""
        return cls(*(number or 0 for number in parse_cursor("events", cursor, 3)))

    def __str__(self) -> str:
        return cursor_of("events", self.after, self.until, self.transaction)


_UNTIL: Final = "select seq, until, settled from casstore.events_until(%s, %s::bigint)"


async def look(catalog: Catalog, tenant: str, after: int | None) -> tuple[int, int, bool] | None:
    """The end of what may be read next, the transaction that it waits for, and whether that is over. None: there is nothing.

    Args:
        catalog: Where.
        tenant: Whose.
        after: The row to go on after. None: the end of the log is asked for.
    """
    seq, until, settled = await catalog.one(_UNTIL, (tenant, after))
    return None if until is None else (seq, int(until), settled)


_SETTLED: Final = "select casstore.events_settled(%s)"


async def has_settled(catalog: Catalog, transaction: int) -> bool:
    """Whether all transactions below this one have ended."""
    (settled,) = await catalog.one(_SETTLED, (str(transaction),))
    return bool(settled)


_EVENTS: Final = "select * from casstore.events_of(%s, %s::bigint, %s::bigint, %s::int)"


async def events(catalog: Catalog, tenant: str, after: int, until: int, limit: int) -> list[Event]:
    """The first `limit` events after a row and up to another, which must be final."""
    return [_event_of(row) for row in await catalog.call(_EVENTS, (tenant, after, until, limit))]


def _event_of(row: Sequence[Any]) -> Event:
    seq, at, op, name, kind, number, version, detail = row
    return Event(
        cursor=str(Place(seq)),
        id=seq,
        op=op,
        name=name,
        type=kind,
        number=number,
        version=version,
        at=at,
        **oplog.change_of(op, number, detail or {}),
    )
