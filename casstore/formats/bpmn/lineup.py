"""Three models under one set of names: an element is named by the first of base, ours and theirs that has it, and its place there.

What an element says is taken apart into fields, so that it can be merged field by field: `type`, `parent`, `lane`, an attribute as
`@name`, a part by its tag, and `drawn`. Fields of different models are equal where they say the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from casstore.formats.bpmn.canonical import content
from casstore.formats.bpmn.diff import settled
from casstore.formats.bpmn.matching import Matching
from casstore.formats.bpmn.model import Model, Target, Tree, Unit
from casstore.formats.bpmn.vocabulary import LANE

__all__ = ["DIAGRAM", "DRAWN", "LANES", "PARENT", "SIDES", "TYPE", "Field", "Key", "Lineup", "Side", "field_of"]

Side: TypeAlias = Literal["base", "ours", "theirs"]
SIDES: Final[tuple[Side, ...]] = ("base", "ours", "theirs")
TYPE, PARENT, LANES, DRAWN = "type", "parent", "lane", "drawn"
DIAGRAM: Final = "{http://www.omg.org/spec/BPMN/20100524/DI}BPMNDiagram"
# What there is only one of, though it has several tags: with two of them it would be another thing.
_ONE_OF: Final = {"EventDefinition": "eventDefinition", "LoopCharacteristics": "loopCharacteristics"}

Key: TypeAlias = tuple[Side, int]
Named: TypeAlias = tuple[Key, str]  # what a reference leads to: an element, and the way to a part in it


@dataclass(frozen=True, slots=True)
class Field:
    """What an element says in one respect, and what it refers to there."""

    said: object
    targets: tuple[Named, ...] = ()


def field_of(tag: str) -> str:
    """The field that parts of this tag belong to."""
    for end, name in _ONE_OF.items():
        if tag.endswith(end) and tag[0] != "{":
            return name
    return tag


class Lineup:
    """The elements of three models: base, and ours and theirs matched with it."""

    def __init__(self, base: Model, ours: Model, theirs: Model) -> None:
        self.models: dict[Side, Model] = {"base": base, "ours": ours, "theirs": theirs}
        self._matchings: dict[Side, Matching] = {"ours": settled(base, ours), "theirs": settled(base, theirs)}
        self.units: dict[Key, dict[Side, Unit]] = {}  # in the order of base, then of ours, then of theirs
        self.keys: dict[Side, list[Key]] = {}
        self._fields: dict[tuple[Side, Key], dict[str, Field]] = {}
        self._named("base", [("base", unit.index) for unit in base.units])
        self._named("ours", self._known("ours"))
        self._named("theirs", self._unified(self._known("theirs")))

    def fields(self, side: Side, key: Key) -> dict[str, Field]:
        """What an element says on a side that has it."""
        found = self._fields.get((side, key))
        if found is None:
            found = self._fields[side, key] = dict(self._read(side, self.units[key][side]))
        return found

    def same(self, one: Side, other: Side, key: Key) -> bool:
        """Whether both sides have an element, and it says the same; how it is drawn does not count."""
        fields = [self.fields(side, key).items() for side in (one, other) if side in self.units[key]]
        said = [{name: field for name, field in each if name != DRAWN} for each in fields]
        return len(said) == len((one, other)) and said[0] == said[1]

    def same_place(self, key: Key) -> bool:
        """Whether an element is in the same one on all sides that have it."""
        return len({self.fields(side, key).get(PARENT) for side in self.units[key]}) == 1

    def named(self, side: Side, target: Target) -> Named:
        """What a reference of a side leads to."""
        if side != "base" and target[0] in self._matchings[side].back:
            index, way = self._matchings[side].back_target(target)
            old = self._matchings[side].back[target[0]]
            return ("base", old), way if index == old else f"+{self.models[side].part_ids.get(target, way)}"
        return self.keys[side][target[0]], target[1]

    def _known(self, side: Side) -> list[Key]:
        back = self._matchings[side].back
        return [("base", back[n]) if n in back else (side, n) for n in range(len(self.models[side].units))]

    def _named(self, side: Side, keys: list[Key]) -> None:
        self.keys[side] = keys
        for key, unit in zip(keys, self.models[side].units, strict=True):
            self.units.setdefault(key, {})[side] = unit

    def _unified(self, known: list[Key]) -> list[Key]:
        """Elements that both sides added are one where they have one id, or none, and say the same in the same place."""
        ours, theirs = self.models["ours"], self.models["theirs"]
        nameless: dict[tuple[Key, str], list[Key]] = {}
        for key, unit in zip(self.keys["ours"], ours.units, strict=True):
            if key[0] == "ours" and not unit.id:
                nameless.setdefault((self.keys["ours"][unit.parent], content(unit)), []).append(key)
        keys: list[Key] = []
        for key, unit in zip(known, theirs.units, strict=True):
            keys.append(key)
            if key[0] == "theirs":
                found = ours.ids.get(unit.id) if unit.id else None
                alike = [] if unit.id else nameless.get((keys[unit.parent], content(unit)), [])
                if found and not found[1] and self.keys["ours"][found[0]][0] == "ours":
                    keys[-1] = self.keys["ours"][found[0]]
                elif alike:
                    keys[-1] = alike.pop(0)
        return keys

    def _read(self, side: Side, unit: Unit) -> Iterator[tuple[str, Field]]:
        keys = self.keys[side]
        yield TYPE, Field(unit.tag)
        if unit.parent >= 0:
            yield PARENT, Field("", ((keys[unit.parent], ""),))
        if unit.name:
            yield "@name", Field(unit.name)
        for name, value in unit.attrs.items():
            yield f"@{name}", Field(value)
        for name, targets in unit.refs.items():
            named = tuple(sorted(self.named(side, target) for target in targets))
            yield (LANES if name == LANE else f"@{name}"), Field(None, named)
        parts: dict[str, list[tuple[str, Tree]]] = {}
        targets_of: dict[str, list[Named]] = {}
        for tag in sorted(unit.parts):
            said_in_it, targets = unit.parts[tag]
            parts.setdefault(field_of(tag), []).append((tag, said_in_it))
            targets_of.setdefault(field_of(tag), []).extend(self.named(side, target) for target in targets)
        for name, said in parts.items():
            yield name, Field(tuple(said), tuple(targets_of[name]))
        drawn = [
            (text, tuple(self.named(side, target) for target in targets))
            for (text, targets), node in unit.drawn
            if node.tag != DIAGRAM
        ]
        if drawn:
            yield DRAWN, Field(tuple(sorted(drawn, key=repr)))
