"""How deep the difference between two versions goes, as far as the digests in the catalog tell: no bytes are opened."""

from __future__ import annotations

from collections.abc import Iterable

from casstore.formats.comparison import deepest
from casstore.model import Component, Depth, Version

__all__ = ["depth_between", "depth_of_parts"]


def depth_between(before: Version, after: Version) -> Depth | None:
    """How deep the content of `after` differs from that of `before`; None where only a comparison of the bytes could tell.

    "encoding": a picture that shows the same. "formatting": the same, written or drawn alike. "layout": the same, drawn
    differently. "meaning": anything else. The deepest of the components counts; noise in numbers cannot be told by digests.
    """
    if before.digest == after.digest:
        return "same"
    parts = depth_of_parts(before.components, after.components)
    return "meaning" if before.relations != after.relations else parts


def depth_of_parts(before: Iterable[Component], after: Iterable[Component]) -> Depth | None:
    """The same of the components of two versions, by their roles."""
    old, new = ({part.role: part for part in parts} for parts in (before, after))
    if old.keys() != new.keys():
        return "meaning"
    depths = [_depth(old[role], new[role]) for role in new]
    if None in depths and "meaning" not in depths:
        return None
    return deepest([depth for depth in depths if depth])


def _depth(before: Component, after: Component) -> Depth | None:
    if before.digest == after.digest:
        return "same" if before.media_type == after.media_type else "encoding"
    if before.pixels and before.pixels == after.pixels:
        return "encoding"
    if before.meaning and before.meaning == after.meaning:
        return "formatting" if before.layout == after.layout else "layout"
    both = (before.meaning and after.meaning) or (before.pixels and after.pixels)
    return "meaning" if both and before.media_type == after.media_type else None
