"""The difference of two JSON values as a JSON Patch (RFC 6902): exact, and no longer than it has to be."""

from __future__ import annotations

from collections.abc import Sequence
from json.encoder import encode_basestring
from typing import Any, Final

from casstore import limits
from casstore.formats.json.exact import alike, fingerprint, outweigh, same, size_of
from casstore.formats.json.matching import IDENTITY, Alignment, align

__all__ = ["Operation", "escape", "make_patch", "measured_patch"]

Operation = dict[str, Any]
_Touched = dict[Any, int]  # of parts of the newer value, by key or index, how many bytes they have at least
_MISSING: Final = object()
_SET: Final = len('{"op":"","path":,"value":},')
_REMOVE: Final = len('{"op":"remove","path":},')
_MANY: Final = 8  # operations in one place, from which on it pays to look whether the whole is shorter
_FEW: Final = 2  # parts of a value that may be shorter as a whole than with one of them replaced
_MOVE: Final = len('{"op":"move","from":,"path":},')


def make_patch(older: Any, newer: Any, identity: Sequence[str] = IDENTITY) -> list[Operation]:
    """The operations that make `newer` of `older`, to be applied in their order; types and all. The two values are not changed.

    No longer, as compact JSON, than the one operation that replaces everything. Items of lists are matched by the first of
    the `identity` keys that most have, and that is unique. Values inside the operations are shared with `newer`.
    """
    return measured_patch(older, newer, identity)[0]


def measured_patch(older: Any, newer: Any, identity: Sequence[str] = IDENTITY) -> tuple[list[Operation], int]:
    """The same, and how many bytes it has as compact JSON."""
    patch = _Patch(identity)
    if not same(older, newer):
        patch.value(older, newer, "", "replace")
    return patch.operations, patch.size


