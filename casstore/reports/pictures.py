"""Pictures on a page: each by itself, the newer over the older, and where they differ."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from casstore.errors import Invalid

__all__ = ["Layer", "Slider", "shown", "slider_of"]

_PICTURE_BYTES: Final = 8 * 2**20  # of pictures that are put into the page, each
_WIDTH: Final = slice(16, 20)  # of a PNG, in pixels (Third Edition, 11.2.1)


@dataclass(frozen=True, slots=True)
class Layer:
    """One of two pictures in the same place."""

    url: str
    share: float  # of the width of both together, in percent


@dataclass(frozen=True, slots=True)
class Slider:
    """Two pictures in the same place at the same scale: the older is seen left of a line, the newer right of it."""

    width: int  # in pixels
    older: Layer
    newer: Layer


def shown(sides: Mapping[str, bytes]) -> list[tuple[str, str]]:
    """Captions and URLs of PNGs by what they are; of those that are not too long for a page."""
    return [(f"the {name} picture", _url(content)) for name, content in sides.items() if len(content) <= _PICTURE_BYTES]


def slider_of(before: bytes, after: bytes) -> tuple[Slider, str] | None:
    """Two PNGs in one place, and the URL of a heat map of where they differ; None where one does not decode."""
    from casstore.formats.png import comparing  # noqa: PLC0415 - only pictures need it

    try:
        heat = _url(comparing.heat_map(before, after))
    except Invalid:  # the comparison says what is wrong
        return None
    widths = [int.from_bytes(content[_WIDTH]) for content in (before, after)]
    widest = max(widths)
    older, newer = (
        Layer(_url(content), round(100 * width / widest, 4))
        for content, width in zip((before, after), widths, strict=True)
    )
    return Slider(widest, older, newer), heat


def _url(content: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"
