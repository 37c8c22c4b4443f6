"""Lineage in the catalog."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from casstore import limits
from casstore.catalog.connection import Catalog
from casstore.catalog.rows import version_of
from casstore.catalog.versions import reference_arguments
from casstore.model import Lineage, Link, Node
from casstore.refs import Ref

__all__ = ["lineage"]

_LINEAGE: Final = """
select l.depth, l.sources, l.refs, l.roles, l.newer, (l.version).*
  from casstore.lineage(%s, %s, %s, %s::int, %s, %s, %s, %s::int, %s::int) l
"""


async def lineage(catalog: Catalog, tenant: str, ref: Ref, *, down: bool, depth: int | None, limit: int) -> Lineage:
    """A version and its sources (or, `down`, its dependants) to a depth, nearest first; raises NotFound."""
    deepest = limits.LINEAGE_DEPTH_MAX
    asked = (down, deepest + 1 if depth is None else depth, limit + 1)  # one more: whether there is more
    rows = await catalog.call(_LINEAGE, (tenant, *reference_arguments(ref), *asked))
    near = [row for row in rows[:limit] if row[0] <= deepest]
    return Lineage.model_construct(versions=tuple(map(_node_of, near)), is_complete=len(near) == len(rows))


def _node_of(row: Sequence[Any]) -> Node:
    depth, sources, refs, roles, newer, *version = row
    links = zip(sources or (), refs or (), roles or (), newer or (), strict=True)
    return Node.model_construct(
        version=version_of(version),
        depth=depth,
        sources=tuple(
            Link.model_construct(source=each, ref=ref, role=role, newer=number) for each, ref, role, number in links
        ),
    )
