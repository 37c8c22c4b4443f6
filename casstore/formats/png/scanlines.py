"""The image data of a PNG, inflated piece by piece to exactly the scanlines that the header announces.

After the Third Edition, sections 7.2 (scanlines), 8.1 (interlacing), 9.2 (filter types) and 10 (compression).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from casstore import limits
from casstore.formats.png.chunks import Chunk, Datastream, Header

__all__ = ["Pass", "Strip", "strips"]

_ADAM7: Final = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_LAST_FILTER: Final = 4  # none, sub, up, average, Paeth


@dataclass(frozen=True, slots=True)
class Pass:
    """Which pixels of the picture are stored together: all, or those of one pass of Adam7."""

    x: int  # of the first column
    y: int  # of the first row
    dx: int  # from one column to the next
    dy: int
    width: int  # columns
    height: int  # rows
    row_bytes: int  # without the filter type


@dataclass(frozen=True, slots=True)
class Strip:
    """Some consecutive rows of one pass, each with its filter type in front, which is valid."""

    of: Pass
    first: int  # row of the pass
    rows: list[bytes]


def strips(stream: Datastream) -> Iterator[Strip]:
    """All rows of all passes; raises Invalid (bad_picture) unless the image data is exactly these.

    A strip is as many rows as fit, when they are decoded, into `limits.CHUNK_BYTES`, and one at least.
    """
    image_data = _ImageData(stream.image_data)
    for each in _passes(stream.header):
        size = 1 + each.row_bytes
        step = max(1, limits.CHUNK_BYTES // (stream.header.shown_bytes * each.width))
        for first in range(0, each.height, step):
            data = image_data.take(size * min(step, each.height - first))
            image_data.check_filters(data[::size], first)
            yield Strip(each, first, [data[at : at + size] for at in range(0, len(data), size)])
    image_data.finish()


def _passes(header: Header) -> Iterator[Pass]:
    """The passes that have any pixels."""
    for x, y, dx, dy in _ADAM7 if header.interlaced else ((0, 0, 1, 1),):
        width, height = -((x - header.width) // dx), -((y - header.height) // dy)
        if width > 0 and height > 0:
            yield Pass(x, y, dx, dy, width, height, -(-width * header.channels * header.bit_depth // 8))


class _ImageData:
    """The zlib stream in consecutive IDAT chunks. Never more is inflated than was asked for."""

    def __init__(self, chunks: list[Chunk]) -> None:
        self._inflater = zlib.decompressobj()
        self._pieces = _pieces(chunks)
        self._input: bytes | memoryview = b""  # not yet consumed
        self._chunk = chunks[0]  # the one being read
        self._inflated = 0  # bytes

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        taken = bytearray()
        while len(taken) < size:
            more = self._inflate(size - len(taken))
            if not more and not self._feed():
                self._chunk.refuse(f"is the last, but the image data ends after {self._inflated} bytes")
            taken += more
        return bytes(taken)

    def check_filters(self, types: bytes, first: int) -> None:
        """Refuse filter types that PNG does not have, in the rows from `first`."""
        for row, kind in enumerate(types, first):
            if kind > _LAST_FILTER:
                self._chunk.refuse(f"or one before it has filter type {kind} in row {row} of a pass; there are 0 to 4")

    def finish(self) -> None:
        """Refuse anything beyond the bytes taken, and a stream without its checksum."""
        while not self._inflate(1):
            if not self._feed():
                break
        else:
            self._chunk.refuse(f"has more image data than the {self._inflated - 1} bytes of the picture")
        if not self._inflater.eof:
            self._chunk.refuse("is the last, but the image data has no end")
        if self._inflater.unused_data:
            self._chunk.refuse("has bytes after the end of the image data")

    def _inflate(self, most: int) -> bytes:
        """What the input at hand gives, up to `most` bytes; empty when more input is needed."""
        try:
            data = self._inflater.decompress(self._input, most)
        except zlib.error as error:
            self._chunk.refuse(f"has no sound zlib stream: {error}")
        self._input = self._inflater.unconsumed_tail
        self._inflated += len(data)
        return data

    def _feed(self) -> bool:
        """Take up the next piece of input, if there is one."""
        piece = next(self._pieces, None)
        if piece is None:
            return False
        self._chunk, self._input = piece
        if self._inflater.eof:
            self._chunk.refuse("goes on after the end of the image data")
        return True


def _pieces(chunks: list[Chunk]) -> Iterator[tuple[Chunk, memoryview]]:
    """The input, in pieces so small that copying what zlib leaves of one costs nothing."""
    for chunk in chunks:
        for at in range(0, len(chunk.data), limits.INLINE_BYTES):
            yield chunk, chunk.data[at : at + limits.INLINE_BYTES]
