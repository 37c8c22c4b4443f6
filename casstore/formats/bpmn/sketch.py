"""A small picture of a process: the shapes and lines of its first diagram, without words, as SVG of our own making.

Nothing of the document's text is in it, so that it can be shown wherever a picture can.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from casstore.errors import Invalid
from casstore.formats.bpmn.model import DI
from casstore.formats.bpmn.xml import Node, parse

__all__ = ["sketch"]

_DC: Final = "{http://www.omg.org/spec/DD/20100524/DC}"
_WAY: Final = "{http://www.omg.org/spec/DD/20100524/DI}waypoint"
_MARGIN: Final = 12.0
_LEAST: Final = (360.0, 200.0)  # what is smaller is not blown up
_FARTHEST: Final = 1e6
_CORNER: Final = 8.0
_INK, _PALE, _TINT = "#3d5270", "#9aa9bd", "#e7eef8"
# What lies over what: pools and lanes, then sub-processes, then lines, then what is done.
_STYLES: Final = {
    "pool": f'fill="#ffffff" stroke="{_PALE}"',
    "inside": f'fill="#ffffff" stroke="{_INK}"',
    "line": f'fill="none" stroke="{_INK}"',
    "task": f'fill="{_TINT}" stroke="{_INK}"',
    "gateway": f'fill="#fdf3d8" stroke="{_INK}"',
    "event": f'fill="#ffffff" stroke="{_INK}"',
    "end": f'fill="#ffffff" stroke="{_INK}" stroke-width="3"',
}
_NOT_DRAWN: Final = frozenset(("textAnnotation", "group", "association"))
_POOLS: Final = frozenset(("participant", "lane"))
_INSIDES: Final = frozenset(("subProcess", "transaction", "adHocSubProcess"))


class _Box(NamedTuple):
    x: float
    y: float
    width: float
    height: float


def sketch(data: bytes) -> bytes | None:
    """The picture of a BPMN document; None if it cannot be read, or draws nothing."""
    try:
        root = parse(data)
    except Invalid:
        return None
    plane = next((node for node in _below(root) if node.tag == DI + "BPMNPlane" and node.children), None)
    if plane is None:
        return None
    tags = {identity: node.tag for node in _below(root) if (identity := node.attrs.get("id")) and node.tag[0] != "{"}
    paths: dict[str, list[str]] = {style: [] for style in _STYLES}
    extent: list[tuple[float, float]] = []
    for shape in plane.children:
        tag = tags.get(shape.attrs.get("bpmnElement", "").rpartition(":")[2], "")
        if tag not in _NOT_DRAWN:
            extent += _add(shape, tag, paths)
    if not extent:
        return None
    return _svg(_view(extent), paths)


def _add(shape: Node, tag: str, paths: dict[str, list[str]]) -> list[tuple[float, float]]:
    """Draw a shape or a line; the corners that it takes up, none if it is not where it could be drawn."""
    points = [point for child in shape.children if child.tag == _WAY and (point := _numbers(child, "x", "y"))]
    if len(points) > 1:
        corners = [(point[0], point[1]) for point in points]
        paths["line"].append("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in corners))
        return corners
    for child in shape.children:
        found = _numbers(child, "x", "y", "width", "height") if child.tag == _DC + "Bounds" else None
        if found:
            box = _Box(*found)
            style = _style(tag)
            paths[style].append(_outline(box, style))
            return [(box.x, box.y), (box.x + box.width, box.y + box.height)]
    return []


def _style(tag: str) -> str:
    if tag in _POOLS:
        return "pool"
    if tag in _INSIDES:
        return "inside"
    if tag.endswith("Gateway"):
        return "gateway"
    if tag.endswith("Event"):
        return "end" if tag == "endEvent" else "event"
    return "task"


def _outline(box: _Box, style: str) -> str:
    x, y, width, height = box
    if style in ("event", "end"):
        rx, ry = width / 2, height / 2
        return f"M{x:.1f} {y + ry:.1f}a{rx:.1f} {ry:.1f} 0 1 0 {width:.1f} 0a{rx:.1f} {ry:.1f} 0 1 0 {-width:.1f} 0z"
    if style == "gateway":
        rx, ry = width / 2, height / 2
        return f"M{x:.1f} {y + ry:.1f}l{rx:.1f} {-ry:.1f} {rx:.1f} {ry:.1f} {-rx:.1f} {ry:.1f}z"
    if style == "pool":
        return f"M{x:.1f} {y:.1f}h{width:.1f}v{height:.1f}h{-width:.1f}z"
    r = min(_CORNER, width / 2, height / 2)
    across, down = width - 2 * r, height - 2 * r
    turns = (f"a{r:.1f} {r:.1f} 0 0 1 {dx:.1f} {dy:.1f}" for dx, dy in ((r, r), (-r, r), (-r, -r), (r, -r)))
    sides = (f"h{across:.1f}", f"v{down:.1f}", f"h{-across:.1f}", f"v{-down:.1f}")
    return f"M{x + r:.1f} {y:.1f}" + "".join(side + turn for side, turn in zip(sides, turns, strict=True)) + "z"


def _numbers(node: Node, *names: str) -> list[float] | None:
    """These attributes, if all are numbers of a size that a drawing has; a width or height is not negative."""
    try:
        found = [float(node.attrs[name]) for name in names]
    except (KeyError, ValueError):
        return None
    if any(not abs(value) <= _FARTHEST for value in found) or min(found[2:], default=0) < 0:
        return None
    return found


def _view(extent: Iterable[tuple[float, float]]) -> _Box:
    """What is to be seen: all of it, in the middle."""
    xs, ys = zip(*extent, strict=True)
    sides = [
        (low - (size - (high - low)) / 2, size)
        for low, high, least in ((min(xs), max(xs), _LEAST[0]), (min(ys), max(ys), _LEAST[1]))
        for size in (max(high - low + 2 * _MARGIN, least),)
    ]
    return _Box(sides[0][0], sides[1][0], sides[0][1], sides[1][1])


def _svg(view: _Box, paths: dict[str, list[str]]) -> bytes:
    drawn = "".join(
        f'<path {_STYLES[style]} vector-effect="non-scaling-stroke" d="{"".join(parts)}"/>'
        for style, parts in paths.items()
        if parts
    )
    seen = " ".join(f"{value:.1f}" for value in view)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{seen}" stroke-linejoin="round">{drawn}</svg>').encode(
        "ascii"
    )


def _below(node: Node) -> Iterator[Node]:
    """All elements, in the order of the document. Depth is bounded by `parse`."""
    for child in node.children:
        yield child
        yield from _below(child)
