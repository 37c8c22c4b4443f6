"""What there is and what was done: usage, bytes that are shared, the operation log, undoing."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from casstore import limits
from casstore.http.asking import Paging, Why
from casstore.http.callers import Reads, Writes
from casstore.http.shapes import Items
from casstore.model import Page, Shared, Usage
from casstore.operations.undoing import Operation

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["reports"])


class Log(Paging):
    """Which part of the operation log."""

    ref: str | None = None
    op: str | None = None


@router.get("/usage")
async def usage(caller: Reads) -> Usage:
    """How much the tenant has stored, the trash included, and how much of it is shared."""
    return await caller.tenant.usage()


@router.get("/shared")
async def shared(
    caller: Reads, limit: Annotated[int, Query(ge=1, le=limits.PAGE_MAX)] = limits.PAGE_DEFAULT
) -> Items[Shared]:
    """What is stored once though several components are it: those that save the most bytes."""
    return Items(items=list(await caller.tenant.shared(limit=limit)))


@router.get("/operations")
async def operations(caller: Reads, log: Annotated[Log, Query()]) -> Page[Operation]:
    """What was done, newest first."""
    return await caller.tenant.operations(log.ref, op=log.op, cursor=log.cursor, limit=log.limit)


@router.post("/undo/{operation_id}")
async def undo(
    caller: Writes, operation_id: Annotated[int, Path(ge=1, le=2**63 - 1)], why: Why | None = None
) -> Operation:
    """Take back a move of an alias, a delete or undelete, or a step of the lifecycle; answers the undo."""
    why = why or Why()
    return await caller.tenant.undo(operation_id, by=caller.by(why.by), reason=why.reason)
