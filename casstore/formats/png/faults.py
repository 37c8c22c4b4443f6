"""The one way a picture is refused."""

from __future__ import annotations

from typing import NoReturn

from casstore.errors import Code, Invalid

__all__ = ["refuse"]

_HINT = "Export the picture again, or store the bytes as they are under another media type."


def refuse(chunk: str, offset: int, fault: str) -> NoReturn:
    """Raise Invalid (bad_picture): what is wrong with the chunk that begins at this byte of the PNG."""
    raise Invalid(
        Code.BAD_PICTURE, f"the PNG's {chunk} at byte {offset} {fault}", hint=_HINT, chunk=chunk, offset=offset
    )
