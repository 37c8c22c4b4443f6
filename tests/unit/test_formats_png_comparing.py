"""Pictures: every changed pixel is counted and in a box, whatever way it is stored; what is no sound picture is refused at once."""

from __future__ import annotations

import io
import itertools
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, UnidentifiedImageError

from casstore.errors import Code, Invalid
from casstore.formats.png.comparing import PNG, heat_map, overlay, side_by_side
from tests.support.limited import Case, limited
from tests.unit.png_maker import pictures, ways, written

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"


def stored(rows, seed=0):
    """The picture in one of the ways it can be kept."""
    rnd = random.Random(seed)
    return written(rows, rnd.choice(ways(rows)), rnd, interlaced=bool(rnd.randrange(2)))


def seen(rows):
    return [[pixel if pixel[3] else (0, 0, 0, 0) for pixel in row] for row in rows]


def png(image):
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


@given(pictures(), st.integers(0, 99), st.integers(0, 99))
def test_the_same_picture_in_another_file_differs_in_encoding_only(rows, one, other):
    before, after = stored(rows, one), stored(rows, other)
    found = PNG.diff(before, after)
    assert found.depth == ("same" if before == after else "encoding")
    assert PNG.meaning(before) == PNG.meaning(after)


@given(pictures(), pictures(), st.integers(0, 99))
def test_changed_pixels_are_counted_and_all_in_boxes(one, other, seed):
    found = PNG.diff(stored(one, seed), stored(other, seed + 1))
    width, height = min(len(one[0]), len(other[0])), min(len(one), len(other))
    a, b = seen(one), seen(other)
    changed = {(x, y) for x in range(width) for y in range(height) if a[y][x] != b[y][x]}
    same_size = (len(one[0]), len(one)) == (len(other[0]), len(other))
    assert found.depth in (("same", "encoding") if same_size and not changed else ("meaning",))
    assert (PNG.meaning(stored(one)) == PNG.meaning(stored(other))) == (found.depth != "meaning")
    if found.depth == "meaning":
        assert found.details["frame"] == [width, height]
        assert found.details["changed"] == len(changed)
        boxes = found.details["boxes"]
        inside = {(x, y) for x, y in changed for box in boxes if box[0] <= x < box[2] and box[1] <= y < box[3]}
        assert inside == changed
        for box in boxes:  # each is tight
            xs = [x for x, y in changed if box[0] <= x < box[2] and box[1] <= y < box[3]]
            assert (min(xs), max(xs) + 1) == (box[0], box[2])
        assert [change.what for change in found.changes] == ["size"] * (not same_size) + ["region"] * len(boxes)


def test_two_places_far_apart_are_two_boxes_and_many_are_few():
    before = Image.new("RGB", (400, 300), "white")
    after = before.copy()
    after.paste("black", (10, 10, 20, 20))
    after.paste("black", (300, 200, 340, 220))
    found = PNG.diff(png(before), png(after))
    assert found.details["boxes"] == [[300, 200, 340, 220], [10, 10, 20, 20]]
    assert found.summary == ("0.8% of the pixels changed, in 2 regions",)
    rnd = random.Random(1)
    for _ in range(500):
        after.putpixel((rnd.randrange(400), rnd.randrange(300)), (1, 2, 3))
    assert 1 <= len(PNG.diff(png(before), png(after)).details["boxes"]) <= 8


def test_the_lowest_of_16_bits_counts():
    before, after = Image.new("I;16", (4, 4), 0x1234), Image.new("I;16", (4, 4), 0x1234)
    after.putpixel((2, 1), 0x1235)
    found = PNG.diff(png(before), png(after))
    assert (found.details["changed"], found.details["boxes"]) == (1, [[2, 1, 3, 2]])
    narrow = Image.new("L", (4, 4), 0x12)
    assert PNG.diff(png(narrow), png(Image.new("I;16", (4, 4), 0x1212))).depth == "encoding"
    assert PNG.diff(png(narrow), png(before)).details["changed"] == 16


