"""Conformance of what keeps the journal: objects that are written once, and found again in the order of their keys.

A store that does not keep one (`casstore.blobs.KeepsJournal`) skips these.
"""

from __future__ import annotations

import asyncio
import contextlib
import unittest
from collections.abc import AsyncIterator
from typing import Final

from casstore.blobs import KeepsJournal
from casstore.errors import Code
from casstore.testing.harness import Case, Harness, expect, fails_with, listed, opened, put_bytes, sample

__all__ = ["CASES"]

_PREFIX: Final = "artifacts/journal/"
_RACERS: Final = 16


@contextlib.asynccontextmanager
async def _keeper(harness: Harness) -> AsyncIterator[KeepsJournal]:
    async with opened(harness) as store:
        if not isinstance(store, KeepsJournal):
            raise unittest.SkipTest("the store keeps no journal")
        yield store


async def _all_keys(store: KeepsJournal, limit: int, prefix: str = _PREFIX) -> list[str]:
    found: list[str] = []
    while page := await store.list_keys(prefix, after=found[-1] if found else "", limit=limit):
        expect(len(page) <= limit, f"a page of at most {limit} has {len(page)} keys")
        found += page
    return found


@Case.of
async def journal_of_nothing(harness: Harness) -> None:
    """What was never written is None, and in no list."""
    async with _keeper(harness) as store:
        expect(await store.get(f"{_PREFIX}a") is None, "get answers None")
        expect(await store.list_keys(_PREFIX) == [], "nothing is listed")
        expect(await store.list_keys(_PREFIX, after=f"{_PREFIX}z") == [], "nor after anything")


@Case.of
async def journal_written_once(harness: Harness) -> None:
    """A new object is kept whole; a key that is taken is refused, and what it has stays."""
    async with _keeper(harness) as store:
        for number, data in enumerate((b"", b"x", sample(3_000_000))):
            key = f"{_PREFIX}{number}"
            expect(await store.put_new(key, data) is True, "put_new says that it wrote")
            expect(await store.get(key) == data, "get answers what was written")
            expect(await store.put_new(key, data) is False, "put_new says that something is there")
            expect(await store.put_new(key, data + b"y") is False, "also when it is another")
            expect(await store.get(key) == data, "and leaves it alone")


@Case.of
async def journal_race(harness: Harness) -> None:
    """Of many that write one key at once exactly one does, and everybody reads that one's bytes, whole."""
    async with _keeper(harness) as store, _keeper(harness) as other:
        key = f"{_PREFIX}race"
        data = [sample(50_000, seed=number) for number in range(_RACERS)]
        made = await asyncio.gather(*((store, other)[n % 2].put_new(key, each) for n, each in enumerate(data)))
        expect(made.count(True) == 1, f"{made.count(True)} of {_RACERS} say that they wrote")
        for each in (store, other):
            expect(await each.get(key) == data[made.index(True)], "everybody reads the winner's bytes")


@Case.of
async def journal_listed(harness: Harness) -> None:
    """Keys below a prefix come in ascending order, each once, at every limit and after any key."""
    async with _keeper(harness) as store:
        keys = sorted(f"{_PREFIX}{number:04}-{'x' * (number % 3)}.msgpack" for number in range(7))
        for key in reversed(keys):
            await store.put_new(key, key.encode())
        for limit in (1, 2, 3, 6, 7, 1000):
            expect(await _all_keys(store, limit) == keys, f"pages of {limit} give all keys in order")
        for place, key in enumerate(keys):
            following = await store.list_keys(_PREFIX, after=key, limit=1)
            expect(following == keys[place + 1 : place + 2], "from the next one on")
        expect(await store.list_keys(_PREFIX, after=f"{_PREFIX}0003", limit=1) == [keys[3]], "after what is not there")
        expect(await store.list_keys("artifacts/elsewhere/") == [], "another prefix has none of them")


@Case.of
async def journal_beside_blobs(harness: Harness) -> None:
    """Blobs and segments do not see each other."""
    async with opened(harness) as store:
        if not isinstance(store, KeepsJournal):
            raise unittest.SkipTest("the store keeps no journal")
        placed = await put_bytes(store, b"a blob")
        await store.put_new(f"{_PREFIX}{placed.digest.hex()}", b"no blob")
        expect(await listed(store) == [placed], "a page has blobs only")
        expect(await store.list_keys(_PREFIX) == [f"{_PREFIX}{placed.digest.hex()}"], "a list has no blobs")


@Case.of
async def journal_key_removed(harness: Harness) -> None:
    """What was removed is gone, and nothing else; removing what is not there is a success."""
    async with _keeper(harness) as store:
        prefix = "artifacts/journal-keys/"
        for name in ("a", "b", "ab"):
            await store.put_new(f"{prefix}{name}", name.encode())
        await store.remove(f"{prefix}a")
        await store.remove(f"{prefix}a")
        await store.remove(f"{prefix}never")
        expect(await store.get(f"{prefix}a") is None, "get answers None")
        expect(await store.list_keys(prefix) == [f"{prefix}ab", f"{prefix}b"], "the others are there")
    async with _keeper(harness) as store:
        expect(await store.get(f"{prefix}a") is None, "also for who opens the place later")
        expect(await store.put_new(f"{prefix}a", b"new") is True, "the key is free")


@Case.of
async def journal_reopened(harness: Harness) -> None:
    """What was written is there for who opens the place later."""
    async with _keeper(harness) as store:
        await store.put_new(f"{_PREFIX}a", b"for later")
    async with _keeper(harness) as store:
        expect(await store.get(f"{_PREFIX}a") == b"for later", "same bytes")
        expect(await store.put_new(f"{_PREFIX}a", b"again") is False, "and the key is taken")


@Case.of
async def journal_cut_off(harness: Harness) -> None:
    """When the place is gone it says Unavailable: no journal may look as if it were empty."""
    async with _keeper(harness) as store:
        await store.put_new(f"{_PREFIX}a", b"on a disk that will be unmounted")
        await harness.take_away()
        await fails_with(store.get(f"{_PREFIX}a"), Code.BLOBS_UNAVAILABLE)
        await fails_with(store.list_keys(_PREFIX), Code.BLOBS_UNAVAILABLE)
        await fails_with(store.put_new(f"{_PREFIX}b", b""), Code.BLOBS_UNAVAILABLE)


CASES: Final = tuple(each for each in list(globals().values()) if isinstance(each, Case))
