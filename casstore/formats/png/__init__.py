"""PNG pictures: whether the bytes are one, whole, and which picture it is, however it was encoded. Pure functions.

What is checked is the W3C Recommendation "Portable Network Graphics (PNG) Specification (Third Edition)", 24 June 2025; the
sections are named where they are applied. Faults are Invalid (bad_picture), with the chunk and the byte where it begins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from blake3 import blake3

from casstore import limits
from casstore.formats.png import chunks
from casstore.formats.png.base64 import decode_base64
from casstore.model import Digest

__all__ = ["Picture", "decode_base64", "inspect"]


@dataclass(frozen=True, slots=True)
class Picture:
    """What a PNG shows and how it keeps it."""

    width: int  # pixels
    height: int  # pixels
    bit_depth: int  # of a sample, or of an index into the palette, as stored
    colour_type: int  # as stored: 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGBA
    pixels: Digest  # of what a viewer shows; `casstore.formats.png.pixels` defines it
    notes: tuple[str, ...]  # what is odd about the file and does no harm, for people


_remembered: Final[dict[Digest, Picture]] = {}  # to decode a picture takes some hundred times as long as to hash it


def inspect(data: bytes, *, apart: bytes | None = None) -> Picture:
    """Check all of a PNG, image data included, and digest its pixels; raises Invalid (bad_picture).

    Refused are pictures above `limits.PICTURE_SIDE_MAX` or `limits.PICTURE_DECODED_BYTES_MAX`, before anything is inflated.
    Noted are ancillary chunks with a wrong CRC, bytes after the end, and that of an animation only the default image counts.
    What was found in the last pictures is remembered by their digests: with `apart`, a key of 32 bytes, only for who has the same,
    so that nobody else can tell by the time it takes.
    """
    digest = Digest(blake3(data, key=apart).digest()) if apart else Digest.of(data)
    picture = _remembered.pop(digest, None) or _inspected(data)
    _remembered[digest] = picture  # at the end: the one that was not asked for the longest is forgotten first
    while len(_remembered) > limits.PICTURES_REMEMBERED:
        _remembered.pop(next(iter(_remembered)), None)
    return picture


def _inspected(data: bytes) -> Picture:
    from casstore.formats.png import pixels  # noqa: PLC0415 - only a picture needs Pillow

    stream = chunks.read(data)
    header = stream.header
    return Picture(
        width=header.width,
        height=header.height,
        bit_depth=header.bit_depth,
        colour_type=header.colour_type,
        pixels=pixels.digest(stream),
        notes=stream.notes,
    )
