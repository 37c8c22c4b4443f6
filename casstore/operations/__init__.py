"""VERBS: what the store can do, one file each, and the only place with control flow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from casstore.blobs import BlobStore
from casstore.catalog.connection import Catalog
from casstore.domains import Domain
from casstore.operations.domains import Domains

__all__ = ["Asking", "Context"]


class Asking(Protocol):
    """Whose call it is: all that checking a call takes, also one that goes over a network."""

    @property
    def tenant(self) -> str:
        """The tenant that asks."""
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """What every operation works on: the two halves of one store, and the tenant that asks."""

    catalog: Catalog
    blobs: BlobStore
    tenant: str
    domains: Domains = field(default_factory=Domains)

    async def domain(self) -> Domain | None:
        """The isolation domain to hash the tenant's bytes in; raises Denied (domain_key_missing, domain_key_wrong)."""
        return await self.domains.of_tenant(self.catalog, self.tenant)
