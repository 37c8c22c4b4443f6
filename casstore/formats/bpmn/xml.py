"""XML as a small tree, read safely: no document type, so no entities and nothing fetched; depth, elements and bytes bounded.

Expat of the standard library, with handlers that make one node an element. Names are spelt without prefixes: `userTask` is of
BPMN's own namespace, `{uri}name` of another, `{}name` of none. Attributes: `name` of no namespace, `{uri}name` of one.
"""

from __future__ import annotations

from typing import Final, Literal
from xml.parsers import expat

from casstore import limits
from casstore.errors import Code, Invalid

__all__ = ["BPMN", "TEXT", "XSI_TYPE", "Node", "Scope", "parse", "refuse", "resolve"]

BPMN: Final = "http://www.omg.org/spec/BPMN/20100524/MODEL"
XSI_TYPE: Final = "{http://www.w3.org/2001/XMLSchema-instance}type"
TEXT: Final = "#text"  # the tag of a piece of text between elements
_BUFFER: Final = 2**18  # characters handed over at once: short pieces of one long text would be copied again and again
_SPACE: Final = "{http://www.w3.org/XML/1998/namespace}space"


class Scope:
    """Prefixes declared at an element, and where to look for the others: a chain, so that no declaration is copied."""

    __slots__ = ("declared", "outer")

    def __init__(self, declared: dict[str, str], outer: Scope | None) -> None:
        self.declared = declared
        self.outer = outer

    def uri(self, prefix: str) -> str | None:
        """The namespace of a prefix, "" being the default one; None if it is not declared."""
        scope: Scope | None = self
        while scope is not None:
            if prefix in scope.declared:
                return scope.declared[prefix]
            scope = scope.outer
        return None

    def prefix(self, uri: str) -> str | None:
        """A prefix that stands for a namespace here; None if there is none."""
        scope: Scope | None = self
        while scope is not None:
            for prefix, declared in scope.declared.items():
                if prefix and declared == uri and self.uri(prefix) == uri:
                    return prefix
            scope = scope.outer
        return None


class Node:
    """An element. `text` is what a leaf says; text beside elements is a child with the tag `#text`."""

    __slots__ = ("attrs", "children", "end", "preserve", "raw", "scope", "start", "tag", "text")

    def __init__(self, tag: str, attrs: dict[str, str], scope: Scope, start: int) -> None:
        self.tag = tag
        self.attrs = attrs
        self.scope = scope
        self.start = start  # bytes from the begin of the document
        self.end = start  # as expat says: of the end tag, or after an empty element
        self.children: list[Node] = []
        self.text = ""
        self.preserve = False
        self.raw = ""  # its name as written, once somebody asks


def refuse(reason: str) -> Invalid:
    """The error of a content that cannot be compared as BPMN, with the reason."""
    return Invalid(Code.NOT_COMPARABLE, f"cannot compare as BPMN, because {reason}", hint="Compare as text or bytes.")


