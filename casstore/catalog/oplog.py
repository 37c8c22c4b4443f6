"""The operation log as a tenant reads it, and undoing what is in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from casstore.catalog.connection import Catalog
from casstore.catalog.rows import cursor_of, parse_cursor
from casstore.model import Page

__all__ = ["OPS", "Operation", "change_of", "operations", "undo"]

# Every word of the log, as the comment on its column says them (tests/catalog/test_schema.py compares the two).
_WORDS: Final = (
    "put alias tag unalias accepted obsolete delete undelete purge hold release retention expire erase_content delete_tenant "
    "undelete_tenant erase_tenant domain erased undo transaction"
)
OPS: Final = tuple(_WORDS.split())
# Before and after, of what has neither a number nor a state of the lifecycle.
_TRASH: Final = {
    "delete": ("live", "deleted"),
    "undelete": ("deleted", "live"),
    "purge": ("deleted", "purged"),
    "erase_content": ("stored", "erased"),
}


class Operation(BaseModel):
    """A row of the operation log: one change of state, for ever.

    What it changed is in `before` and `after`: the version an alias or tag meant (None: none), or the state of a version, which is
    draft, accepted or obsolete; live, deleted or purged; stored or erased.
    """

    model_config = ConfigDict(frozen=True)

    id: int
    op: str  # one of OPS
    name: str | None  # of the artifact; None of a transaction, whose rows come before it
    number: int | None  # of the version; None also where an alias was removed
    at: datetime
    by: str | None  # as they said; None where nobody was named, as puts and pointers need nobody
    reason: str | None
    before: int | str | None
    after: int | str | None
    pointer: str | None  # the alias or tag
    key: str | None  # the idempotency key it was answered under
    undoes: int | None  # of an undo: the operation that it took back
    undone_by: int | None  # the undo that took it back

    @property
    def ref(self) -> str | None:
        """The reference that always means its version; the name alone where it is of none."""
        return f"{self.name}@{self.number}" if self.number else self.name


_OPERATIONS: Final = "select * from casstore.operations_of(%s, %s, %s::int, %s::uuid, %s, %s::bigint, %s::int)"


async def operations(
    catalog: Catalog,
    tenant: str,
    *,
    name: str | None,
    number: int | None,
    id: UUID | None,  # noqa: A002 - the field's word
    op: str | None,
    cursor: str | None,
    limit: int,
) -> Page[Operation]:
    """What was done, the newest first: all, or what is about an artifact or a version; raises NotFound where there is none."""
    (before,) = parse_cursor("operations", cursor, 1)
    rows = await catalog.call(_OPERATIONS, (tenant, name, number, id, op, before, limit + 1))
    items = tuple(_operation_of(row) for row in rows[:limit])
    return Page[Operation](items=items, cursor=cursor_of("operations", items[-1].id) if len(rows) > limit else None)


_UNDO: Final = "select * from casstore.undo(%s, %s::bigint, %s, %s)"


async def undo(catalog: Catalog, tenant: str, operation_id: int, by: str, reason: str | None) -> Operation:
    """Take an operation back; one that is undone already is a success, and its undo the answer.

    Raises:
        NotFound: operation_not_found; version_deleted, where a version that it concerns is in the trash.
        Invalid: It cannot be undone (not_undoable).
        Conflict: Something came after it (undo_superseded), or what it takes is refused (still_used, source_deleted).
    """
    return _operation_of(await catalog.one(_UNDO, (tenant, operation_id, by, reason)))


def _operation_of(row: Sequence[Any]) -> Operation:
    seq, at, op, name, number, detail, key, undone_by = row
    change = change_of(op, number, detail or {})
    return Operation(id=seq, op=op, name=name, number=number, at=at, key=key, undone_by=undone_by, **change)


def change_of(op: str, number: int | None, told: Mapping[str, Any]) -> dict[str, Any]:
    """What a row of the log says in its detail, by the names of `Operation`."""
    before: int | str | None
    after: int | str | None
    before, after = _TRASH.get(op, (told.get("before"), None))
    if op in ("alias", "tag"):
        after = number
    elif op in ("accepted", "obsolete"):
        after = op
    return {
        "by": told.get("actor"),
        "reason": told.get("reason"),
        "before": before,
        "after": after,
        "pointer": told.get("pointer"),
        "undoes": told.get("undoes"),
    }
