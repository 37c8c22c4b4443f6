"""salvaging: where bytes can be had that a store has lost. What a source gives was hashed, and is what was asked for."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

from casstore import limits
from casstore.blobs import BlobReader, BlobStore, open_blobs
from casstore.domains import Domain
from casstore.errors import Code, Corrupt, Invalid
from casstore.model import MAIN, Digest
from casstore.staging import Staged, reading, stage
from casstore.urls import folder_of

__all__ = ["Source", "chunks", "sources_of"]


class Source(Protocol):
    """A place that may have a blob's bytes."""

    name: str

    async def fetch(self, digest: Digest, size_bytes: int, domain: Domain | None) -> Staged | None:
        """The bytes of this digest in this domain, to be closed by the caller; None where it has none."""
        ...


@asynccontextmanager
async def sources_of(places: Iterable[str | os.PathLike[str]]) -> AsyncIterator[list[Source]]:
    """These places as sources, in their order; open in the block.

    Raises:
        Invalid: A file or folder that cannot be read (unreadable_source), a URL of no known kind (bad_config).
    """
    async with contextlib.AsyncExitStack() as stack:
        found: list[Source] = []
        for given in places:
            place = os.fspath(given)
            if "://" in place:
                found.append(await stack.enter_async_context(_opened(place)))
            else:
                found.append(await asyncio.to_thread(_Files, Path(place)))
        yield found


async def chunks(reader: BlobReader) -> AsyncIterator[bytes]:
    """All that a reader gives."""
    while chunk := await reader.read(limits.CHUNK_BYTES):
        yield chunk


@asynccontextmanager
async def _opened(url: str) -> AsyncIterator[Source]:
    folder = folder_of(url, "file")
    if folder and not folder.is_dir():  # opening would make it
        raise Invalid(
            Code.UNREADABLE_SOURCE, f"there is no folder {folder}", hint="Check the path and its permissions."
        )
    blobs = await open_blobs(url)
    try:
        yield _Blobs(blobs)
    finally:
        await blobs.aclose()


class _Blobs:
    """The blobs of another store, or a copy of this one's."""

    def __init__(self, blobs: BlobStore) -> None:
        self.name = blobs.url
        self._blobs = blobs

    async def fetch(self, digest: Digest, size_bytes: int, domain: Domain | None) -> Staged | None:
        try:
            reader = await self._blobs.open(digest)
        except Corrupt as error:
            if error.code is not Code.BLOB_MISSING:
                raise
            return None
        try:
            if reader.size_bytes != size_bytes:
                return None
            return await _if_right(digest, chunks(reader), domain)
        finally:
            await reader.aclose()


class _Files:
    """Files of any names: those of the right size are hashed, and what they are is remembered."""

    def __init__(self, place: Path) -> None:
        self.name = str(place)
        self._by_size: dict[int, list[Path]] = {}
        self._others: dict[tuple[Path, str], Digest] = {}  # that were hashed, in a domain, for another digest
        with reading(place):
            for path in _walk(place):
                self._by_size.setdefault(path.stat().st_size, []).append(path)

    async def fetch(self, digest: Digest, size_bytes: int, domain: Domain | None) -> Staged | None:
        for path in self._by_size.get(size_bytes, []):
            known = path, domain.name if domain else ""
            if self._others.get(known, digest) == digest:
                staged = (await stage(path, domain=domain))[MAIN]
                if staged.digest == digest:
                    return staged
                self._others[known] = staged.digest
        return None


def _walk(place: Path) -> Iterator[Path]:
    if not place.is_dir():
        yield place
        return
    for folder, _, names in os.walk(place):
        yield from (path for name in names if (path := Path(folder, name)).is_file() and not path.is_symlink())


async def _if_right(digest: Digest, data: Any, domain: Domain | None) -> Staged | None:
    staged = (await stage(data, domain=domain))[MAIN]
    if staged.digest == digest:
        return staged
    staged.close()
    return None
