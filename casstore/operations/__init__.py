"""VERBS: what the store can do, one file each, and the only place with control flow."""

from __future__ import annotations

from dataclasses import dataclass

from casstore.blobs import BlobStore
from casstore.catalog.connection import Catalog

__all__ = ["Context"]


@dataclass(frozen=True, slots=True)
class Context:
    """What every operation works on: the two halves of one store, and the tenant that asks."""

    catalog: Catalog
    blobs: BlobStore
    tenant: str
