"""The chunks of a PNG: there, whole, in order, and consistent with each other. Nothing is inflated here.

After the Third Edition, sections 5 (structure), 11.2 (critical chunks), 11.3.1 (tRNS) and 13.2 (errors). Of the ancillary
chunks only tRNS has a say in which pixels are seen, so it is held to the rules of critical ones; the content and the order
of all others (text, gamma, colour profiles, time, …) are not looked at.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NoReturn

from casstore import limits
from casstore.errors import Code, Invalid
from casstore.formats.png.faults import refuse

__all__ = ["SIGNATURE", "Chunk", "Datastream", "Header", "read"]

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_FRAME_BYTES: Final = 12  # of a chunk around its data: length, type, CRC
_IHDR: Final = struct.Struct(">IIBBBBB")
_DEPTHS: Final = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}  # by colour type
_CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_PALETTE: Final = 3
_WIDE: Final = 16  # bits of the deeper samples


@dataclass(frozen=True, slots=True)
class Chunk:
    """One chunk, its data not copied."""

    kind: str
    offset: int  # of its length field, from the beginning of the PNG
    data: memoryview
    intact: bool  # the CRC is right

    @property
    def decides_pixels(self) -> bool:
        """Whether the picture would be another without it: all critical chunks, and tRNS."""
        return self.kind[0].isupper() or self.kind == "tRNS"

    def refuse(self, fault: str) -> NoReturn:
        """Raise Invalid (bad_picture), naming this chunk."""
        refuse(self.kind, self.offset, fault)


@dataclass(frozen=True, slots=True)
class Header:
    """IHDR: only combinations of section 11.2.1, within our limits."""

    width: int
    height: int
    bit_depth: int
    colour_type: int
    interlaced: bool

    @property
    def channels(self) -> int:
        """Samples of a pixel, as stored."""
        return _CHANNELS[self.colour_type]

    @property
    def planes(self) -> int:
        """Bytes of a sample as shown: 1, or 2 where it is stored with 16 bits."""
        return 2 if self.bit_depth == _WIDE else 1

    @property
    def filter_bytes(self) -> int:
        """Bytes of a pixel as filters count them, in one plane: packed samples are filtered by whole bytes (section 9.2)."""
        return max(1, self.channels * self.bit_depth // 8 // self.planes)

    @property
    def shown_bytes(self) -> int:
        """Bytes of a pixel when it is decoded, to RGBA."""
        return 4 * self.planes

    @property
    def indexed(self) -> bool:
        """Whether the samples are indices into the palette."""
        return self.colour_type == _PALETTE


@dataclass(slots=True)
class Datastream:
    """What of a PNG decides its pixels, and what is odd about the rest."""

    header: Header
    palette: bytes = b""  # three bytes an entry; empty unless the picture is indexed
    transparency: bytes = b""  # tRNS: an alpha for each of the first entries, or the transparent colour
    image_data: list[Chunk] = field(default_factory=list)
    notes: tuple[str, ...] = ()


def read(data: bytes) -> Datastream:
    """Take a PNG apart; raises Invalid (bad_picture). The image data is found, not looked into."""
    if not data.startswith(SIGNATURE):
        _refuse_foreign(data)
    notes: list[str] = []
    found = _chunks(data, notes)
    stream = Datastream(_header(next(found)))
    seen = {"IHDR"}
    last = "IHDR"
    for chunk in found:
        if not chunk.intact:
            _meet_damage(chunk, notes)
        _place(stream, chunk, seen, last)
        if chunk.kind == "acTL" and chunk.kind not in seen:
            notes.append("the picture is animated; only its default image is looked at")
        seen.add(chunk.kind)
        last = chunk.kind
    stream.notes = _bounded(notes)
    return stream


def _chunks(data: bytes, notes: list[str]) -> Iterator[Chunk]:
    """Each chunk to IEND, and a note if anything follows it: real pictures have such bytes, and every viewer ignores them."""
    view = memoryview(data)
    offset = len(SIGNATURE)
    for _ in range(limits.PICTURE_CHUNKS_MAX):
        chunk = _chunk(view, offset)
        offset += _FRAME_BYTES + len(chunk.data)
        yield chunk
        if chunk.kind == "IEND":
            if offset < len(data):
                notes.append(f"{len(data) - offset} bytes after the end, at byte {offset}, are no part of the picture")
            return
    refuse("chunk", offset, f"is one more than the {limits.PICTURE_CHUNKS_MAX} a picture may have")


def _chunk(view: memoryview, offset: int) -> Chunk:
    """The chunk that begins here (sections 5.3 to 5.5)."""
    left = len(view) - offset
    if left < _FRAME_BYTES:
        refuse("next chunk", offset, "is cut off" if left else "is missing: there is no IEND")
    length, name = struct.unpack_from(">I4s", view, offset)
    if not (name.isascii() and name.isalpha()):
        refuse("next chunk", offset, f"has {name!r} for a type")
    kind = name.decode()
    if length > left - _FRAME_BYTES:
        refuse(kind, offset, f"is cut off: {length} bytes of data, but {left - _FRAME_BYTES} are left")
    body = view[offset + 4 : offset + 8 + length]
    (crc,) = struct.unpack_from(">I", view, offset + 8 + length)
    return Chunk(kind, offset, body[4:], zlib.crc32(body) == crc)


def _header(chunk: Chunk) -> Header:
    """IHDR (section 11.2.1), which is first."""
    if chunk.kind != "IHDR":
        chunk.refuse("is where IHDR should be")
    if not chunk.intact:
        chunk.refuse("has a wrong CRC")
    if len(chunk.data) != _IHDR.size:
        chunk.refuse(f"has {len(chunk.data)} bytes of data, not {_IHDR.size}")
    width, height, depth, colour, compression, filtering, interlace = _IHDR.unpack(chunk.data)
    if not (0 < width < 2**31 and 0 < height < 2**31):
        chunk.refuse(f"says {width} x {height} pixels; both are 1 to 2,147,483,647")
    if depth not in _DEPTHS.get(colour, ()):
        chunk.refuse(f"says colour type {colour} with {depth} bits, which PNG does not have")
    if compression or filtering or interlace > 1:
        chunk.refuse(f"says compression {compression}, filter {filtering}, interlace {interlace}, not 0, 0, 0 or 1")
    header = Header(width, height, depth, colour, interlace == 1)
    _check_bounds(chunk, header)
    return header


def _check_bounds(chunk: Chunk, header: Header) -> None:
    size = f"is of {header.width} x {header.height} pixels"
    most = limits.PICTURE_DECODED_BYTES_MAX // header.shown_bytes
    if max(header.width, header.height) > limits.PICTURE_SIDE_MAX:
        chunk.refuse(f"{size}; no side may be longer than {limits.PICTURE_SIDE_MAX:,}")
    if header.width * header.height > most:
        chunk.refuse(f"{size}; of this bit depth there may be {most:,} in all")


def _meet_damage(chunk: Chunk, notes: list[str]) -> None:
    if chunk.decides_pixels:
        chunk.refuse("has a wrong CRC")
    notes.append(f"{chunk.kind} at byte {chunk.offset} has a wrong CRC")


def _place(stream: Datastream, chunk: Chunk, seen: set[str], last: str) -> None:
    """Take what decides the pixels, in the order of section 5.6."""
    match chunk.kind:
        case "IDAT":
            if "IDAT" in seen and last != "IDAT":
                chunk.refuse("does not follow the other IDAT")
            if stream.header.indexed and not stream.palette:
                chunk.refuse("is there before any PLTE, but the pixels are indices into it")
            stream.image_data.append(chunk)
        case "PLTE" | "tRNS":
            if chunk.kind in seen or "IDAT" in seen:
                chunk.refuse("is there twice" if chunk.kind in seen else "follows IDAT")
            _take_colours(stream, chunk, seen)
        case "IEND":
            if "IDAT" not in seen or chunk.data:
                chunk.refuse(f"has {len(chunk.data)} bytes of data" if chunk.data else "is there before any IDAT")
        case _ if chunk.decides_pixels:
            chunk.refuse("is there twice" if chunk.kind in seen else "is a critical chunk that nobody here can read")


def _take_colours(stream: Datastream, chunk: Chunk, seen: set[str]) -> None:
    if chunk.kind == "tRNS":
        _check_transparency(stream, chunk)
        stream.transparency = bytes(chunk.data)
        return
    _check_palette(stream.header, chunk, seen)
    if stream.header.indexed:
        stream.palette = bytes(chunk.data)


def _check_palette(header: Header, chunk: Chunk, seen: set[str]) -> None:
    """PLTE (section 11.2.2). Beside truecolour it is a suggestion only, which no digest counts."""
    entries, rest = divmod(len(chunk.data), 3)
    most = 2**header.bit_depth if header.indexed else 256
    if header.channels < 3 and not header.indexed:  # noqa: PLR2004 - grey, with or without alpha
        chunk.refuse("is beside grey pixels, which have no palette")
    if rest or not 1 <= entries <= most:
        chunk.refuse(f"has {len(chunk.data)} bytes of data, not three for each of 1 to {most} colours")
    if "tRNS" in seen:
        chunk.refuse("follows tRNS")


def _check_transparency(stream: Datastream, chunk: Chunk) -> None:
    """The tRNS chunk (section 11.3.1.1)."""
    size = len(chunk.data)
    match stream.header.colour_type:
        case 0 | 2:
            expected = 2 * stream.header.channels
            if size != expected:
                chunk.refuse(f"has {size} bytes of data; the transparent colour has {expected}")
        case 3:
            entries = len(stream.palette) // 3
            if not 1 <= size <= entries:
                chunk.refuse(f"has {size} bytes of data; the palette before it has {entries} colours")
        case _:
            chunk.refuse("is beside an alpha channel")


def _bounded(notes: list[str]) -> tuple[str, ...]:
    most = limits.PICTURE_NOTES_MAX
    more = [f"and {len(notes) - most} notes more"] if len(notes) > most else []
    return (*notes[:most], *more)


def _refuse_foreign(data: bytes) -> NoReturn:
    fault = f"begins with {data[:8].hex(' ')}, not with the signature of PNG" if data else "is empty"
    raise Invalid(
        Code.BAD_PICTURE, f"the picture {fault}", hint="Convert it to PNG, or store it with its own media type."
    )
