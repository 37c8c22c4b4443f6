"""What elements are called, and values as people read them."""

from __future__ import annotations

from typing import Any, Final

from casstore.formats.bpmn.model import Model, Unit
from casstore.formats.bpmn.vocabulary import FAMILIES, FLOWS, words
from casstore.formats.bpmn.xml import Node

__all__ = ["called", "kind", "named", "path", "quoted", "value"]

_SHOWN: Final = 60  # characters of a value in a sentence


def kind(unit: Unit) -> str:
    """What an element is: "user task", "timer start event"."""
    name = words(unit.tag)
    if FAMILIES.get(unit.tag) == "event":
        triggers = [
            words(tag).removesuffix(" event definition") for tag in unit.parts if tag.endswith("EventDefinition")
        ]
        name = " ".join((*sorted(triggers), name))
    return name


def called(model: Model, unit: Unit) -> str:
    """What an element is and its name; of a flow without one what it connects."""
    if unit.name.strip():
        return f"{kind(unit)} {quoted(unit.name)}"
    ends = [unit.refs[end][0][0] for end in ("sourceRef", "targetRef") if end in unit.refs]
    if unit.tag in FLOWS and len(ends) == 2:  # noqa: PLR2004 - a begin and an end
        return f"{kind(unit)} from {named(model.units[ends[0]])} to {named(model.units[ends[1]])}"
    return f"{kind(unit)} {unit.id}".rstrip()


def named(unit: Unit) -> str:
    """The name of an element; without one what it is, and its id."""
    return quoted(unit.name) if unit.name.strip() else f"{kind(unit)} {unit.id}".rstrip()


def path(unit: Unit) -> str:
    """The element's id; its type and place in the file where it has none."""
    return unit.id or f"{unit.tag.rpartition('}')[2]}@{unit.node.start}"


def quoted(text: str) -> str:
    """A value within a sentence: on one line, and not too long."""
    line = " ".join(text.split())
    return f"'{line}'" if len(line) <= _SHOWN else f"'{line[:_SHOWN]}…'"


def value(nodes: list[Node]) -> Any:
    """Parts as JSON values: the text of a single one that has nothing else, or each with its tag, attributes and content."""
    if len(nodes) == 1 and not nodes[0].children:
        return nodes[0].text or dict(nodes[0].attrs)
    return [_tree(node) for node in nodes] or None


def _tree(node: Node) -> dict[str, Any]:
    return {
        "tag": node.tag,
        **({"attributes": dict(node.attrs)} if node.attrs else {}),
        **({"text": node.text} if node.text else {}),
        **({"children": [_tree(child) for child in node.children]} if node.children else {}),
    }
