"""Elements as XML text, where they are to stand: with the prefixes that are declared there, or with declarations of their own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from casstore.formats.bpmn.xml import BPMN, TEXT, XSI_TYPE, Node, Scope

__all__ = ["Speller", "attribute"]

_IN_TEXT: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_IN_VALUE: Final = str.maketrans({"&": "&amp;", "<": "&lt;", '"': "&quot;", "\r": "&#13;", "\n": "&#10;", "\t": "&#9;"})
_PREFIX: Final = re.compile(r"([A-Za-z_][\w.-]*):")


def attribute(value: str) -> str:
    """A value of an attribute, in quotes."""
    return f'"{value.translate(_IN_VALUE)}"'


class Speller:
    """Spells elements; `models` are the roots of documents whose prefixes are taken for namespaces that have none."""

    def __init__(self, models: Iterable[Node]) -> None:
        self._wanted: dict[str, str] = {}
        for root in models:
            for prefix, uri in root.scope.declared.items():
                if prefix:
                    self._wanted.setdefault(uri, prefix)

    def spelt(self, node: Node, outer: Scope, indent: str, step: str) -> str:
        """An element and all that is in it. Its scope is where its values were written, `outer` where they are to stand."""
        declared = {
            prefix: uri
            for prefix in _prefixes(node)
            if (uri := node.scope.uri(prefix)) is not None and outer.uri(prefix) != uri
        }
        return self._element(node, Scope(declared, outer), indent, step)

    def attributes(self, attrs: dict[str, str], outer: Scope) -> Iterator[str]:
        """Attributes for an element that is there, each with a space before it."""
        scope = Scope({}, outer)
        spelt = [f" {self._name(key, scope, own='')}={self._value(key, value, scope)}" for key, value in attrs.items()]
        yield from _declarations(scope.declared)
        yield from spelt

    def _element(self, node: Node, scope: Scope, indent: str, step: str) -> str:
        name = self._name(node.tag, scope, own=BPMN)
        spelt = [
            f" {self._name(key, scope, own='')}={self._value(key, text, scope)}" for key, text in node.attrs.items()
        ]
        start = "".join((f"<{name}", *_declarations(scope.declared), *spelt))
        if not node.children:
            return f"{start}>{node.text.translate(_IN_TEXT)}</{name}>" if node.text else f"{start}/>"
        plain = node.preserve or any(child.tag == TEXT for child in node.children)
        inside = "" if plain or "\n" not in indent else indent + step
        children = [
            child.text.translate(_IN_TEXT)
            if child.tag == TEXT
            else inside + self._element(child, Scope({}, scope), inside, step)
            for child in node.children
        ]
        return f"{start}>{''.join(children)}{indent if inside else ''}</{name}>"

    def _name(self, name: str, scope: Scope, own: str) -> str:
        """A name with a prefix that stands for its namespace, declared in `scope` if there was none; `own` is that of bare ones."""
        uri, _, local = name[1:].rpartition("}") if name[0] == "{" else (own, "", name)
        if own and scope.uri("") == uri:
            return local
        if not uri:
            if own:
                scope.declared[""] = ""
            return local
        prefix = scope.prefix(uri)
        if prefix is None:
            prefix = self._wanted.get(uri, "")
            number = 0
            while not prefix or scope.uri(prefix) is not None:
                number += 1
                prefix = f"ns{number}"
            scope.declared[prefix] = uri
        return f"{prefix}:{local}"

    def _value(self, key: str, value: str, scope: Scope) -> str:
        return attribute(self._name(value, scope, own=BPMN) if key == XSI_TYPE and value else value)


def _declarations(declared: dict[str, str]) -> Iterator[str]:
    for prefix, uri in declared.items():
        yield f" xmlns{':' if prefix else ''}{prefix}={attribute(uri)}"


def _prefixes(node: Node) -> list[str]:
    """What stands before a colon in any value, which may be a prefix."""
    found: set[str] = set()
    waiting = [node]
    while waiting:
        node = waiting.pop()
        for text in (node.text, *(value for key, value in node.attrs.items() if key != XSI_TYPE)):
            if ":" in text:
                found.update(_PREFIX.findall(text))
        waiting.extend(node.children)
    return sorted(found)
