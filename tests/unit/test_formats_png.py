"""PNG pictures: what is sound is taken whole, what is not is refused with its place, and the digest is of what is seen."""

from __future__ import annotations

import io
import random
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from casstore import limits
from casstore.errors import Code, Invalid
from casstore.formats import png
from casstore.model import Digest
from tests.unit.png_maker import (
    CHANNELS,
    END,
    SIGNATURE,
    Way,
    assembled,
    canonical,
    chunk,
    encoded,
    ihdr,
    pictures,
    taken_apart,
    ways,
    written,
)

EXAMPLES = Path(__file__).parents[2] / "examples" / "artifacts" / "visual"
DOT = zlib.compress(b"\0" + bytes([10, 20, 30, 255]))  # image data of one RGBA pixel
DECIDES = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
RANDOM = st.randoms(use_true_random=False)
STRIPS = st.sampled_from([1, 100, limits.CHUNK_BYTES])  # bytes decoded at once: a row, some rows, all


def fault(data) -> str:
    with pytest.raises(Invalid) as caught:
        png.inspect(data)
    assert caught.value.code is Code.BAD_PICTURE
    assert caught.value.hint
    return caught.value.message


def inspected(data, strip_bytes):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "CHUNK_BYTES", strip_bytes)
        return png.inspect(data)


def as_pillow_shows(data):
    """Rows of RGBA from what decides the pixels, by the decoder of someone else; None where that refuses it."""
    bare = assembled((kind, body) for kind, body in taken_apart(data) if kind in DECIDES)
    try:
        with Image.open(io.BytesIO(bare), formats=["PNG"]) as image:
            shown = image.convert("RGBA")
            pixels = shown.tobytes()
    except (OSError, SyntaxError, ValueError):
        return None
    row = 4 * shown.width
    return [[tuple(pixels[at : at + 4]) for at in range(y, y + row, 4)] for y in range(0, len(pixels), row)]


# -- the digest ------------------------------------------------------------------------------------------------------------


@given(pictures(), st.data(), RANDOM, st.booleans())
def test_a_picture_has_one_digest_however_it_is_kept(rows, data, rnd, interlaced):
    way = data.draw(st.sampled_from(ways(rows)))
    picture = inspected(written(rows, way, rnd, interlaced=interlaced), data.draw(STRIPS))
    assert picture.pixels == canonical(rows)
    assert (picture.width, picture.height) == (len(rows[0]), len(rows))
    assert (picture.bit_depth, picture.colour_type) == (way.depth, way.colour_type)
    assert picture.notes == ()


def test_the_ways_to_keep_a_picture_are_all_there_are():
    """The law above is worth what it draws from: all fifteen combinations of PNG, and a transparent colour for each it is for."""
    grey = [[(0, 0, 0, 255), (0, 0, 0, 0)]]
    kept = {(way.colour_type, way.depth, way.keyed) for rows in (grey, [[(255,) * 4]]) for way in ways(rows)}
    depths = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
    both = {(colour, depth, False) for colour, of in depths.items() for depth in of}
    assert kept == both | {(colour, depth, True) for colour in (0, 2) for depth in depths[colour]}


@given(pictures(), st.data(), RANDOM)
def test_another_visible_pixel_is_another_picture(rows, data, rnd):
    before = png.inspect(written(rows, Way(6, 8), rnd)).pixels
    y, x = data.draw(st.integers(0, len(rows) - 1)), data.draw(st.integers(0, len(rows[0]) - 1))
    pixel = data.draw(
        st.tuples(*[st.integers(0, 255)] * 4).filter(lambda new: new != rows[y][x] and (new[3] or rows[y][x][3]))
    )
    rows[y][x] = pixel
    assert png.inspect(written(rows, data.draw(st.sampled_from(ways(rows))), rnd)).pixels != before


@given(st.data(), RANDOM, st.booleans(), st.sampled_from([0, 2, 4, 6]))
def test_sixteen_bits_are_kept(data, rnd, interlaced, colour_type):
    """Drawn near the edges: halves that are equal or zero, and a transparent colour that differs in one half only."""
    width, height, channels = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9)), CHANNELS[colour_type]
    sample = st.sampled_from([0, 1, 255, 256, 257, 0x1200, 0x1212, 0x1213, 0xFFFF])
    line = st.lists(sample, min_size=width * channels, max_size=width * channels)
    stored = data.draw(st.lists(line, min_size=height, max_size=height))
    keyed = colour_type in (0, 2) and data.draw(st.booleans())
    key = data.draw(st.tuples(*[sample] * channels)) if keyed else None
    transparency = b"".join(part.to_bytes(2) for part in key or ())
    whole = encoded(stored, Way(colour_type, 16, keyed), rnd, interlaced=interlaced, transparency=transparency)
    rows = [[shown(tuple(row[at : at + channels]), key) for at in range(0, len(row), channels)] for row in stored]
    assert inspected(whole, data.draw(STRIPS)).pixels == canonical(rows, 16)


