"""What the tests of kinds share: parts in memory, a small PNG and a small .npy made by hand, and faults as text."""

from __future__ import annotations

import io
import json
import struct
import zlib
from dataclasses import dataclass

from casstore import kinds

BINARY, JSON, MARKDOWN, NPY, PNG = (
    "application/octet-stream",
    "application/json",
    "text/markdown",
    "application/x-npy",
    "image/png",
)


@dataclass(frozen=True)
class Part:
    """A source as `Piece` wants it, with what it really does and no more."""

    data: bytes
    media_type: str = MARKDOWN

    @property
    def size_bytes(self):
        return len(self.data)

    def open(self):
        return io.BytesIO(self.data)


def as_json(value):
    return Part(json.dumps(value).encode(), JSON)


def chunk(name, data=b""):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_bytes(width=1, height=1):
    rows = zlib.compress(b"".join(b"\0" + b"\x7f" * width for _ in range(height)))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND")


def npy_bytes(shape=(3, 2), descr="<f4", *, data=None, header=None, version=1):
    text = header or f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}"
    frame = 10 if version == 1 else 12  # before the header's text; header and frame together are a multiple of 64 bytes
    text = (text + " " * (-(frame + len(text) + 1) % 64) + "\n").encode("latin-1")
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    size = 4
    for axis in shape:
        size *= axis
    return b"\x93NUMPY" + bytes([version, 0]) + length + text + (b"\0" * size if data is None else data)


PICTURE = Part(png_bytes(), PNG)
TEXT = Part(b"# Text")


def faults(name, /, **parts):
    """All faults of these parts as a kind sees them, as text."""
    return [str(fault) for fault in kinds.check(name, parts)]


def told(relations):
    """Relations as text."""
    return [f"{r.source} {r.name} {r.target}" for r in relations]
