"""All isolation domains, and putting tenants into them. It takes the role that owns the schema."""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple

from casstore.catalog.checking import owner_only
from casstore.catalog.connection import Catalog
from casstore.model import Digest

__all__ = ["KnownDomain", "assign", "known"]


class KnownDomain(NamedTuple):
    """A domain as the catalog knows it: not its key."""

    name: str
    check: Digest
    made_at: datetime
    tenants: tuple[str, ...]


_KNOWN: Final = "select name, check_value, made_at, tenants from casstore.domains_known()"


async def known(catalog: Catalog) -> list[KnownDomain]:
    """All domains, by name."""
    rows = await owner_only(catalog, _KNOWN, ())
    return [KnownDomain(name, Digest(check), made_at, tuple(tenants)) for name, check, made_at, tenants in rows]


_ASSIGN: Final = "select casstore.set_domain(%s, %s, %s, %s)"


async def assign(catalog: Catalog, tenant: str, name: str, check: Digest, by: str) -> bool:
    """Put a tenant without artifacts into a domain; False when it is there already.

    Raises:
        Denied: The catalog knows the domain by another key, or the key by another name (domain_key_wrong).
        Conflict: The tenant has artifacts (tenant_not_empty).
    """
    return bool((await owner_only(catalog, _ASSIGN, (tenant, name, bytes(check), by)))[0][0])
