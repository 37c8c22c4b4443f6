"""BYTES: one contract, and the backends that keep it. Each translates its own foreign exceptions."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from casstore.blobs.contract import BlobReader, BlobStore, Object
from casstore.errors import Code, Invalid

__all__ = ["BlobReader", "BlobStore", "Object", "open_blobs"]


async def open_blobs(url: str) -> BlobStore:
    """The blob store at `url` (`file:///folder`); raises Invalid (bad_config) for a kind we do not know."""
    if url.startswith("file:///"):
        from casstore.blobs.local import LocalBlobs  # noqa: PLC0415 - a backend is imported by who uses it

        return await LocalBlobs.connect(Path(unquote(urlsplit(url).path)))
    raise Invalid(Code.BAD_CONFIG, f"the blobs URL {url!r} is of no known kind", hint="file:///folder")
