"""JSON Patch (RFC 6902), strictly: all six operations, all of a patch or nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, Never

from casstore import limits
from casstore.errors import Code, Invalid
from casstore.formats.json import values
from casstore.formats.json.exact import size_of

__all__ = ["apply_patch"]

_POINTER: Final = re.compile(r"(/([^~/]|~[01])*)*", re.DOTALL)
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)
Steps = list[str]


def apply_patch(value: Any, patch: Any) -> Any:
    """What the patch makes of the value, which is changed in place; raises Invalid (bad_patch), naming the operation.

    On failure nothing can be said of `value`: hand in one of your own. Nothing of the patch is shared with the result.
    """
    if not isinstance(patch, list):
        raise Invalid(Code.BAD_PATCH, "a patch is a list of operations (RFC 6902)")
    state = _State(value)
    for number, operation in enumerate(patch):
        state.number = number
        state.take(operation)
    return state.root


class _State:
    """A value on its way. Errors name the operation they came from."""

    def __init__(self, root: Any) -> None:
        self.root = root
        self.number = 0
        self._copied_bytes = 0

    def take(self, operation: Any) -> None:
        """Do one operation."""
        if not isinstance(operation, dict):
            self._refuse("is not an object")
        name = operation.get("op")
        act = _ACTS.get(name) if isinstance(name, str) else None
        if act is None:
            self._refuse(f"has the op {name!a:.40}, which RFC 6902 does not know")
        act(self, operation, self._steps(operation, "path"))

    def add(self, operation: dict[str, Any], steps: Steps) -> None:
        """Insert an item, or set a member."""
        self._insert(steps, self._value(operation))

    def remove(self, _: dict[str, Any], steps: Steps) -> None:
        """Take out what is there."""
        self._take_out(steps)

    def replace(self, operation: dict[str, Any], steps: Steps) -> None:
        """Set what is there to something else."""
        value = self._value(operation)
        if not steps:
            self.root = value
            return
        self._find(steps)
        parent = self._find(steps[:-1])
        parent[int(steps[-1]) if isinstance(parent, list) else steps[-1]] = value

    def move(self, operation: dict[str, Any], steps: Steps) -> None:
        """Take out here, insert there."""
        source = self._steps(operation, "from")
        if steps[: len(source)] == source:
            if len(steps) > len(source):
                self._refuse("moves a value into itself")
            self._find(source)
            return
        self._insert(steps, self._take_out(source))

    def copy(self, operation: dict[str, Any], steps: Steps) -> None:
        """Insert there what is here too."""
        value = self._find(self._steps(operation, "from"))
        self._copied_bytes += size_of(value)
        if self._copied_bytes > limits.COMPARED_MAX_BYTES:
            self._refuse(f"copies more than {limits.COMPARED_MAX_BYTES} bytes, with those before it")
        self._insert(steps, values.decode(values.encode(value)))

    def test(self, operation: dict[str, Any], steps: Steps) -> None:
        """Go on only where this is there; 1 and 1.0 are equal here, says RFC 6902."""
        if not _equal(self._find(steps), self._value(operation)):
            self._refuse("tests for another value than is there")

    def _value(self, operation: dict[str, Any]) -> Any:
        if "value" not in operation:
            self._refuse("has no value")
        try:
            return values.decode(values.encode(operation["value"]))
        except Invalid as error:
            raise Invalid(Code.BAD_PATCH, f"operation {self.number} of the patch: {error.message}") from error

    def _steps(self, operation: dict[str, Any], member: str) -> Steps:
        pointer = operation.get(member)
        if not isinstance(pointer, str) or not _POINTER.fullmatch(pointer):
            self._refuse(f"has the {member} {pointer!a:.80}, which is no JSON pointer")
        return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]

    def _find(self, steps: Steps) -> Any:
        node = self.root
        for step in steps:
            if isinstance(node, dict) and step in node:
                node = node[step]
            elif isinstance(node, list):
                node = node[self._index(step, len(node) - 1)]
            else:
                self._refuse(f"has a path to what is not there: {step!a:.80}")
        return node

    def _insert(self, steps: Steps, value: Any) -> None:
        if not steps:
            self.root = value
            return
        parent = self._find(steps[:-1])
        if isinstance(parent, dict):
            parent[steps[-1]] = value
        elif isinstance(parent, list):
            parent.insert(len(parent) if steps[-1] == "-" else self._index(steps[-1], len(parent)), value)
        else:
            self._refuse(f"has a path into what has no parts: {steps[-1]!a:.80}")

    def _take_out(self, steps: Steps) -> Any:
        if not steps:
            self._refuse("removes the whole document")
        value = self._find(steps)
        parent = self._find(steps[:-1])
        del parent[int(steps[-1]) if isinstance(parent, list) else steps[-1]]
        return value

    def _index(self, step: str, last: int) -> int:
        if not _INDEX.fullmatch(step) or int(step) > last:
            self._refuse(f"has {step!a:.40} for an index, and the last one here is {last}")
        return int(step)

    def _refuse(self, fault: str) -> Never:
        hint = "A patch applies to the content it was made from."
        raise Invalid(Code.BAD_PATCH, f"operation {self.number} of the patch {fault}", hint=hint, operation=self.number)


_ACTS: Final[dict[str, Callable[[_State, dict[str, Any], Steps], None]]] = {
    "add": _State.add,
    "remove": _State.remove,
    "replace": _State.replace,
    "move": _State.move,
    "copy": _State.copy,
    "test": _State.test,
}


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)
