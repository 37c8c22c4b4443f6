"""BYTES: one contract, and the backends that keep it. Each translates its own foreign exceptions."""

from __future__ import annotations

from casstore.blobs.contract import (
    BlobReader,
    BlobStore,
    CarriesIdentity,
    Examines,
    KeepsDeleted,
    KeepsHistory,
    KeepsJournal,
    Kept,
    Object,
    Remark,
    Signed,
    TakesDirect,
)
from casstore.errors import Code, Invalid
from casstore.urls import folder_of

__all__ = [
    "BlobReader",
    "BlobStore",
    "CarriesIdentity",
    "Examines",
    "KeepsDeleted",
    "KeepsHistory",
    "KeepsJournal",
    "Kept",
    "Object",
    "Remark",
    "Signed",
    "TakesDirect",
    "open_blobs",
]


async def open_blobs(url: str) -> BlobStore:
    """The blob store at `url` (`file:///folder`, `gs://bucket/prefix`); raises Invalid (bad_config) for a kind we do not know."""
    folder = folder_of(url, "file")
    if folder:
        from casstore.blobs.local import LocalBlobs  # noqa: PLC0415 - a backend is imported by who uses it

        return await LocalBlobs.connect(folder)
    if url.startswith("gs://"):
        from casstore.blobs.gcs import GcsBlobs  # noqa: PLC0415 - Google's client takes a quarter of a second to import

        return await GcsBlobs.connect(url)
    hint = "file:///folder or gs://bucket/prefix"
    raise Invalid(Code.BAD_CONFIG, f"the blobs URL {url!r} is of no known kind", hint=hint)
