"""NumPy's array files (NEP 1): the header, read by us, strictly. Nothing is ever unpickled."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

from casstore import limits

__all__ = ["HEAD_BYTES", "Header", "Malformed", "header_of"]

_MAGIC: Final = b"\x93NUMPY"
_LENGTH_BYTES: Final = {b"\x01\x00": 2, b"\x02\x00": 4, b"\x03\x00": 4}  # of the header's length, by version
HEAD_BYTES: Final = (
    len(_MAGIC) + 2 + max(_LENGTH_BYTES.values()) + limits.NPY_HEADER_MAX_BYTES
)  # all there is of a header
_DTYPE: Final = r"'descr': '(?P<endian>[<>|=])(?P<kind>[A-Za-z])(?P<size>[0-9]{0,9})'"
_ORDER: Final = r"'fortran_order': (?P<order>True|False)"
_SHAPE: Final = r"'shape': \((?P<shape>|[0-9]{1,18},|[0-9]{1,18}(?:, [0-9]{1,18}){1,31},?)\)"
_HEADER: Final = re.compile(rf"\{{(?:(?:{_DTYPE}|{_ORDER}|{_SHAPE})(?:, ?)?){{3}}\}} *\n?", re.ASCII)
_SIZES: Final = {  # of one number in bytes, by kind: booleans, integers, floats, complex numbers
    "b": ("1",),
    "i": ("1", "2", "4", "8"),
    "u": ("1", "2", "4", "8"),
    "f": ("2", "4", "8", "12", "16"),
    "c": ("8", "16", "24", "32"),
}


class Malformed(ValueError):
    """What is wrong with the file, as it reads on after its name."""


@dataclass(frozen=True, slots=True)
class Header:
    """What the file says of its array, which is of numbers and has rows."""

    endian: str  # "<", ">", or "|" where there is no order of bytes; "=" is that of whoever reads
    kind: str  # b, i, u, f or c
    size: int  # bytes of a number
    fortran: bool  # the first index changes fastest
    shape: tuple[int, ...]
    begin: int  # where the numbers begin


def header_of(head: bytes, size_bytes: int) -> Header:
    """The header of a file of this size, from its first HEAD_BYTES; raises Malformed unless it is a whole array of numbers."""
    text, begin = _text(head)
    found = _HEADER.fullmatch(text)
    if found is None or None in found.groups():  # no match, or a key is missing and another there twice
        raise Malformed("has a header that is none of NumPy's")
    if found["size"] not in _SIZES.get(found["kind"], ()):
        raise Malformed(f"is an array of type {found['kind']}{found['size']}, not of numbers")
    shape = tuple(int(length) for length in re.findall("[0-9]+", found["shape"]))
    if not shape:
        raise Malformed("is a single number without rows")
    expected = begin + math.prod(shape) * int(found["size"])
    if size_bytes != expected:
        raise Malformed(f"has {size_bytes} bytes, and its header promises {expected}")
    return Header(found["endian"], found["kind"], int(found["size"]), found["order"] == "True", shape, begin)


def _text(head: bytes) -> tuple[str, int]:
    """The header's text, and where the data begin."""
    version = head[len(_MAGIC) : len(_MAGIC) + 2]
    if not head.startswith(_MAGIC) or version not in _LENGTH_BYTES:
        raise Malformed("is no .npy file: it does not begin as one")
    start = len(_MAGIC) + 2 + _LENGTH_BYTES[version]
    length = int.from_bytes(head[len(_MAGIC) + 2 : start], "little")
    if length > limits.NPY_HEADER_MAX_BYTES:
        raise Malformed(f"has a header of {length} bytes, and up to {limits.NPY_HEADER_MAX_BYTES} are read")
    if len(head) < start + length:
        raise Malformed("ends inside its header")
    return head[start : start + length].decode("latin-1"), start + length
