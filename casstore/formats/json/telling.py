"""The difference of two JSON values in words, item by item and key by key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence, Sized
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from casstore import limits
from casstore.formats.comparison import Change, Op
from casstore.formats.json.diffing import escape
from casstore.formats.json.exact import fingerprint, same, text_of
from casstore.formats.json.matching import align

__all__ = ["Told", "name_of", "tell"]

_TITLES: Final = ("name", "title", "label")
_BLANK: Final = frozenset(map(fingerprint, (None, True, False, "", 0, 1, [], {})))
_SHOWN: Final = 5  # changes in a summary


@dataclass(slots=True)
class Told:
    """The first changes, and how many there are of each sort."""

    changes: list[Change] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        """All changes, those that were cut too."""
        return self.counts.total()

    def summary(self) -> tuple[str, ...]:
        """How many of each sort, and those nearest to the root in words."""
        if not self.total:
            return ()
        nearest = sorted(self.changes, key=lambda change: change.path.count("/"))[:_SHOWN]
        return (
            ", ".join(f"{count} {op}" for op, count in sorted(self.counts.items())),
            *(each.text for each in nearest),
        )


class _Place(NamedTuple):
    """Where a value is: its pointer, the item it belongs to in words, and the keys from there."""

    path: str = ""
    item: str = ""
    keys: str = ""
    last: str = ""  # the name of the list that an item is in

    def key(self, key: str) -> _Place:
        return _Place(f"{self.path}/{escape(key)}", self.item, f"{self.keys}.{key}" if self.keys else key, key)

    def entry(self, index: int, value: Any, identity: Sequence[str]) -> _Place:
        name = name_of(value, index, self.last, identity)
        inside = f"{self.item}, {name}" if self.item else name
        return _Place(f"{self.path}/{index}", inside, "", self.last)

    def __str__(self) -> str:
        return f"{self.item}: {self.keys}" if self.item and self.keys else self.item or self.keys or "the document"


def name_of(value: Any, index: int, of: str, identity: Sequence[str]) -> str:
    """An item as people call it: "phase 'Pilot'"."""
    kind = _singular(of)
    if type(value) is dict:
        for key in (*_TITLES, *identity):
            title = value.get(key)
            if (type(title) is str and title) or type(title) is int:
                return f"{kind} {_shown(title, quote=chr(39))}"
    return f"{kind} {index + 1}"


def _singular(name: str) -> str:
    if len(name) > 3 and name.endswith("ies"):  # noqa: PLR2004 - more than the ending
        return name[:-3] + "y"
    return (name[:-1] if len(name) > 2 and name.endswith("s") and not name.endswith("ss") else name) or "item"  # noqa: PLR2004


def tell(older: Any, newer: Any, identity: Sequence[str]) -> Told:
    """Every change, in the order of the newer value; of what is removed, where it was."""
    teller = _Teller(identity)
    if not same(older, newer):
        teller.value(older, newer, _Place())
    return teller.told


class _Teller:
    def __init__(self, identity: Sequence[str]) -> None:
        self.told = Told()
        self._identity = identity

    def value(self, older: Any, newer: Any, place: _Place) -> None:
        """Tell how one value became another; they differ."""
        if type(older) is dict and type(newer) is dict:
            self._object(older, newer, place)
        elif type(older) is list and type(newer) is list:
            self._list(older, newer, place)
        elif not self._is_full("changed"):
            self._put("changed", place, "value", f"changed from {_shown(older)} to {_shown(newer)}", (older, newer))

    def _object(self, older: dict[str, Any], newer: dict[str, Any], place: _Place) -> None:
        gone = [key for key in older if key not in newer]
        renamed = _renamed(older, newer, gone)
        for key, value in newer.items():
            before = older.get(key, self)
            if same(before, value):
                continue
            inside = place.key(key)
            if before is not self:
                self.value(before, value, inside)
            elif key in renamed:
                if not self._is_full("renamed"):
                    text = f"renamed to {_shown(key)}"
                    was = place.key(renamed[key])._replace(path=inside.path)
                    self._put("renamed", was, "key", text, (renamed[key], key))
            elif not self._is_full("added"):
                self._put("added", inside, "key", f"added: {_shown(value)}", (None, value))
        taken = set(renamed.values())
        for key in gone:
            if key not in taken and not self._is_full("removed"):
                self._put("removed", place.key(key), "key", f"removed; it was {_shown(older[key])}", (older[key], None))

    def _list(self, older: list[Any], newer: list[Any], place: _Place) -> None:
        found = align(older, newer, self._identity)
        gone = found.removed(len(older))
        told = 0
        for index, (source, stay) in enumerate(zip(found.source, found.stays, strict=True)):
            while stay and told < len(gone) and gone[told] < source:
                self._removed(older, gone[told], place)
                told += 1
            if source < 0:
                if self._is_full("added"):
                    continue
                inside = place.entry(index, newer[index], self._identity)
                self._put("added", inside, "item", f"added at {index + 1}", (None, newer[index]))
                continue
            if not stay and not self._is_full("moved"):
                inside = place.entry(index, newer[index], self._identity)
                self._put("moved", inside, "item", f"moved from {source + 1} to {index + 1}", (source, index))
            if not (found.first > index or index >= len(newer) - found.end or same(older[source], newer[index])):
                self.value(older[source], newer[index], place.entry(index, newer[index], self._identity))
        for index in gone[told:]:
            self._removed(older, index, place)

    def _removed(self, older: list[Any], index: int, place: _Place) -> None:
        if self._is_full("removed"):
            return
        inside = place.entry(index, older[index], self._identity)
        self._put("removed", inside, "item", f"removed; it was {_shown(older[index])}", (older[index], None))

    def _put(self, op: Op, place: _Place, what: str, text: str, values: tuple[Any, Any]) -> None:
        self.told.counts[op] += 1
        kind = what if what != "value" else "key" if place.keys else "item" if place.item else "document"
        text = f"{place} {text}"
        change = Change(op=op, path=place.path, what=kind, text=text, before=values[0], after=values[1])
        self.told.changes.append(change)

    def _is_full(self, op: Op) -> bool:
        """Whether no more can be told: then it is counted here, and needs no words."""
        full = len(self.told.changes) >= limits.CHANGES_MAX
        if full:
            self.told.counts[op] += 1
        return full


def _renamed(older: dict[str, Any], newer: dict[str, Any], gone: list[str]) -> dict[str, str]:
    """New key → old key, where the value tells for certain: no other key that came or went has it, and it says something."""
    new = [key for key in newer if key not in older] if gone else []
    if not new:
        return {}
    before = _unique({key: older[key] for key in gone})
    after = _unique({key: newer[key] for key in new})
    return {after[value]: before[value] for value in after.keys() & before.keys()}


def _unique(members: dict[str, Any]) -> dict[Any, str]:
    prints = {key: fingerprint(value) for key, value in members.items()}
    often = Counter(prints.values())
    return {value: key for key, value in prints.items() if often[value] == 1 and value not in _BLANK}


def _shown(value: Any, quote: str = '"') -> str:
    """A value for a sentence: short, its type to be seen."""
    if type(value) is dict:
        return f"an object of {_count(value, 'key')}" if value else "{}"
    if type(value) is list:
        return f"a list of {_count(value, 'item')}" if value else "[]"
    if type(value) is str:
        cut = value if len(value) <= limits.JSON_TEXT_SHOWN_CHARS else value[: limits.JSON_TEXT_SHOWN_CHARS - 1] + "…"
        return f"{quote}{text_of(cut)[1:-1]}{quote}"
    text = text_of(value)
    return text if len(text) <= limits.JSON_TEXT_SHOWN_CHARS else f"{text[:20]}… ({len(text)} digits)"


def _count(values: Sized, what: str) -> str:
    return f"{len(values)} {what}{'s' if len(values) > 1 else ''}"
