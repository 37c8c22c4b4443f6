"""Which element of one graph is which of another: by id where type and name agree; else by type, name and neighbours.

A match never hides a difference: what differs between matched elements is told. A guess decides how a change is told, not whether.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable
from typing import Final, TypeAlias

from casstore import limits
from casstore.formats.bpmn.canonical import Canonical, content
from casstore.formats.bpmn.model import Model, Target, Unit
from casstore.formats.bpmn.vocabulary import FAMILIES, FLOWS

__all__ = ["Matching", "by_order", "match"]

_TRUST: Final = 0.5  # of the named elements that share an id: then ids are kept by whoever writes the file
_ENDS: Final = 3  # neighbours of a flow that tell which it is: what it is in, and both its ends
_PASSES: Final = 40  # over what is not paired yet, some 10 ms each; real models need under ten
_Key: TypeAlias = Callable[[int, Unit], Hashable]


class Matching:
    """Pairs of elements of two models, by their places."""

    def __init__(self, before: Model, after: Model) -> None:
        self.before = before
        self.after = after
        self.forth: dict[int, int] = {}
        self.back: dict[int, int] = {}

    def pair(self, before: int, after: int) -> None:
        """Take these two for the same."""
        self.forth[before] = after
        self.back[after] = before

    def certain(self) -> bool:
        """Whether ids tell it all: every element has its own in both, and is called the same."""
        if not len(self.before.units) == len(self.after.units) == len(self.forth):
            return False
        pairs = [(self.before.units[old], self.after.units[new]) for old, new in self.forth.items() if old]
        return all(one.id == other.id and one.tag == other.tag and one.name == other.name for one, other in pairs)

    def back_target(self, target: Target) -> Target | tuple[str, str]:
        """What a reference in the newer model leads to, as a reference in the older one; by name if it is new there."""
        index, way = target
        if index not in self.back:
            return "new", f"{index}/{way}"
        old = self.back[index]
        if way:
            identity = self.after.part_ids.get(target, "")
            found = self.before.ids.get(identity)
            if found and found[0] == old and found[1]:
                return found
            moved = self.after.ids.get(self.before.part_ids.get((old, way), ""))
            if moved and moved[0] == target[0] and moved != target:  # what was in this place is in another now
                return "new", f"{index}/{identity or way}"
        return old, way

    def removed(self) -> list[Unit]:
        """Elements of the older model without a match, in its order."""
        return [unit for unit in self.before.units if unit.index not in self.forth]

    def added(self) -> list[Unit]:
        """Elements of the newer model without a match, in its order."""
        return [unit for unit in self.after.units if unit.index not in self.back]


def by_order(before: Model, after: Model, orders: tuple[Canonical, Canonical]) -> Matching:
    """The matching of two graphs that are the same: by their places in the canonical order."""
    matching = Matching(before, after)
    for old, new in zip(orders[0].order, orders[1].order, strict=True):
        matching.pair(old, new)
    return matching


def match(before: Model, after: Model) -> Matching:
    """Match two models as well as can be told."""
    matching = Matching(before, after)
    matching.pair(0, 0)
    trusted = _by_id(matching)
    lost = [len(model.units) - len(matching.forth) for model in (before, after)]
    if min(lost) and sum(lost) <= limits.BPMN_SEARCH_MAX:
        _Search(matching, trusted=trusted).run()
    return matching


def _alike(one: Unit, other: Unit) -> bool:
    return one.tag == other.tag or FAMILIES.get(one.tag, one.tag) == FAMILIES.get(other.tag, other.tag)


def _by_id(matching: Matching) -> bool:
    """Pair what has the same id and is nothing else by its name. Whether ids are kept from version to version."""
    before, after = matching.before, matching.after
    pairs = []
    for unit in before.units[1:]:
        found = after.ids.get(unit.id) if unit.id else None
        if found and found[0] and not found[1] and _alike(unit, after.units[found[0]]):
            pairs.append((unit, after.units[found[0]]))
    named = [one.name == other.name for one, other in pairs if one.name or other.name]
    trusted = len(pairs) * 4 >= min(len(before.units), len(after.units)) - 1 and sum(named) >= len(named) * _TRUST
    for one, other in pairs:
        if trusted or (one.tag == other.tag and one.name == other.name and one.name):
            matching.pair(one.index, other.index)
    return trusted


class _Search:
    """Pairs what ids do not tell, from what is sure to what is likely; each pair helps to find more."""

    def __init__(self, matching: Matching, *, trusted: bool) -> None:
        self._matching = matching
        self._trusted = trusted
        self._passes = 0
        self._near = [_near(matching.before), _near(matching.after)]
        self._contents = [
            {unit.index: content(unit) for unit in units} for units in (matching.removed(), matching.added())
        ]

    def run(self) -> None:
        """Look until nothing more is found."""
        keys: list[_Key] = [
            lambda side, unit: self._contents[side][unit.index] if _telling(unit) else None,
            lambda _, unit: (unit.tag, unit.name) if unit.name else None,
            lambda side, unit: self._contents[side][unit.index],
        ]
        if not self._trusted:
            keys.append(lambda _, unit: unit.tag)
        level = 0
        while level < len(keys) and self._passes < _PASSES:
            found = self._pass(keys[level], alone=level < 2)  # noqa: PLR2004 - the two that say more than a type
            level = 0 if found else level + 1
        while not self._trusted and self._passes < _PASSES and self._first_of_many():
            while any(self._pass(key, alone=False) for key in keys) and self._passes < _PASSES:
                pass

    def _pass(self, key: _Key, *, alone: bool) -> bool:
        """Pair what has a key, and neighbours that are paired, that nothing else has."""
        self._passes += 1
        matching = self._matching
        sides: list[dict[Hashable, list[int]]] = [defaultdict(list), defaultdict(list)]
        for side, units in enumerate((matching.removed(), matching.added())):
            for unit in units:
                said = key(side, unit)
                near = self._anchors(side, unit.index)
                enough = _ENDS if unit.tag in FLOWS else 1
                if said is not None and (alone or len(near) >= enough):
                    sides[side][said, near].append(unit.index)
        found = False
        for both, old in sides[0].items():
            new = sides[1].get(both, [])
            if len(old) == len(new) == 1:
                matching.pair(old[0], new[0])
                found = True
        return found

    def _anchors(self, side: int, index: int) -> tuple[tuple[str, int], ...]:
        """The neighbours of an element that are paired, as places in the older model."""
        pairs = (self._matching.forth, self._matching.back)[side]
        near = [(how, other if side == 0 else pairs[other]) for how, other in self._near[side][index] if other in pairs]
        return tuple(sorted(near))

    def _first_of_many(self) -> bool:
        """Of elements that say the same, equally many on both sides, pair the first two."""
        matching = self._matching
        groups: list[dict[str, list[int]]] = [defaultdict(list), defaultdict(list)]
        for side, units in enumerate((matching.removed(), matching.added())):
            for unit in units:
                if unit.tag not in FLOWS:
                    groups[side][self._contents[side][unit.index]].append(unit.index)
        for said, old in groups[0].items():
            new = groups[1].get(said, [])
            if len(old) == len(new):
                for one, other in zip(old, new, strict=True):
                    matching.pair(one, other)
                return True
        return False


def _telling(unit: Unit) -> bool:
    return bool(unit.name or unit.parts)


def _near(model: Model) -> list[list[tuple[str, int]]]:
    """Of each element what it refers to and is referred to by; of what a flow connects, the other end too."""
    near: list[list[tuple[str, int]]] = [[] for _ in model.units]
    for unit in model.units:
        if unit.parent >= 0:
            near[unit.index].append(("in", unit.parent))
        for name, (other, _) in model.edges(unit):
            near[unit.index].append((name, other))
            near[other].append((f"of {name}", unit.index))
        if unit.tag in FLOWS and {"sourceRef", "targetRef"} <= unit.refs.keys():
            origin, to = unit.refs["sourceRef"][0][0], unit.refs["targetRef"][0][0]
            near[origin].append(("to", to))
            near[to].append(("from", origin))
    return near
