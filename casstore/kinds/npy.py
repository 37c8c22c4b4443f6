"""NumPy's array files (NEP 1), as far as counting rows needs it: the header, read by us, strictly. Nothing is ever unpickled."""

from __future__ import annotations

import math
import re
from collections.abc import Generator
from typing import Final

from casstore import limits
from casstore.kinds.kind import Fault
from casstore.kinds.pieces import Piece

__all__ = ["rows_of"]

_MAGIC: Final = b"\x93NUMPY"
_LENGTH_BYTES: Final = {b"\x01\x00": 2, b"\x02\x00": 4, b"\x03\x00": 4}  # of the header's length, by version
_FIXED_BYTES: Final = len(_MAGIC) + 2 + max(_LENGTH_BYTES.values())
_DTYPE: Final = r"'descr': '[<>|=](?P<kind>[A-Za-z])(?P<size>[0-9]{0,9})'"
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


class _Malformed(ValueError):
    """What is wrong with the file, as it reads on after its name."""


def rows_of(piece: Piece) -> Generator[Fault, None, int | None]:
    """The length of the array's first axis. Where the file is not a whole array of numbers: a fault, and None."""
    try:
        return _rows(piece.head(_FIXED_BYTES + limits.NPY_HEADER_MAX_BYTES), piece.size_bytes)
    except _Malformed as error:
        yield Fault(piece.role, "", str(error))
        return None


def _rows(head: bytes, size_bytes: int) -> int:
    header, begin = _header(head)
    found = _HEADER.fullmatch(header)
    if found is None or None in found.groups():  # no match, or a key is missing and another there twice
        raise _Malformed("has a header that is none of NumPy's")
    if found["size"] not in _SIZES.get(found["kind"], ()):
        raise _Malformed(f"is an array of type {found['kind']}{found['size']}, not of numbers")
    shape = [int(length) for length in re.findall("[0-9]+", found["shape"])]
    if not shape:
        raise _Malformed("is a single number without rows")
    expected = begin + math.prod(shape) * int(found["size"])
    if size_bytes != expected:
        raise _Malformed(f"has {size_bytes} bytes, and its header promises {expected}")
    return shape[0]


def _header(head: bytes) -> tuple[str, int]:
    """The header's text, and where the data begin."""
    version = head[len(_MAGIC) : len(_MAGIC) + 2]
    if not head.startswith(_MAGIC) or version not in _LENGTH_BYTES:
        raise _Malformed("is no .npy file: it does not begin as one")
    start = len(_MAGIC) + 2 + _LENGTH_BYTES[version]
    length = int.from_bytes(head[len(_MAGIC) + 2 : start], "little")
    if length > limits.NPY_HEADER_MAX_BYTES:
        raise _Malformed(f"has a header of {length} bytes, and up to {limits.NPY_HEADER_MAX_BYTES} are read")
    if len(head) < start + length:
        raise _Malformed("ends inside its header")
    return head[start : start + length].decode("latin-1"), start + length
