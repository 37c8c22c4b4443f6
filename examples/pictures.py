"""A bar chart as a PNG, of the standard library alone: what stands in for visual generation in these examples."""

from __future__ import annotations

import base64
import struct
import zlib

BAR, GAP, HEIGHT = 24, 8, 96  # pixels
WHITE, BLUE = b"\xff\xff\xff", b"\x2f\x6f\xb7"


def chart(values: list[int], title: str) -> dict[str, object]:
    """The chart of these values, in the shape in which pictures stand in results."""
    return {"title": title, "format": "png", "image_base64": base64.b64encode(bar_chart(values)).decode()}


def bar_chart(values: list[int]) -> bytes:
    """The PNG: 8-bit RGB, a bar for each value, the highest as high as the picture."""
    top = max(values)
    rows = []
    for y in range(HEIGHT):
        bars = ((BLUE if value * HEIGHT >= (HEIGHT - y) * top else WHITE) * BAR + WHITE * GAP for value in values)
        rows.append(b"\0" + b"".join(bars))
    header = struct.pack(">IIBBBBB", len(values) * (BAR + GAP), HEIGHT, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"".join(rows))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
