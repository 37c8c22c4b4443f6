"""A blob store in memory, stricter than any real one: for tests only, it survives nothing.

It copies bytes on the way in, gives every write a fresh generation, answers short reads and short pages, and yields to
the event loop in every call and between the chunks of a put, so that a caller's races show.
"""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field
from typing import Final

from casstore import limits
from casstore.blobs import BlobReader, Object, keys
from casstore.errors import Code, Corrupt, Invalid, Unavailable, UsageError
from casstore.hashing import Hasher
from casstore.model import Digest
from casstore.staging import Staged, reading

__all__ = ["MemoryBlobs", "MemoryPlace"]

_SHORT: Final = 3  # a read gives a third of what was asked for, a page too


@dataclass
class MemoryPlace:
    """What several stores can be opened on: objects by key, each with its generation."""

    objects: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    reachable: bool = True
    generations: itertools.count[int] = field(default_factory=lambda: itertools.count(1_000_001))

    def write(self, key: str, data: bytes) -> int:
        """Put `data` under `key`, whatever is there, and answer its generation."""
        generation = next(self.generations)
        self.objects[key] = (generation, bytes(data))
        return generation


class MemoryBlobs:
    """A `BlobStore` on a `MemoryPlace`."""

    def __init__(self, place: MemoryPlace | None = None) -> None:
        self.url = "memory:"
        self.place = place or MemoryPlace()
        self._closed = False

    async def put(self, staged: Staged, *, dead: int | None = None) -> Object:  # noqa: D102 - the contract has the prose
        await self._yield()
        if (existing := self._find(staged.digest)) and existing.generation != dead:
            return _adopt(existing, staged)
        data = await self._copy(staged)
        if (existing := self._find(staged.digest)) and existing.generation != dead:  # someone was faster
            return _adopt(existing, staged)
        generation = self.place.write(keys.key_of(staged.digest), data)
        await self._yield()
        return Object(staged.digest, len(data), generation)

    async def open(self, digest: Digest, *, start: int = 0, end: int | None = None) -> BlobReader:  # noqa: D102
        await self._yield()
        try:
            generation, data = self.place.objects[keys.key_of(digest)]
        except KeyError:
            message = f"the bytes of {digest} are missing from {self.url}"
            raise Corrupt(
                Code.BLOB_MISSING, message, hint="Put the same bytes again to heal it.", digest=str(digest)
            ) from None
        return _Reader(data[start:end], generation)

    async def stat(self, digest: Digest) -> Object | None:  # noqa: D102
        await self._yield()
        return self._find(digest)

    async def delete(self, digest: Digest, *, generation: int) -> bool:  # noqa: D102
        await self._yield()
        existing = self._find(digest)
        if existing is None or existing.generation != generation:
            return False
        del self.place.objects[keys.key_of(digest)]
        return True

    async def page(self, *, after: Digest | None = None, limit: int = 1000) -> list[Object]:  # noqa: D102
        await self._yield()
        digests = (keys.digest_of(key.removeprefix(keys.PREFIX)) for key in self.place.objects)
        wanted = sorted(digest for digest in digests if digest and (after is None or digest > after))
        objects = (self._find(digest) for digest in wanted[: -(-limit // _SHORT)])
        return [found for found in objects if found]

    async def put_new(self, key: str, data: bytes) -> bool:  # noqa: D102
        await self._yield()
        if key in self.place.objects:
            return False
        self.place.write(key, data)
        await self._yield()
        return True

    async def get(self, key: str) -> bytes | None:  # noqa: D102
        await self._yield()
        return self.place.objects[key][1] if key in self.place.objects else None

    async def remove(self, key: str) -> None:  # noqa: D102
        await self._yield()
        self.place.objects.pop(key, None)

    async def list_keys(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[str]:  # noqa: D102
        await self._yield()
        return sorted(key for key in self.place.objects if key.startswith(prefix) and key > after)[
            : -(-limit // _SHORT)
        ]

    async def aclose(self) -> None:  # noqa: D102
        self._closed = True

    async def _yield(self) -> None:
        if self._closed:
            raise UsageError(Code.STORE_CLOSED, "the blob store is closed")
        await asyncio.sleep(0)
        if not self.place.reachable:
            raise Unavailable(Code.BLOBS_UNAVAILABLE, f"{self.url} is unreachable")

    def _find(self, digest: Digest) -> Object | None:
        generation, data = self.place.objects.get(keys.key_of(digest), (0, b""))
        return Object(digest, len(data), generation) if generation else None

    async def _copy(self, staged: Staged) -> bytes:
        hasher, chunks = Hasher(staged.domain), []
        with staged.open() as source:
            while True:
                with reading(staged.source):
                    chunk = source.read(limits.HASH_BYTES)
                if not chunk:
                    break
                hasher.update(chunk)
                chunks.append(chunk)
                await self._yield()
        if hasher.digest != staged.digest:
            message = "the source changed while it was being stored"
            raise Invalid(Code.SOURCE_CHANGED, message, hint="Put it again when nobody writes to it.")
        return b"".join(chunks)


class _Reader:
    def __init__(self, data: bytes, generation: int) -> None:
        self._data = data
        self._position = 0
        self._closed = False
        self.size_bytes = len(data)
        self.generation = generation

    async def read(self, max_bytes: int) -> bytes:
        await asyncio.sleep(0)
        if self._closed:
            raise UsageError(Code.STORE_CLOSED, "the reader is closed")
        chunk = self._data[self._position : self._position + -(-max_bytes // _SHORT)]
        self._position += len(chunk)
        return chunk

    async def aclose(self) -> None:
        self._closed = True


def _adopt(existing: Object, staged: Staged) -> Object:
    if existing.size_bytes == staged.size_bytes:
        return existing
    message = f"the object of {staged.digest} has {existing.size_bytes} bytes instead of {staged.size_bytes}"
    raise Corrupt(Code.BLOB_ALTERED, message, generation=existing.generation)
