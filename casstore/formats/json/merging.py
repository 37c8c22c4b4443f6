"""Three-way merge of JSON values: by key, and of lists by item. What one side changed is taken; what both changed must agree."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Sequence
from heapq import merge as in_turns
from typing import Any, Final, Literal

from casstore.errors import Code, Invalid
from casstore.formats.comparison import Decide, MergeConflict, undecided
from casstore.formats.json.canonical import canonical
from casstore.formats.json.diffing import escape
from casstore.formats.json.exact import same, text_of
from casstore.formats.json.matching import align, identities

__all__ = ["merge_values"]

_NOTHING: Final = object()
_BEGINNING: Final = -1  # what the first items of a list come after
_LIKE_ANOTHER: Final = re.compile(r'-?[0-9]+\Z|"')  # a text that reads like a number, or like such a text in quotes
Side = Literal["base", "ours", "theirs"]


def merge_values(
    base: Any, ours: Any, theirs: Any, identity: Sequence[str], decide: Decide = undecided
) -> tuple[Any, list[MergeConflict]]:
    """The merged value, to be used only where there are no conflicts. Which side is which makes no difference to either.

    Raises Invalid: bad_argument if a value was decided that cannot be.
    """
    merger = _Merger(identity, decide)
    return merger.value(base, ours, theirs, ""), merger.conflicts


def _same(one: Any, other: Any) -> bool:
    return one is other or (one is not _NOTHING and other is not _NOTHING and same(one, other))


def _step(identity: Hashable) -> str:
    """The step of a path for an item that was added. A text that reads like a number is quoted: 1 and "1" are two items."""
    text = str(identity)
    return escape(text_of(text) if isinstance(identity, str) and _LIKE_ANOTHER.match(text) else text)


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
        one, other = mine.order(yours), yours.order(mine)
        if one != other and one != sorted(one) and other != sorted(other):
            # Asked before anything inside it: whoever decides about the whole list leaves nothing there to be decided.
            return self._moved(base, ours, theirs, path)
        kept: dict[int, Any] = {}
        for index, item in enumerate(base):
            value = self.value(item, mine.now(index), yours.now(index), f"{path}/{index}")
            if value is not _NOTHING:
                kept[index] = value
        self._look_for_twins(mine, yours, path)
        shared = one if other == sorted(other) else other
        order = _woven(shared, mine.alone(kept, yours), yours.alone(kept, mine))
        return _joined(kept, order, mine.additions(kept), yours.additions(kept))

    def _moved(self, base: list[Any], ours: list[Any], theirs: list[Any], path: str) -> list[Any]:
        """What was decided about a list in which both sides moved items: the list of a side, or another."""
        decided = self._conflict(path, base, ours, theirs, "both sides moved items of it, to other places")
        if isinstance(decided, list):
            return decided
        message = f"a {type(decided).__name__} was decided for the list at {path or '(all of it)'}"
        hint = "Give the whole list, in the order that you want, or take that of a side."
        raise Invalid(Code.BAD_ARGUMENT, message, hint=hint)

    def _look_for_twins(self, mine: _Edit, yours: _Edit, path: str) -> None:
        """Look for items that both sides added with one identity: of other values, that is a conflict."""
        one, other = [mine.items[place] for place in mine.new], [yours.items[place] for place in yours.new]
        known, also = identities(one, other, self._identity)
        by_identity = {name: place for place, name in enumerate(known) if name is not None}
        for place, (name, item) in enumerate(zip(also, other, strict=True)):
            if name in by_identity and not same(one[by_identity[name]], item):
                decided = self._conflict(f"{path}/-/{_step(name)}", _NOTHING, one[by_identity[name]], item)
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

    def order(self, other: _Edit) -> list[int]:
        """The items of the base that both sides have left, as this one has them."""
        return [index for index in self._source if index in other._place]

    def alone(self, kept: dict[int, Any], other: _Edit) -> dict[int, list[int]]:
        """Items that stay though the other side removed them, by the item of both sides that they come after."""
        found: dict[int, list[int]] = {}
        anchor = _BEGINNING
        for index in self._source:
            if index in other._place:
                anchor = index
            elif index in kept:
                found.setdefault(anchor, []).append(index)
        return found

    def additions(self, kept: dict[int, Any]) -> dict[int, list[Any]]:
        """New items by the item of the base that they come after."""
        found: dict[int, list[Any]] = {}
        anchor = _BEGINNING
        for place, index in enumerate(self._source):
            if index in kept:
                anchor = index
            elif index < 0 and self.items[place] is not _NOTHING:
                found.setdefault(anchor, []).append(self.items[place])
        return found


def _woven(shared: list[int], mine: dict[int, list[int]], yours: dict[int, list[int]]) -> list[int]:
    """The order of all that is kept: what both sides have, and after each what only one has; that of both, as the base goes."""
    order: list[int] = []
    for anchor in (_BEGINNING, *shared):
        if anchor != _BEGINNING:
            order.append(anchor)
        order.extend(in_turns(mine.get(anchor, ()), yours.get(anchor, ())))
    return order


def _joined(
    kept: dict[int, Any], order: list[int], mine: dict[int, list[Any]], yours: dict[int, list[Any]]
) -> list[Any]:
    """What is left in its order, and after each what was added there. What both sides added comes once, at the first place."""
    left = _counted(mine) | _counted(yours)  # to come yet: as often as the side has it that has more
    merged: list[Any] = []
    for anchor in (_BEGINNING, *order):
        if anchor != _BEGINNING:
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
