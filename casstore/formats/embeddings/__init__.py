"""Embeddings: arrays of rows, as .npy or JSON, and maps between them, compared by what they are about. Pure functions.

NumPy is imported when two arrays are compared, and not before: the extra `casstore[embeddings]` brings it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final

from casstore import limits
from casstore.formats import json
from casstore.formats.comparison import Change, Comparison, Depth, Format
from casstore.formats.embeddings.arrays import Rows, compared, numpy, read_npy, refusal
from casstore.formats.embeddings.maps import diff_maps

__all__ = ["JSON", "MAP", "NPY", "diff_json", "diff_maps", "diff_npy"]

_KEYS: Final = ("id", "@id", "key", "name")
_VECTORS: Final = ("vector", "embedding", "values")


def diff_npy(
    before: bytes, after: bytes, keys_before: Sequence[str] | None = None, keys_after: Sequence[str] | None = None
) -> Comparison:
    """What has changed from one .npy file to another, row by row; raises Invalid (not_comparable) if either is none.

    Rows are matched by these keys, one for each row of either, or else by position.
    """
    old, new = read_npy(before, "older array"), read_npy(after, "newer array")
    if before == after:
        return Comparison(format="npy", depth="same", details={"before": _facts(old), "after": _facts(new)})
    return _comparison("npy", old, new, keys_before, keys_after)


def diff_json(before: bytes, after: bytes) -> Comparison:
    """The same of JSON: an array of rows of numbers, or of objects with a `vector`, `embedding` or `values`, and an `id` or `name`.

    Objects are matched by the first of `id`, `@id`, `key` and `name` that all of them have, each with a text of its own.
    """
    (old, keys_before), (new, keys_after) = _read_json(before, "older content"), _read_json(after, "newer content")
    if before == after:
        return Comparison(format="json-embedding", depth="same", details={"before": _facts(old), "after": _facts(new)})
    keyed = keys_before is not None and keys_after is not None
    return _comparison("json-embedding", old, new, *((keys_before, keys_after) if keyed else (None, None)))


NPY: Final = Format(name="npy", media_types=frozenset({"application/x-npy"}), diff=diff_npy)
# Of some components that are JSON; a kind says of which.
JSON: Final = Format(name="json-embedding", media_types=frozenset(), diff=diff_json)
MAP: Final = Format(name="correlation-map", media_types=frozenset(), diff=diff_maps)


def _read_json(data: bytes, which: str) -> tuple[Any, list[str] | None]:
    """The array, and a key for each of its rows."""
    if len(data) > limits.COMPARED_MAX_BYTES:
        raise refusal(which, f"has {len(data):,} bytes, and up to {limits.COMPARED_MAX_BYTES:,} are compared")
    rows = json.decode(data)
    if not isinstance(rows, list):
        raise refusal(which, "is no array of rows")
    keys = None
    if rows and all(isinstance(row, dict) for row in rows):
        name = next((name for name in _VECTORS if all(isinstance(row.get(name), list) for row in rows)), None)
        if name is None:
            raise refusal(which, "has objects without a vector")
        keys = _keys(rows)
        rows = [row[name] for row in rows]
    width = len(rows[0]) if rows and isinstance(rows[0], list) else 0
    if not all(isinstance(row, list) and len(row) == width and all(map(_is_number, row)) for row in rows):
        raise refusal(which, "has rows that are no arrays of numbers of one length")
    return numpy().array(rows, "f8").reshape(len(rows), width), keys


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 2.0**1023


def _keys(rows: list[dict[str, Any]]) -> list[str] | None:
    for name in _KEYS:
        keys = [row.get(name) for row in rows]
        if all(isinstance(key, str) for key in keys) and len(set(keys)) == len(keys):
            return [str(key) for key in keys]
    return None


def _comparison(
    name: str, old: Any, new: Any, keys_before: Sequence[str] | None, keys_after: Sequence[str] | None
) -> Comparison:
    matched = _Matched(old, new, keys_before, keys_after)
    same_shape = old.shape[1:] == new.shape[1:]
    rows = compared(old, new, matched.pairs) if same_shape else Rows([], [], [], 0.0)
    changes = list(islice(_changes(old, new, matched, rows), limits.CHANGES_MAX))
    total = len(matched.added) + len(matched.removed) + len(rows.changed) + len(rows.noisy) + (not same_shape)
    if not total:
        text = "the same numbers, in another file"
        changes = [Change(op="changed", path="", what="encoding", text=text, depth="encoding")]
    depth: Depth = "encoding" if not total else "noise" if total == len(rows.noisy) else "meaning"
    return Comparison(
        format=name,
        depth=depth,
        changes=tuple(changes),
        total=max(1, total),
        summary=tuple(_summary(old, new, matched, rows)) or (changes[0].text,),
        details={
            "before": _facts(old),
            "after": _facts(new),
            "matched_by": "key" if keys_before is not None else "position",
            "rows": {
                "added": len(matched.added),
                "removed": len(matched.removed),
                "changed": len(rows.changed),
                "noise": len(rows.noisy),
                "moved": matched.moved,
            },
            "cosine_shift": _distribution(rows.shifts),
            "largest_difference": rows.largest,
        },
    )


class _Matched:
    """Which row is which."""

    def __init__(self, old: Any, new: Any, before: Sequence[str] | None, after: Sequence[str] | None) -> None:
        self.pairs: Sequence[tuple[int, int]] | range
        self._names = after, before
        if before is None or after is None:
            common = min(len(old), len(new))
            self.pairs, self.moved = range(common), 0
            self.added, self.removed = range(common, len(new)), range(common, len(old))
            return
        for which, keys, rows in (("older", before, old), ("newer", after, new)):
            if len(keys) != len(rows) or len(set(keys)) != len(keys):
                raise refusal(f"{which} array", f"has {len(rows)} rows and {len(set(keys))} different keys")
        places = {key: index for index, key in enumerate(before)}
        self.pairs = [(places[key], index) for index, key in enumerate(after) if key in places]
        known = set(after)
        self.added = [index for index, key in enumerate(after) if key not in places]  # type: ignore[assignment]
        self.removed = [index for index, key in enumerate(before) if key not in known]  # type: ignore[assignment]
        self.moved = sum(i != j for i, j in self.pairs)

    def name(self, index: int, *, older: bool = False) -> str:
        """The key of a row, or its number."""
        names = self._names[older]
        return names[index] if names is not None else str(index)

    def newer(self, pair: int) -> int:
        """The index in the newer array of a pair."""
        return pair if isinstance(self.pairs, range) else self.pairs[pair][1]


def _changes(old: Any, new: Any, matched: _Matched, rows: Rows) -> Iterator[Change]:
    if old.shape[1:] != new.shape[1:]:
        before, after = list(old.shape), list(new.shape)
        text = f"rows are of {_times(new.shape[1:])} numbers, were of {_times(old.shape[1:])}"
        yield Change(op="changed", path="", what="shape", text=text, before=before, after=after)
    for index in matched.removed:
        name = matched.name(index, older=True)
        yield Change(op="removed", path=name, what="row", text=f"row {name} removed")
    shifts = dict(zip(rows.changed, rows.shifts, strict=True))
    for pair in sorted([*rows.changed, *rows.noisy]):
        name = matched.name(matched.newer(pair))
        if pair in shifts:
            shift = shifts[pair]
            how = "" if shift is None else f", cosine shift {shift:.3g}"
            yield Change(op="changed", path=name, what="row", text=f"row {name} changed{how}")
        else:
            yield Change(op="changed", path=name, what="row", text=f"row {name} changed within noise", depth="noise")
    for index in matched.added:
        name = matched.name(index)
        yield Change(op="added", path=name, what="row", text=f"row {name} added")


def _summary(old: Any, new: Any, matched: _Matched, rows: Rows) -> Iterator[str]:
    counts = [(len(rows.changed), "changed"), (len(matched.added), "added"), (len(matched.removed), "removed")]
    told = [f"{count:,} {word}" for count, word in counts if count]
    if told:
        yield f"rows: {', '.join(told)}"
    if old.shape[1:] != new.shape[1:]:
        yield f"rows are of {_times(new.shape[1:])} numbers, were of {_times(old.shape[1:])}: they are not compared"
    if old.dtype.newbyteorder("=") != new.dtype.newbyteorder("="):
        yield f"numbers are {new.dtype.name}, were {old.dtype.name}"
    known = _distribution(rows.shifts)
    if known:
        yield f"cosine shift of those that changed: median {known['median']:.3g}, at most {known['max']:.3g}"
    if rows.noisy:
        yield f"{len(rows.noisy):,} rows changed within noise"


def _distribution(shifts: list[float | None]) -> dict[str, float] | None:
    known = sorted(shift for shift in shifts if shift is not None)
    if not known:
        return None
    at = [0, (len(known) - 1) // 2, -(-19 * len(known) // 20) - 1, -1]
    return dict(zip(("min", "median", "p95", "max"), (known[index] for index in at), strict=True))


def _facts(array: Any) -> dict[str, Any]:
    return {"dtype": array.dtype.name, "shape": list(array.shape)}


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
