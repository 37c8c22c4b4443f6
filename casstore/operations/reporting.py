"""Figures about what is stored."""

from __future__ import annotations

from casstore.catalog import versions
from casstore.model import Shared, Usage
from casstore.operations import Context
from casstore.operations.listing import page_size

__all__ = ["shared", "usage"]


async def usage(context: Context) -> Usage:
    """What the tenant has stored."""
    return await versions.usage(context.catalog, context.tenant)


async def shared(context: Context, limit: int) -> tuple[Shared, ...]:
    """The contents that save the most bytes by being stored once."""
    return await versions.shared(context.catalog, context.tenant, page_size(limit))
