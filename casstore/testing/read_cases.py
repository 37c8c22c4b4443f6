"""Conformance of `open` and `stat`: the bytes that were put, whole or in ranges, and absence as what it is."""

from __future__ import annotations

import asyncio
from typing import Final

from casstore import limits
from casstore.errors import CasstoreError, Code
from casstore.model import Digest
from casstore.testing.harness import Case, Harness, expect, fails_with, opened, put_bytes, read_all, sample

__all__ = ["CASES"]

_READERS: Final = 32


@Case.of
async def absent(harness: Harness) -> None:
    """What was never put has no stat, and opening it is Corrupt (blob_missing)."""
    digest = Digest.of(b"never put")
    async with opened(harness) as store:
        expect(await store.stat(digest) is None, "stat answers None")
        await fails_with(store.open(digest), Code.BLOB_MISSING)
        await fails_with(store.open(digest, start=3, end=5), Code.BLOB_MISSING)


@Case.of
async def ranges(harness: Harness) -> None:
    """`start` to `end` as Python slices them: beyond the end is the end, and nothing is nothing."""
    size = limits.INLINE_BYTES + 1000  # its whole is read in a thread, most ranges are read inline
    data = sample(size)
    bounds = (0, 1, 999, limits.INLINE_BYTES, size - 1, size, size + 1, 10 * size)
    async with opened(harness) as store:
        digest = (await put_bytes(store, data)).digest
        for start in bounds:
            for end in (*bounds, None):
                reader = await store.open(digest, start=start, end=end)
                wanted = data[start:end]
                expect(reader.size_bytes == len(wanted), f"the reader of [{start}:{end}] knows its size")
                expect(await read_all(reader, size) == wanted, f"the bytes of [{start}:{end}]")


@Case.of
async def ranges_of_the_empty(harness: Harness) -> None:
    """Every range of the empty blob is empty."""
    async with opened(harness) as store:
        digest = (await put_bytes(store, b"")).digest
        for start, end in ((0, None), (0, 0), (0, 5), (5, None), (5, 9)):
            reader = await store.open(digest, start=start, end=end)
            expect(reader.size_bytes == 0, "the reader knows it is empty")
            expect(await read_all(reader) == b"", "and gives nothing")


@Case.of
async def read_sizes(harness: Harness) -> None:
    """However the bytes are asked for, together they are the blob."""
    data = sample(2 * limits.INLINE_BYTES + 33)
    async with opened(harness) as store:
        digest = (await put_bytes(store, data)).digest
        for max_bytes in (777, limits.INLINE_BYTES, limits.INLINE_BYTES + 1, len(data) - 1, len(data), 2**24):
            expect(await read_all(await store.open(digest), max_bytes) == data, f"in reads of {max_bytes}")
        expect(await read_all(await store.open(digest, end=300), 1) == data[:300], "byte by byte")


@Case.of
async def readers_at_once(harness: Harness) -> None:
    """Many readers, interleaved, do not move each other."""
    data = sample(200_000)
    async with opened(harness) as store, opened(harness) as other:
        digest = (await put_bytes(store, data)).digest

        async def read(number: int) -> bool:
            start = number * 1_000
            return await read_all(await (store, other)[number % 2].open(digest, start=start), 10_007) == data[start:]

        expect(all(await asyncio.gather(*map(read, range(_READERS)))), "each has its own bytes")


@Case.of
async def reader_closed_twice(harness: Harness) -> None:
    """A reader may be closed at any place, twice, and others read on."""
    data = sample(100_000)
    async with opened(harness) as store:
        digest = (await put_bytes(store, data)).digest
        first, second = await store.open(digest), await store.open(digest)
        begun = await first.read(1_000)
        expect(0 < len(begun) <= len(data) and data.startswith(begun), "a short read is a beginning")
        await first.aclose()
        await first.aclose()
        expect(await read_all(second) == data, "the other reader reads on")


@Case.of
async def reading_while_deleting(harness: Harness) -> None:
    """Who reads a blob that is deleted gets its bytes or one of our errors, never other bytes."""
    data = sample(300_000)
    async with opened(harness) as store:
        placed = await put_bytes(store, data)
        reader = await store.open(placed.digest)
        begun = await reader.read(10_000)
        expect(await store.delete(placed.digest, generation=placed.generation), "a reader does not stop a delete")
        await put_bytes(store, sample(300_000, seed=1))
        try:
            rest = await read_all(reader)
        except CasstoreError:
            return
        expect(begun + rest == data, "the bytes are the old ones to the end")


CASES: Final = tuple(each for each in list(globals().values()) if isinstance(each, Case))
