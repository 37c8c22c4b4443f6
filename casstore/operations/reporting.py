"""Figures about what is stored."""

from __future__ import annotations

from casstore.catalog import versions
from casstore.model import Usage
from casstore.operations import Context

__all__ = ["usage"]


async def usage(context: Context) -> Usage:
    """What the tenant has stored."""
    return await versions.usage(context.catalog, context.tenant)
