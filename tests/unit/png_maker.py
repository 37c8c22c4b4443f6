"""PNGs made by the book, in every way the format offers, and the pixel digest computed the slow way.

A picture is a list of rows of (red, green, blue, alpha), 8 bits each, or 16.
"""

from __future__ import annotations

import itertools
import random
import struct
import zlib
from dataclasses import dataclass, replace

from hypothesis import strategies as st

from casstore.model import Digest

ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
SIGNATURE = b"\x89PNG\r\n\x1a\n"
END = (b"IEND", b"")


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def assembled(chunks) -> bytes:
    return SIGNATURE + b"".join(itertools.starmap(chunk, chunks))


def taken_apart(png: bytes) -> list[tuple[bytes, bytes]]:
    """The chunks of a sound PNG."""
    found, at = [], len(SIGNATURE)
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        found.append((png[at + 4 : at + 8], png[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def ihdr(width, height, depth=8, colour_type=6, *, compression=0, filtering=0, interlace=0):
    return b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour_type, compression, filtering, interlace)


# -- the definition of the digest, pixel by pixel --------------------------------------------------------------------------


def canonical(rows, bits=8) -> Digest:
    if bits == 16 and all(sample % 257 == 0 for row in rows for pixel in row if pixel[3] for sample in pixel):
        return canonical([[tuple(sample // 257 for sample in pixel) for pixel in row] for row in rows])
    seen = [pixel if pixel[3] else (0, 0, 0, 0) for row in rows for pixel in row]
    form = b"casstore/picture/1\n" + struct.pack(">III", len(rows[0]), len(rows), bits)
    return Digest.of(form + b"".join(sample.to_bytes(bits // 8) for pixel in seen for sample in pixel))


# -- writing ---------------------------------------------------------------------------------------------------------------


def packed(row, depth) -> bytes:
    """A scanline of these samples."""
    if depth == 16:
        return b"".join(sample.to_bytes(2) for sample in row)
    bits = "".join(f"{sample:0{depth}b}" for sample in row)
    return int(bits.ljust(-(-len(bits) // 8) * 8, "1"), 2).to_bytes(-(-len(bits) // 8))


def filtered(kind, line, above, step) -> bytes:
    def value(at):
        left, up, corner = (line[at - step], above[at], above[at - step]) if at >= step else (0, above[at], 0)
        estimate = left + up - corner
        paeth = min((left, up, corner), key=lambda near: abs(estimate - near))
        return (line[at] - (0, left, up, (left + up) // 2, paeth)[kind]) % 256

    return bytes([kind, *map(value, range(len(line)))])


def scanlines(rows, depth, colour_type, interlaced, rnd) -> bytes:
    """All passes of these samples; `rnd` chooses the filters."""
    channels, step = CHANNELS[colour_type], max(1, CHANNELS[colour_type] * depth // 8)
    out = b""
    for x, y, dx, dy in ADAM7 if interlaced else [(0, 0, 1, 1)]:
        above = b""
        for row in rows[y::dy]:
            pixels = [row[at : at + channels] for at in range(0, len(row), channels)][x::dx]
            if pixels:
                line = packed([sample for pixel in pixels for sample in pixel], depth)
                out += filtered(rnd.randrange(5), line, above or bytes(len(line)), step)
                above = line
    return out


def split(data: bytes, rnd) -> list[bytes]:
    cuts = sorted(rnd.randrange(len(data) + 1) for _ in range(rnd.randrange(4)))
    return [data[a:b] for a, b in itertools.pairwise([0, *cuts, len(data)])]


@dataclass(frozen=True)
class Way:
    """One of the ways to keep a picture."""

    colour_type: int
    depth: int
    keyed: bool = False  # one colour is transparent, by tRNS

    @property
    def has_alpha(self):
        return self.keyed or self.colour_type in (3, 4, 6)


def ways(rows) -> list[Way]:
    """All that keep these 8-bit pixels."""
    pixels = {pixel if pixel[3] else (0, 0, 0, 0) for row in rows for pixel in row}
    seen = [pixel for pixel in pixels if pixel[3]]
    alphas = {pixel[3] for pixel in pixels}
    grey = all(r == g == b for r, g, b, _ in pixels)
    found = [Way(6, 8), Way(6, 16), *([Way(4, 8), Way(4, 16)] if grey else [])]
    found += [Way(3, depth) for depth in (1, 2, 4, 8) if len(pixels) <= 2**depth]
    if alphas <= {0, 255}:
        found += [Way(2, 8), Way(2, 16)]
        depths = [d for d in (1, 2, 4, 8, 16) if all(p[0] % (255 // (2 ** min(d, 8) - 1)) == 0 for p in seen)]
        found += [Way(0, depth) for depth in depths] if grey else []
    return [
        replace(way, keyed=True) if 0 in alphas and way.colour_type in (0, 2) else way
        for way in found
        if fits(way, pixels)
    ]


def fits(way, pixels) -> bool:
    """Whether a grey of this depth is left to be the transparent one."""
    return way.colour_type != 0 or (0, 0, 0, 0) not in pixels or len(pixels) <= 2**way.depth


def stored(pixel, way):
    """The samples of a visible 8-bit pixel, not indexed."""
    factor = 257 if way.depth == 16 else 1
    r, g, b, a = (sample * factor for sample in pixel)
    grey = r // (255 // (2**way.depth - 1)) if way.depth < 8 else r
    return {0: (grey,), 2: (r, g, b), 4: (grey, a), 6: (r, g, b, a)}[way.colour_type]


def samples(rows, way, rnd):
    """Rows of samples, PLTE and tRNS; what cannot be seen is made up."""
    if way.colour_type == 3:
        return indexed(rows, way, rnd)
    top = 2**way.depth
    used = {stored(pixel, way) for row in rows for pixel in row if pixel[3]}
    channels = CHANNELS[way.colour_type]
    key = next(
        k
        for k in iter(lambda: tuple(rnd.randrange(top) for _ in range(channels)), None)
        if k not in used or not way.keyed
    )

    def made_up(pixel):
        if pixel[3]:
            return stored(pixel, way)
        return key if way.keyed else (*(rnd.randrange(top) for _ in range(channels - 1)), 0)

    transparency = b"".join(sample.to_bytes(2) for sample in key) if way.keyed else b""
    return [[sample for pixel in row for sample in made_up(pixel)] for row in rows], b"", transparency


def indexed(rows, way, rnd):
    pixels = [pixel if pixel[3] else (0, 0, 0, 0) for pixel in itertools.chain(*rows)]
    palette = list(dict.fromkeys(pixels))
    palette += [(1, 2, 3, 255)] * rnd.randrange(2**way.depth - len(palette) + 1)
    rnd.shuffle(palette)
    number = {pixel: index for index, pixel in enumerate(palette)}
    colours = bytes(sample for pixel in palette for sample in (pixel[:3] if pixel[3] else rnd.randbytes(3)))
    alphas = bytes(pixel[3] for pixel in palette)
    shortest = len(alphas.rstrip(b"\xff"))
    alphas = alphas[: rnd.randint(shortest, len(alphas))]
    return [[number[pixel if pixel[3] else (0, 0, 0, 0)] for pixel in row] for row in rows], colours, alphas


def written(rows, way, rnd, *, interlaced=False) -> bytes:
    """The picture as a PNG; `rnd` chooses everything that does not matter."""
    stored_rows, palette, transparency = samples(rows, way, rnd)
    return encoded(stored_rows, way, rnd, interlaced=interlaced, palette=palette, transparency=transparency)


def encoded(stored_rows, way, rnd, *, interlaced=False, palette=b"", transparency=b"") -> bytes:
    """These samples as a PNG."""
    width = len(stored_rows[0]) // CHANNELS[way.colour_type]
    data = zlib.compress(scanlines(stored_rows, way.depth, way.colour_type, interlaced, rnd), rnd.randrange(10))
    chunks = [
        ihdr(width, len(stored_rows), way.depth, way.colour_type, interlace=int(interlaced)),
        *([(b"gAMA", rnd.randbytes(4))] if rnd.randrange(2) else []),
        *(
            [(b"PLTE", palette)]
            if palette
            else [(b"PLTE", b"abc")]
            if way.colour_type in (2, 6) and rnd.randrange(2)
            else []
        ),
        *([(b"tRNS", transparency)] if transparency else []),
        *([(b"tEXt", b"Comment\0" + rnd.randbytes(3))] if rnd.randrange(2) else []),
        *((b"IDAT", piece) for piece in split(data, rnd)),
        *([(b"prVt", rnd.randbytes(5))] if rnd.randrange(2) else []),
        END,
    ]
    return assembled(chunks)


# -- drawing ---------------------------------------------------------------------------------------------------------------

BYTES = st.integers(0, 255)
GREYS = (
    st.sampled_from([0, 255])
    | st.integers(0, 3).map(lambda n: 85 * n)
    | st.integers(0, 15).map(lambda n: 17 * n)
    | BYTES
)
ALPHAS = st.sampled_from([0, 255]) | BYTES


@st.composite
def pictures(draw):
    """Small, of few colours, so that every way to keep one comes up."""
    width, height = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    grey = GREYS.map(lambda value: (value,) * 3)
    colour = draw(st.sampled_from([grey, st.tuples(BYTES, BYTES, BYTES)]))
    alpha = draw(st.sampled_from([st.just(255), st.sampled_from([0, 255]), ALPHAS]))
    colours = draw(st.lists(st.tuples(colour, alpha).map(lambda both: (*both[0], both[1])), min_size=1, max_size=5))
    rnd = random.Random(draw(st.integers(0, 2**32)))
    return [[rnd.choice(colours) for _ in range(width)] for _ in range(height)]
