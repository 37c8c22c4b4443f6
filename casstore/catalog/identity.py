"""Which store this catalog is the catalog of."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from casstore.catalog.connection import Catalog

__all__ = ["mark", "of_store"]

_OF_STORE: Final = "select identity, blobs_marked from casstore.store"


async def of_store(catalog: Catalog) -> tuple[UUID, bool]:
    """The store's identity, and whether its blobs have been marked with it."""
    identity, is_marked = await catalog.one(_OF_STORE, ())
    return identity, is_marked


_MARK: Final = "select casstore.mark_blobs()"


async def mark(catalog: Catalog) -> None:
    """Remember that the blobs carry the identity from now on."""
    await catalog.call(_MARK, ())
