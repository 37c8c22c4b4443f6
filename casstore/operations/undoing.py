"""undo: read the operation log, and take back what it says was done. The log keeps both."""

from __future__ import annotations

from typing import Any

from casstore import grammar
from casstore.catalog import oplog
from casstore.catalog.oplog import Operation
from casstore.errors import Code, Invalid
from casstore.model import Page
from casstore.operations import Context
from casstore.operations.get import whole
from casstore.operations.listing import page_size
from casstore.refs import Ref

__all__ = ["Operation", "operations", "undo"]


async def operations(
    context: Context, ref: str | Ref | None, *, op: str | None, cursor: str | None, limit: int
) -> Page[Operation]:
    """What was done, newest first."""
    if op is not None and op not in oplog.OPS:
        raise Invalid(Code.BAD_ARGUMENT, f"op={op!a:.80} is no operation", hint=f"One of {', '.join(oplog.OPS)}.")
    about = _about(context, ref)
    return await oplog.operations(
        context.catalog, context.tenant, **about, op=op, cursor=cursor, limit=page_size(limit)
    )


async def undo(context: Context, operation_id: int, *, by: str, reason: str | None) -> Operation:
    """Take one operation back."""
    if type(operation_id) is not int or not 0 < operation_id < 2**63:
        message = f"{operation_id!r} is no id of an operation"
        raise Invalid(Code.BAD_ARGUMENT, message, hint="`casstore op log` tells the ids.")
    why = grammar.check_actor(by), None if reason is None else grammar.check_reason(reason)
    return await oplog.undo(context.catalog, context.tenant, operation_id, *why)


def _about(context: Context, ref: str | Ref | None) -> dict[str, Any]:
    """The artifact (`name`), or the version (`name@3`, `id:…`) that is asked about, deleted or not."""
    if ref is None:
        return {"name": None, "number": None, "id": None}
    parsed = whole(context, ref)
    if parsed.id is None and not _is_plain(parsed):
        message = f"{parsed} may have meant several versions in its time"
        raise Invalid(Code.BAD_REFERENCE, message, hint="Give a name, or a version by its number, name@3, or its id.")
    return {"name": parsed.name or None, "number": parsed.selector.number, "id": parsed.id}


def _is_plain(ref: Ref) -> bool:
    return ref.selector.kind in ("latest", "number") and ref.selector.as_of is None
