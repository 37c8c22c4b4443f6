"""Tenants as such: deleted, brought back, looked at."""

from __future__ import annotations

from typing import Any, Final

from casstore.catalog.connection import Catalog
from casstore.model import TenantState

__all__ = ["delete", "show", "undelete"]

_DELETE: Final = "select * from casstore.delete_tenant(%s, %s, %s)"


async def delete(catalog: Catalog, tenant: str, by: str, reason: str | None) -> TenantState:
    """Hide all of a tenant; raises NotFound (tenant_not_found). One that is deleted already keeps who, when and why."""
    return _state_of(await catalog.one(_DELETE, (tenant, by, reason)))


_UNDELETE: Final = "select * from casstore.undelete_tenant(%s, %s, %s)"


async def undelete(catalog: Catalog, tenant: str, by: str, reason: str | None) -> TenantState:
    """Bring all of a tenant back; raises NotFound (tenant_not_found)."""
    return _state_of(await catalog.one(_UNDELETE, (tenant, by, reason)))


_SHOW: Final = "select * from casstore.show_tenant(%s)"


async def show(catalog: Catalog, tenant: str) -> TenantState:
    """Whether a tenant is deleted, by whom and why; raises NotFound (tenant_not_found)."""
    return _state_of(await catalog.one(_SHOW, (tenant,)))


def _state_of(row: tuple[Any, ...]) -> TenantState:
    name, created_at, deleted_at, deleted_by, reason = row
    return TenantState(name=name, created_at=created_at, deleted_at=deleted_at, deleted_by=deleted_by, reason=reason)
