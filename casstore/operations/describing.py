"""What a version's parts are, besides their bytes: the entries of its manifest, what pictures show, and what documents mean."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from casstore import limits
from casstore.domains import Domain
from casstore.errors import Code, Invalid
from casstore.formats import media_types, png
from casstore.formats.registry import can_mean, meaning_of
from casstore.kinds import Piece
from casstore.model import Component, Digest
from casstore.staging import Staged

__all__ = ["components_of"]

_NO_PICTURE: Final = (Code.BAD_PICTURE, Code.TOO_LARGE)


async def components_of(staged: Mapping[str, Staged]) -> dict[str, Component]:
    """The components of what is staged, by role; raises Invalid (unreadable_source)."""
    components = {role: part.component(role) for role, part in staged.items()}
    if told := {role: part for role, part in staged.items() if _has_facts(part)}:
        for role, facts in (await asyncio.to_thread(_looked_at, told)).items():
            components[role] = components[role].model_copy(update=facts)
    return components


def _has_facts(part: Staged) -> bool:
    return _is_picture(part) or _may_mean(part)


def _is_picture(part: Staged) -> bool:
    return Piece("", part).is_of(media_types.PNG)


def _may_mean(part: Staged) -> bool:
    return part.size_bytes <= limits.MEANING_MAX_BYTES and can_mean(part.media_type)


def _looked_at(told: Mapping[str, Staged]) -> dict[str, dict[str, Any]]:
    return {
        role: _picture(Piece(role, part), part.domain) | _meaning(Piece(role, part), part)
        for role, part in told.items()
    }


def _picture(piece: Piece, domain: Domain | None) -> dict[str, Any]:
    """What it shows; nothing of what is no sound picture, or too large: it is stored all the same, where no kind objects."""
    if not piece.is_of(media_types.PNG):
        return {}
    try:
        picture = png.inspect(piece.bytes(), apart=piece.apart)
    except Invalid as error:
        if error.code not in _NO_PICTURE:
            raise
        return {}
    pixels = domain.pixels(picture.pixels) if domain else picture.pixels
    return {"pixels": pixels, "width": picture.width, "height": picture.height}


def _meaning(piece: Piece, part: Staged) -> dict[str, Any]:
    """What it says, however it is written; nothing of what cannot be read, or has changed since it was hashed."""
    if not _may_mean(part):
        return {}
    data, domain = piece.bytes(), part.domain
    if part.digest != (domain.digest(data) if domain else Digest.of(data)):
        return {}
    found = meaning_of(part.media_type, data)
    if found is None:
        return {}
    layout = found.layout and (domain.meaning(found.layout) if domain else found.layout)
    return {"meaning": domain.meaning(found.digest) if domain else found.digest, "layout": layout}
