"""A JSON value as nested lists that open and close without a script."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from markupsafe import Markup

from casstore import limits

__all__ = ["tree_of"]

_OPEN_LEVELS: Final = 2
_STRING_CHARS: Final = 2_000
_DEPTH_MAX: Final = 60  # levels that are shown; nobody reads deeper ones on a page


def tree_of(value: Any) -> tuple[Markup, bool]:
    """The tree, and whether it is all of the value: it ends after `limits.PAGE_TREE_NODES` nodes."""
    left = _Left(limits.PAGE_TREE_NODES)
    items = Markup("").join(_nodes(None, value, 0, left))
    return Markup('<ul class="tree">{}</ul>').format(items), not left.is_cut


class _Left:
    """How many nodes may still be shown."""

    def __init__(self, nodes: int) -> None:
        self._nodes = nodes
        self.is_cut = False

    def take(self) -> bool:
        self._nodes -= 1
        self.is_cut = self.is_cut or self._nodes < 0
        return self._nodes >= 0


def _nodes(key: str | int | None, value: Any, depth: int, left: _Left) -> Iterator[Markup]:
    if not left.take():
        return
    label = Markup("") if key is None else Markup('<span class="key">{}</span> ').format(key)
    if not isinstance(value, dict | list) or not value:
        yield Markup("<li>{}{}</li>").format(label, _scalar(value))
        return
    count = Markup('<span class="quiet">{}</span>').format(_count(value))
    if depth >= _DEPTH_MAX:
        left.is_cut = True
        yield Markup("<li>{}{} …</li>").format(label, count)
        return
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    children = Markup("").join(node for name, child in inside for node in _nodes(name, child, depth + 1, left))
    is_open = Markup(" open") if depth < _OPEN_LEVELS else ""
    yield Markup("<li><details{}><summary>{}{}</summary><ul>{}</ul></details></li>").format(
        is_open, label, count, children
    )


def _count(value: dict[str, Any] | list[Any]) -> str:
    noun = "key" if isinstance(value, dict) else "item"
    return f"{len(value):,} {noun}{'' if len(value) == 1 else 's'}"


def _scalar(value: Any) -> Markup:
    text = json.dumps(value, ensure_ascii=False)
    if len(text) > _STRING_CHARS:
        text = f"{text[:_STRING_CHARS]}… ({len(text):,} characters)"
    kind = "string" if isinstance(value, str) else "other"
    return Markup('<span class="value {}">{}</span>').format(kind, text)