def shown(pixel, key):
    colour = pixel if len(pixel) in (1, 3) else pixel[:-1]
    alpha = pixel[-1] if len(pixel) in (2, 4) else 0 if pixel == key else 0xFFFF
    return (*(colour * 3)[:3], alpha) if len(colour) == 1 else (*colour, alpha)


def test_the_same_pixels_in_another_shape_are_another_picture():
    rnd, pixels = random.Random(0), [(9, 8, 7, 255)] * 6
    shapes = [[pixels], [pixels[:3], pixels[3:]], [pixels[:2]] * 3, [pixels[:1]] * 6]
    assert len({png.inspect(written(rows, Way(2, 8), rnd)).pixels for rows in shapes}) == 4


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*/*.png")), ids=lambda path: path.parent.name)
def test_real_pictures_are_what_pillow_shows(path):
    picture = png.inspect(path.read_bytes())
    with Image.open(path) as image:
        assert (picture.width, picture.height) == image.size
        assert image.mode == "RGB"
        pixels = image.convert("RGBA").tobytes()
    assert picture.pixels == Digest.of(b"casstore/picture/1\n" + struct.pack(">III", *image.size, 8) + pixels)


def test_what_is_not_seen_does_not_count():
    rnd = random.Random(1)
    rows = [[(1, 2, 3, 255), (4, 5, 6, 0)], [(7, 8, 9, 0), (7, 8, 9, 1)]]
    hidden = [[(1, 2, 3, 255), (0, 0, 0, 0)], [(255, 9, 9, 0), (7, 8, 9, 1)]]
    assert png.inspect(written(rows, Way(6, 8), rnd)).pixels == png.inspect(written(hidden, Way(6, 16), rnd)).pixels


@pytest.mark.parametrize(
    ("way", "key"), [(Way(0, 1), "ffff"), (Way(0, 8), "12ff"), (Way(2, 8), "01ff02ff03ff")], ids=str
)
def test_bits_of_the_transparent_colour_beyond_the_depth_are_not_used(way, key):
    """Third Edition, 11.3.1.1: decoders must mask them."""
    top = 2**way.depth - 1
    row = [top] * CHANNELS[way.colour_type] + [0] * CHANNELS[way.colour_type]
    data = encoded([row], way, random.Random(2), transparency=bytes.fromhex(key))
    assert png.inspect(data).pixels == canonical([[(0, 0, 0, 0), (0, 0, 0, 255)]])


# -- faults ----------------------------------------------------------------------------------------------------------------

IHDR = ihdr(1, 1)
IDAT = (b"IDAT", DOT)
INDEXED = ihdr(1, 1, 8, 3)
GREY = ihdr(1, 1, 8, 0)
PLTE = (b"PLTE", bytes(range(6)))


@pytest.mark.parametrize(
    ("chunks", "message"),
    [
        ([], "next chunk at byte 8 is missing: there is no IEND"),
        ([IDAT, END], "IDAT at byte 8 is where IHDR should be"),
        ([(b"IHDR", bytes(12)), IDAT, END], "IHDR at byte 8 has 12 bytes of data, not 13"),
        ([ihdr(0, 1), IDAT, END], "says 0 x 1 pixels"),
        ([ihdr(1, 2**31), IDAT, END], "says 1 x 2147483648 pixels"),
        *[
            ([ihdr(1, 1, depth, colour), IDAT, END], f"says colour type {colour} with {depth} bits")
            for depth, colour in [
                (0, 0),
                (3, 0),
                (32, 0),
                (4, 2),
                (1, 2),
                (16, 3),
                (4, 4),
                (2, 6),
                (8, 1),
                (8, 5),
                (8, 7),
            ]
        ],
        ([ihdr(1, 1, compression=1), IDAT, END], "says compression 1, filter 0, interlace 0"),
        ([ihdr(1, 1, filtering=1), IDAT, END], "says compression 0, filter 1, interlace 0"),
        ([ihdr(1, 1, interlace=2), IDAT, END], "says compression 0, filter 0, interlace 2"),
        ([IHDR, IHDR, IDAT, END], "IHDR at byte 33 is there twice"),
        ([IHDR, END], "IEND at byte 33 is there before any IDAT"),
        ([IHDR, IDAT], "is missing: there is no IEND"),
        ([IHDR, IDAT, (b"IEND", b"x")], "has 1 bytes of data"),
        ([IHDR, IDAT, (b"teXt", b""), IDAT, END], "does not follow the other IDAT"),
        ([IHDR, (b"NEWX", b""), IDAT, END], "NEWX at byte 33 is a critical chunk that nobody here can read"),
        ([IHDR, (b"tE\xd6t", b""), IDAT, END], "next chunk at byte 33 has b'tE\\xd6t' for a type"),
        ([IHDR, (b"te t", b""), IDAT, END], "next chunk at byte 33 has b'te t' for a type"),
        ([INDEXED, IDAT, END], "IDAT at byte 33 is there before any PLTE"),
        ([INDEXED, IDAT, PLTE, END], "IDAT at byte 33 is there before any PLTE"),
        ([INDEXED, (b"PLTE", b""), IDAT, END], "has 0 bytes of data, not three for each of 1 to 256"),
        ([INDEXED, (b"PLTE", b"abcd"), IDAT, END], "has 4 bytes of data"),
        ([ihdr(1, 1, 1, 3), (b"PLTE", bytes(9)), IDAT, END], "has 9 bytes of data, not three for each of 1 to 2"),
        ([IHDR, (b"PLTE", bytes(771)), IDAT, END], "has 771 bytes of data"),
        ([GREY, PLTE, IDAT, END], "PLTE at byte 33 is beside grey pixels"),
        ([ihdr(1, 1, 8, 4), PLTE, IDAT, END], "PLTE at byte 33 is beside grey pixels"),
        ([INDEXED, PLTE, PLTE, IDAT, END], "PLTE at byte 51 is there twice"),
        ([IHDR, IDAT, PLTE, END], "PLTE at byte 58 follows IDAT"),
        (
            [INDEXED, (b"tRNS", b"a"), PLTE, IDAT, END],
            "tRNS at byte 33 has 1 bytes of data; the palette before it has 0",
        ),
        ([ihdr(1, 1, 8, 2), (b"tRNS", bytes(6)), PLTE, IDAT, END], "PLTE at byte 51 follows tRNS"),
        ([INDEXED, PLTE, (b"tRNS", b""), IDAT, END], "has 0 bytes of data; the palette before it has 2"),
        ([INDEXED, PLTE, (b"tRNS", b"abc"), IDAT, END], "has 3 bytes of data; the palette before it has 2"),
        ([GREY, (b"tRNS", b"a"), IDAT, END], "has 1 bytes of data; the transparent colour has 2"),
        ([ihdr(1, 1, 8, 2), (b"tRNS", b"ab"), IDAT, END], "the transparent colour has 6"),
        ([GREY, (b"tRNS", b"ab"), (b"tRNS", b"ab"), IDAT, END], "tRNS at byte 47 is there twice"),
        ([GREY, IDAT, (b"tRNS", b"ab"), END], "tRNS at byte 58 follows IDAT"),
        ([IHDR, (b"tRNS", b"ab"), IDAT, END], "tRNS at byte 33 is beside an alpha channel"),
        ([ihdr(1, 1, 8, 4), (b"tRNS", b"ab"), IDAT, END], "tRNS at byte 33 is beside an alpha channel"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_chunks_that_are_wrong_are_refused_with_their_place(chunks, message):
    assert message in fault(assembled(chunks))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (zlib.compress(b"\0\1\2\3"), "IDAT at byte 33 is the last, but the image data ends after 4 bytes"),
        (b"", "IDAT at byte 33 is the last, but the image data ends after 0 bytes"),
        (zlib.compress(b"\0\1\2\3\4\5"), "has more image data than the 5 bytes of the picture"),
        (zlib.compress(b"\5\1\2\3\4"), "IDAT at byte 33 or one before it has filter type 5 in row 0"),
        (DOT[:-1], "is the last, but the image data has no end"),
        (DOT[:-4] + b"abcd", "IDAT at byte 33 has no sound zlib stream"),
        (b"\x78\x9c\xff\xff\xff", "IDAT at byte 33 has no sound zlib stream"),
        (b"\x78\xbb" + DOT[2:], "has no sound zlib stream"),  # says that it needs a dictionary
        (DOT + b"x", "IDAT at byte 33 has bytes after the end of the image data"),
    ],
    ids=ascii,
)
def test_image_data_that_is_wrong_is_refused_with_its_place(data, message):
    assert message in fault(assembled([IHDR, (b"IDAT", data), END]))


def test_faults_of_image_data_name_the_idat_they_are_in():
    rest = [(b"IDAT", b""), (b"IDAT", DOT[4:]), (b"IDAT", b"x"), END]
    assert "IDAT at byte 82 goes on after the end of the image data" in fault(
        assembled([IHDR, (b"IDAT", DOT[:4]), *rest])
    )


@pytest.mark.parametrize(("depth", "index"), [(2, 0b10_00_0000), (4, 0x20), (8, 2)])
def test_an_index_beyond_the_palette_is_refused(depth, index):
    whole = [ihdr(1, 1, depth, 3), PLTE, (b"IDAT", zlib.compress(bytes([0, index]))), END]
    assert "has an index beyond the 2 colours of the palette" in fault(assembled(whole))


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xd8\xff\xe0 a JPEG", SIGNATURE[:7], SIGNATURE.replace(b"\r\n", b"\n"), b"GIF89a"], ids=ascii
)
def test_other_files_are_refused(data):
    assert "empty" in fault(data) if not data else "not with the signature of PNG" in fault(data)


def test_the_error_says_chunk_and_byte():
    with pytest.raises(Invalid) as caught:
        png.inspect(assembled([IHDR, (b"NEWX", b""), IDAT, END]))
    assert caught.value.fields == {"chunk": "NEWX", "offset": 33}


# -- bounds ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (ihdr(65_536, 1), "no side may be longer than 65,535"),
        (ihdr(1, 2**31 - 1), "no side may be longer than 65,535"),
        (ihdr(8192, 4097), "of this bit depth there may be 33,554,432 in all"),
        (ihdr(8192, 4097, 1, 0), "of this bit depth there may be 33,554,432 in all"),
        (ihdr(4096, 4097, 16, 0), "of this bit depth there may be 16,777,216 in all"),
    ],
)
def test_too_large_is_refused_by_the_header_alone(header, message):
    assert message in fault(assembled([header]))
    assert "IHDR at byte 8 is of" in fault(assembled([header]))


@pytest.mark.parametrize("header", [ihdr(65_535, 1), ihdr(8192, 4096), ihdr(4096, 4096, 16)])
def test_the_largest_are_not(header):
    assert "there is no IEND" in fault(assembled([header]))


def test_chunks_are_counted():
    filler = [(b"teXt", b"")] * (limits.PICTURE_CHUNKS_MAX - 3)
    assert png.inspect(assembled([IHDR, *filler, IDAT, END])).notes == ()
    assert "is one more than the 65536 a picture may have" in fault(
        assembled([IHDR, *filler, (b"teXt", b""), IDAT, END])
    )


# -- what is noted ---------------------------------------------------------------------------------------------------------


def spoiled(kind, body):
    return chunk(kind, body)[:-1] + bytes([chunk(kind, body)[-1] ^ 1])


def spoil(chunks, number):
    return SIGNATURE + b"".join((spoiled if at == number else chunk)(*each) for at, each in enumerate(chunks))


def test_an_ancillary_chunk_with_a_wrong_crc_is_noted():
    picture = png.inspect(spoil([IHDR, (b"iCCP", b"sRGB"), IDAT, END], 1))
    assert picture.notes == ("iCCP at byte 33 has a wrong CRC",)
    assert picture.pixels == png.inspect(assembled([IHDR, IDAT, END])).pixels


@pytest.mark.parametrize("number", range(5))
def test_a_chunk_that_decides_pixels_with_a_wrong_crc_is_refused(number):
    whole = [INDEXED, PLTE, (b"tRNS", b"\0"), (b"IDAT", zlib.compress(bytes(2))), END]
    assert png.inspect(assembled(whole)).pixels == canonical([[(0, 0, 0, 0)]])
    assert f"{whole[number][0].decode()} at byte" in fault(spoil(whole, number))
    assert "has a wrong CRC" in fault(spoil(whole, number))


def test_of_an_animation_the_default_image_counts():
    other = zlib.compress(b"\0" + bytes([99, 99, 99, 255]))
    frames = [(b"fcTL", bytes(26)), (b"fdAT", bytes(4) + other)]
    picture = png.inspect(assembled([IHDR, (b"acTL", bytes(8)), IDAT, *frames, END]))
    assert picture.notes == ("the picture is animated; only its default image is looked at",)
    assert picture.pixels == canonical([[(10, 20, 30, 255)]])


def test_bytes_after_the_end_are_noted():
    whole = assembled([IHDR, IDAT, END])
    assert png.inspect(whole + whole).notes == (
        f"{len(whole)} bytes after the end, at byte {len(whole)}, are no part of the picture",
    )


def test_notes_are_few():
    data = SIGNATURE + chunk(*IHDR) + spoiled(b"teXt", b"") * 30 + chunk(*IDAT) + chunk(*END)
    notes = png.inspect(data).notes
    assert len(notes) == limits.PICTURE_NOTES_MAX + 1
    assert notes[-1] == "and 10 notes more"


# -- anything --------------------------------------------------------------------------------------------------------------

KINDS = st.sampled_from([b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"acTL", b"teXt", b"NEWX"])
BODIES = st.binary(max_size=15) | st.just(DOT) | st.just(IHDR[1]) | st.binary(max_size=40).map(zlib.compress)


@given(st.lists(st.tuples(KINDS, BODIES), max_size=6), st.tuples(*[st.integers(0, 17)] * 5), st.binary(max_size=3))
def test_any_chunks_are_answered(chunks, header, rest):
    answered(assembled([ihdr(*header[:4], interlace=header[4] % 3), *chunks, END]) + rest)


@given(st.binary(max_size=60))
def test_any_bytes_are_answered(data):
    answered(data)
    answered(SIGNATURE + data)
    answered(SIGNATURE + chunk(*IHDR) + data)


def answered(data):
    """The picture, or None: no other exception than Invalid."""
    try:
        return png.inspect(data)
    except Invalid:
        return None


@settings(max_examples=30)  # of a few hundred cuts each
@given(pictures(), st.data(), RANDOM, st.booleans())
def test_a_picture_cut_short_is_refused(rows, data, rnd, interlaced):
    whole = written(rows, data.draw(st.sampled_from(ways(rows))), rnd, interlaced=interlaced)
    for size in range(len(whole)):
        fault(whole[:size])


@given(pictures(), st.data(), RANDOM, st.integers(1, 255))
def test_a_changed_byte_is_refused_or_noted_or_changes_nothing(rows, data, rnd, change):
    """Every byte of a PNG is under a checksum. Only a chunk that is not needed can be lost, and that is noted."""
    whole = bytearray(written(rows, data.draw(st.sampled_from(ways(rows))), rnd))
    before = png.inspect(bytes(whole))
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= change
    after = answered(bytes(whole))
    assert after is None or after.notes
    if after and b"tRNS" in whole:
        assert after.pixels == before.pixels


@given(pictures(), st.data(), RANDOM, st.booleans(), st.integers(1, 255))
def test_what_is_forged_and_taken_is_what_pillow_shows(rows, data, rnd, interlaced, change):
    """A byte is changed and the checksums are made to fit: of a chunk, or of the scanlines."""
    way = data.draw(st.sampled_from([way for way in ways(rows) if not beyond_pillow(way)]))
    chunks = joined(taken_apart(written(rows, way, rnd, interlaced=interlaced)))
    number = data.draw(st.sampled_from([at for at, each in enumerate(chunks) if each[0] != b"tRNS" or not way.keyed]))
    kind, body = chunks[number]
    body = bytearray(zlib.decompress(body) if kind == b"IDAT" else body)
    if body:
        body[data.draw(st.integers(0, len(body) - 1))] ^= change
    chunks[number] = kind, zlib.compress(body) if kind == b"IDAT" else bytes(body)
    picture = answered(assembled(chunks))
    if picture and not beyond_pillow(Way(picture.colour_type, picture.bit_depth, keyed=way.keyed)):
        assert picture.pixels == canonical(as_pillow_shows(assembled(chunks)))


def joined(chunks):
    data = b"".join(body for kind, body in chunks if kind == b"IDAT")
    return [each for each in chunks if each[0] not in (b"IDAT", b"IEND")] + [(b"IDAT", data), END]


def beyond_pillow(way):
    """It cuts 16 bits, and compares the transparent grey of fewer than 8 bits, scaled, with the one stored."""
    return way.depth == 16 or (way.keyed and way.colour_type == 0 and way.depth in (2, 4))
