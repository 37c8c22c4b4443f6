"""What a version's parts are, besides their bytes: the entries of its manifest, and of pictures what they show."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from casstore.errors import Code, Invalid
from casstore.formats import media_types, png
from casstore.kinds import Piece
from casstore.model import Component
from casstore.staging import Staged

__all__ = ["components_of"]

_NO_PICTURE: Final = (Code.BAD_PICTURE, Code.TOO_LARGE)


async def components_of(staged: Mapping[str, Staged]) -> dict[str, Component]:
    """The components of what is staged, by role; raises Invalid (unreadable_source)."""
    components = {role: part.component(role) for role, part in staged.items()}
    pieces = [Piece(role, part) for role, part in staged.items()]
    if pictures := [piece for piece in pieces if piece.is_of(media_types.PNG)]:
        for piece, picture in zip(pictures, await asyncio.to_thread(_looked_at, pictures), strict=True):
            if picture:
                domain = staged[piece.role].domain
                pixels = domain.pixels(picture.pixels) if domain else picture.pixels
                facts = {"pixels": pixels, "width": picture.width, "height": picture.height}
                components[piece.role] = components[piece.role].model_copy(update=facts)
    return components


def _looked_at(pieces: list[Piece]) -> list[png.Picture | None]:
    return [_picture(piece) for piece in pieces]


def _picture(piece: Piece) -> png.Picture | None:
    """What it shows; None for what is no sound picture, or too large: it is stored all the same, where no kind objects."""
    try:
        return png.inspect(piece.bytes(), apart=piece.apart)
    except Invalid as error:
        if error.code not in _NO_PICTURE:
            raise
        return None
