"""Conformance of `put`: create-only, replacing exactly one generation, and never a lie under a key."""

from __future__ import annotations

import asyncio
import io
import tempfile
import time
from pathlib import Path
from typing import BinaryIO, Final

from casstore import limits
from casstore.blobs import BlobStore, keys
from casstore.errors import Code
from casstore.model import MAIN, Digest
from casstore.staging import Staged, stage
from casstore.testing.harness import (
    Case,
    Harness,
    expect,
    fails_with,
    listed,
    opened,
    put_bytes,
    read_all,
    sample,
    staged_bytes,
)

__all__ = ["CASES"]

_WRITERS: Final = 16
_LARGE_BYTES: Final = 3 * 2**20 + 17


async def _round_trips(store: BlobStore, data: bytes) -> None:
    expect(await store.stat(Digest.of(data)) is None, "nothing is there before")
    placed = await put_bytes(store, data)
    expect(await store.stat(placed.digest) == placed, f"stat agrees with put ({len(data)} bytes)")
    reader = await store.open(placed.digest)
    expect(reader.size_bytes == len(data), f"the reader knows the size ({len(data)} bytes)")
    expect(reader.generation == placed.generation, "the reader knows the generation")
    expect(await read_all(reader) == data, f"the bytes come back ({len(data)} bytes)")


@Case.of
async def put_small(harness: Harness) -> None:
    """A small blob comes back, and put, stat and open agree about it."""
    async with opened(harness) as store:
        await _round_trips(store, b"a small blob")


@Case.of
async def put_empty(harness: Harness) -> None:
    """The empty blob is a blob."""
    async with opened(harness) as store:
        await _round_trips(store, b"")


@Case.of
async def put_one_byte(harness: Harness) -> None:
    """One byte, also a zero and a line feed."""
    async with opened(harness) as store:
        for byte in (b"x", b"\0", b"\n"):
            await _round_trips(store, byte)


@Case.of
async def put_chunk_boundaries(harness: Harness) -> None:
    """Sizes at and around every chunk size the package uses."""
    async with opened(harness) as store:
        for chunk in (limits.INLINE_BYTES, limits.HASH_BYTES, limits.CHUNK_BYTES):
            for size in (chunk - 1, chunk, chunk + 1):
                await _round_trips(store, sample(size))


@Case.of
async def put_large(harness: Harness) -> None:
    """Several chunks and a rest."""
    async with opened(harness) as store:
        await _round_trips(store, sample(_LARGE_BYTES))


@Case.of
async def put_again(harness: Harness) -> None:
    """What is there is a success and is left alone, from this instance and from another."""
    async with opened(harness) as store, opened(harness) as other:
        first = await put_bytes(store, b"twice")
        expect(await put_bytes(store, b"twice") == first, "the second put answers the object of the first")
        expect(await put_bytes(other, b"twice") == first, "another instance answers it too")
        expect(await store.stat(first.digest) == first, "the object was left alone")


@Case.of
async def put_never_overwrites(harness: Harness) -> None:
    """An object of the right size is left alone whatever its bytes: put does not judge, a reader does."""
    data, altered = b"the true bytes", b"the fake bytes"
    await harness.plant(keys.key_of(Digest.of(data)), altered)
    async with opened(harness) as store:
        before = await store.stat(Digest.of(data))
        expect(await put_bytes(store, data) == before, "put answers what is there")
        expect(await read_all(await store.open(Digest.of(data))) == altered, "put does not overwrite")


@Case.of
async def put_concurrently(harness: Harness) -> None:
    """Many writers of one blob, through two instances, make one object of one generation."""
    data = sample(300_000)
    async with opened(harness) as store, opened(harness) as other:
        answers = await asyncio.gather(*(put_bytes((store, other)[n % 2], data) for n in range(_WRITERS)))
        expect(len(set(answers)) == 1, f"all writers are answered one object, not {len(set(answers))}")
        expect(await listed(other) == [answers[0]], "there is one object")
        expect(await read_all(await store.open(answers[0].digest)) == data, "its bytes are right")


