"""Comparing two correlation maps by what they refer to, so that an entry which stands elsewhere is the same entry."""

from __future__ import annotations

from itertools import islice
from typing import Any, Final, TypeAlias

from casstore import limits
from casstore.formats import json
from casstore.formats.comparison import Change, Comparison, Depth, deepest
from casstore.formats.embeddings.arrays import refusal

__all__ = ["diff_maps"]

_REFERENCES: Final = ("document", "row", "structured", "unstructured", "a", "b")
_NOISE: Final = (
    2e-6  # between two numbers: the sixth digit after the point, in which maps are written, may be rounded either way
)

Place: TypeAlias = tuple[str, ...]


def diff_maps(
    before: bytes, after: bytes, rows_before: dict[int, str] | None = None, rows_after: dict[int, str] | None = None
) -> Comparison:
    """What has changed between two maps; raises Invalid (not_comparable, bad_json) if either is none.

    An entry of a list is known by what it refers to: its `document`, `row`, `structured`, `unstructured`, `a` and `b`. Rows are
    called by these names, where they are given, so that a row whose number has changed stays the same one.
    """
    old, new = _leaves(before, rows_before or {}, "older map"), _leaves(after, rows_after or {}, "newer map")
    if before == after:
        return Comparison(format="correlation-map", depth="same", details={"before": len(old), "after": len(new)})
    changes = [_change(place, old, new) for place in (*new, *(place for place in old if place not in new))]
    told = [change for change in changes if change is not None]
    if not told:
        text = "the same references and values, written in another order or form"
        told = [Change(op="changed", path="", what="map", text=text, depth="formatting")]
    counts = {
        op: sum(change.op == op for change in told if change.what == "value") for op in ("added", "removed", "changed")
    }
    return Comparison(
        format="correlation-map",
        depth=deepest([change.depth for change in told]),
        changes=tuple(islice(told, limits.CHANGES_MAX)),
        total=len(told),
        summary=(", ".join(f"{count:,} {op}" for op, count in counts.items() if count) or told[0].text,),
        details={"before": len(old), "after": len(new), **counts},
    )


def _change(place: Place, old: dict[Place, Any], new: dict[Place, Any]) -> Change | None:
    path = " / ".join(place)
    if place not in old:
        return Change(op="added", path=path, what="value", text=f"{path} added", after=new[place])
    if place not in new:
        return Change(op="removed", path=path, what="value", text=f"{path} removed", before=old[place])
    one, other = old[place], new[place]
    if type(one) is type(other) and one == other:
        return None
    numbers = all(type(value) in (int, float) for value in (one, other))
    depth: Depth = (
        "noise" if numbers and float in (type(one), type(other)) and abs(one - other) <= _NOISE else "meaning"
    )
    text = f"{path} changed"
    return Change(op="changed", path=path, what="value", text=text, before=one, after=other, depth=depth)


def _leaves(data: bytes, rows: dict[int, str], which: str) -> dict[Place, Any]:
    """Every value that is no container, or an empty one, by the keys and entries that lead to it."""
    if len(data) > limits.COMPARED_MAX_BYTES:
        raise refusal(which, f"has {len(data):,} bytes, and up to {limits.COMPARED_MAX_BYTES:,} are compared")
    content = json.decode(data)
    if not isinstance(content, dict | list):
        raise refusal(which, "is no object or array")
    found: dict[Place, Any] = {}
    todo: list[tuple[Place, Any]] = [((), content)]
    while todo:
        place, value = todo.pop()
        if not value or not isinstance(value, dict | list):
            found[place] = value
        elif isinstance(value, dict):
            todo.extend(((*place, key), _called(key, child, rows)) for key, child in reversed(value.items()))
        else:
            todo.extend(reversed(_entries(place, value, rows)))
    return found


def _entries(place: Place, entries: list[Any], rows: dict[int, str]) -> list[tuple[Place, Any]]:
    """The entries of a list, each with its name: what it refers to, and a number if that comes again; else where it stands."""
    seen: dict[str, int] = {}
    named = []
    for index, entry in enumerate(entries):
        name = _name(entry, rows) or f"[{index}]"
        seen[name] = seen.get(name, 0) + 1
        named.append(((*place, name if seen[name] == 1 else f"{name} ({seen[name]})"), entry))
    return named


def _name(entry: Any, rows: dict[int, str]) -> str:
    if not isinstance(entry, dict):
        return ""
    parts = [f"{key} {_called(key, entry[key], rows)}" for key in _REFERENCES if isinstance(entry.get(key), str | int)]
    return ", ".join(parts)


def _called(key: str, value: Any, rows: dict[int, str]) -> Any:
    """A row by its name, if it has one."""
    is_row = key in ("row", "structured", "unstructured") and type(value) is int
    return rows.get(value, value) if is_row else value
