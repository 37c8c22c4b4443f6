"""The pixel digest: which picture a PNG shows, however it was encoded.

It is the BLAKE3 of a canonical form: the ASCII text `casstore/picture/1` and a line feed; width, height and bits (8 or 16)
as unsigned big-endian numbers of four bytes; then every pixel as red, green, blue and alpha, by rows from the top left, each
sample one byte, or two, big-endian. What counts is what a viewer shows:

- Grey is three equal samples; 1, 2 and 4 bits are scaled to 8 exactly (times 255, 85, 17). An index is its palette's colour.
- Where nothing is said of alpha, it is opaque. A colour that tRNS calls transparent has alpha 0, and others are opaque.
- Colour that cannot be seen does not count: where alpha is 0, all samples are 0.
- 16 bits are kept. If each sample of the picture is one byte twice (v times 257), it is the same picture as with 8 bits.
- Gamma, chromaticities, colour profiles, physical size, background and text do not count.

After the Third Edition of PNG, sections 6 (colour types, alpha), 9.2 (filters), 11.3.1.1 (tRNS) and 13.12 (sample depth).
Pillow undoes the filters and unpacks samples, in C; it only sees PNGs made here, of 8-bit samples, one strip of rows
at a time. A 16-bit picture, which Pillow would truncate, is two of 8 bits: filters work on bytes, each by its distance from
the same byte of the pixel before, so the high bytes and the low bytes of all samples are pictures of their own.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from functools import reduce
from typing import Final

from blake3 import blake3
from PIL import Image, ImageChops
from PIL.PngImagePlugin import PngImageFile

from casstore import limits
from casstore.formats.png.chunks import SIGNATURE, Datastream
from casstore.formats.png.scanlines import Strip, strips
from casstore.model import Digest

__all__ = ["digest", "planes_of"]

_PREAMBLE: Final = struct.Struct(">19sIII")
_NAME: Final = b"casstore/picture/1\n"
_PIXEL_BYTES: Final = 4  # of one plane
_COLOUR_TYPE: Final = {1: 0, 2: 4, 3: 2, 4: 6}  # with so many bytes a pixel
_MODE: Final = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}  # Pillow's name for it
_NOTHING: Final = (0, 0, 0, 0)  # the pixel that is not seen
_WHITE: Final = 255
_BYTE: Final = 8  # bits

Planes = list[bytes]  # RGBA of 8 bits; of 16 bits first the high bytes of all samples, then the low ones


def digest(stream: Datastream) -> Digest:
    """Decode the picture and digest what it shows; raises Invalid (bad_picture) if its image data is not sound."""
    header = stream.header
    narrow, wide = (blake3(_PREAMBLE.pack(_NAME, header.width, header.height, bits)) for bits in (8, 16))
    is_wide = False
    for planes in _from_the_top(stream):
        narrow.update(planes[0])
        if len(planes) > 1:
            wide.update(_interleaved(planes))
            is_wide = is_wide or planes[0] != planes[1]
    return Digest((wide if is_wide else narrow).digest())


def planes_of(stream: Datastream) -> list[bytearray]:
    """All canonical pixels as RGBA of 8 bits; of 16 bits first the high bytes of all samples, then the low ones."""
    whole = [bytearray() for _ in range(stream.header.planes)]
    for planes in _from_the_top(stream):
        for canvas, plane in zip(whole, planes, strict=True):
            canvas.extend(plane)
    return whole


def _interleaved(planes: Planes) -> bytearray:
    samples = bytearray(2 * len(planes[0]))
    samples[0::2], samples[1::2] = planes
    return samples


def _from_the_top(stream: Datastream) -> Iterator[Planes]:
    """All pixels by rows, in pieces. An interlaced picture is put together first, so it is in memory as a whole."""
    header = stream.header
    if not header.interlaced:
        for _, planes in _decoded(stream):
            yield planes
        return
    canvases = [bytearray(_PIXEL_BYTES * header.width * header.height) for _ in range(header.planes)]
    for strip, planes in _decoded(stream):
        for canvas, plane in zip(canvases, planes, strict=True):
            _spread(canvas, header.width, strip, plane)
    for at in range(0, len(canvases[0]), limits.CHUNK_BYTES):
        yield [bytes(memoryview(canvas)[at : at + limits.CHUNK_BYTES]) for canvas in canvases]


def _spread(canvas: bytearray, width: int, strip: Strip, plane: bytes) -> None:
    """Put the pixels of some rows of a pass where they belong in the picture (section 8.1)."""
    target, source = memoryview(canvas).cast("I"), memoryview(plane).cast("I")
    columns = strip.of.width
    for index in range(len(strip.rows)):
        row = width * (strip.of.y + (strip.first + index) * strip.of.dy)
        target[row + strip.of.x : row + width : strip.of.dx] = source[index * columns : (index + 1) * columns]


def _decoded(stream: Datastream) -> Iterator[tuple[Strip, Planes]]:
    """All strips as they are stored, each with its canonical pixels."""
    header = stream.header
    above: Planes = []
    for strip in strips(stream):
        row_bytes = strip.of.row_bytes // header.planes
        if strip.first == 0:
            above = [bytes(row_bytes)] * header.planes
        sides = [_plane(strip.rows, number, header.planes) for number in range(header.planes)]
        raws = [_unfiltered(rows, before, header.filter_bytes) for rows, before in zip(sides, above, strict=True)]
        above = [raw[-row_bytes:] for raw in raws]
        yield strip, _shown(stream, strip, raws)


def _plane(rows: list[bytes], number: int, planes: int) -> list[bytes]:
    """The filtered rows of the high (0) or low (1) bytes, or the only ones there are."""
    return rows if planes == 1 else [row[:1] + row[1 + number :: planes] for row in rows]


def _unfiltered(rows: list[bytes], above: bytes, pixel_bytes: int) -> bytes:
    """The bytes of these rows without filters. The row above them goes first, unfiltered, because filters look at it."""
    header = struct.pack(">IIBBBBB", len(above) // pixel_bytes, len(rows) + 1, 8, _COLOUR_TYPE[pixel_bytes], 0, 0, 0)
    data = zlib.compress(b"".join((b"\0", above, *rows)), 0)
    png = b"".join((SIGNATURE, *_chunk(b"IHDR", header), *_chunk(b"IDAT", data), *_chunk(b"IEND", b"")))
    with PngImageFile(io.BytesIO(png)) as image:
        return image.tobytes()[len(above) :]


def _chunk(kind: bytes, data: bytes) -> tuple[bytes, ...]:
    return struct.pack(">I", len(data)), kind, data, struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))


def _shown(stream: Datastream, strip: Strip, raws: Planes) -> Planes:
    """The canonical pixels of some rows."""
    header, size = stream.header, (strip.of.width, len(strip.rows))
    if header.indexed or (header.colour_type == 0 and header.planes == 1):
        return [_looked_up(stream, raws[0], size)]
    images = [Image.frombytes(_MODE[header.channels], size, raw) for raw in raws]
    shown = [image.convert("RGBA") for image in images]
    if stream.transparency:
        opaque = ImageChops.invert(_where_coloured(images, stream.transparency))
        for image in shown:
            image.putalpha(opaque)
    if stream.transparency or images[0].mode.endswith("A"):
        unseen = _everywhere([image.getchannel("A").point(_table(0)) for image in shown])
        for image in shown if unseen.getbbox() else ():
            image.paste(_NOTHING, mask=unseen)
    return [image.tobytes() for image in shown]


def _looked_up(stream: Datastream, raw: bytes, size: tuple[int, int]) -> bytes:
    """Of indices, and of grey with up to 8 bits, which is an index into a palette of greys."""
    depth = stream.header.bit_depth
    image = Image.frombytes("P", size, raw, "raw", "P" if depth == _BYTE else f"P;{depth}")
    colours = _colours(stream)
    if any(image.histogram()[len(colours) :]):
        stream.image_data[0].refuse(f"or a later one has an index beyond the {len(colours)} colours of the palette")
    image.putpalette(b"".join(colours), "RGBA")
    return image.convert("RGBA").tobytes()


def _colours(stream: Datastream) -> list[bytes]:
    """The canonical pixel for each value of an indexed or grey sample."""
    header, transparency = stream.header, stream.transparency
    if header.indexed:
        palette = stream.palette
        colours = [palette[at : at + 3] for at in range(0, len(palette), 3)]
        alphas = transparency.ljust(len(colours), b"\xff")
    else:
        most = 2**header.bit_depth - 1
        colours = [bytes([value * 255 // most]) * 3 for value in range(most + 1)]
        key = transparency[1] & most if transparency else None
        alphas = bytes(0 if value == key else 255 for value in range(most + 1))
    return [
        colour + bytes([alpha]) if alpha else bytes(_NOTHING) for colour, alpha in zip(colours, alphas, strict=True)
    ]


def _where_coloured(images: list[Image.Image], colour: bytes) -> Image.Image:
    """White where all samples of all planes are this colour's; of 8-bit pictures its high bytes are not used."""
    halves = [colour[0::2], colour[1::2]][-len(images) :]
    bands = [band for image in images for band in image.split()]
    return _everywhere([band.point(_table(value)) for band, value in zip(bands, b"".join(halves), strict=True)])


def _table(value: int) -> list[int]:
    """For `Image.point`: white where a sample is `value`, else black."""
    return [_WHITE if sample == value else 0 for sample in range(256)]


def _everywhere(masks: list[Image.Image]) -> Image.Image:
    """White where all of these are."""
    return reduce(ImageChops.darker, masks)