@Case.of
async def put_many_at_once(harness: Harness) -> None:
    """Different blobs put at the same time do not disturb each other."""
    blobs = [sample(1000 * n, seed=n) for n in range(_WRITERS)]
    async with opened(harness) as store:
        placed = await asyncio.gather(*(put_bytes(store, data) for data in blobs))
        for data, each in zip(blobs, placed, strict=True):
            expect(await store.stat(each.digest) == each, "each is there")
            expect(await read_all(await store.open(each.digest)) == data, "each has its own bytes")


@Case.of
async def put_replaces_the_dead(harness: Harness) -> None:
    """With `dead`, exactly that generation is replaced."""
    async with opened(harness) as store:
        old = await put_bytes(store, b"phoenix")
        new = await put_bytes(store, b"phoenix", dead=old.generation)
        expect(await store.stat(old.digest) == new, "the object has the new generation")
        expect(await read_all(await store.open(old.digest)) == b"phoenix", "and the bytes")
        expect(not await store.delete(old.digest, generation=old.generation), "the old generation is gone")


@Case.of
async def put_leaves_the_living(harness: Harness) -> None:
    """With `dead` of another generation, what is there is answered and left alone."""
    async with opened(harness) as store:
        old = await put_bytes(store, b"alive")
        living = await put_bytes(store, b"alive", dead=old.generation)
        expect(await put_bytes(store, b"alive", dead=old.generation) == living, "the living object is answered")
        expect(await put_bytes(store, b"alive", dead=living.generation + 1) == living, "whatever was meant")
        expect(await store.stat(living.digest) == living, "and left alone")


@Case.of
async def put_dead_of_nothing(harness: Harness) -> None:
    """With `dead` and nothing under the key, the blob is created."""
    async with opened(harness) as store:
        old = await put_bytes(store, b"collected")
        expect(await store.delete(old.digest, generation=old.generation), "deleted")
        new = await put_bytes(store, b"collected", dead=old.generation)
        expect(await store.stat(new.digest) == new, "it is there again")
        await put_bytes(store, b"never was", dead=old.generation)


@Case.of
async def put_dead_concurrently(harness: Harness) -> None:
    """Of many writers that replace one generation, one does; the others adopt its object."""
    async with opened(harness) as store, opened(harness) as other:
        old = await put_bytes(store, b"replaced once")
        work = (put_bytes((store, other)[n % 2], b"replaced once", dead=old.generation) for n in range(_WRITERS))
        answers = set(await asyncio.gather(*work))
        expect(len(answers) == 1, f"all writers are answered one object, not {len(answers)}")
        expect(answers == {await store.stat(old.digest)}, "which is the one that is there")


@Case.of
async def put_meets_wrong_size(harness: Harness) -> None:
    """An object of the wrong size is Corrupt, with the generation that a heal has to name."""
    for data, altered in ((b"whole", b"who"), (b"short", b"short and more"), (b"gone", b"")):
        digest = Digest.of(data)
        await harness.plant(keys.key_of(digest), altered)
        async with opened(harness) as store:
            found = await store.stat(digest)
            expect(found and found.size_bytes == len(altered), "stat tells the size that is there")
            error = await fails_with(store.put(await staged_bytes(data)), Code.BLOB_ALTERED)
            expect(found and error.fields.get("generation") == found.generation, "the error names the generation")
            expect(await read_all(await store.open(digest)) == altered, "the object was left alone")
            await put_bytes(store, data, dead=error.fields["generation"])
            expect(await read_all(await store.open(digest)) == data, "and a put that names the generation heals it")


@Case.of
async def put_changed_source(harness: Harness) -> None:
    """A source that changed after it was staged is refused, and nothing is visible under either key."""
    before = sample(200_000)
    with tempfile.TemporaryDirectory() as folder:
        async with opened(harness) as store:
            for number, after in enumerate((before[:-1] + b"!", before + b"more", before[:-1], b"", before * 3)):
                path = Path(folder, str(number))
                _write(path, before)
                staged = (await stage(path))[MAIN]
                _write(path, after)
                await fails_with(store.put(staged), Code.SOURCE_CHANGED)
                for data in (before, after):
                    expect(await store.stat(Digest.of(data)) is None, "nothing is under either key")
                    await fails_with(store.open(Digest.of(data)), Code.BLOB_MISSING)
            expect(not await listed(store), "nothing is listed")
            await put_bytes(store, before)


