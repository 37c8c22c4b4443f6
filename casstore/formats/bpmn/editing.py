"""A document whose tree was edited, written back: what was not edited stays byte for byte, comments and white space too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from casstore.formats.bpmn.spelling import Speller, attribute
from casstore.formats.bpmn.vocabulary import rank
from casstore.formats.bpmn.xml import TEXT, Node, Scope

__all__ = ["Editor"]

_ATTRIBUTE: Final = re.compile(r"""(\s+)([^\s=]+)(\s*=\s*)("[^"]*"|'[^']*')""")
_START: Final = re.compile(rb"""<[^\s/>]+(?:[^"'>]|"[^"]*"|'[^']*')*>""")
_SPACE: Final = b" \t\r\n"


class Editor:
    """Edits of the tree of a document in UTF-8, and the document as it is after them."""

    def __init__(self, data: bytes, root: Node, speller: Speller) -> None:
        self._data = data
        self._speller = speller
        self._fresh: set[Node] = set()  # moved to where their text cannot be taken as it is
        self._root = root
        self._parents: dict[Node, Node] = {}
        self._were: dict[Node, tuple[str, dict[str, str]]] = {}  # tags and attributes before they were edited
        self._held: dict[Node, list[Node]] = {}  # what was in an element before that was edited
        self._touched: set[Node] = set()
        for node in _walk(root):
            self._parents.update((child, node) for child in node.children)
        self._step = self._indent_of(root.children[0]).rpartition("\n")[2] if root.children else ""

    def nodes(self) -> Iterator[Node]:
        """All elements that are in the document now."""
        return _walk(self._root)

    def parent(self, node: Node) -> Node | None:
        """What an element is in; None if it is not in the document."""
        return self._parents.get(node)

    def retag(self, node: Node, tag: str) -> None:
        """Make it an element of another type."""
        self._edited(node)
        node.tag = tag

    def set(self, node: Node, name: str, value: str | None) -> None:
        """Give an attribute this value, or take it away."""
        if node.attrs.get(name) != value:
            self._edited(node)
            if value is None:
                del node.attrs[name]
            else:
                node.attrs[name] = value

    def remove(self, node: Node) -> None:
        """Take an element out, with all that is in it."""
        parent = self._parents.pop(node)
        self._hold(parent)
        parent.children.remove(node)

    def insert(self, parent: Node, node: Node, at: int | None = None) -> None:
        """Put an element where the schema wants it among its siblings, after those of its rank, or at a place."""
        self._hold(parent)
        if at is None:
            place = rank(node.tag)
            ranks = [rank(child.tag) <= place for child in parent.children]
            at = max((index + 1 for index, before in enumerate(ranks) if before), default=0)
        parent.children.insert(at, node)
        for inner in _walk(node):
            self._parents.update((child, inner) for child in inner.children)
        self._parents[node] = parent

    def move(self, node: Node, parent: Node) -> None:
        """Put an element of the document into another one."""
        before = self._parents[node]
        self.remove(node)
        if self._is_fresh(parent) or parent.scope is not before.scope:  # prefixes may mean something else there
            self._fresh.update(_walk(node))
        self.insert(parent, node)

    def replace(self, parent: Node, old: list[Node], new: list[Node]) -> None:
        """Put elements where others were, or, if there were none, where the schema wants them."""
        at = min(map(parent.children.index, old)) if old else None
        for node in old:
            self.remove(node)
        for number, node in enumerate(new):
            self.insert(parent, node, None if at is None else at + number)

    def write(self) -> bytes:
        """The document."""
        if not self._touched:
            return self._data
        end = self._end(self._root)
        return self._data[: self._root.start] + self._written(self._root, "\n", self._root.scope) + self._data[end:]

    def _edited(self, node: Node) -> None:
        self._were.setdefault(node, (node.tag, dict(node.attrs)))
        self._touch(node)

    def _hold(self, node: Node) -> None:
        self._held.setdefault(node, list(node.children))
        self._touch(node)

    def _touch(self, node: Node | None) -> None:
        while node is not None:
            self._touched.add(node)
            node = self._parents.get(node)

    def _written(self, node: Node, indent: str, outer: Scope) -> bytes:
        """An element as it is now, in a line that begins with this indentation."""
        if self._is_fresh(node):
            return self._speller.spelt(node, outer, indent, self._step).encode()
        if node not in self._touched:
            return self._data[node.start : self._end(node)]
        begin = self._begin(node)
        start = self._data[node.start : begin].decode()
        empty = start.endswith("/>")
        if node in self._were:
            start = self._start_tag(node, start)
        name = start[1:].split(None, 1)[0].rstrip("/>")
        children = [child for child in node.children if child.tag != TEXT]
        if empty and not children:
            return start.encode()
        gaps, tail = ({}, b"") if empty else self._gaps(node, begin)
        inside = self._inside(gaps, indent)
        pieces = [(start[:-2].rstrip() + ">" if empty else start).encode()]
        for child in children:
            pieces += gaps.get(child, inside.encode()), self._written(child, inside, node.scope)
        if not tail and children and children[-1] not in gaps and "\n" in inside:
            tail = indent.encode()
        return b"".join((*pieces, tail, f"</{name}>".encode()))

    def _gaps(self, node: Node, begin: int) -> tuple[dict[Node, bytes], bytes]:
        """What stands before each child that was here before, and at the end. What was before one that is gone goes to the next."""
        gaps: dict[Node, bytes] = {}
        kept = b""
        position = begin
        for child in self._held.get(node, node.children):
            if child.tag == TEXT:
                continue
            gap = kept + self._data[position : child.start]
            position = self._end(child)
            kept = b""
            if self._parents.get(child) is node:
                gaps[child] = gap
            elif gap.strip(_SPACE):
                kept = gap
        return gaps, kept + self._data[position : node.end]

    def _inside(self, gaps: dict[Node, bytes], indent: str) -> str:
        """How a line begins within an element."""
        for gap in gaps.values():
            if not gap.strip(_SPACE):
                return gap.decode()
        return indent + self._step if "\n" in indent else ""

    def _indent_of(self, node: Node) -> str:
        before = self._data[: node.start]
        return before[len(before.rstrip(_SPACE)) :].decode()

    def _begin(self, node: Node) -> int:
        """Where the start tag of an element ends."""
        found = _START.match(self._data, node.start)
        assert found is not None  # noqa: S101 - Expat has read it
        return found.end()

    def _end(self, node: Node) -> int:
        """Where an element ends; of one whose tag is empty, Expat says so itself."""
        if (
            not node.children
            and not self._held.get(node)
            and not node.text
            and self._data[node.end - 2 : node.end] == b"/>"
        ):
            return node.end
        return self._data.index(b">", node.end) + 1

    def _start_tag(self, node: Node, start: str) -> str:
        """A start tag with attributes changed, the others as they were written."""
        tag, attrs = self._were[node]
        name = re.split(r"[\s/>]", start[1:], maxsplit=1)[0]
        prefix, colon, _ = name.rpartition(":")
        pieces = [f"<{name}" if tag == node.tag else f"<{prefix}{colon}{node.tag}"]
        for space, raw, equals, quoted in _ATTRIBUTE.findall(start):
            key = _key(raw, node.scope)
            if raw.split(":")[0] == "xmlns" or node.attrs.get(key) == attrs.get(key):
                pieces.append(f"{space}{raw}{equals}{quoted}")
            elif key in node.attrs:
                pieces.append(f"{space}{raw}={attribute(node.attrs[key])}")
        pieces += self._speller.attributes(
            {key: value for key, value in node.attrs.items() if key not in attrs}, node.scope
        )
        return "".join((*pieces, "/>" if start.endswith("/>") else ">"))

    def _is_fresh(self, node: Node) -> bool:
        return node.start < 0 or node in self._fresh


def _walk(node: Node) -> Iterator[Node]:
    waiting = [node]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(node.children)


def _key(raw: str, scope: Scope) -> str:
    """The name of an attribute, as `Node` has it."""
    prefix, colon, local = raw.partition(":")
    return f"{{{scope.uri(prefix)}}}{local}" if colon else raw