def test_the_distance_is_small_for_pictures_that_look_alike():
    picture = Image.linear_gradient("L").resize((300, 200))
    darker = picture.point(lambda sample: sample * 9 // 10)
    alike = PNG.diff(png(picture), png(darker)).details
    assert alike["changed"] > 30_000
    assert alike["perceptual_distance"] <= 4
    assert PNG.diff(png(picture), png(picture.rotate(90, expand=True))).details["perceptual_distance"] > 10
    black, white = png(Image.new("L", (9, 9), 0)), png(Image.new("L", (9, 9), 255))
    assert PNG.diff(black, white).details["mean_difference"] == 1.0


def test_pictures_of_the_change():
    before = Image.new("RGBA", (40, 30), "white")
    after = Image.new("RGBA", (50, 20), "white")
    after.putpixel((5, 6), (0, 0, 0, 255))
    both = [png(before), png(after)]
    beside, over, heat = (
        Image.open(io.BytesIO(picture(*both))).convert("RGB") for picture in (side_by_side, overlay, heat_map)
    )
    assert beside.size == (40 + 16 + 50, 30)
    assert beside.getpixel((40 + 16 + 5, 6)) == (0, 0, 0)
    assert over.size == heat.size == (50, 30)
    assert over.getpixel((5, 6)) == (220, 30, 30) == over.getpixel((45, 3)) == over.getpixel((3, 25))
    assert over.getpixel((6, 6)) == (255, 255, 255)
    assert heat.getpixel((6, 6)) == (0, 0, 0)
    assert heat.getpixel((5, 6)) == heat.getpixel((45, 3)) == heat.getpixel((3, 25)) == (255, 255, 255)


@given(pictures(), pictures(), st.integers(0, 99))
def test_every_pair_has_its_pictures(one, other, seed):
    both = stored(one, seed), stored(other, seed)
    for picture in (side_by_side, overlay, heat_map):
        Image.open(io.BytesIO(picture(*both))).load()


def test_what_is_no_picture_is_refused_and_has_no_meaning():
    sound = png(Image.new("L", (1, 1)))
    for pair in ((b"", sound), (sound, b"GIF89a"), (sound, sound[:-1])):
        for call in (PNG.diff, heat_map, overlay, side_by_side):
            with pytest.raises(Invalid) as refused:
                call(*pair)
            assert refused.value.code == Code.BAD_PICTURE
    assert PNG.meaning(b"GIF89a") is None


def test_a_picture_above_the_bound_is_refused():
    large = png(Image.new("1", (4096, 2049)))
    with pytest.raises(Invalid, match="4096 x 2049 pixels") as refused:
        PNG.diff(large, large)
    assert refused.value.code == Code.NOT_COMPARABLE


MADE = "made(%s)"
SETUP = """
import io
from PIL import Image
from casstore.formats.png.comparing import PNG
def made(size, colour):
    buffer = io.BytesIO()
    Image.new("RGBA", size, colour).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("(2880, 1800), (0, 0, 0, 255)", "(2880, 1800), (1, 2, 3, 4)"),
        ("(65535, 80), (9, 9, 9, 255)", "(80, 65535), (8, 8, 8, 255)"),
    ],
)
def test_the_largest_pictures_are_compared_in_bounded_time_and_memory(one, other):
    case = Case(SETUP, (MADE % one, MADE % other))
    assert limited(case, "PNG.diff(*arguments)") == "answered"


@pytest.mark.skipif(not CORPUS.is_dir(), reason="no corpus beside the checkout")
@pytest.mark.slow
def test_hostile_pictures_are_answered_or_refused_at_once():
    judged = 0
    for path in sorted((CORPUS / "hostile").glob("png-*/v0001.png")):
        case = Case(
            SETUP,
            (f"open({str(path)!r}, 'rb').read()", MADE % "(9, 9), (1, 2, 3, 255)"),
        )
        said = limited(case, "PNG.diff(*arguments)")
        refused = any(name in path.parent.name for name in ("bad-crc", "bomb", "huge", "jpeg", "truncated", "zero"))
        assert said == ("bad_picture" if refused else "answered"), path
        judged += 1
    assert judged >= 10


@pytest.mark.skipif(not CORPUS.is_dir(), reason="no corpus beside the checkout")
@pytest.mark.slow
def test_real_pictures_agree_with_a_plain_count():
    """Of 8 bits, Pillow and NumPy alone say how many pixels differ."""
    compared = 0
    for folder in sorted((CORPUS / "visual").iterdir()):
        files = [path.read_bytes() for path in sorted(folder.glob("v*.png"))]
        for before, after in itertools.pairwise(files):
            found = PNG.diff(before, after)
            try:
                images = [Image.open(io.BytesIO(data)).convert("RGBA") for data in (before, after)]
            except UnidentifiedImageError:
                continue  # a colour profile with a wrong CRC, which Pillow refuses, and no browser
            if found.depth == "meaning" and images[0].size == images[1].size:
                pixels = [np.asarray(image) * (np.asarray(image)[..., 3:] > 0) for image in images]
                assert found.details["changed"] == (pixels[0] != pixels[1]).any(axis=2).sum()
                compared += 1
            elif found.depth == "encoding":
                assert images[0].size == images[1].size
    assert compared > 20
