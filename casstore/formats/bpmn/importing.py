"""Brings elements of other documents into that of ours: with ids that are free there, and references to what they are there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from casstore.formats.bpmn.editing import Editor
from casstore.formats.bpmn.lineup import DIAGRAM, Key, Side, field_of
from casstore.formats.bpmn.model import Unit
from casstore.formats.bpmn.planning import Plan
from casstore.formats.bpmn.vocabulary import DERIVED, LANE_NODE, UNITS, is_reference
from casstore.formats.bpmn.xml import Node

__all__ = ["Importer"]

_OTHERS: Final[tuple[Side, ...]] = ("base", "theirs")


class Importer:
    """The names and nodes of the elements that there are to be, and copies of what comes from other sides."""

    def __init__(self, plan: Plan, editor: Editor, dead: set[Node]) -> None:
        self._lineup = plan.lineup
        self.taken: set[str] = set()
        self.nodes: dict[Key, Node] = {}
        self._names: dict[Side, dict[str, str]] = {side: {} for side in _OTHERS}
        self._ids: dict[Key, str] = {}
        self._waiting: list[tuple[Side, Node, Node]] = []  # copies, and of what
        gone = {inner for node in dead for inner in _own(node)}
        self.taken.update(node.attrs["id"] for node in editor.nodes() if node not in gone and "id" in node.attrs)
        for key, side in plan.origins.items():
            unit = self._lineup.units[key][side]
            self._ids[key] = unit.id if side == "ours" or not unit.id else self.free(unit.id)
        for side in _OTHERS:
            self._name(side, plan)
        for key, side in plan.origins.items():
            unit = self._lineup.units[key][side]
            self.nodes[key] = unit.node if side == "ours" else self._element(side, key, unit)

    def identity(self, key: Key) -> str:
        """The id of an element."""
        return self._ids[key]

    def free(self, identity: str) -> str:
        """This id if nothing has it, else one like it, which is taken from now on."""
        found, number = identity, 1
        while found in self.taken:
            number += 1
            found = f"{identity}_{number}"
        self.taken.add(found)
        return found

    def forget(self, nodes: list[Node]) -> None:
        """Let the ids in these be used again."""
        for node in nodes:
            self.taken.discard(node.attrs.get("id", ""))
            self.forget(node.children)

    def attribute(self, side: Side, node: Node, name: str) -> str | None:
        """An attribute of a side, with what it refers to as it is called in ours."""
        value = node.attrs.get(name)
        return value if value is None or not is_reference(name) else self._reference(side, value, node)

    def parts(self, side: Side, unit: Unit, name: str) -> list[Node]:
        """Copies of the parts of one field."""
        model = self._lineup.models[side]
        return [
            self.copy(side, child)
            for child in unit.node.children
            if child.tag not in UNITS
            and child.tag not in DERIVED
            and child.tag != DIAGRAM
            and field_of(child.tag) == name
            and (child.tag != LANE_NODE or model.target(child.text, child) is None)
        ]

    def copy(self, side: Side, node: Node) -> Node:
        """A copy of a part."""
        own = node.tag[0] not in "{#"
        copied = Node(node.tag, dict(node.attrs), node.scope, -1)
        copied.preserve = node.preserve
        copied.text = node.text
        if own:
            self._waiting.append((side, node, copied))
            if "id" in node.attrs:
                identity = node.attrs["id"]
                copied.attrs["id"] = self._names[side][identity] = self.free(self._names[side].get(identity, identity))
        copied.children = [self.copy(side, child) for child in node.children]
        return copied

    def refer(self) -> None:
        """Let all copies refer to things by the names that they have in the end."""
        for side, node, copied in self._waiting:
            for name in node.attrs:
                if is_reference(name) and copied.attrs.get(name) == node.attrs[name]:
                    copied.attrs[name] = self._reference(side, node.attrs[name], node)
            if is_reference(node.tag):
                copied.text = self._reference(side, node.text, node)

    def _name(self, side: Side, plan: Plan) -> None:
        """What is called how in ours: elements, and parts that are there too."""
        model, names = self._lineup.models[side], self._names[side]
        ours = self._lineup.models["ours"]
        parts = {self._lineup.named("ours", target): identity for target, identity in ours.part_ids.items()}
        for target, identity in model.part_ids.items():
            names[identity] = parts.get(self._lineup.named(side, target), identity)
        for key, unit in zip(self._lineup.keys[side], model.units, strict=True):
            if unit.id and key in plan.origins:
                names[unit.id] = self._ids[key]

    def _element(self, side: Side, key: Key, unit: Unit) -> Node:
        """A copy of an element without those that are in it."""
        node = unit.node
        made = Node(node.tag, dict(node.attrs), node.scope, -1)
        made.preserve = node.preserve
        self._waiting.append((side, node, made))
        if self._ids[key]:
            made.attrs["id"] = self._ids[key]
        elif "id" in made.attrs:
            made.attrs["id"] = self.free(made.attrs["id"])
        for name in dict.fromkeys(field_of(child.tag) for child in node.children):
            made.children += self.parts(side, unit, name)
        return made

    def _reference(self, side: Side, value: str, node: Node) -> str:
        model = self._lineup.models[side]
        target = model.target(value, node)
        if target is None:
            return value
        identity = model.part_ids.get(target, "") if target[1] else model.units[target[0]].id
        return self._names[side].get(identity, identity)


def _own(node: Node) -> Iterator[Node]:
    """An element and all that is in it, without other elements of the graph."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(child for child in node.children if child.tag not in UNITS)
