"""Tenants as such: delete all of one, bring it back, tell which it is."""

from __future__ import annotations

from casstore import grammar
from casstore.catalog import tenants
from casstore.catalog.connection import Catalog
from casstore.model import TenantState

__all__ = ["delete", "show", "undelete"]


async def delete(catalog: Catalog, name: str, *, by: str, reason: str | None) -> TenantState:
    """Hide all of a tenant; see `AsyncStore.delete_tenant` for the promise."""
    return await tenants.delete(catalog, grammar.check_tenant(name), *grammar.check_why(by, reason))


async def undelete(catalog: Catalog, name: str, *, by: str, reason: str | None) -> TenantState:
    """Bring all of a tenant back; see `AsyncStore.undelete_tenant` for the promise."""
    return await tenants.undelete(catalog, grammar.check_tenant(name), *grammar.check_why(by, reason))


async def show(catalog: Catalog, name: str) -> TenantState:
    """Whether a tenant is deleted."""
    return await tenants.show(catalog, grammar.check_tenant(name))
