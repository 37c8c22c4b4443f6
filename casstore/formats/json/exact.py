"""Whether two JSON values are the same with their types, and how long one is as text. In C where it can be: it is asked often."""

from __future__ import annotations

import json
import marshal
from collections.abc import Iterable
from json.encoder import encode_basestring
from math import isfinite
from typing import Any, Final

__all__ = ["alike", "fingerprint", "outweigh", "same", "size_of", "text_of"]

_PLAIN: Final = 2  # the last version of marshal's form in which equal values have equal bytes: later ones refer back
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":")).encode


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal, where 1, 1.0 and true differ, and 0.0 and -0.0; the order of keys does not count."""
    return one is other or (one == other and alike(one, other))


def alike(one: Any, other: Any) -> bool:
    """Whether two values that are equal to Python are the same."""
    kind = type(one)
    if kind is str or one is other:
        return True
    if kind is not type(other):
        return False
    if kind is int or kind is bool:
        return True
    # Its bytes have the types; where these differ it may be the order of keys alone.
    return marshal.dumps(one, _PLAIN) == marshal.dumps(other, _PLAIN) or (kind is not float and _same_types(one, other))


def _same_types(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return all(_same_types(value, other[key]) for key, value in one.items())
    if isinstance(one, list):
        return all(map(_same_types, one, other))
    return not isinstance(one, float) or repr(one) == repr(other)


def fingerprint(value: Any) -> Any:
    """Something to hash that is equal only for values that are the same; the order of keys does count."""
    kind = type(value)
    return value if kind is str else (kind, value) if kind is int else marshal.dumps(value, _PLAIN)


def text_of(value: Any) -> str:
    """The value as compact JSON; raises ValueError of a number that JSON does not have."""
    return _encode(value)


def size_of(value: Any) -> int:
    """How many bytes the value has as compact JSON."""
    kind = type(value)
    if kind is str:
        text = encode_basestring(value)
    elif kind is int or (kind is float and isfinite(value)):
        return len(repr(value))
    else:
        text = _encode(value)
    return len(text) if text.isascii() else len(text.encode())


def outweigh(values: Iterable[Any], bound: int) -> bool:
    """Whether these values as compact JSON surely have more than so many bytes. Looks at no more of them than it has to."""
    todo = list(values)
    left = bound
    while todo and left >= 0:
        node = todo.pop()
        kind = type(node)
        if kind is str:
            left -= len(node) + 2
        elif kind is dict:
            left -= 1 + 2 * len(node)
            todo.extend(node)  # each key is as long as a string
            todo.extend(node.values())
        elif kind is list:
            left -= 1 + len(node)
            todo.extend(node)
        else:
            left -= 1
    return left < 0
