"""JSON contents that are compared: read strictly, within limits, and written again in the style they had."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from json.decoder import JSONDecoder
from typing import Any, Final, Never

from casstore import limits
from casstore.errors import Code, Invalid
from casstore.formats.json.exact import text_of

__all__ = ["Document", "load", "write"]

_BLANKS: Final = b" \t\r\n"
_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")
_INDENT: Final = re.compile(r"\s*[\[{]\r?\n([ \t]+)")


@dataclass(frozen=True, slots=True)
class Document:
    """A content and the value it stands for."""

    text: str
    value: Any
    duplicate: str | None  # a key that some object has twice: the last one counts, as for nearly every reader


class _Unfit(Exception):
    pass


def load(data: bytes) -> Document:
    """Read a JSON text in UTF-8, UTF-16 or UTF-32, with or without a byte order mark.

    Raises Invalid: bad_json of what is no JSON, has a lone surrogate, or an integer of more digits than Python converts;
    not_comparable of more than `limits.COMPARED_MAX_BYTES`, more than `limits.JSON_MAX_DEPTH` levels, or a number no binary64
    comes near.
    """
    if len(data) > limits.COMPARED_MAX_BYTES:
        _refuse(f"the content has {len(data)} bytes; compared are at most {limits.COMPARED_MAX_BYTES}")
    try:
        text = data.decode(json.detect_encoding(data))
        value = _DECODER.decode(text)
        if _SURROGATE.search(text):
            text_of(value).encode()
    except RecursionError as error:
        raise Invalid(Code.NOT_COMPARABLE, f"the content has more than {limits.JSON_MAX_DEPTH} levels") from error
    except _Unfit as error:
        raise Invalid(Code.NOT_COMPARABLE, f"the content {error}", hint="Compare it as text.") from error
    except UnicodeEncodeError as error:
        fault = f"the content has a lone surrogate ({error.object[error.start]!a}), which is no Unicode text"
        raise Invalid(Code.BAD_JSON, fault, hint="Compare it as bytes.") from error
    except ValueError as error:  # not JSON, not of its encoding, or an integer of more digits than Python converts
        raise Invalid(Code.BAD_JSON, f"the content is not JSON: {error}", hint="Compare it as text.") from error
    keys = _count_keys(value)
    return Document(text, value, None if _count_members(text) == keys else _find_duplicate(text))


def write(value: Any, like: str) -> bytes:
    """The value as UTF-8: indented as that text is, and ending as it does; compact where it is no indented text."""
    found = _INDENT.match(like)
    if found:
        indent = found[1]
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, check_circular=False, indent=indent)
    else:
        text = text_of(value)
    return (text + ("\n" if like.endswith("\n") else "")).encode()


def _count_keys(value: Any) -> int:
    """Of all objects together; raises Invalid where they are nested too deeply."""
    keys = depth = 0
    level = [value]
    while level:
        if depth > limits.JSON_MAX_DEPTH:
            _refuse(f"the content has more than {limits.JSON_MAX_DEPTH} levels")
        below: list[Any] = []
        for node in level:
            kind = type(node)
            if kind is dict:
                keys += len(node)
                below.extend(node.values())
            elif kind is list:
                below.extend(node)
        level = below
        depth += 1
    return keys


def _count_members(text: str) -> int | None:
    """How many members all objects have as they are written, a key that is there twice counted twice; None where it is not certain.

    A quotation mark before a colon ends a key, unless it is escaped, and so in the midst of a string.
    """
    packed = text.encode().translate(None, _BLANKS)
    if b"\\" not in packed:
        return packed.count(b'":')
    if b'\\\\":' in packed:
        return None  # a backslash that is escaped itself
    return packed.count(b'":') - packed.count(b'\\":')


def _find_duplicate(text: str) -> str | None:
    """A key given twice in one object. Asked only where counting the keys leaves it open."""
    found: list[str] = []

    def look(pairs: list[tuple[str, Any]]) -> None:
        if len(dict(pairs)) != len(pairs) and not found:
            seen: set[str] = set()
            found.extend(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]

    JSONDecoder(object_pairs_hook=look).decode(text)
    return found[0] if found else None


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise _Unfit(f"has the number {digits:.40}, which is beyond the range of binary64")
    return number


def _no_constant(name: str) -> Never:
    raise ValueError(f"{name} is no JSON number")


def _refuse(fault: str) -> Never:
    raise Invalid(Code.NOT_COMPARABLE, fault, hint="Compare it as text, or download both.")


_DECODER: Final = JSONDecoder(parse_float=_finite, parse_constant=_no_constant)
