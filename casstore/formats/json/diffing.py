"""The difference of two JSON values as a JSON Patch (RFC 6902): exact, and no longer than it has to be."""

from __future__ import annotations

from collections.abc import Sequence
from json.encoder import encode_basestring
from typing import Any, Final

from casstore import limits
from casstore.formats.json.exact import fingerprint, is_longer, same, size_of
from casstore.formats.json.matching import IDENTITY, Alignment, align

__all__ = ["Operation", "escape", "make_patch"]

Operation = dict[str, Any]
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
    patch = _Patch(identity)
    if not same(older, newer):
        patch.value(older, newer, "", "replace")
    return patch.operations


def escape(key: str) -> str:
    """A key as a step of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1") if "~" in key or "/" in key else key


def _path_size(path: str) -> int:
    text = encode_basestring(path)
    return len(text) if text.isascii() else len(text.encode())


def _is_hopeless(newer: Any, path: str, count: int) -> bool:
    """Whether so many operations are surely longer than the whole."""
    least = count * (_REMOVE + len(path) + 2)
    return count >= _MANY and not is_longer(newer, least) and size_of(newer) + _SET + len(path) < least


class _Patch:
    """Operations so far, and their bytes. Every method takes two values that differ and the place of the newer."""

    __slots__ = ("_identity", "_size", "operations")

    def __init__(self, identity: Sequence[str]) -> None:
        self.operations: list[Operation] = []
        self._size = 0
        self._identity = identity

    def value(self, older: Any, newer: Any, path: str, replace: str = "add") -> None:
        """Change one value into another, part by part or as a whole, whichever is shorter. A member that is added replaces."""
        kind = type(newer)
        if kind is not type(older) or (kind is not dict and kind is not list) or not newer or not older:
            self._set(replace, path, newer)
            return
        count, size = len(self.operations), self._size
        if self._object(older, newer, path) if kind is dict else self._list(older, newer, path):
            self._shorten(newer, path, replace, count, size)
        else:
            self._cut(newer, path, replace, count, size)

    def _shorten(self, newer: Any, path: str, replace: str, count: int, size: int) -> None:
        """Set the whole instead of the operations from `count` on, where that is shorter."""
        if len(self.operations) == count + 1 and len(newer) > _FEW and "value" in self.operations[-1]:
            return  # what is beside it costs more than the step to it
        least = _SET + len(replace) + _path_size(path)
        if not is_longer(newer, self._size - size - least) and least + size_of(newer) < self._size - size:
            self._cut(newer, path, replace, count, size)

    def _cut(self, newer: Any, path: str, replace: str, count: int, size: int) -> None:
        del self.operations[count:]
        self._size = size
        self._set(replace, path, newer)

    def _object(self, older: dict[str, Any], newer: dict[str, Any], path: str) -> bool:
        """Change an object part by part; False as soon as that is surely longer than the whole."""
        added, changed = [], []
        get = older.get
        for key, value in newer.items():
            before = get(key, _MISSING)
            if before is value:
                continue
            if before is _MISSING:
                added.append(key)
            elif before != value or not ((type(value) is str) or same(before, value)):
                changed.append(key)
        left = len(older) + len(added) - len(newer)
        if _is_hopeless(newer, path, len(changed) + max(len(added), left)):
            return False
        if left:
            self._keys(older, newer, path, added)
        else:
            for key in added:
                self._set("add", f"{path}/{escape(key)}", newer[key])
        for key in changed:
            self.value(older[key], newer[key], f"{path}/{escape(key)}")
        return True

    def _keys(self, older: dict[str, Any], newer: dict[str, Any], path: str, added: list[str]) -> None:
        """Remove keys and add others; a key that only has another name now is moved where that is shorter."""
        gone = {fingerprint(value): key for key, value in older.items() if key not in newer} if added else {}
        left = [key for key in older if key not in newer]
        for key in added:
            target, value = f"{path}/{escape(key)}", newer[key]
            source = gone.pop(fingerprint(value), None)
            if source is None:
                self._set("add", target, value)
            else:
                left.remove(source)
                self._move(f"{path}/{escape(source)}", target)
        for key in left:
            self._remove(f"{path}/{escape(key)}")

    def _list(self, older: list[Any], newer: list[Any], path: str) -> bool:
        """Change a list item by item; False as soon as that is surely longer than the whole."""
        found = align(older, newer, self._identity, rest=True)
        if found.in_place:
            return self._items(older, newer, path, found)
        movers = sum(index >= 0 for index in found.source) - sum(found.stays)
        if movers > limits.JSON_MOVES_MAX:
            found.source = [index if stay else -1 for index, stay in zip(found.source, found.stays, strict=True)]
            movers = 0
        removed = found.removed(len(older))
        if _is_hopeless(newer, path, movers + max(len(removed), found.source.count(-1))):
            return False
        for index in reversed(removed):
            self._remove(f"{path}/{index}")
        if movers:
            self._arrange(found, path, newer)
        else:
            for place, index in enumerate(found.source):
                if index < 0:
                    self._set("add", f"{path}/{place}", newer[place])
        return self._items(older, newer, path, found)

    def _items(self, older: list[Any], newer: list[Any], path: str, found: Alignment) -> bool:
        source = found.source
        changed = [
            place
            for place in range(found.first, len(newer) - found.end)
            if source[place] >= 0 and not same(older[source[place]], newer[place])
        ]
        if _is_hopeless(newer, path, len(changed)):
            return False
        for place in changed:
            self.value(older[source[place]], newer[place], f"{path}/{place}", "replace")
        return True

    def _arrange(self, found: Alignment, path: str, newer: list[Any]) -> None:
        """Add and move, from the first place to the last: what is before `end` is as it should be, but for those that will move."""
        current = sorted(index for index in found.source if index >= 0)
        end = 0
        for place, (index, stay) in enumerate(zip(found.source, found.stays, strict=True)):
            if stay:
                end = current.index(index, end) + 1
                continue
            if index < 0:
                self._set("add", f"{path}/{end}", newer[place])
            else:
                start = current.index(index)
                del current[start]
                end -= start < end
                if start != end:
                    self._move(f"{path}/{start}", f"{path}/{end}")
            current.insert(end, index)
            end += 1

    def _set(self, operation: str, path: str, value: Any) -> None:
        size = _SET + len(operation) + _path_size(path) + size_of(value)
        self._put({"op": operation, "path": path, "value": value}, size)

    def _remove(self, path: str) -> None:
        self._put({"op": "remove", "path": path}, _REMOVE + _path_size(path))

    def _move(self, source: str, path: str) -> None:
        self._put({"op": "move", "from": source, "path": path}, _MOVE + _path_size(source) + _path_size(path))

    def _put(self, operation: Operation, size: int) -> None:
        self.operations.append(operation)
        self._size += size
