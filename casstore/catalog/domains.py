"""Which isolation domain a tenant is in."""

from __future__ import annotations

from typing import Final

from casstore.catalog.connection import Catalog
from casstore.model import Digest

__all__ = ["of_tenant"]

_OF_TENANT: Final = "select name, check_value from casstore.domain_of(%s)"


async def of_tenant(catalog: Catalog, tenant: str) -> tuple[str, Digest] | None:
    """The name and check value of a tenant's domain; None where it has none."""
    rows = await catalog.call(_OF_TENANT, (tenant,))
    return (rows[0][0], Digest(rows[0][1])) if rows else None
