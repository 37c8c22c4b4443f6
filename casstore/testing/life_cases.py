"""Conformance of a store's life: opened, closed, opened again, cut off from its place."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

from casstore.blobs import BlobStore, Object
from casstore.errors import CasstoreError, Code
from casstore.staging import Staged
from casstore.testing.harness import Case, Harness, expect, fails_with, opened, put_bytes, read_all, staged_bytes

__all__ = ["CASES"]


@Case.of
async def reopened(harness: Harness) -> None:
    """What was put is there for who opens the place later, under the same generation."""
    async with opened(harness) as store:
        placed = await put_bytes(store, b"for later")
    async with opened(harness) as store:
        expect(await store.stat(placed.digest) == placed, "same object, same generation")
        expect(await put_bytes(store, b"for later") == placed, "and put knows it")
        expect(await read_all(await store.open(placed.digest)) == b"for later", "same bytes")


@Case.of
async def closed(harness: Harness) -> None:
    """A store may be closed twice, and says so to who goes on using it."""
    store = await harness.open()
    placed = await put_bytes(store, b"before the end")
    reader = await store.open(placed.digest)
    await store.aclose()
    await store.aclose()
    late = await staged_bytes(b"after the end")
    for call in _each_method(store, placed, late):
        await fails_with(call(), Code.STORE_CLOSED)
    with contextlib.suppress(CasstoreError):  # an open reader may refuse, or go on
        expect(await read_all(reader) == b"before the end", "with the right bytes")


@Case.of
async def cut_off(harness: Harness) -> None:
    """When the place is gone every method says Unavailable: nothing may look as if it had been deleted."""
    async with opened(harness) as store:
        placed = await put_bytes(store, b"on a disk that will be unmounted")
        late = await staged_bytes(b"another")
        await harness.take_away()
        for call in _each_method(store, placed, late):
            await fails_with(call(), Code.BLOBS_UNAVAILABLE)


def _each_method(store: BlobStore, placed: Object, late: Staged) -> tuple[Callable[[], Awaitable[object]], ...]:
    return (
        lambda: store.put(late),
        lambda: store.open(placed.digest),
        lambda: store.stat(placed.digest),
        lambda: store.delete(placed.digest, generation=placed.generation),
        store.page,
    )


CASES: Final = tuple(each for each in list(globals().values()) if isinstance(each, Case))
