"""Three-way merge of JSON values: by key, and of lists by item. What one side changed is taken; what both changed must agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final, Literal

from casstore.formats.comparison import Decide, MergeConflict, undecided
from casstore.formats.json.canonical import canonical
from casstore.formats.json.diffing import escape
from casstore.formats.json.exact import same
from casstore.formats.json.matching import align, identities

__all__ = ["merge_values"]

_NOTHING: Final = object()
Side = Literal["base", "ours", "theirs"]


def merge_values(
    base: Any, ours: Any, theirs: Any, identity: Sequence[str], decide: Decide = undecided
) -> tuple[Any, list[MergeConflict]]:
    """The merged value, to be used only where there are no conflicts. Which side is which makes no difference to either."""
    merger = _Merger(identity, decide)
    return merger.value(base, ours, theirs, ""), merger.conflicts


def _same(one: Any, other: Any) -> bool:
    return one is other or (one is not _NOTHING and other is not _NOTHING and same(one, other))


class _Merger:
    def __init__(self, identity: Sequence[str], decide: Decide) -> None:
        self.conflicts: list[MergeConflict] = []
        self._identity = identity
        self._decide = decide

    def value(self, base: Any, ours: Any, theirs: Any, path: str) -> Any:
        """Merge one place; each of the three may be nothing."""
        if _same(ours, theirs) or _same(base, theirs):
            return ours
        if _same(base, ours):
            return theirs
        kinds = {type(base), type(ours), type(theirs)}
        if kinds == {dict}:
            return self._object(base, ours, theirs, path)
        if kinds == {list}:
            return self._list(base, ours, theirs, path)
        return self._conflict(path, base, ours, theirs)

    def _object(self, base: dict[str, Any], ours: dict[str, Any], theirs: dict[str, Any], path: str) -> dict[str, Any]:
        keys = [*base, *sorted((ours.keys() | theirs.keys()) - base.keys())]
        merged = {}
        for key in keys:
            three = base.get(key, _NOTHING), ours.get(key, _NOTHING), theirs.get(key, _NOTHING)
            value = self.value(*three, f"{path}/{escape(key)}")
            if value is not _NOTHING:
                merged[key] = value
        return merged

    def _list(self, base: list[Any], ours: list[Any], theirs: list[Any], path: str) -> list[Any]:
        mine, yours = _Edit(base, ours, self._identity), _Edit(base, theirs, self._identity)
        kept: dict[int, Any] = {}
        for index, item in enumerate(base):
            value = self.value(item, mine.now(index), yours.now(index), f"{path}/{index}")
            if value is not _NOTHING:
                kept[index] = value
        one, other = mine.order(kept), yours.order(kept)
        order = one if one == other or other == sorted(other) else other
        if order != one and one != sorted(one):
            fault = "both sides moved items of it, to other places"
            decided = self._conflict(path, base, ours, theirs, fault)
            return decided if isinstance(decided, list) else base
        self._look_for_twins(mine, yours, path)
        return _joined(kept, order, mine.additions(kept), yours.additions(kept))

    def _look_for_twins(self, mine: _Edit, yours: _Edit, path: str) -> None:
        """Look for items that both sides added with one identity: of other values, that is a conflict."""
        one, other = [mine.items[place] for place in mine.new], [yours.items[place] for place in yours.new]
        known, also = identities(one, other, self._identity)
        by_identity = {name: place for place, name in enumerate(known) if name is not None}
        for place, (name, item) in enumerate(zip(also, other, strict=True)):
            if name in by_identity and not same(one[by_identity[name]], item):
                decided = self._conflict(f"{path}/-/{escape(str(name))}", _NOTHING, one[by_identity[name]], item)
                mine.items[mine.new[by_identity[name]]] = decided
                yours.items[yours.new[place]] = decided

    def _conflict(self, path: str, base: Any, ours: Any, theirs: Any, fault: str = "") -> Any:
        """What was decided about this place; where nothing was, it is a conflict, and stays as the base."""
        sides: dict[Side, Any] = {"base": base, "ours": ours, "theirs": theirs}
        present = tuple(side for side, value in sides.items() if value is not _NOTHING)
        if not fault:
            fault = "one side removed it, the other changed it"
            if len(present) == len(sides):
                fault = "both sides changed it, to other values"
            elif "base" not in present:
                fault = "both sides added it, with other values"
        values = {side: sides[side] for side in present}
        conflict = MergeConflict(path=path, text=fault, present=present, **values)
        taken = self._decide(conflict)
        if taken is None:
            self.conflicts.append(conflict)
            return base
        return taken.value if taken.side == "value" else sides[taken.side]


class _Edit:
    """What one side made of a list."""

    def __init__(self, base: list[Any], items: list[Any], identity: Sequence[str]) -> None:
        self.items = [*items]
        self._source = align(base, items, identity).source
        self._place = {index: place for place, index in enumerate(self._source) if index >= 0}
        self.new = [place for place, index in enumerate(self._source) if index < 0]

    def now(self, index: int) -> Any:
        """What an item of the base is on this side."""
        place = self._place.get(index)
        return _NOTHING if place is None else self.items[place]

    def order(self, kept: dict[int, Any]) -> list[int]:
        """The items of the base that are left, as this side has them; one that only the other side kept cannot be."""
        return [index for index in self._source if index in kept]

    def additions(self, kept: dict[int, Any]) -> dict[int, list[Any]]:
        """New items by the item of the base that they come after, -1 being the beginning."""
        found: dict[int, list[Any]] = {}
        anchor = -1
        for place, index in enumerate(self._source):
            if index in kept:
                anchor = index
            elif index < 0 and self.items[place] is not _NOTHING:
                found.setdefault(anchor, []).append(self.items[place])
        return found


def _joined(
    kept: dict[int, Any], order: list[int], mine: dict[int, list[Any]], yours: dict[int, list[Any]]
) -> list[Any]:
    """What is left in its order, and after each what was added there. What both sides added comes once, at the first place."""
    left = _counted(mine) | _counted(yours)  # to come yet: as often as the side has it that has more
    merged: list[Any] = []
    for anchor in (-1, *order):
        if anchor >= 0:
            merged.append(kept[anchor])
        for run in sorted((mine.get(anchor, []), yours.get(anchor, [])), key=canonical):
            for item in run:
                text = canonical(item)
                if left[text]:
                    left[text] -= 1
                    merged.append(item)
    return merged


def _counted(additions: dict[int, list[Any]]) -> Counter[bytes]:
    return Counter(canonical(item) for run in additions.values() for item in run)
