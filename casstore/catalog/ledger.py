"""What is believed about each blob. Reserving and settling are part of `put_versions`, in the database."""

from __future__ import annotations

from typing import Final

from casstore.catalog.connection import Catalog
from casstore.model import Digest

__all__ = ["doubt"]

_DOUBT: Final = "select casstore.doubt_blob(%s, %s, %s::bigint)"


async def doubt(catalog: Catalog, tenant: str, digest: Digest, bad_generation: int | None) -> None:
    """Take back the belief that a blob is good, after a tenant found it missing (None) or altered: the next put heals it."""
    await catalog.one(_DOUBT, (tenant, bytes(digest), bad_generation))
