"""What becomes of each element in a three-way merge, field by field; what both sides changed differently is a conflict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from casstore.errors import Code, Invalid
from casstore.formats.bpmn.lineup import DRAWN, LANES, PARENT, SIDES, TYPE, Field, Key, Lineup, Side, field_of
from casstore.formats.bpmn.model import Unit
from casstore.formats.bpmn.sentences import called, path, value
from casstore.formats.bpmn.vocabulary import FAMILIES, UNITS, is_reference, words
from casstore.formats.bpmn.xml import TEXT, refuse
from casstore.formats.comparison import Decide, MergeConflict, Taken

__all__ = ["Given", "Plan", "plan"]

_REQUIRED: Final = frozenset(
    (PARENT, "@sourceRef", "@targetRef", "@attachedToRef")
)  # an element is nothing without them


@dataclass(frozen=True, slots=True)
class Given:
    """A value that was decided for a field, and that no side has; None for nothing."""

    value: Any
    targets: tuple[Key, ...] = ()


Choice: TypeAlias = Side | Given


class Plan:
    """The elements that there are to be, and where each and its fields come from."""

    def __init__(self, lineup: Lineup) -> None:
        self.lineup = lineup
        self.origins: dict[Key, Side] = {}  # "ours" of all that ours has
        self.fields: dict[Key, dict[str, Choice]] = {}  # other than of the origin
        self.conflicts: list[MergeConflict] = []

    def choice(self, key: Key, name: str) -> Choice:
        """Where a field comes from."""
        return self.fields.get(key, {}).get(name, self.origins[key])

    def targets(self, key: Key, name: str) -> tuple[Key, ...]:
        """What a field refers to."""
        choice = self.choice(key, name)
        if isinstance(choice, Given):
            return choice.targets
        return _targets(self.lineup.fields(choice, key).get(name)) if choice in self.lineup.units[key] else ()

    def take(self, key: Key, side: Side) -> None:
        """Take an element as a side has it."""
        if "ours" not in self.lineup.units[key]:
            self.origins[key] = side
            return
        self.origins[key] = "ours"
        mine, others = self.lineup.fields("ours", key), self.lineup.fields(side, key)
        names = [name for name in {**mine, **others} if name != DRAWN and mine.get(name) != others.get(name)]
        self.fields[key] = dict.fromkeys(names, side)


def plan(lineup: Lineup, decide: Decide) -> Plan:
    """Plan a merge; to be carried out only if it has no conflicts."""
    return _Planner(lineup, decide).plan


def _targets(field: Field | None) -> tuple[Key, ...]:
    return tuple(key for key, _ in field.targets) if field else ()


class _Planner:
    def __init__(self, lineup: Lineup, decide: Decide) -> None:
        self.plan = Plan(lineup)
        self._lineup = lineup
        self._decide = decide
        self._gone: set[Key] = set()  # decided to be gone, not to come back because of others
        needed = self._needed()
        for key in lineup.units:
            self._element(key, needed)
        if not self.plan.conflicts:
            self._resolve_references()
            self._part_circles()
            self._resolve_references()

    def _needed(self) -> set[Key]:
        """Elements that one side removed, and to which the other made something refer that did not before."""
        units = self._lineup.units
        removed = {key for key, sides in units.items() if len(sides) == 2 and "base" in sides}  # noqa: PLR2004 - and one side
        needed: set[Key] = set()
        for key, sides in units.items() if removed else ():
            for side in sides:
                if side == "base":
                    continue
                before = self._lineup.fields("base", key) if "base" in sides else {}
                for name, field in self._lineup.fields(side, key).items():
                    new = removed.intersection(_targets(field)).difference(_targets(before.get(name)))
                    needed.update(target for target in new if side in units[target])
        return needed

    def _element(self, key: Key, needed: set[Key]) -> None:
        sides = self._lineup.units[key]
        if len(sides) == len(SIDES):
            self._both(key)
        elif len(sides) == 1:
            if "base" not in sides:
                self.plan.origins[key] = next(iter(sides))
        elif "base" not in sides:
            if self._lineup.same("ours", "theirs", key):
                self.plan.origins[key] = "ours"
            else:
                self._whole(key, "both sides added {id}, but not the same")
        elif not self._lineup.same("base", "ours" if "ours" in sides else "theirs", key):
            self._whole(key, "one side removed {who}, the other changed it")
        elif key in needed:
            self._whole(key, "one side removed {who}, the other refers to it from somewhere new")

    def _both(self, key: Key) -> None:
        """Merge an element that all have."""
        self.plan.origins[key] = "ours"
        base, ours, theirs = (self._lineup.fields(side, key) for side in SIDES)
        if base == ours == theirs:
            return
        for name in {**base, **ours, **theirs}:
            was, mine, other = base.get(name), ours.get(name), theirs.get(name)
            if name == DRAWN or other in (mine, was):
                continue
            if name == TEXT:
                raise refuse("there is text between its elements, which one side changed")
            if mine == was:
                self._choose(key, name, "theirs")
            else:
                self._field(key, name)

    def _choose(self, key: Key, name: str, choice: Choice) -> None:
        fields = self.plan.fields.setdefault(key, {})
        fields.pop(name, None)
        if choice != self.plan.origins[key]:
            fields[name] = choice

    def _whole(self, key: Key, text: str) -> None:
        """A conflict about an element as a whole."""
        sides = self._lineup.units[key]
        side, unit = next(iter(sides.items()))
        who = called(self._lineup.models[side], unit)
        values = {side: {"id": unit.id, "type": unit.tag, "name": unit.name} for side, unit in sides.items()}
        taken = self._asked(path(unit), text.format(who=who, id=path(unit)), values)
        if taken is None:
            return
        if taken.side == "value":
            raise _unusable(f"a value for {who}, which is a whole element", "Take a side.")
        if taken.side in sides:
            self.plan.take(key, taken.side)
        else:
            self._gone.add(key)

    def _field(self, key: Key, name: str, text: str = "") -> None:
        """A conflict about one field."""
        sides = self._lineup.units[key]
        values = {
            side: self._value(unit, side, key, name) for side, unit in sides.items() if self._has(side, key, name)
        }
        who = called(self._lineup.models["base"], sides["base"])
        one_removed = "base" in values and len(values) < len(SIDES)
        taken = self._asked(f"{path(sides['base'])}/{name}", text or _told(name, who, one_removed=one_removed), values)
        if taken is not None:
            self._choose(key, name, self._given(key, name, taken.value) if taken.side == "value" else taken.side)

    def _has(self, side: Side, key: Key, name: str) -> bool:
        return name in self._lineup.fields(side, key)

    def _asked(self, path_: str, text: str, values: dict[Side, Any]) -> Taken | None:
        present = tuple(side for side in SIDES if side in values)
        conflict = MergeConflict(path=path_, text=text, present=present, **values)
        taken = self._decide(conflict)
        if taken is None:
            self.plan.conflicts.append(conflict)
        return taken

    def _value(self, unit: Unit, side: Side, key: Key, name: str) -> Any:
        """A field as a JSON value."""
        if name == TYPE:
            return unit.tag
        if name.startswith("@"):
            return unit.node.attrs.get(name[1:])
        if name in (PARENT, LANES):
            units = self._lineup.units
            ids = [path(units[target][side]) for target in _targets(self._lineup.fields(side, key)[name])]
            return ids[0] if name == PARENT else ids
        return value([child for child in unit.node.children if field_of(child.tag) == name])

    def _given(self, key: Key, name: str, given: Any) -> Given:
        """A value that was decided, checked as far as it can be here."""
        if name == TYPE:
            tag = self._lineup.units[key]["base"].tag
            alike = isinstance(given, str) and given in UNITS and FAMILIES.get(given, given) == FAMILIES.get(tag, tag)
            if not alike:
                raise _unusable(f"{given!r:.80} as the type of a {words(tag)}", "Give the tag of a type of its family.")
            return Given(given)
        refers = name in (PARENT, LANES)
        if refers or (name.startswith("@") and is_reference(name[1:])):
            ids = given if isinstance(given, list) and name == LANES else [given]
            keys = [self._known(each) for each in ids if each is not None]
            if (refers and None in keys) or (name == PARENT and len(keys) != 1):
                raise _unusable(f"{given!r:.80}, which names no element", "Give the id of an element.")
            return Given(given, tuple(each for each in keys if each))
        if name.startswith("@") and not isinstance(given, str | None):
            raise _unusable(f"a {type(given).__name__} for an attribute", "Give a text, or null to leave it out.")
        return Given(given)

    def _known(self, identity: object) -> Key | None:
        for side in ("ours", "theirs", "base"):
            found = self._lineup.models[side].ids.get(identity) if isinstance(identity, str) else None
            if found and not found[1]:
                return self._lineup.keys[side][found[0]]
        return None

    def _resolve_references(self) -> None:
        """After decisions: what was kept keeps what it needs; what refers to what was decided to be gone, does so no more."""
        alive = self.plan.origins
        waiting = list(alive)
        while waiting:
            waiting = [key for key in waiting if key in alive and self._resolve(key)] and list(alive)

    def _resolve(self, key: Key) -> bool:
        """Whether anything had to be changed for what an element refers to."""
        changed = False
        for name in self._names(key):
            missing = [target for target in self.plan.targets(key, name) if target not in self.plan.origins]
            choice = self.plan.choice(key, name)
            if not missing:
                continue
            changed = True
            if isinstance(choice, Given):
                raise _unusable(f"{choice.value!r:.80}, which is removed", "Give the id of an element that stays.")
            if self._gone.isdisjoint(missing):
                for target in missing:
                    self.plan.take(target, choice)
            elif not self._turn_away(key, name):
                return True
        return changed

    def _turn_away(self, key: Key, name: str) -> bool:
        """Let a field refer to something else: as the other side has it, or to nothing. Whether the element outlives that."""
        for side in SIDES[1:]:
            if side in self._lineup.units[key]:
                field = self._lineup.fields(side, key).get(name)
                if all(target in self.plan.origins for target in _targets(field)) and (field or name not in _REQUIRED):
                    self._choose(key, name, side)
                    return True
        if name in _REQUIRED:
            del self.plan.origins[key]
            self._gone.add(key)
            return False
        self._choose(key, name, Given(None))
        return True

    def _names(self, key: Key) -> list[str]:
        fields = self._lineup.fields(self.plan.origins[key], key)
        return list({**fields, **self.plan.fields.get(key, {})})

    def _part_circles(self) -> None:
        """Elements that were moved into one another by different sides cannot all be."""
        order = list(self._lineup.units)
        asked: set[Key] = set()
        while circle := self._circle():
            moved = [key for key in circle if not self._lineup.same_place(key)]
            first = min(moved or circle, key=order.index)
            if first in asked:
                raise _unusable("a place that is within the element itself", "Take a side.")
            asked.add(first)
            self._field(first, PARENT, "both sides moved elements, into one another")
            if self.plan.conflicts:
                return
            choice = self.plan.choice(first, PARENT)
            for key in circle if not isinstance(choice, Given) else ():
                if choice in self._lineup.units[key]:
                    self._choose(key, PARENT, choice)

    def _circle(self) -> list[Key]:
        """Elements each of which is in the next, and the last in the first; none where there is no such thing."""
        above = {key: next(iter(self.plan.targets(key, PARENT)), None) for key in self.plan.origins}
        sound: set[Key | None] = {None}
        for start in above:
            line: dict[Key, int] = {}
            key: Key | None = start
            while key not in sound:
                assert key is not None  # noqa: S101 - None is sound
                if key in line:
                    return list(line)[line[key] :]
                line[key] = len(line)
                key = above.get(key)
            sound.update(line)
        return []


def _told(name: str, who: str, *, one_removed: bool) -> str:
    """A conflict about a field, in words."""
    if name == "@name":
        return f"both sides renamed {who} differently"
    if name == TYPE:
        return f"both sides made another type of {who}"
    if name in (PARENT, LANES):
        return f"both sides moved {who}, to different places"
    label = words(name.removeprefix("@"))
    if one_removed:
        return f"one side removed the {label} of {who}, the other changed it"
    return f"both sides changed the {label} of {who} differently"


def _unusable(what: str, hint: str) -> Invalid:
    return Invalid(Code.BAD_ARGUMENT, f"for a conflict was decided {what}", hint=hint)
