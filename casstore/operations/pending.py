"""Pending: a put of a transaction, before and after its commit."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from casstore.errors import Code, UsageError
from casstore.model import SourceLink, Stored

__all__ = ["Pending"]


@dataclass(eq=False, slots=True)
class Pending:
    """A put of a transaction: what became of it is known when the block has ended."""

    name: str
    _id: UUID = field(repr=False)
    _place: int = field(repr=False)
    _stored: Stored | None = field(default=None, repr=False)

    @property
    def stored(self) -> Stored:
        """The version; raises UsageError (transaction_over) before the transaction is committed."""
        if self._stored is None:
            message = f"the transaction with {self.name!r} has not been committed"
            raise UsageError(Code.TRANSACTION_OVER, message, hint="Read it after the `with` block.")
        return self._stored

    def link(self, role: str) -> SourceLink:
        """This version as a source of a later put of the same transaction."""
        # Its id is made anew by whoever repeats the transaction; its place is not.
        return SourceLink(self._id, role, f"put {self._place}")
