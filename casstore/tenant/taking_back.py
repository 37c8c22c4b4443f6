"""The part of a tenant's door that tells what was done, and takes it back. No logic."""

from __future__ import annotations

from casstore import limits
from casstore.model import Page
from casstore.operations import undoing
from casstore.operations.undoing import Operation
from casstore.refs import Ref
from casstore.tenant.door import Door

__all__ = ["TakingBack"]


class TakingBack(Door):
    """The operation log, and undoing."""

    async def operations(
        self,
        ref: str | Ref | None = None,
        *,
        op: str | None = None,
        cursor: str | None = None,
        limit: int = limits.PAGE_DEFAULT,
    ) -> Page[Operation]:
        """What was done, newest first, in pages of at most `limit`. One that is not committed yet may come up later, further down.

        Args:
            ref: An artifact (`name`) or a version (`name@3`, or its id), deleted or not. None: all of this tenant's.
            op: Only these, such as "alias".
            cursor: Go on where an earlier page ended.
            limit: How many.

        Raises:
            Invalid: There is no such operation (bad_argument): the hint tells all of them.
        """
        return await undoing.operations(self._context, ref, op=op, cursor=cursor, limit=limit)

    async def undo(self, operation_id: int, *, by: str, reason: str | None = None) -> Operation:
        """Take back a move of an alias, a delete or undelete (all that one call did), or a step of the lifecycle; answers the undo.

        It is an operation of its own: the log keeps both. What cannot be made exactly as it was is refused, and nothing changes.

        Args:
            operation_id: The `id` of the operation.
            by: Who does it, kept in the log: rather an id or a role than somebody's name.
            reason: Why.

        Raises:
            NotFound: operation_not_found; version_deleted, where it needs a version that is in the trash.
            Conflict: Something came after it (undo_superseded), or its opposite is refused (still_used, source_deleted).
                An operation that is undone already is a success, so that a call whose answer was lost may be repeated.
            Invalid: It cannot be undone (not_undoable).
        """
        return await undoing.undo(self._context, operation_id, by=by, reason=reason)