@Case.of
async def put_changed_source_of_the_dead(harness: Harness) -> None:
    """A changed source does not replace the dead object either."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "source")
        _write(path, b"before")
        staged = (await stage(path))[MAIN]
        async with opened(harness) as store:
            old = await put_bytes(store, b"before")
            _write(path, b"after!")
            await fails_with(store.put(staged, dead=old.generation), Code.SOURCE_CHANGED)
            expect(await store.stat(old.digest) == old, "the object was left alone")
            expect(await read_all(await store.open(old.digest)) == b"before", "and its bytes")


@Case.of
async def put_vanished_source(harness: Harness) -> None:
    """A source that is gone is the caller's error, and nothing is visible."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "source")
        _write(path, b"soon gone")
        staged = (await stage(path))[MAIN]
        _unlink(path)
        async with opened(harness) as store:
            await fails_with(store.put(staged), Code.UNREADABLE_SOURCE)
            expect(not await listed(store), "nothing is listed")


@Case.of
async def put_failing_source(harness: Harness) -> None:
    """A source whose disk fails midway is the caller's error; nothing is visible, and good bytes may follow."""
    data = sample(500_000)
    async with opened(harness) as store:
        await fails_with(store.put(_sourced(data, _FailingSource)), Code.UNREADABLE_SOURCE)
        expect(await store.stat(Digest.of(data)) is None, "nothing is under the key")
        expect(not await listed(store), "nothing is listed")
        await put_bytes(store, data)


@Case.of
async def put_is_invisible_until_complete(harness: Harness) -> None:
    """Whoever looks during a put sees nothing or the whole blob; while bytes are still missing, nothing."""
    data = sample(20 * limits.HASH_BYTES)
    source: type[_PacedSource] = type("Source", (_PacedSource,), {})  # of its own, for the sake of `exhausted`
    async with opened(harness) as store, opened(harness) as other:
        writing = asyncio.ensure_future(store.put(_sourced(data, source)))
        try:
            while not writing.done():
                found, page = await other.stat(Digest.of(data)), await other.page()
                unfinished = not source.exhausted
                expect(not (unfinished and (found or page)), "nothing is visible before all bytes are there")
                for seen in ([found] if found else []) + page:
                    expect(seen.size_bytes == len(data), "what is visible is complete")
                    expect(await read_all(await other.open(seen.digest)) == data, "and has all its bytes")
                await asyncio.sleep(0)
            expect(await listed(other) == [await writing], "and then it is there")
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)


@Case.of
async def put_cancelled(harness: Harness) -> None:
    """A put that was cancelled leaves nothing or the whole blob, and can be done again."""
    data = sample(8 * limits.HASH_BYTES)
    async with opened(harness) as store:
        writing = asyncio.ensure_future(store.put(_sourced(data, _PacedSource)))
        await asyncio.sleep(0.01)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        placed = await put_bytes(store, data)
        expect(await read_all(await store.open(placed.digest)) == data, "the bytes are right")
        expect(await listed(store) == [await store.stat(placed.digest)], "there is one object")


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _unlink(path: Path) -> None:
    path.unlink()


class _PacedSource(io.BytesIO):
    """Gives its bytes slowly, and says when it gave the last one."""

    exhausted = False

    def read(self, size: int | None = -1, /) -> bytes:
        time.sleep(0.002)
        chunk = super().read(size)
        type(self).exhausted = self.tell() == len(self.getbuffer())
        return chunk


class _FailingSource(io.BytesIO):
    """A disk with a bad sector."""

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() > limits.HASH_BYTES:
            raise OSError(5, "Input/output error")
        return super().read(min(size or 1, limits.HASH_BYTES))


class _Sourced(Staged):
    """Staged bytes that are read through another reader."""

    reader: type[io.BytesIO] = io.BytesIO

    def open(self) -> BinaryIO:
        return self.reader(bytes(self.source))  # type: ignore[arg-type]  # always bytes here


def _sourced(data: bytes, reader: type[io.BytesIO]) -> Staged:
    kind = type("Sourced", (_Sourced,), {"reader": reader})
    staged: Staged = kind(Digest.of(data), len(data), 0, "application/octet-stream", data)
    return staged


CASES: Final = tuple(each for each in list(globals().values()) if isinstance(each, Case))
