"""What the parts of a tenant's door have in common: whose it is, and the store it leads to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from casstore.operations import Context

if TYPE_CHECKING:
    from casstore.store import AsyncStore

__all__ = ["Door"]


class Door:
    """One tenant of one store."""

    def __init__(self, store: AsyncStore, name: str) -> None:
        self._store = store
        self.name = name

    def __repr__(self) -> str:
        return f"<tenant {self.name}>"

    @property
    def _context(self) -> Context:
        return self._store._context(self.name)  # noqa: SLF001 - the two halves of one door
