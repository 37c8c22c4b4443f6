"""JSON values as bytes and back, without losing anything: what would not come back equal is refused, with its place.

Strictly RFC 8259: no NaN or Infinity, keys are strings, strings are Unicode (no lone surrogates). Integers are exact,
up to the length Python converts (`sys.get_int_max_str_digits`: 4,300 digits if nobody changed it).
"""

from __future__ import annotations

import json
import math
from typing import Any

from casstore import limits
from casstore.errors import Code, Invalid

__all__ = ["decode", "encode"]

_CERTAIN_BITS = 2_048  # such an integer has under 640 digits, the least that Python's limit can be set to
_HINT = "Convert it first, or store your own serialisation as bytes."


def encode(value: Any, *, sort_keys: bool = False) -> bytes:
    """The UTF-8 bytes of a JSON value, compact, keys in their own order or sorted; raises Invalid (bad_json) naming the path."""
    _check(value)
    text = json.dumps(
        value, ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":"), sort_keys=sort_keys
    )
    return text.encode()


def decode(data: bytes) -> Any:
    """The value these bytes stand for; raises Invalid (bad_json) if they are no JSON text."""
    try:
        return json.loads(data, parse_constant=_no_constant)
    except RecursionError as error:
        raise Invalid(Code.BAD_JSON, "the content is nested too deeply to be read as JSON") from error
    except ValueError as error:  # not JSON, not UTF-8, or an integer of more digits than Python converts
        raise Invalid(Code.BAD_JSON, f"the content is not JSON: {error}", hint="Read it as bytes or text.") from error


def _check(value: Any) -> None:
    """Walk without recursion, so that depth is our limit and not the interpreter's."""
    todo: list[tuple[Any, tuple[str | int, ...]]] = [(value, ())]
    while todo:
        node, path = todo.pop()
        if len(path) > limits.JSON_MAX_DEPTH:
            _refuse(path, f"is nested more than {limits.JSON_MAX_DEPTH} levels deep")
        match node:
            case None | str() | int() | float():
                _check_scalar(node, path)
            case dict():
                for key, child in node.items():
                    if not isinstance(key, str):
                        _refuse(path, f"has the key {key!r} of type {type(key).__name__}; JSON keys are strings")
                    _check_text(key, path)
                    todo.append((child, (*path, key)))
            case list():
                todo.extend((child, (*path, index)) for index, child in enumerate(node))
            case _:
                _refuse(path, f"is a {type(node).__name__}, which would not come back as one")


def _check_scalar(value: Any, path: tuple[str | int, ...]) -> None:
    if isinstance(value, str):
        _check_text(value, path)
    elif isinstance(value, float) and not math.isfinite(value):
        _refuse(path, f"is {value}, which JSON does not have")
    elif isinstance(value, int) and value.bit_length() > _CERTAIN_BITS:
        try:
            int.__repr__(value)
        except ValueError:
            _refuse(path, "is an integer of more digits than Python converts to text")


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _check_text(text: str, path: tuple[str | int, ...]) -> None:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            _refuse(path, f"has a lone surrogate ({text[error.start]!a}), which is no Unicode text")


def _refuse(path: tuple[str | int, ...], fault: str) -> None:
    place = "$" + "".join(f"[{step!a}]" for step in path[:20]) + ("…" if len(path) > 20 else "")  # noqa: PLR2004
    raise Invalid(Code.BAD_JSON, f"the value at {place} {fault}", hint=_HINT, path=place)
