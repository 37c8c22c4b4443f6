"""What a version was made from, and what was made from it, as columns of boxes with lines between them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Final
from uuid import UUID

from casstore.model import Lineage, Node

__all__ = ["Box", "Graph", "graph_of"]

_COLUMN_BOXES: Final = 6
_WIDTH, _HEIGHT, _GAP_X, _GAP_Y, _MARGIN = 208, 52, 56, 14, 8
_INDENT: Final = 12  # of the words, from the edge of their box
_LABEL_SIZE, _NOTE_SIZE = 14.0, 11.6  # of letters, in pixels, as in the style; those of notes are not bold, so narrower
# Widths of letters in shares of their size, after DejaVu Sans Bold: hardly any font of an interface is wider.
_LETTERS: Final = {
    **dict.fromkeys("ijlI.,·' ", 0.4),
    **dict.fromkeys("frt-_", 0.5),
    **dict.fromkeys("csz", 0.6),
    **dict.fromkeys("mwMW…", 1.11),
}
_LETTER, _CAPITAL = 0.73, 0.86


@dataclass(frozen=True, slots=True)
class Box:
    """A version, or (without a reference) how many more there are."""

    x: int
    y: int
    label: str
    note: str
    ref: str = ""
    is_center: bool = False
    is_stale: bool = False


@dataclass(frozen=True, slots=True)
class Graph:
    """The drawing."""

    boxes: tuple[Box, ...]
    lines: tuple[str, ...]  # as the `d` of a path
    width: int
    height: int
    box_width: int = _WIDTH
    box_height: int = _HEIGHT
    indent: int = _INDENT

    @property
    def is_alone(self) -> bool:
        """Whether there is nothing but the version itself."""
        return len(self.boxes) <= 1


def graph_of(up: Lineage, down: Lineage) -> Graph:
    """The drawing of both directions: sources on the left, dependants on the right."""
    columns = _columns([(-node.depth, node) for node in up] + [(node.depth, node) for node in down])
    is_complete = {False: up.is_complete, True: down.is_complete}
    tallest = max(min(len(nodes), _COLUMN_BOXES + 1) for nodes in columns.values())
    height = tallest * (_HEIGHT + _GAP_Y) - _GAP_Y + 2 * _MARGIN
    places: dict[UUID, Box] = {}
    boxes: list[Box] = []
    for place, (depth, nodes) in enumerate(sorted(columns.items())):
        x = _MARGIN + place * (_WIDTH + _GAP_X)
        for node, box in _stacked(nodes, x, height, is_center=depth == 0, is_complete=is_complete[depth > 0]):
            boxes.append(box)
            if node:
                places[node.version.id] = box
    shown = {node.version.id: node for nodes in columns.values() for node in nodes if node.version.id in places}
    return Graph(
        tuple(boxes),
        tuple(_lines(shown.values(), places)),
        len(columns) * (_WIDTH + _GAP_X) - _GAP_X + 2 * _MARGIN,
        height,
    )


def _columns(nodes: Iterable[tuple[int, Node]]) -> dict[int, list[Node]]:
    columns: dict[int, list[Node]] = {}
    seen: set[UUID] = set()
    for depth, node in nodes:
        if node.version.id not in seen:
            seen.add(node.version.id)
            columns.setdefault(depth, []).append(node)
    return columns


def _stacked(
    nodes: list[Node], x: int, height: int, *, is_center: bool, is_complete: bool
) -> Iterator[tuple[Node | None, Box]]:
    """The boxes of a column, in the middle of its height."""
    more = len(nodes) - _COLUMN_BOXES
    rows = min(len(nodes), _COLUMN_BOXES) + (more > 0)
    y = (height - rows * (_HEIGHT + _GAP_Y) + _GAP_Y) // 2
    for node in nodes[:_COLUMN_BOXES]:
        version = node.version
        label = _fitted(version.name.rpartition("/")[2], _LABEL_SIZE)
        note = _fitted(version.type, _NOTE_SIZE, f"v{version.number} · ", " · stale" if node.is_stale else "")
        yield node, Box(x, y, label, note, version.ref, is_center, node.is_stale)
        y += _HEIGHT + _GAP_Y
    if more > 0:
        yield None, Box(x, y, f"and {more:,} more" if is_complete else f"and more than {more:,} more", "")


def _fitted(text: str, size: float, before: str = "", after: str = "") -> str:
    """`text` between the two others, cut so that all of it stays in a box."""
    room = (_WIDTH - 2 * _INDENT) / size - _width(before) - _width(after)
    if _width(text) > room:
        room -= _width("…")
        ends = accumulate(map(_width, text))
        text = "".join(letter for letter, end in zip(text, ends, strict=True) if end <= room) + "…"
    return f"{before}{text}{after}"


def _width(text: str) -> float:
    """An estimate, in shares of the size of the letters."""
    return sum(_LETTERS.get(letter, _CAPITAL if letter.isupper() else _LETTER) for letter in text)


def _lines(nodes: Iterable[Node], places: dict[UUID, Box]) -> Iterator[str]:
    for node in nodes:
        end = places[node.version.id]
        for start in {link.source: places[link.source] for link in node.sources if link.source in places}.values():
            x0, y0 = start.x + _WIDTH, start.y + _HEIGHT // 2
            x1, y1 = end.x, end.y + _HEIGHT // 2
            middle = (x0 + x1) // 2
            yield f"M{x0} {y0}C{middle} {y0} {middle} {y1} {x1} {y1}"
