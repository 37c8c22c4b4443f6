"""Pictures: PNGs that decode whole (docs/decisions/0018), and the roles they have where they were taken out of a result."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from casstore.errors import Invalid
from casstore.formats import media_types, png
from casstore.kinds.kind import Fault, Role
from casstore.kinds.pieces import Piece
from casstore.model import MAIN, Relation

__all__ = ["KEY_ENDS", "ROLES", "depictions", "faults_of"]

KEY_ENDS: Final = ("_visual", "_chart")  # of a key in a result below which pictures may be

_PAYLOAD: Final = "semantic_payload"  # where a structured result keeps its parts
_PLAIN: Final = r"(?:[a-z0-9_-]+\.)*[a-z0-9_-]*(?:_visual|_chart)(?:\.[a-z0-9_-]+)*"
_HASHED: Final = r"(?:[a-z0-9-]+-)?(?:visual|chart)\.\.[0-9a-f]{32}"


def faults_of(piece: Piece) -> Iterator[Fault]:
    """Why the bytes are no PNG, or one that is damaged or larger than a viewer can be expected to show."""
    data = piece.bytes()
    try:
        png.inspect(data, apart=piece.apart)
    except Invalid as error:
        yield Fault(piece.role, "", f"is no sound picture: {error.message}")


ROLES: Final = Role(
    name="*_visual, *_chart",
    pattern=re.compile(f"{_PLAIN}|{_HASHED}"),
    optional=True,
    media_types=(media_types.PNG,),
    check=faults_of,
)


def depictions(there: frozenset[str]) -> Iterable[Relation]:
    """What each picture depicts: the part it was found in, or `main`, where there is one of them."""
    pictures = frozenset(filter(ROLES.has, there))
    for role in pictures:
        part = role.removeprefix(f"{_PAYLOAD}.").partition(".")[0]
        target = part if part in there - pictures else MAIN
        if target in there:
            yield Relation(role, "depicts", target)
