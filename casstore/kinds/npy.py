"""How many rows a component has that is one of NumPy's array files."""

from __future__ import annotations

from collections.abc import Generator

from casstore.formats import npy
from casstore.kinds.kind import Fault
from casstore.kinds.pieces import Piece

__all__ = ["rows_of"]


def rows_of(piece: Piece) -> Generator[Fault, None, int | None]:
    """The length of the array's first axis. Where the file is not a whole array of numbers: a fault, and None."""
    try:
        return npy.header_of(piece.head(npy.HEAD_BYTES), piece.size_bytes).shape[0]
    except npy.Malformed as error:
        yield Fault(piece.role, "", str(error))
        return None
