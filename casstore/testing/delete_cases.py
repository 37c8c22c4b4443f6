"""Conformance of `delete` and of generations, the fence between a collector and a writer."""

from __future__ import annotations

import asyncio
from typing import Final

from casstore.errors import Code
from casstore.model import Digest
from casstore.testing.harness import Case, Harness, expect, fails_with, listed, opened, put_bytes, read_all

__all__ = ["CASES"]

_ROUNDS: Final = 25  # of each race; the suite is run often, so that a rare loss is seen in the end


@Case.of
async def delete_this_generation(harness: Harness) -> None:
    """Deleting the generation that is there answers True, and it is gone for stat, open and page."""
    async with opened(harness) as store, opened(harness) as other:
        kept, placed = await put_bytes(store, b"kept"), await put_bytes(store, b"deleted")
        expect(await store.delete(placed.digest, generation=placed.generation) is True, "delete answers True")
        for each in (store, other):
            expect(await each.stat(placed.digest) is None, "stat answers None")
            await fails_with(each.open(placed.digest), Code.BLOB_MISSING)
            expect(await listed(each) == [kept], "only the other blob is listed")


@Case.of
async def delete_another_generation(harness: Harness) -> None:
    """Deleting another generation answers False and does nothing."""
    async with opened(harness) as store:
        placed = await put_bytes(store, b"stays")
        for generation in (placed.generation + 1, placed.generation - 1, 1, 0):
            expect(await store.delete(placed.digest, generation=generation) is False, "delete answers False")
        expect(await store.stat(placed.digest) == placed, "the object is there")
        expect(await read_all(await store.open(placed.digest)) == b"stays", "with its bytes")


@Case.of
async def delete_nothing(harness: Harness) -> None:
    """Deleting what is not there, or not there any more, answers False."""
    async with opened(harness) as store:
        expect(await store.delete(Digest.of(b"never put"), generation=1) is False, "never there")
        placed = await put_bytes(store, b"deleted once")
        expect(await store.delete(placed.digest, generation=placed.generation), "there")
        expect(await store.delete(placed.digest, generation=placed.generation) is False, "no more")


@Case.of
async def delete_once(harness: Harness) -> None:
    """Of many deletes of one generation, exactly one answers True."""
    async with opened(harness) as store, opened(harness) as other:
        placed = await put_bytes(store, b"deleted by many")
        work = ((store, other)[n % 2].delete(placed.digest, generation=placed.generation) for n in range(8))
        answers = await asyncio.gather(*work)
        expect(sum(answers) == 1, f"{sum(answers)} deletes say they did it")


@Case.of
async def generations_never_return(harness: Harness) -> None:
    """No generation of a key is given twice, however often it is put, replaced, deleted; an old one deletes nothing."""
    async with opened(harness) as store:
        seen = [(await put_bytes(store, b"again and again")).generation]
        digest = Digest.of(b"again and again")
        for number in range(2 * _ROUNDS):
            if number % 2:
                expect(await store.delete(digest, generation=seen[-1]), "deleted")
            placed = await put_bytes(store, b"again and again", dead=seen[-1] if number % 4 < 2 else None)  # noqa: PLR2004
            if number % 2 or number % 4 < 2:  # noqa: PLR2004 - deleted or replaced just now
                expect(placed.generation not in seen, "the new object has a new generation")
                for old in seen[-3:]:
                    expect(not await store.delete(digest, generation=old), "an old generation deletes nothing")
                seen.append(placed.generation)
        expect(await read_all(await store.open(digest)) == b"again and again", "and the bytes stay the same")


@Case.of
async def delete_races_replacement(harness: Harness) -> None:
    """A delete of the dead generation, racing the put that replaces it, never kills the new object."""
    async with opened(harness) as writer, opened(harness) as collector:
        old = await put_bytes(writer, b"contended")
        for _ in range(_ROUNDS):
            work = (
                put_bytes(writer, b"contended", dead=old.generation),
                collector.delete(old.digest, generation=old.generation),
                put_bytes(collector, b"contended", dead=old.generation),
            )
            first, _deleted, second = await asyncio.gather(*work)
            expect(first == second, "both writers are answered one object")
            expect(await writer.stat(old.digest) == first, "and it is there")
            expect(await read_all(await collector.open(old.digest)) == b"contended", "with its bytes")
            old = first


@Case.of
async def delete_races_put(harness: Harness) -> None:
    """A delete racing a plain put: the put answers the old object, which may be gone, or a new one, which is there."""
    async with opened(harness) as writer, opened(harness) as collector:
        old = await put_bytes(writer, b"contended")
        for _ in range(_ROUNDS):
            deleted, placed = await asyncio.gather(
                collector.delete(old.digest, generation=old.generation), put_bytes(writer, b"contended")
            )
            expect(deleted, "the delete found its generation")
            if placed == old:
                expect(await writer.stat(old.digest) is None, "the old object is gone")
                placed = await put_bytes(writer, b"contended")
            expect(await writer.stat(old.digest) == placed, "the new object is there")
            expect(placed.generation != old.generation, "under a new generation")
            old = placed


CASES: Final = tuple(each for each in list(globals().values()) if isinstance(each, Case))
