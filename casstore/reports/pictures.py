"""Pictures on a page: each by itself, the newer over the older, and where they differ."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from casstore.errors import Invalid
from casstore.formats import media_types
from casstore.formats.png.chunks import SIGNATURE
from casstore.model import Component

__all__ = ["Layer", "Side", "Slider", "is_picture", "shown", "slider_of", "told"]

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


@dataclass(frozen=True, slots=True)
class Side:
    """A component and its bytes, the older or the newer one."""

    name: str
    component: Component
    content: bytes


def is_picture(side: Side) -> bool:
    """Whether the bytes are those of a PNG, whatever they are called."""
    return side.content.startswith(SIGNATURE)


def told(sides: Sequence[Side]) -> str:
    """What each side is, where they are not pictures all of them or none, or one is called what it is not; else ""."""
    is_mixed = len({is_picture(side) for side in sides}) > 1
    if not is_mixed and not any(map(_is_none, sides)):
        return ""
    words = ", ".join(f"the {side.name} one is {_words(side)}" for side in sides)
    return f"{words[:1].upper()}{words[1:]}."


def _is_none(side: Side) -> bool:
    return side.component.media_type == media_types.PNG and not is_picture(side)


def _words(side: Side) -> str:
    if is_picture(side):
        return "a PNG"
    return f"called {media_types.PNG} and is none" if _is_none(side) else side.component.media_type


def shown(sides: Iterable[Side]) -> list[tuple[str, str]]:
    """Captions and URLs of pictures; of those that are not too long for a page."""
    fitting = (side for side in sides if is_picture(side) and len(side.content) <= _PICTURE_BYTES)
    return [(f"the {side.name} picture", _url(side.content)) for side in fitting]


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
