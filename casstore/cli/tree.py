"""Lineage as a tree of text: each version is told once, and marked where it comes again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias
from uuid import UUID

if TYPE_CHECKING:
    from casstore.model import Lineage, Link, Node

__all__ = ["newer", "staleness", "tree"]

_UNSAID: Final = ["source"]  # the role of a source of which nothing was said

Branches: TypeAlias = dict[UUID, dict[UUID, list[str]]]  # below each version others, with the roles between the two


class _Twig(NamedTuple):
    version: UUID | None  # None stands for some that are not in the lineage
    label: str
    branch: str
    indent: str


def tree(lineage: Lineage, *, down: bool) -> Iterator[str]:
    """The version that was asked for, and below each version its sources, or `down` what was made from it."""
    nodes = {node.version.id: node for node in lineage}
    below = _branches(lineage, down=down)
    told: set[UUID] = set()
    root = lineage.versions[0].version
    todo = [_Twig(root.id, root.ref, "", "")]
    has_repeats = False
    while todo:  # not by recursion: a lineage may be deeper than the interpreter's stack
        twig = todo.pop()
        if twig.version is None:
            yield twig.branch + twig.label
        elif twig.version in told:
            has_repeats = True
            yield f"{twig.branch}{twig.label}  (*)"
        else:
            told.add(twig.version)
            yield "  ".join([twig.branch + twig.label, *_marks(nodes[twig.version])])
            todo += reversed(_twigs(below.get(twig.version, {}), nodes, twig.indent))
    if has_repeats:
        yield "(*) told above"


def newer(link: Link) -> str | None:
    """What is newer than a source, and accepted."""
    return f"{link.ref.rpartition('@')[0]}@{link.newer}" if link.newer else None


def staleness(node: Node) -> str:
    """What is newer than the sources of a stale version."""
    pairs = [f"{link.ref} → @{link.newer}" for link in node.sources if link.newer]
    return ", ".join(dict.fromkeys(pairs))


def _branches(lineage: Lineage, *, down: bool) -> Branches:
    below: Branches = {}
    for node in lineage:
        for link in node.sources:
            upper, lower = (link.source, node.version.id) if down else (node.version.id, link.source)
            below.setdefault(upper, {}).setdefault(lower, []).append(link.role)
    return below


def _twigs(below: Mapping[UUID, Sequence[str]], nodes: Mapping[UUID, Node], indent: str) -> list[_Twig]:
    entries: list[tuple[UUID | None, str]] = [
        (each, nodes[each].version.ref + ("" if roles == _UNSAID else f" as {', '.join(roles)}"))
        for each, roles in below.items()
        if each in nodes
    ]
    if hidden := len(below) - len(entries):
        entries.append((None, f"… {hidden} more"))
    twigs = [_Twig(each, label, indent + "├── ", indent + "│   ") for each, label in entries]
    return [*twigs[:-1], *(_Twig(each, label, indent + "└── ", indent + "    ") for each, label in entries[-1:])]


def _marks(node: Node) -> Iterator[str]:
    if node.version.state != "draft":
        yield node.version.state
    if node.is_stale:
        yield f"stale: {staleness(node)}"
