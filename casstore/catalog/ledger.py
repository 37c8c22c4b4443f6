"""What is believed about each blob. Reserving and settling are part of `put_version`, in the database."""

from __future__ import annotations

from typing import Final

from casstore.catalog.connection import Catalog
from casstore.model import Digest

__all__ = ["doubt"]

_DOUBT: Final = "select casstore.doubt_blob(%s, %s::bigint)"


async def doubt(catalog: Catalog, digest: Digest, bad_generation: int | None) -> None:
    """Take back the belief that a blob is good, after it was read and found missing (None) or altered: a put then heals it."""
    await catalog.one(_DOUBT, (bytes(digest), bad_generation))
