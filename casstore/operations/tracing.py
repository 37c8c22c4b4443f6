"""Lineage: what a version was made from, what was made from it, and what is stale by now."""

from __future__ import annotations

from typing import Literal, TypeAlias

from casstore import limits
from casstore.catalog import lineage
from casstore.errors import Code, Invalid
from casstore.model import Lineage
from casstore.operations import Context
from casstore.operations.get import whole
from casstore.refs import Ref

__all__ = ["Direction", "trace"]

Direction: TypeAlias = Literal["up", "down"]


async def trace(
    context: Context,
    ref: str | Ref,
    direction: Direction,
    depth: int | None,
    limit: int = limits.LINEAGE_VERSIONS_MAX,
) -> Lineage:
    """A version and its sources, or its dependants, to a depth."""
    if direction not in ("up", "down"):
        raise Invalid(Code.BAD_ARGUMENT, f"direction={direction!r} is unknown", hint="up (its sources) or down")
    most = limits.LINEAGE_DEPTH_MAX
    if depth is not None and not (type(depth) is int and 0 <= depth <= most):
        raise Invalid(Code.BAD_ARGUMENT, f"depth={depth!r} is out of range", hint=f"0 to {most}, or None for all.")
    if not (type(limit) is int and 1 <= limit <= limits.LINEAGE_VERSIONS_MAX):
        raise Invalid(
            Code.BAD_ARGUMENT, f"limit={limit!r} is out of range", hint=f"1 to {limits.LINEAGE_VERSIONS_MAX}."
        )
    return await lineage.lineage(
        context.catalog, context.tenant, whole(context, ref), down=direction == "down", depth=depth, limit=limit
    )
