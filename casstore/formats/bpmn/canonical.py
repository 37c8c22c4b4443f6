"""The elements of a graph in an order that depends on neither their ids nor the order of the file.

Colour refinement (Weisfeiler and Lehman): elements get numbers by what they say, and are told apart by the numbers of their
neighbours until nothing changes. Where some still look alike, the first of them is singled out, and so on, until each has a number
of its own. The numbers then describe the graph completely, so graphs that are not the same never get the same description. The
same graph gets the same one where elements that look alike are interchangeable. Where they only look it (regular structures without
names), the order of the file decides, and one graph may get two: taken for a change where there is none, never the reverse.
"""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any, Final

from casstore.formats.bpmn.model import Model, Unit, written
from casstore.model import Digest

__all__ = ["Canonical", "content"]

_HEADER: Final = "casstore/bpmn/1"


def content(unit: Unit) -> str:
    """What an element says by itself, without its id, its place and what it refers to."""
    said = [
        unit.tag,
        unit.name,
        sorted(unit.attrs.items()),
        sorted((tag, written(said)) for tag, (said, _) in unit.parts.items()),
    ]
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"))


class Canonical:
    """The order of a model's elements, and its two digests."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._contents = [content(unit) for unit in model.units]
        self._partition = _Partition(self._contents, _neighbours(model))
        self._partition.split([(*(written(said) for (said, _), _ in unit.drawn), "") for unit in model.units])
        self.order = self._partition.order()

    def meaning(self) -> Digest:
        """Of all elements in their order, with their references as places in it."""
        place = self._partition.colours
        described = []
        for index in self.order:
            unit = self._model.units[index]
            edges = sorted((name, place[to], way) for name, (to, way) in self._model.edges(unit))
            described.append([self._contents[index], place[unit.parent] if unit.parent >= 0 else -1, edges])
        return _digest([_HEADER, described])

    def layout(self) -> Digest:
        """Of the same, and how each is drawn."""
        place = self._partition.colours
        drawn = [
            sorted(
                [written(said), [(place[to], way) for to, way in targets]]
                for (said, targets), _ in self._model.units[index].drawn
            )
            for index in self.order
        ]
        return _digest([_HEADER + "/layout", self.meaning().hex(), drawn])


def _digest(value: list[Any]) -> Digest:
    return Digest.of(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"))


def _neighbours(model: Model) -> list[list[tuple[int, int]]]:
    """Of each element the others it is connected with, and by what, as even numbers one way and odd ones the other."""
    edges = [(unit.index, f"{name} {way}", to) for unit in model.units for name, (to, way) in model.edges(unit)]
    edges += [(unit.index, "", unit.parent) for unit in model.units[1:]]
    numbers = {name: number * 2 for number, name in enumerate(sorted({name for _, name, _ in edges}))}
    found: list[list[tuple[int, int]]] = [[] for _ in model.units]
    for origin, name, to in edges:
        found[to].append((numbers[name], origin))
        found[origin].append((numbers[name] + 1, to))
    return found


class _Partition:
    """Elements by colour. Only neighbours of what was given a new colour are looked at again: the largest part keeps the old."""

    def __init__(self, keys: list[str], neighbours: list[list[tuple[int, int]]]) -> None:
        self._neighbours = neighbours
        rank = {key: number for number, key in enumerate(sorted(set(keys)))}
        self.colours = [rank[key] for key in keys]
        self._cells: list[set[int]] = [set() for _ in rank]
        for index, colour in enumerate(self.colours):
            self._cells[colour].add(index)
        self._spread(range(len(keys)))

    def split(self, ties: list[Any]) -> None:
        """Tell all apart that are still alike: in the order of `ties`, then of the file."""
        colour = 0
        while colour < len(self._cells):
            cell = self._cells[colour]
            if len(cell) > 1:
                alone = all(
                    len(self._cells[self.colours[near]]) == 1 for one in cell for _, near in self._neighbours[one]
                )
                for index in sorted(cell, key=lambda index: (ties[index], index)):
                    if self.colours[index] == colour and len(cell) > 1:
                        self._recolour({index}, colour)
                        if not alone:  # else nobody is left to be told apart by it
                            self._spread([index])
            colour += 1

    def order(self) -> list[int]:
        """The elements by their numbers, each now having its own."""
        order = sorted(range(len(self.colours)), key=self.colours.__getitem__)
        assert all(self.colours[one] < self.colours[next_] for one, next_ in pairwise(order))  # noqa: S101 - by `split`
        return order

    def _recolour(self, part: set[int], colour: int) -> None:
        self._cells[colour] -= part
        for index in part:
            self.colours[index] = len(self._cells)
        self._cells.append(part)

    def _spread(self, changed: Any) -> None:
        while changed:
            seen: dict[int, list[tuple[int, int]]] = {}
            for index in changed:
                colour = self.colours[index]
                for number, neighbour in self._neighbours[index]:
                    seen.setdefault(neighbour, []).append((number, colour))
            cells: dict[int, dict[tuple[tuple[int, int], ...], set[int]]] = {}
            for index, colours in seen.items():
                if len(self._cells[self.colours[index]]) > 1:
                    parts = cells.setdefault(self.colours[index], {})
                    parts.setdefault(tuple(sorted(colours)), set()).add(index)
            changed = [index for colour in sorted(cells) for index in self._divide(colour, cells[colour])]

    def _divide(self, colour: int, parts: dict[tuple[tuple[int, int], ...], set[int]]) -> list[int]:
        """Give all parts of a cell but its largest new colours; those that were given one."""
        ordered = [parts[key] for key in sorted(parts)]
        untouched = len(self._cells[colour]) - sum(map(len, ordered))
        largest = max(ordered, key=len)
        if untouched < len(largest):
            ordered.remove(largest)
            if untouched:
                everything = set().union(*ordered, largest)
                ordered.append(self._cells[colour] - everything)
        for part in ordered:
            self._recolour(part, colour)
        return [index for part in ordered for index in part]
