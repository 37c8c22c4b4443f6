"""Comparing two pictures by their pixels: how many differ, where, and how different the pictures look.

Pixels are those of the pixel digest (`casstore.formats.png.pixels`): what cannot be seen does not count, 16 bits are kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from casstore import limits
from casstore.errors import Code, Invalid
from casstore.formats.comparison import Change, Comparison, Format, Meaning
from casstore.formats.media_types import PNG as PNG_TYPE
from casstore.formats.png import Picture, inspect

__all__ = ["PNG", "diff", "heat_map", "overlay", "side_by_side"]

_HINT: Final = "Compare them as bytes, or look at both."


def diff(before: bytes, after: bytes) -> Comparison:
    """What has changed from one picture to another; raises Invalid (bad_picture) if either is no sound PNG.

    Of pictures of different sizes the common frame is compared, from the top left.
    """
    old, new = _inspected(before), _inspected(after)
    sizes: dict[str, Any] = {"before": _facts(old), "after": _facts(new)}
    if before == after:
        return Comparison(format="png", depth="same", details=sizes)
    if old.pixels == new.pixels:
        text = "the same pixels, in another file"
        change = Change(op="changed", path="", what="encoding", text=text, depth="encoding")
        return Comparison(
            format="png", depth="encoding", changes=(change,), total=1, summary=(text,), details=sizes | {"changed": 0}
        )
    return _differing(before, after, old, new)


def _differing(before: bytes, after: bytes, old: Picture, new: Picture) -> Comparison:
    from casstore.formats.png import difference  # noqa: PLC0415 - only a picture needs Pillow

    found = difference.find(before, after)
    changes = [*_resized(old, new), *map(_region, found.boxes)]
    share = found.changed / (found.width * found.height)
    details = {
        "before": _facts(old),
        "after": _facts(new),
        "frame": [found.width, found.height],
        "changed": found.changed,
        "share": share,
        "mean_difference": found.mean,
        "perceptual_distance": found.distance,
        "boxes": [list(box) for box in found.boxes],
    }
    summary = [change.text for change in changes if change.what == "size"]
    where = " of the common frame" if summary else ""
    if found.changed:
        summary.append(f"{_percent(share)} of the pixels{where} changed, in {_regions(len(found.boxes))}")
    else:
        summary.append("the common frame is the same")
    return Comparison(
        format="png",
        depth="meaning",
        changes=tuple(changes),
        total=len(changes),
        summary=tuple(summary),
        details=details,
    )


def _resized(old: Picture, new: Picture) -> Iterator[Change]:
    before, after = [old.width, old.height], [new.width, new.height]
    if before != after:
        text = f"the size is {new.width} x {new.height}, was {old.width} x {old.height}"
        yield Change(op="changed", path="", what="size", text=text, before=before, after=after)


def _region(box: tuple[int, int, int, int]) -> Change:
    left, top, right, bottom = box
    text = f"{right - left} x {bottom - top} pixels at {left}, {top} changed"
    return Change(op="changed", path=f"{left},{top},{right},{bottom}", what="region", text=text)


def side_by_side(before: bytes, after: bytes) -> bytes:
    """A PNG with both pictures beside each other, for people: 8 bits, no larger than `limits.SHOWN_SIDE_MAX`."""
    from casstore.formats.png import difference  # noqa: PLC0415

    return difference.side_by_side(*_sound(before, after))


def overlay(before: bytes, after: bytes) -> bytes:
    """A PNG of the newer picture in pale grey, with what changed in red; as large as both together, or smaller."""
    from casstore.formats.png import difference  # noqa: PLC0415

    return difference.overlay(*_sound(before, after))


def heat_map(before: bytes, after: bytes) -> bytes:
    """A PNG of how much each pixel changed: black not at all, then red, yellow and white; where only one has pixels, white."""
    from casstore.formats.png import difference  # noqa: PLC0415

    return difference.heat_map(*_sound(before, after))


def _sound(before: bytes, after: bytes) -> tuple[bytes, bytes]:
    _inspected(before)
    _inspected(after)
    return before, after


def _inspected(data: bytes) -> Picture:
    picture = inspect(data)
    if picture.width * picture.height > limits.COMPARED_PIXELS_MAX:
        raise Invalid(
            Code.NOT_COMPARABLE,
            f"a picture has {picture.width} x {picture.height} pixels; up to {limits.COMPARED_PIXELS_MAX:,} are compared",
            hint=_HINT,
        )
    return picture


def _facts(picture: Picture) -> dict[str, int]:
    return {
        "width": picture.width,
        "height": picture.height,
        "bit_depth": picture.bit_depth,
        "colour_type": picture.colour_type,
    }


def _percent(share: float) -> str:
    return f"{share:.1%}" if share >= 0.001 else "under 0.1%"  # noqa: PLR2004


def _regions(count: int) -> str:
    return "one region" if count == 1 else f"{count} regions"


def _meaning(data: bytes) -> Meaning | None:
    try:
        return Meaning(inspect(data).pixels)
    except Invalid:
        return None


PNG: Final = Format(name="png", media_types=frozenset({PNG_TYPE}), diff=diff, meaning=_meaning)
