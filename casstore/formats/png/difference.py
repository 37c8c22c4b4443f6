"""Which pixels of two pictures differ, found with Pillow's ImageChops, and pictures of it."""

from __future__ import annotations

import io
import itertools
from dataclasses import dataclass
from functools import reduce
from typing import Final

from PIL import Image, ImageChops, ImageOps, ImageStat

from casstore import limits
from casstore.formats.png import chunks, pixels

__all__ = ["Difference", "find", "heat_map", "overlay", "side_by_side"]

Box = tuple[int, int, int, int]  # left, top, right, bottom, as Pillow has them: the last two are outside

_HASH_SIDE: Final = 8  # pixels: 64 comparisons of neighbours
_TILES: Final = 64  # a side; regions are told as boxes around changed tiles that touch
_JOINABLE_MAX: Final = 40  # boxes; more are found anew with larger tiles
_BOXES_MAX: Final = 8
_GAP: Final = 16  # pixels between the pictures of a pair
_PALE: Final = 0.25  # of the contrast that is left to a background
_GREY: Final = (128, 128, 128)
_RED: Final = (220, 30, 30)


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs in the common frame of two pictures."""

    width: int  # of the common frame
    height: int
    changed: int  # pixels
    boxes: tuple[Box, ...]  # around all of them; the largest first
    mean: float  # difference of a sample of 8 bits on white, 0 to 1, over all of the frame
    distance: int  # of the perceptual hashes, 0 to 64; of the whole pictures


def find(before: bytes, after: bytes) -> Difference:
    """Compare two sound PNGs."""
    old, new = _planes(before), _planes(after)
    width, height = (min(sizes) for sizes in zip(old[0].size, new[0].size, strict=True))
    frame = (0, 0, width, height)
    changed = _changed([image.crop(frame) for image in old], [image.crop(frame) for image in new])
    shown = [_on_white(images[0]) for images in (old, new)]
    mean = ImageStat.Stat(ImageChops.difference(*(image.crop(frame) for image in shown))).mean
    distance = (_hash(shown[0]) ^ _hash(shown[1])).bit_count()
    count = changed.histogram()[255]
    return Difference(width, height, count, _boxes(changed), sum(mean) / len(mean) / 255, distance)


def _planes(png: bytes) -> list[Image.Image]:
    """The picture as RGBA of 8 bits, as the digest sees it; of a picture of 16 bits, the high bytes, then the low ones.

    A picture of 8 bits is one of 16 bits whose samples are one byte twice.
    """
    stream = chunks.read(png)
    size = stream.header.width, stream.header.height
    return [Image.frombytes("RGBA", size, bytes(plane)) for plane in pixels.planes_of(stream)]


def _changed(old: list[Image.Image], new: list[Image.Image]) -> Image.Image:
    """White where any sample differs, else black."""
    sides = max(len(old), len(new))
    differences = [
        band
        for one, other in zip(old * (sides // len(old)), new * (sides // len(new)), strict=True)
        for band in ImageChops.difference(one, other).split()
    ]
    return reduce(ImageChops.lighter, differences).point(lambda sample: 255 if sample else 0)


def _boxes(changed: Image.Image) -> tuple[Box, ...]:
    """Boxes around the changed pixels: of regions of tiles that touch, those that cost least joined until there are few."""
    whole = changed.getbbox()
    if whole is None:
        return ()
    step = max(1, -(-max(whole[2] - whole[0], whole[3] - whole[1]) // _TILES))
    boxes = _regions(_tiles(changed, whole, step))
    while len(boxes) > _JOINABLE_MAX:
        step *= 2
        boxes = _regions(_tiles(changed, whole, step))
    while len(boxes) > _BOXES_MAX:
        boxes = _with_two_joined(boxes)
    return tuple(sorted(boxes, key=lambda box: (-_area(box), box)))


def _tiles(changed: Image.Image, whole: Box, step: int) -> dict[tuple[int, int], Box]:
    """Of the tiles that have changed pixels, by column and row, the box around these."""
    found: dict[tuple[int, int], Box] = {}
    for row, top in enumerate(range(whole[1], whole[3], step)):
        strip = changed.crop((0, top, whole[2], min(top + step, whole[3])))
        if strip.getbbox() is None:
            continue
        for column, left in enumerate(range(whole[0], whole[2], step)):
            box = strip.crop((left, 0, min(left + step, whole[2]), strip.height)).getbbox()
            if box:
                found[column, row] = left + box[0], top + box[1], left + box[2], top + box[3]
    return found


def _regions(tiles: dict[tuple[int, int], Box]) -> list[Box]:
    """The boxes around tiles that touch, be it at a corner."""
    left, found = dict(tiles), []
    while left:
        place, region = left.popitem()
        todo = [place]
        while todo:
            column, row = todo.pop()
            for near in ((column + dx, row + dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)):
                if near in left:
                    region = _around(region, left.pop(near))
                    todo.append(near)
        found.append(region)
    return found


def _with_two_joined(boxes: list[Box]) -> list[Box]:
    """The same, but those two are one that take in the least of what is in neither."""
    one, other = min(
        itertools.combinations(boxes, 2), key=lambda pair: _area(_around(*pair)) - _area(pair[0]) - _area(pair[1])
    )
    return [box for box in boxes if box not in (one, other)] + [_around(one, other)]


def _around(one: Box, other: Box) -> Box:
    return min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])


def _area(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def _on_white(image: Image.Image) -> Image.Image:
    """As it looks on paper."""
    if image.getchannel("A").getextrema() == (255, 255):
        return image.convert("RGB")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def _hash(shown: Image.Image) -> int:
    """The difference hash (dHash; Neal Krawetz, "Kind of Like That", 2013): whether grey rises from pixel to pixel, 8 x 8 times."""
    small = shown.convert("L").resize((_HASH_SIDE + 1, _HASH_SIDE), Image.Resampling.BOX)
    bits = 0
    for y in range(_HASH_SIDE):
        row = small.crop((0, y, _HASH_SIDE + 1, y + 1)).tobytes()
        for left, right in itertools.pairwise(row):
            bits = bits << 1 | (left < right)
    return bits


# -- pictures of it --------------------------------------------------------------------------------------------------------


def side_by_side(before: bytes, after: bytes) -> bytes:
    """Both, beside each other on grey."""
    shown = [_on_white(_planes(png)[0]) for png in (before, after)]
    size = shown[0].width + _GAP + shown[1].width, max(image.height for image in shown)
    canvas = Image.new("RGB", size, _GREY)
    canvas.paste(shown[0], (0, 0))
    canvas.paste(shown[1], (shown[0].width + _GAP, 0))
    return _written(canvas)


def overlay(before: bytes, after: bytes) -> bytes:
    """The newer one in pale grey, with what changed in red."""
    old, new = _spread(before, after)
    pale = ImageOps.grayscale(_on_white(new[0])).point(lambda sample: 255 - int((255 - sample) * _PALE))
    canvas = pale.convert("RGB")
    canvas.paste(_RED, mask=_changed_anywhere(old, new, before, after))
    return _written(canvas)


def heat_map(before: bytes, after: bytes) -> bytes:
    """How much each pixel changed, in colours."""
    old, new = _spread(before, after)
    bands = ImageChops.difference(old[0], new[0]).split()
    much = reduce(ImageChops.lighter, bands)
    changed = _changed_anywhere(old, new, before, after)
    much = ImageChops.lighter(much, changed.point(lambda sample: min(sample, 48)))  # so that the least can be seen
    only_one = ImageChops.difference(*(_covered(png, old[0].size) for png in (before, after)))
    return _written(ImageOps.colorize(ImageChops.lighter(much, only_one), "black", "white", mid="red"))


def _spread(before: bytes, after: bytes) -> tuple[list[Image.Image], list[Image.Image]]:
    """Both on canvases that have room for either; where a picture does not reach, it is not seen."""
    sides = _planes(before), _planes(after)
    size = max(side[0].width for side in sides), max(side[0].height for side in sides)
    old, new = ([plane.crop((0, 0, *size)) for plane in side] for side in sides)
    return old, new


def _covered(png: bytes, size: tuple[int, int]) -> Image.Image:
    """White where this picture has pixels."""
    header = chunks.read(png).header
    canvas = Image.new("L", size)
    canvas.paste(255, (0, 0, header.width, header.height))
    return canvas


def _changed_anywhere(old: list[Image.Image], new: list[Image.Image], before: bytes, after: bytes) -> Image.Image:
    only_one = ImageChops.difference(*(_covered(png, old[0].size) for png in (before, after)))
    return ImageChops.lighter(_changed(old, new), only_one)


def _written(image: Image.Image) -> bytes:
    """As PNG, made smaller where it has more pixels than a report should have."""
    image.thumbnail((limits.SHOWN_SIDE_MAX, limits.SHOWN_SIDE_MAX))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