def escape(key: str) -> str:
    """A key as a step of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1") if "~" in key or "/" in key else key


def _path_size(path: str) -> int:
    text = encode_basestring(path)
    return len(text) if text.isascii() else len(text.encode())


def _is_hopeless(newer: Any, path: str, count: int) -> bool:
    """Whether so many operations are surely longer than the whole."""
    if count < _MANY:
        return False
    least = count * (_REMOVE + len(path) + 2)
    return not outweigh((newer,), least) and size_of(newer) + _SET + len(path) < least


def _least(newer: Any, touched: _Touched, enough: int) -> int:
    """How many bytes the value has at least: those known, and if they are not enough, as many as the other parts surely have."""
    others = len(newer) - len(touched)
    if type(newer) is dict:
        known = 1 + sum(touched.values()) + 4 * len(touched) + sum(map(len, touched)) + 2 * others
        if known + 3 * others >= enough:
            return known + 3 * others
        left = [key for key in newer if key not in touched]
        parts = [*left, *map(newer.__getitem__, left)]
    else:
        known = 1 + sum(touched.values()) + len(touched) + others
        if known + others >= enough:
            return known + others
        parts = [part for place, part in enumerate(newer) if place not in touched] if touched else newer
    return enough if outweigh(parts, enough - known) else known


class _Patch:
    """Operations so far, and their bytes. Every method takes two values that differ and the place of the newer."""

    __slots__ = ("_identity", "_size", "operations")

    def __init__(self, identity: Sequence[str]) -> None:
        self.operations: list[Operation] = []
        self._size = 0
        self._identity = identity

    @property
    def size(self) -> int:
        """As compact JSON: a comma less than operations, and two brackets."""
        return self._size + 1 if self.operations else len("[]")

    def value(self, older: Any, newer: Any, path: str, replace: str = "add") -> int:
        """Change one value into another, part by part or as a whole, whichever is shorter. A member that is added replaces.

        Says how many bytes the newer value has at least: so nobody needs to look at it again to know that it is long.
        """
        kind = type(newer)
        if kind is not type(older) or (kind is not dict and kind is not list) or not newer or not older:
            return self._set(replace, path, newer)
        count, size = len(self.operations), self._size
        touched = self._object(older, newer, path) if kind is dict else self._list(older, newer, path)
        whole = None
        if touched is not None:
            needed = self._size - size - _SET - len(replace) - _path_size(path)
            if len(self.operations) == count + 1 and len(newer) > _FEW and "value" in self.operations[-1]:
                needed = 0  # what is beside it costs more than the step to it
            known = _least(newer, touched, needed)
            if known < needed:
                known = whole = size_of(newer)
            if known >= needed:
                return known
        del self.operations[count:]
        self._size = size
        return self._set(replace, path, newer, whole)

    def _object(self, older: dict[str, Any], newer: dict[str, Any], path: str) -> _Touched | None:
        """Change an object part by part: the bytes of what was changed or added; None as soon as the whole is surely shorter."""
        added, changed, equal = [], [], []
        get = older.get
        for key, value in newer.items():
            before = get(key, _MISSING)
            if before == value:
                if type(value) is not str:
                    equal.append(key)
            elif before is _MISSING:
                added.append(key)
            else:
                changed.append(key)
        if equal and not alike([*map(get, equal)], [*map(newer.get, equal)]):
            changed = [key for key, value in newer.items() if key in older and not same(older[key], value)]
        left = len(older) + len(added) - len(newer)
        if _is_hopeless(newer, path, len(changed) + max(len(added), left)):
            return None
        touched: _Touched = {}
        if left:
            self._keys(older, newer, path, added, touched)
        else:
            for key in added:
                touched[key] = self._set("add", f"{path}/{escape(key)}", newer[key])
        for key in changed:
            touched[key] = self.value(older[key], newer[key], f"{path}/{escape(key)}")
        return touched

    def _keys(
        self, older: dict[str, Any], newer: dict[str, Any], path: str, added: list[str], touched: _Touched
    ) -> None:
        """Remove keys and add others; a key that only has another name now is moved where that is shorter."""
        gone = {fingerprint(value): key for key, value in older.items() if key not in newer} if added else {}
        left = [key for key in older if key not in newer]
        for key in added:
            target, value = f"{path}/{escape(key)}", newer[key]
            source = gone.pop(fingerprint(value), None)
            if source is None:
                touched[key] = self._set("add", target, value)
            else:
                left.remove(source)
                self._move(f"{path}/{escape(source)}", target)
        for key in left:
            self._remove(f"{path}/{escape(key)}")

    def _list(self, older: list[Any], newer: list[Any], path: str) -> _Touched | None:
        """Change a list item by item: the bytes of what was changed; None as soon as the whole is surely shorter."""
        touched: _Touched = {}
        found = align(older, newer, self._identity, rest=True)
        if found.in_place:
            return self._items(older, newer, path, found, touched)
        movers = sum(index >= 0 for index in found.source) - sum(found.stays)
        if movers > limits.JSON_MOVES_MAX:
            found.source = [index if stay else -1 for index, stay in zip(found.source, found.stays, strict=True)]
            movers = 0
        removed = found.removed(len(older))
        if _is_hopeless(newer, path, movers + max(len(removed), found.source.count(-1))):
            return None
        for index in reversed(removed):
            self._remove(f"{path}/{index}")
        if movers:
            self._arrange(found, path, newer, touched)
        else:
            for place, index in enumerate(found.source):
                if index < 0:
                    touched[place] = self._set("add", f"{path}/{place}", newer[place])
        return self._items(older, newer, path, found, touched)

    def _items(
        self, older: list[Any], newer: list[Any], path: str, found: Alignment, touched: _Touched
    ) -> _Touched | None:
        source = found.source
        changed = [
            place
            for place in range(found.first, len(newer) - found.end)
            if source[place] >= 0 and not same(older[source[place]], newer[place])
        ]
        if _is_hopeless(newer, path, len(changed)):
            return None
        for place in changed:
            touched[place] = self.value(older[source[place]], newer[place], f"{path}/{place}", "replace")
        return touched

    def _arrange(self, found: Alignment, path: str, newer: list[Any], touched: _Touched) -> None:
        """Add and move, from the first place to the last: what is before `end` is as it should be, but for those that will move."""
        current = sorted(index for index in found.source if index >= 0)
        end = 0
        for place, (index, stay) in enumerate(zip(found.source, found.stays, strict=True)):
            if stay:
                end = current.index(index, end) + 1
                continue
            if index < 0:
                touched[place] = self._set("add", f"{path}/{end}", newer[place])
            else:
                start = current.index(index)
                del current[start]
                end -= start < end
                if start != end:
                    self._move(f"{path}/{start}", f"{path}/{end}")
            current.insert(end, index)
            end += 1

    def _set(self, operation: str, path: str, value: Any, size: int | None = None) -> int:
        if size is None:
            size = size_of(value)
        self._put({"op": operation, "path": path, "value": value}, _SET + len(operation) + _path_size(path) + size)
        return size

    def _remove(self, path: str) -> None:
        self._put({"op": "remove", "path": path}, _REMOVE + _path_size(path))

    def _move(self, source: str, path: str) -> None:
        self._put({"op": "move", "from": source, "path": path}, _MOVE + _path_size(source) + _path_size(path))

    def _put(self, operation: Operation, size: int) -> None:
        self.operations.append(operation)
        self._size += size
