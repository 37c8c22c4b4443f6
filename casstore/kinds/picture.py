"""Pictures: PNGs that decode whole (docs/decisions/0018)."""

from __future__ import annotations

from collections.abc import Iterator

from casstore.errors import Invalid
from casstore.formats import png
from casstore.kinds.kind import Fault
from casstore.kinds.pieces import Piece

__all__ = ["faults_of"]


def faults_of(piece: Piece) -> Iterator[Fault]:
    """Why the bytes are no PNG, or one that is damaged or larger than a viewer can be expected to show."""
    data = piece.bytes()
    try:
        png.inspect(data)
    except Invalid as error:
        yield Fault(piece.role, "", f"is no sound picture: {error.message}")
