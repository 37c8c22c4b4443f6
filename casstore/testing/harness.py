"""What the conformance cases stand on: a place to put blobs in, a case with a name, and the word for a broken promise.

A backend's author subclasses `Harness`; everything else here is for who writes cases.
"""

from __future__ import annotations

import contextlib
import itertools
import unittest
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from casstore.blobs import BlobReader, BlobStore, Object
from casstore.errors import CasstoreError, Code
from casstore.model import MAIN, Digest
from casstore.staging import Staged, stage

__all__ = [
    "BrokenPromiseError",
    "Case",
    "Harness",
    "expect",
    "fails_with",
    "listed",
    "opened",
    "put_bytes",
    "read_all",
    "sample",
    "staged_bytes",
]

_READ_BYTES: Final = 100_000  # arbitrary; no divisor of the sizes the cases use


class BrokenPromiseError(AssertionError):
    """A store did something else than the contract says."""


class Harness:
    """One fresh, empty place for blobs. Subclass it for a backend: `open` is needed, the others allow more cases.

    A harness is used for one case. Hooks that are left alone skip the cases that need them.
    """

    async def open(self) -> BlobStore:
        """A store on the place of this harness; called again, another instance on the same place."""
        raise NotImplementedError

    async def plant(self, key: str, data: bytes) -> None:  # noqa: ARG002 - for who overrides it
        """Put `data` under the object key (`artifacts/blobs/…`) behind the store's back."""
        raise unittest.SkipTest("the harness cannot plant objects")

    async def take_away(self) -> None:
        """Make the place unreachable for stores that are open on it, as when a disk is unmounted or a network down."""
        raise unittest.SkipTest("the harness cannot take its place away")


@dataclass(frozen=True, slots=True)
class Case:
    """One promise of the contract, checked on a fresh place."""

    name: str
    promise: str
    check: Callable[[Harness], Awaitable[None]]

    def __str__(self) -> str:
        return self.name

    @classmethod
    def of(cls, check: Callable[[Harness], Awaitable[None]]) -> Case:
        """A function as a case: its name is the name, the first line of its docstring is the promise."""
        name = getattr(check, "__name__", "")
        return cls(name, (check.__doc__ or name).strip().splitlines()[0], check)


def expect(condition: object, message: str) -> None:
    """An assertion that says what was promised, and that no `python -O` takes away."""
    if not condition:
        raise BrokenPromiseError(message)


@contextlib.asynccontextmanager
async def opened(harness: Harness) -> AsyncIterator[BlobStore]:
    """A store of the harness, closed at the end."""
    store = await harness.open()
    try:
        yield store
    finally:
        await store.aclose()


async def fails_with(work: Awaitable[object], *codes: Code) -> CasstoreError:
    """The error of `work`, which has to be one of ours; with `codes`, one of those."""
    try:
        answer = await work
    except CasstoreError as error:
        if not codes or error.code in codes:
            return error
        raise BrokenPromiseError(f"expected {' or '.join(codes)}, not {error.code}: {error}") from error
    raise BrokenPromiseError(f"expected {' or '.join(codes) or 'an error'}, not the answer {answer!r}")


def sample(size_bytes: int, seed: int = 0) -> bytes:
    """Bytes that differ by seed and repeat at no power of two, so that a piece from the wrong place shows."""
    unit = seed.to_bytes(4, "big") + bytes(range(251))
    return (unit * (size_bytes // len(unit) + 1))[:size_bytes]


async def staged_bytes(data: bytes) -> Staged:
    """`data`, ready to be put."""
    return (await stage(data))[MAIN]


async def put_bytes(store: BlobStore, data: bytes, *, dead: int | None = None) -> Object:
    """Stage and put, and check what every answer of put has to say."""
    placed = await store.put(await staged_bytes(data), dead=dead)
    expect(placed.digest == Digest.of(data), "put answers the digest of the bytes")
    expect(placed.size_bytes == len(data), "put answers the size of the bytes")
    expect(isinstance(placed.generation, int) and placed.generation != dead, "put answers a generation, not `dead`")
    return placed


async def read_all(reader: BlobReader, max_bytes: int = _READ_BYTES) -> bytes:
    """Everything up to the end, which has to stay the end; closes the reader."""
    chunks = []
    try:
        while chunk := await reader.read(max_bytes):
            expect(isinstance(chunk, bytes) and len(chunk) <= max_bytes, "a read gives at most `max_bytes` bytes")
            chunks.append(chunk)
        expect(await reader.read(max_bytes) == b"", "after the end comes the end")
    finally:
        await reader.aclose()
    return b"".join(chunks)


async def listed(store: BlobStore, limit: int = 1000) -> list[Object]:
    """All pages one after the other, up to the empty one."""
    found: list[Object] = []
    while page := await store.page(after=found[-1].digest if found else None, limit=limit):
        expect(len(page) <= limit, f"a page of at most {limit} has {len(page)} objects")
        ascending = [each.digest for each in (*found[-1:], *page)]
        expect(all(a < b for a, b in itertools.pairwise(ascending)), "pages ascend by digest, none twice")
        found += page
    return found
