"""How a merged document is drawn: what one side alone drew anew is as there, the rest as in ours. Never a conflict."""

from __future__ import annotations

from typing import Final

from casstore.formats.bpmn.editing import Editor
from casstore.formats.bpmn.importing import Importer
from casstore.formats.bpmn.lineup import DIAGRAM, DRAWN, SIDES, Key, Side
from casstore.formats.bpmn.model import DI
from casstore.formats.bpmn.planning import Plan
from casstore.formats.bpmn.xml import Node

__all__ = ["draw"]

_PLANE: Final = DI + "BPMNPlane"
_ELEMENT: Final = "bpmnElement"
_SHAPES: Final = ("sourceElement", "targetElement", "choreographyActivityShape")  # what refers to the id of a shape


def draw(plan: Plan, editor: Editor, importer: Importer) -> None:
    """Edit the diagrams in the document of ours."""
    drawer = _Drawer(plan, editor, importer)
    drawer.planes()
    drawer.take_out()
    drawer.shapes()


class _Drawer:
    def __init__(self, plan: Plan, editor: Editor, importer: Importer) -> None:
        self._plan = plan
        self._lineup = plan.lineup
        self._editor = editor
        self._importer = importer
        self._models = plan.lineup.models
        self._planes: dict[Side, list[Node]] = {
            side: [child for each in model.diagrams for child in each.children if child.tag == _PLANE]
            for side, model in self._models.items()
        }
        self._names: dict[Side, dict[str, str]] = {side: {} for side in SIDES}  # of shapes, as they are called in ours
        for side in SIDES[:1] + SIDES[2:]:
            self._name(side)

    def planes(self) -> None:
        """Let a plane draw what theirs made it draw, if ours left it, and add diagrams that theirs added."""
        base, ours, theirs = (self._planes[side] for side in SIDES)
        if len(base) == len(ours) == len(theirs):
            for was, mine, other in zip(base, ours, theirs, strict=True):
                keys = [self._key(side, node) for side, node in zip(SIDES, (was, mine, other), strict=True)]
                if keys[0] == keys[1] != keys[2] and keys[2] in self._plan.origins:
                    self._editor.set(mine, _ELEMENT, self._importer.identity(keys[2]))
        drawn = [node.attrs.get(_ELEMENT) for node in ours]
        for plane in theirs if len(theirs) > len(base) or not ours else ():
            key = self._key("theirs", plane)
            if key in self._plan.origins and self._importer.identity(key) not in drawn:
                self._add(plane, self._importer.identity(key))

    def take_out(self) -> None:
        """Take out the shapes of what is gone."""
        for key, sides in self._lineup.units.items():
            if "ours" in sides and key not in self._plan.origins:
                for shape in self._drawn("ours", key):
                    if self._editor.parent(shape) is not None:
                        self._editor.remove(shape)

    def shapes(self) -> None:
        """Draw what theirs alone drew anew, and what ours does not have."""
        for key, origin in self._plan.origins.items():
            side = origin
            if origin == "ours" and {"base", "theirs"} <= self._lineup.units[key].keys():
                was, mine, other = (self._lineup.fields(each, key).get(DRAWN) for each in SIDES)
                side = "theirs" if was == mine != other else "ours"
            if side != "ours":
                self._redraw(key, side, self._drawn("ours", key) if origin == "ours" else [])

    def _redraw(self, key: Key, side: Side, old: list[Node]) -> None:
        old = [shape for shape in old if self._editor.parent(shape) is not None]
        parents = [self._editor.parent(shape) for shape in old]
        for shape in old:
            self._importer.taken.discard(shape.attrs.get("id", ""))
        for number, shape in enumerate(self._drawn(side, key)):
            plane = parents[0] if parents else self._plane(side, shape)
            if plane is None:
                continue
            copied = self._copy(side, shape)
            if number < len(old) and "id" in old[number].attrs:
                copied.attrs["id"] = old[number].attrs["id"]
            elif "id" in copied.attrs:
                copied.attrs["id"] = self._importer.free(copied.attrs["id"])
            if _ELEMENT in shape.attrs and not self._part(side, shape):
                copied.attrs[_ELEMENT] = self._importer.identity(key) or shape.attrs[_ELEMENT]
            self._editor.insert(plane, copied, plane.children.index(old[0]) if old else None)
        for shape in old:
            self._editor.remove(shape)

    def _drawn(self, side: Side, key: Key) -> list[Node]:
        unit = self._lineup.units[key].get(side)
        return [node for _, node in unit.drawn if node.tag != DIAGRAM] if unit else []

    def _part(self, side: Side, shape: Node) -> bool:
        """Whether a shape draws a part of an element, or nothing known."""
        target = self._models[side].target(shape.attrs.get(_ELEMENT, ""), shape)
        return target is None or bool(target[1])

    def _key(self, side: Side, node: Node) -> Key:
        """The element that a plane or shape draws, the whole document if that is not known."""
        target = self._models[side].target(node.attrs.get(_ELEMENT, ""), node)
        return self._lineup.keys[side][target[0] if target else 0]

    def _plane(self, side: Side, shape: Node) -> Node | None:
        """The plane in ours for what is drawn in a plane of another side."""
        planes = self._planes["ours"]
        for number, plane in enumerate(self._planes[side]):
            if any(child is shape for child in plane.children):
                key = self._key(side, plane)
                identity = self._importer.identity(key) if key in self._plan.origins else ""
                alike = [each for each in planes if each.attrs.get(_ELEMENT) == identity]
                return next(iter(alike or planes[number:] or planes), None)
        return next(iter(planes), None)

    def _add(self, plane: Node, identity: str) -> None:
        """Add a diagram that is empty as yet."""
        diagram = next(each for each in self._models["theirs"].diagrams if plane in each.children)
        made = self._copy("theirs", diagram, deep=False)
        for child in diagram.children:
            copied = self._copy("theirs", child, deep=child is not plane)
            made.children.append(copied)
            if child is plane:
                copied.attrs[_ELEMENT] = identity
                self._planes["ours"].append(copied)
        for node in (made, *made.children):
            if "id" in node.attrs and node.tag in (DIAGRAM, _PLANE):
                node.attrs["id"] = self._importer.free(node.attrs["id"])
        self._editor.insert(self._models["ours"].root, made)

    def _copy(self, side: Side, node: Node, *, deep: bool = True) -> Node:
        copied = Node(node.tag, dict(node.attrs), node.scope, -1)
        copied.text, copied.preserve = node.text, node.preserve
        for name in _SHAPES:
            if name in node.attrs:
                copied.attrs[name] = self._names[side].get(node.attrs[name], node.attrs[name])
        copied.children = [self._copy(side, child) for child in node.children] if deep else []
        return copied

    def _name(self, side: Side) -> None:
        """What the shapes of a side are called in ours, where the same is drawn as often."""
        for key in self._plan.origins:
            mine, others = self._drawn("ours", key), self._drawn(side, key)
            for shape, other in zip(mine, others, strict=False):
                self._names[side][other.attrs.get("id", "")] = shape.attrs.get("id", "")
