"""init: make the folder of blobs, and bring the catalog to this release."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from casstore.blobs import open_blobs
from casstore.catalog.visit import visit
from casstore.config import Settings

__all__ = ["Prepared", "init"]


class Prepared(BaseModel):
    """Where the store is, without credentials, and the migrations that were applied just now."""

    model_config = ConfigDict(frozen=True)

    blobs: str
    catalog: str
    applied: tuple[str, ...]


async def init(settings: Settings) -> Prepared:
    """Make what is missing; see `AsyncStore.init` for the promise."""
    blobs = await open_blobs(settings.blobs)
    await blobs.aclose()
    async with visit(settings.catalog, binaries=settings.postgres_binaries, owner=settings.postgres_owner) as catalog:
        applied = await catalog.migrate()
    shown = settings.redacted()
    return Prepared(blobs=shown.blobs, catalog=shown.catalog, applied=tuple(applied))
