"""Conformance of `page`: every blob once, in order, and nothing else."""

from __future__ import annotations

import asyncio
from typing import Final

from casstore.blobs import BlobStore, keys
from casstore.model import Digest
from casstore.testing.harness import Case, Harness, expect, listed, opened, put_bytes, sample

__all__ = ["CASES"]

_ZERO, _LAST = Digest(bytes(32)), Digest(b"\xff" * 32)


async def _all_limits(store: BlobStore, count: int) -> None:
    placed = await asyncio.gather(*(put_bytes(store, sample(n + 1, seed=n)) for n in range(count)))
    wanted = sorted(placed, key=lambda each: each.digest)
    for limit in {1, 2, 3, 7, max(1, count - 1), max(1, count), count + 1, 1000}:
        found = await listed(store, limit)
        expect(found == wanted, f"pages of {limit} give {len(found)} of {count} blobs, or others, or other facts")


@Case.of
async def page_of_nothing(harness: Harness) -> None:
    """An empty store has an empty page, after anything."""
    async with opened(harness) as store:
        for after in (None, _ZERO, _LAST):
            expect(await store.page(after=after) == [], "nothing")


@Case.of
async def page_of_one(harness: Harness) -> None:
    """One blob is on one page."""
    async with opened(harness) as store:
        await _all_limits(store, 1)


@Case.of
async def page_of_a_few(harness: Harness) -> None:
    """Five blobs, at every limit."""
    async with opened(harness) as store:
        await _all_limits(store, 5)


@Case.of
async def page_of_a_hundred(harness: Harness) -> None:
    """A hundred blobs at several limits: sorted, complete, none twice, each as stat tells it."""
    async with opened(harness) as store:
        await _all_limits(store, 100)
        for each in await store.page(limit=3):
            expect(await store.stat(each.digest) == each, "a page agrees with stat")


@Case.of
async def page_after_what_is_not_there(harness: Harness) -> None:
    """`after` is a place in the order; nothing has to be there."""
    async with opened(harness) as store:
        placed = sorted([(await put_bytes(store, sample(9, seed=n))).digest for n in range(6)])
        expect([each.digest for each in await store.page(after=_ZERO, limit=1)] == placed[:1], "from the beginning")
        for at, digest in enumerate(placed):
            number = int.from_bytes(digest, "big")
            for after, follows in ((number - 1, digest), (number + 1, (*placed, None)[at + 1])):
                page = await store.page(after=Digest(after.to_bytes(32, "big")), limit=1)
                expect([each.digest for each in page] == [follows] * bool(follows), "from the next one")
        expect(await store.page(after=placed[-1]) == [], "nothing comes after the last")
        expect(await store.page(after=_LAST) == [], "nothing comes after the end")


@Case.of
async def page_after_deleted(harness: Harness) -> None:
    """What is deleted while pages are turned is left out from then on, and takes no other blob with it."""
    async with opened(harness) as store:
        placed = sorted([await put_bytes(store, sample(9, seed=n)) for n in range(6)], key=lambda each: each.digest)
        first = await store.page(limit=1)
        for gone in (placed[0], placed[1], placed[3]):
            await store.delete(gone.digest, generation=gone.generation)
        expect(first == placed[:1], "the first page")
        left = [placed[2], placed[4], placed[5]]
        expect(await store.page(after=first[-1].digest, limit=1) == left[:1], "the next page skips what is gone")
        expect(await listed(store, 2) == left, "as does the whole list")


@Case.of
async def page_without_strangers(harness: Harness) -> None:
    """Objects whose key is no digest are left out, and do not shorten a list."""
    async with opened(harness) as store:
        placed = sorted([await put_bytes(store, sample(9, seed=n)) for n in range(3)], key=lambda each: each.digest)
        digits = placed[1].digest.hex()
        near = (digits[:-1], digits + "0", digits.upper(), digits + ".tmp", "0" * 63 + "é", "g" * 64)
        for name in ("README", ".hidden", *near):
            await harness.plant(keys.PREFIX + name, b"a stranger")
        for limit in (1, 2, 1000):
            expect(await listed(store, limit) == placed, "only blobs are listed")


CASES: Final = tuple(each for each in list(globals().values()) if isinstance(each, Case))
