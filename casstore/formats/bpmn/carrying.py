"""Carries out the plan of a merge on the document of ours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from casstore.errors import Code, Invalid
from casstore.formats.bpmn.editing import Editor
from casstore.formats.bpmn.importing import Importer
from casstore.formats.bpmn.lineup import LANES, PARENT, TYPE, Key, Side, field_of
from casstore.formats.bpmn.model import Model
from casstore.formats.bpmn.planning import Given, Plan
from casstore.formats.bpmn.vocabulary import DERIVED, LANE_NODE, UNITS
from casstore.formats.bpmn.xml import Node, Scope

__all__ = ["carry_out"]

_FLOW: Final = "sequenceFlow"


def carry_out(plan: Plan, editor: Editor) -> Importer:
    """Edit the document of ours so that its elements are as planned; answers what names and nodes they have now."""
    carrier = _Carrier(plan, editor)
    carrier.place()
    carrier.fill()
    carrier.importer.refer()
    carrier.set_lanes()
    carrier.list_flows()
    return carrier.importer


class _Carrier:
    def __init__(self, plan: Plan, editor: Editor) -> None:
        self._plan = plan
        self._lineup = plan.lineup
        self._editor = editor
        self._ours: Model = plan.lineup.models["ours"]
        self._dead = [key for key, sides in self._lineup.units.items() if "ours" in sides and key not in plan.origins]
        self.importer = Importer(plan, editor, {self._lineup.units[key]["ours"].node for key in self._dead})
        self._nodes = self.importer.nodes
        self._flows = {  # that may be listed at other nodes now
            key
            for key, side in plan.origins.items()
            if side != "ours" or not {"@sourceRef", "@targetRef"}.isdisjoint(plan.fields.get(key, ()))
        }

    def place(self) -> None:
        """Put new elements and those that were moved where they belong, and take out what is gone."""
        moved = [  # in the order in which they stand where they come from
            key
            for key, side in self._plan.origins.items()
            if side != "ours" or PARENT in self._plan.fields.get(key, ())
        ]
        moved.sort(key=lambda key: self._lineup.units[key][self._plan.origins[key]].node.start)
        waiting = set(moved)
        while waiting:
            for key in [key for key in moved if key in waiting]:
                above = self._plan.targets(key, PARENT)[0]
                if self._below(key, above) and self._plan.origins[key] == "ours":
                    continue  # until that has been moved out of it
                waiting.discard(key)
                if self._plan.origins[key] == "ours":
                    self._editor.move(self._nodes[key], self._nodes[above])
                else:
                    self._editor.insert(self._nodes[above], self._nodes[key])
        for key in self._dead:
            node = self._lineup.units[key]["ours"].node
            if self._editor.parent(node) is not None:
                self._editor.remove(node)

    def _below(self, key: Key, other: Key) -> bool:
        """Whether an element is in another one now."""
        node: Node | None = self._nodes[other]
        while node is not None and node is not self._nodes[key]:
            node = self._editor.parent(node)
        return node is not None

    def fill(self) -> None:
        """Give elements the fields that they get from elsewhere."""
        for key, fields in self._plan.fields.items():
            for name, choice in fields.items() if key in self._plan.origins else ():
                if name not in (PARENT, LANES):
                    self._field(key, name, choice)

    def _field(self, key: Key, name: str, choice: Side | Given) -> None:
        node = self._nodes[key]
        unit = None if isinstance(choice, Given) else self._lineup.units[key].get(choice)
        if name == TYPE:
            self._editor.retag(node, choice.value if isinstance(choice, Given) else unit.node.tag if unit else node.tag)
        elif name.startswith("@"):
            if isinstance(choice, Given):
                value = self.importer.identity(choice.targets[0]) if choice.targets else choice.value
            else:
                value = self.importer.attribute(choice, unit.node, name[1:]) if unit else None
            self._editor.set(node, name[1:], value)
        else:
            old = [child for child in node.children if self._belongs(child, name)]
            if isinstance(choice, Given):
                new = list(_built(choice.value, name, old, node.scope))
            else:
                self.importer.forget(old)
                new = self.importer.parts(choice, unit, name) if unit else []
            self._editor.replace(node, old, new)

    def _belongs(self, child: Node, name: str) -> bool:
        if child.tag in UNITS or child.tag in DERIVED or field_of(child.tag) != name:
            return False
        return child.tag != LANE_NODE or self._ours.target(child.text, child) is None

    def set_lanes(self) -> None:
        """Let lanes hold what they are to hold."""
        lanes = {key: self._nodes[key] for key in self._plan.origins if self._nodes[key].tag == "lane"}
        held: dict[tuple[Key, Key], list[Node]] = {}
        for lane, node in lanes.items():
            for child in node.children:
                target = self._ours.target(child.text, child) if child.tag == LANE_NODE else None
                if target and not target[1]:
                    held.setdefault((lane, self._lineup.keys["ours"][target[0]]), []).append(child)
        for (lane, key), children in held.items():
            if key not in self._plan.origins or lane not in self._plan.targets(key, LANES):
                for child in children:
                    self._editor.remove(child)
        for key in self._plan.origins:
            for lane in self._plan.targets(key, LANES):
                if (lane, key) not in held:
                    self._refer(lanes[lane], LANE_NODE, key)

    def _refer(self, node: Node, tag: str, key: Key) -> None:
        reference = Node(tag, {}, self._ours.root.scope, -1)
        reference.text = self.importer.identity(key)
        self._editor.insert(node, reference)

    def list_flows(self) -> None:
        """Let nodes list the flows that come and go, if ours lists any: it is derived, but tools write it."""
        listed: dict[tuple[str, str], list[Node]] = {}
        for node in self._editor.nodes():
            if node.tag in DERIVED:
                listed.setdefault((node.tag, node.text.strip()), []).append(node)
        if not any(child.tag in DERIVED for unit in self._ours.units for child in unit.node.children):
            return
        for key in self._dead:
            identity = self._lineup.units[key]["ours"].id
            for tag in DERIVED if identity not in self.importer.taken else ():
                self._unlist(listed.get((tag, identity), []), None)
        for key in self._plan.origins:
            if self._nodes[key].tag == _FLOW and self.importer.identity(key):
                self._list_flow(key, listed)

    def _list_flow(self, key: Key, listed: dict[tuple[str, str], list[Node]]) -> None:
        for tag, end in (("incoming", "@targetRef"), ("outgoing", "@sourceRef")):
            ends = self._plan.targets(key, end)
            if ends and (key in self._flows or self._plan.origins[ends[0]] != "ours"):
                at = self._nodes[ends[0]]
                if not self._unlist(listed.get((tag, self.importer.identity(key)), []), at):
                    self._refer(at, tag, key)

    def _unlist(self, references: list[Node], at: Node | None) -> bool:
        """Take references to a flow out of all nodes but one; whether that has it."""
        found = False
        for reference in references:
            parent = self._editor.parent(reference)
            if parent is not None and parent is at:
                found = True
            elif parent is not None:
                self._editor.remove(reference)
        return found


def _built(given: Any, name: str, old: list[Node], scope: Scope) -> Iterator[Node]:
    """Parts as they were decided: a text, or each with its tag, attributes and content, as conflicts have them."""
    if given is None:
        return
    if isinstance(given, str):
        node = Node(old[0].tag if old else name, dict(old[0].attrs) if old else {}, scope, -1)
        node.text = given
        yield node
        return
    if not isinstance(given, list) or not given:
        raise _unusable(given)
    for each in given:
        node = _tree(each, scope)
        if field_of(node.tag) != name:
            raise _unusable(given)
        yield node


def _tree(given: Any, scope: Scope) -> Node:
    if not isinstance(given, dict) or not isinstance(given.get("tag"), str) or not given["tag"]:
        raise _unusable(given)
    attrs, text, children = given.get("attributes", {}), given.get("text", ""), given.get("children", [])
    texts = [text, *attrs, *attrs.values()] if isinstance(attrs, dict) else [None]
    if not all(isinstance(each, str) for each in texts) or not isinstance(children, list):
        raise _unusable(given)
    node = Node(given["tag"], dict(attrs), scope, -1)
    node.text = text
    node.children = [_tree(child, scope) for child in children]
    return node


def _unusable(given: Any) -> Invalid:
    message = f"for a conflict was decided {given!r:.80} as a part of an element"
    return Invalid(Code.BAD_ARGUMENT, message, hint="Give a text, null, or a list of what the conflict has as values.")