def line_ends(text: str) -> str:
    """Line ends of any system as one: those written as characters too, which XML itself leaves alone."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def resolve(value: str, scope: Scope) -> str:
    """A qualified name as `{uri}local`; as it stands where its prefix is not declared."""
    prefix, colon, local = value.strip().rpartition(":")
    uri = scope.uri(prefix)
    return value if uri is None and colon else f"{{{uri or ''}}}{local}"


def _type(value: str, scope: Scope) -> str:
    """A type of BPMN by its bare name, as one whose prefix was lost: tools that rewrite prefixes forget those within values."""
    name = resolve(value, scope)
    return name.rpartition(":")[2] if name[0:1] != "{" else name.removeprefix(f"{{{BPMN}}}").removeprefix("{}")


def parse(data: bytes, encoding: Literal["utf-8"] | None = None) -> Node:
    """The root of a document; raises Invalid (not_comparable) with the reason if it is not one, or not a safe one."""
    if len(data) > limits.BPMN_MAX_BYTES:
        raise refuse(f"it has more than {limits.BPMN_MAX_BYTES:,} bytes")
    builder = _Builder(encoding)
    try:
        builder.parser.Parse(data, True)
    except expat.ExpatError as error:
        raise refuse(f"it is not well-formed XML: {error}") from error
    except (ValueError, LookupError) as error:  # an encoding that nobody knows, or one of several bytes a character
        if isinstance(error, Invalid):
            raise
        raise refuse(f"its text cannot be read: {error}") from error
    return builder.root


class _Builder:
    """The handlers of one parse."""

    def __init__(self, encoding: str | None) -> None:
        self.parser = parser = expat.ParserCreate(encoding, " ")
        parser.buffer_text = True
        parser.buffer_size = _BUFFER
        parser.ordered_attributes = True
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartNamespaceDeclHandler = self._declare
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        self._names: dict[str, str] = {}
        self._declared: dict[str, str] = {}
        self._count = 0
        self.root = Node("", {}, Scope({"": "", "xml": "http://www.w3.org/XML/1998/namespace"}, None), 0)
        self._stack = [self.root]

    def _doctype(self, *_: object) -> None:
        raise refuse("it has a document type (DOCTYPE), which may define entities")

    def _declare(self, prefix: str | None, uri: str | None) -> None:
        self._declared[prefix or ""] = uri or ""
        if len(uri or "") > limits.BPMN_NAME_MAX_CHARS:  # it is copied for every name in it
            raise refuse(f"the name of a namespace has more than {limits.BPMN_NAME_MAX_CHARS:,} characters")

    def _start(self, name: str, pairs: list[str]) -> None:
        outer = self._stack[-1]
        scope = outer.scope
        if self._declared:
            scope = Scope(self._declared, scope)
            self._declared = {}
        names = self._names
        tag = names.get(name) or self._tag(name)
        attrs = {}
        for index in range(0, len(pairs), 2):
            key = pairs[index]
            if " " in key:
                uri, _, local = key.rpartition(" ")
                key = f"{{{uri}}}{local}"
            value = pairs[index + 1]
            attrs[key] = line_ends(value) if "\r" in value else value
        if XSI_TYPE in attrs:
            attrs[XSI_TYPE] = _type(attrs[XSI_TYPE], scope)
        self._count += 1 + len(attrs)
        node = Node(tag, attrs, scope, self.parser.CurrentByteIndex)
        node.preserve = outer.preserve if _SPACE not in attrs else attrs[_SPACE] == "preserve"
        if self._count > limits.BPMN_ELEMENTS_MAX:
            raise refuse(f"it has more than {limits.BPMN_ELEMENTS_MAX:,} elements and attributes")
        if outer.text:
            self._text_beside(outer)
        if len(self._stack) == 1:
            self.root = node
        else:
            outer.children.append(node)
        self._stack.append(node)
        if len(self._stack) > limits.BPMN_MAX_DEPTH:
            raise refuse(f"it is nested more than {limits.BPMN_MAX_DEPTH} levels deep")

    def _tag(self, name: str) -> str:
        uri, _, local = name.rpartition(" ")
        if len(local) > limits.BPMN_NAME_MAX_CHARS:
            raise refuse(f"the name of an element has more than {limits.BPMN_NAME_MAX_CHARS:,} characters")
        self._names[name] = tag = local if uri == BPMN else f"{{{uri}}}{local}"
        return tag

    def _end(self, _: str) -> None:
        node = self._stack.pop()
        node.end = self.parser.CurrentByteIndex
        if "\r" in node.text:
            node.text = line_ends(node.text)
        if node.text and not node.preserve and node.tag[0] != "{":
            node.text = node.text.strip()

    def _characters(self, text: str) -> None:
        node = self._stack[-1]
        if not node.children:
            node.text += text
        elif node.children[-1].tag == TEXT:
            node.children[-1].text += text
        elif node.preserve or not text.isspace():
            self._piece(node, text)

    def _text_beside(self, node: Node) -> None:
        """Text before the first child: white space between elements says nothing."""
        if node.preserve or not node.text.isspace():
            self._piece(node, node.text)
        node.text = ""

    def _piece(self, node: Node, text: str) -> None:
        piece = Node(TEXT, {}, node.scope, self.parser.CurrentByteIndex)
        piece.text = text
        node.children.append(piece)
        self._count += 1
