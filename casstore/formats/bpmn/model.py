"""A BPMN document as its graph: elements, what each says, what it refers to, and, apart from that, how it is drawn."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from casstore.formats.bpmn.vocabulary import BOOLEANS, DEFAULTS, DERIVED, IGNORED, LANE, LANE_NODE, UNITS, is_reference
from casstore.formats.bpmn.xml import BPMN, TEXT, Node, parse, refuse, resolve

__all__ = ["DI", "Edge", "Facet", "Model", "Target", "Tree", "Unit", "read", "written"]

DI: Final = "{http://www.omg.org/spec/BPMN/20100524/DI}"
_DIAGRAM: Final = DI + "BPMNDiagram"
_XSI: Final = "{http://www.w3.org/2001/XMLSchema-instance}"
_DRAWN_REFERENCES: Final = frozenset(("sourceElement", "targetElement", "bpmnElement", "choreographyActivityShape"))
_JSON: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_NUMBERS: Final = frozenset(("x", "y", "width", "height"))

# What a reference leads to: an element by its place in the model, and, of a part in it, the way there.
Target: TypeAlias = tuple[int, str]
Edge: TypeAlias = tuple[str, Target]  # with the name of the reference
Tree: TypeAlias = tuple[Any, ...]  # a tag, attributes, text and what is inside, with a 0 for each reference
Facet: TypeAlias = tuple[Tree, tuple[Target, ...]]  # what is said, and what the references in it lead to


@dataclass(slots=True)
class Unit:
    """An element of the graph."""

    index: int
    node: Node
    id: str  # "" if it has none, or if another has the same
    tag: str
    name: str
    parent: int  # -1 of the root
    attrs: dict[str, str] = field(default_factory=dict)
    refs: dict[str, tuple[Target, ...]] = field(default_factory=dict)  # attributes and lists that refer
    parts: dict[str, Facet] = field(default_factory=dict)  # by tag, what it consists of that is no element itself
    drawn: list[tuple[Facet, Node]] = field(default_factory=list)  # shapes and edges, sorted by what they say


class Model:
    """The graph of a document."""

    def __init__(self, root: Node) -> None:
        self.root = root
        self.units: list[Unit] = []
        self.ids: dict[str, Target] = {}
        self.part_ids: dict[Target, str] = {}
        self.diagrams = [child for child in root.children if child.tag == _DIAGRAM]
        self._namespace = root.attrs.get("targetNamespace")
        self._lanes: dict[int, set[Target]] = {}  # of each element those that it is in
        self._collect(root, -1)
        for unit in self.units:
            self._describe(unit)
        for index, lanes in self._lanes.items():
            self.units[index].refs[LANE] = tuple(sorted(lanes))
        _Drawing(self).read()

    def target(self, value: str, node: Node) -> Target | None:
        """What a reference leads to; None if it leads out of the document, or nowhere."""
        value = value.strip()
        found = self.ids.get(value)
        if found is None and ":" in value:
            uri, _, local = resolve(value, node.scope)[1:].rpartition("}")
            if uri == self._namespace:
                found = self.ids.get(local)
        return found

    def children(self) -> list[list[int]]:
        """Of each element those that are in it."""
        inside: list[list[int]] = [[] for _ in self.units]
        for unit in self.units[1:]:
            inside[unit.parent].append(unit.index)
        return inside

    def edges(self, unit: Unit) -> Iterator[Edge]:
        """All references of an element, with their names."""
        for name, targets in unit.refs.items():
            for target in targets:
                yield name, target
        for tag, (_, targets) in unit.parts.items():
            for number, target in enumerate(targets):
                yield f"{tag}/{number}", target

    def _collect(self, node: Node, parent: int) -> None:
        index = len(self.units)
        name = node.attrs.get("name", "")
        unit = Unit(index, node, node.attrs.get("id", ""), node.tag, name, parent)
        if unit.id and self.ids.setdefault(unit.id, (index, "")) != (index, ""):
            unit.id = ""
        self.units.append(unit)
        for number, child in enumerate(sorted(node.children, key=_by_tag) if node.children else ()):
            if child.tag in UNITS:
                self._collect(child, index)
            elif parent >= 0 or child.tag != _DIAGRAM:
                self._part_ids(child, index, str(number))

    def _part_ids(self, node: Node, unit: int, path: str) -> None:
        """Parts are named by their places among siblings sorted by tag, which say nothing of ids."""
        if node.tag[0] != "{":
            if (identity := node.attrs.get("id")) and self.ids.setdefault(identity, (unit, path)) == (unit, path):
                self.part_ids[unit, path] = identity
            for number, child in enumerate(sorted(node.children, key=_by_tag) if node.children else ()):
                self._part_ids(child, unit, f"{path}.{number}")

    def _describe(self, unit: Unit) -> None:
        node = unit.node
        for key, value in self._attributes(node):
            if is_reference(key) and (target := self.target(value, node)):
                unit.refs[key] = (target,)
            elif key != "name":
                unit.attrs[key] = value
        parts: dict[str, list[Node]] = {}
        for child in node.children:
            tag = child.tag
            if tag == LANE_NODE and (target := self.target(child.text, child)) and not target[1]:
                self._lanes.setdefault(target[0], set()).add((unit.index, ""))
            elif _is_part(child, unit.parent):
                parts.setdefault(tag, []).append(child)
        for tag, nodes in parts.items():
            unit.parts[tag] = self.facet(nodes)

    def facet(self, nodes: list[Node]) -> Facet:
        """What these nodes say, in their order."""
        targets: list[Target] = []
        tree = tuple([self._tree(node, targets) for node in nodes])
        return tree, tuple(targets)

    def _tree(self, node: Node, targets: list[Target]) -> Tree:
        if node.tag == TEXT:
            return TEXT, node.text
        own = node.tag[0] != "{"
        attrs: list[Any] = []
        for key, value in sorted(self._attributes(node) if own else node.attrs.items()) if node.attrs else ():
            attrs += (key, self._reference(value, node, targets) if own and is_reference(key) else value)
        text = self._reference(node.text, node, targets) if own and is_reference(node.tag) else node.text
        children = node.children
        if not children:
            return node.tag, tuple(attrs), text
        if own and node.tag != "extensionElements":
            children = sorted(children, key=_by_tag)  # the schema has an order for each type
        inside = [
            self._tree(child, targets)
            for child in children
            if not own or child.tag != "extensionElements" or child.children
        ]
        return node.tag, tuple(attrs), text, *inside

    def _reference(self, value: str, node: Node, targets: list[Target]) -> str | int:
        target = self.target(value, node)
        if target is None:
            return value
        targets.append(target)
        return 0

    @staticmethod
    def _attributes(node: Node) -> Iterator[tuple[str, str]]:
        defaults = DEFAULTS.get(node.tag, {})
        for key, value in node.attrs.items():
            if key in BOOLEANS:
                value = {"1": "true", "0": "false"}.get(value.strip(), value.strip())  # noqa: PLW2901
            if key not in IGNORED and defaults.get(key) != value:
                yield key, value


class _Drawing:
    """Reads the diagrams into the elements they draw."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._shapes: dict[str, str] = {}
        self._styles: dict[str, Node] = {}

    def read(self) -> None:
        for diagram in self._model.diagrams:
            for node in diagram.children:
                self._styles[node.attrs.get("id", "")] = node
                for shape in node.children:
                    self._shapes[shape.attrs.get("id", "")] = shape.attrs.get("bpmnElement", "")
        for diagram in self._model.diagrams:
            self._diagram(diagram)
        for unit in self._model.units:
            if len(unit.drawn) > 1:
                unit.drawn.sort(key=lambda drawn: (written(drawn[0][0]), drawn[0][1]))

    def _diagram(self, diagram: Node) -> None:
        planes = [child for child in diagram.children if child.tag == DI + "BPMNPlane"]
        plane = self._model.target(planes[0].attrs.get("bpmnElement", ""), diagram) if planes else None
        drawn: list[Node] = []
        for child in planes:
            drawn += child.children
        for shape in drawn:
            self._add(shape, plane)
        bare = Node(diagram.tag, diagram.attrs, diagram.scope, diagram.start)
        for child in diagram.children:
            if child.tag == DI + "BPMNPlane":
                bare.children.append(Node(child.tag, child.attrs, child.scope, child.start))
        self._add(bare, plane)

    def _add(self, shape: Node, plane: Target | None) -> None:
        """A part is drawn for the element that it is in; what draws nothing known, for the whole."""
        targets: list[Target] = [plane] if plane else []
        tree = self._tree(shape, targets, "bpmnElement" if shape.tag != _DIAGRAM else "")
        of = self._model.target(shape.attrs.get("bpmnElement", ""), shape)
        if of is None:
            of = (0, "")
            tree = (*tree, shape.attrs.get("bpmnElement", ""))
        self._model.units[of[0]].drawn.append((((of[1], tree), tuple(targets)), shape))

    def _tree(self, node: Node, targets: list[Target], skipped: str = "") -> Tree:
        attrs: list[Any] = []
        for key, value in sorted(node.attrs.items()):
            if key in _NUMBERS:
                attrs += (key, _number(value))
            elif key == "labelStyle" and value in self._styles:
                attrs += (key, self._tree(self._styles[value], targets))
            elif key in _DRAWN_REFERENCES:
                if key != skipped:
                    target = self._model.target(self._shapes.get(value, value), node)
                    targets += [target] if target else []
                    attrs += (key, 0 if target else value)
            elif key != "id" and not key.startswith(_XSI):
                attrs += (key, value)
        text = node.text.strip()
        if not node.children:
            return node.tag, tuple(attrs), text
        return node.tag, tuple(attrs), text, *[self._tree(child, targets) for child in node.children]


def written(tree: Tree) -> str:
    """What is said as JSON, as digests have it."""
    return _JSON.encode(tree)


def _is_part(node: Node, parent: int) -> bool:
    """Whether it belongs to what an element says: not an element itself, nor derived, nor a diagram, nor empty."""
    tag = node.tag
    if tag in UNITS or tag in DERIVED or (parent < 0 and tag == _DIAGRAM):
        return False
    return tag != "extensionElements" or bool(node.children)


def _by_tag(node: Node) -> str:
    return node.tag


def _number(text: str) -> str:
    try:
        return repr(float(text) + 0.0)
    except ValueError:
        return text


def read(data: bytes, encoding: Literal["utf-8"] | None = None) -> Model:
    """The graph of a document, in the encoding that it declares itself or this; raises Invalid (not_comparable) with the reason."""
    root = parse(data, encoding)
    if root.tag != "definitions":
        name = root.tag.rpartition("}")[2]
        raise refuse(f"its root is {name!a:.80} and not <definitions> of {BPMN}")
    return Model(root)
