"""One store for the tests of a file, a tenant of its own for each: what a tenant cannot see cannot disturb it.

An `async def` test runs with its `store` open.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import itertools
from typing import NamedTuple

import pytest

from casstore import AsyncStore, Digest
from tests.support.halves import BucketPlaces, FolderPlaces, StoreUrls

NUMBERS = itertools.count(1)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    test, given = pyfuncitem.obj, pyfuncitem.funcargs
    if not inspect.iscoroutinefunction(test):
        return None

    async def opened():
        async with given.get("store") or contextlib.nullcontext():
            await test(**{name: given[name] for name in inspect.signature(test).parameters})

    asyncio.run(opened())
    return True


@pytest.fixture(scope="module")
def where(databases, new_blobs):
    with databases.fresh() as dsn:
        yield StoreUrls(new_blobs(), dsn)


@pytest.fixture
def store(where):
    return AsyncStore(blobs=where.blobs, catalog=where.catalog)


@pytest.fixture
def t(store):
    """A tenant nobody else has."""
    return store.tenant(f"tenant-{next(NUMBERS)}")


@pytest.fixture
def other(store):
    """Another one."""
    return store.tenant(f"other-{next(NUMBERS)}")


class StoredBytes(NamedTuple):
    """The bytes of one store as they lie there, for those who damage them."""

    places: FolderPlaces | BucketPlaces
    url: str

    def of(self, digest: Digest) -> bytes:
        return self.places.bytes_of(self.url, digest)

    def damage(self, digest: Digest, data: bytes | None) -> None:
        """Let them be others, or None at all."""
        self.places.damage(self.url, digest, data)


class Bench:
    """A store that is open for as many examples as hypothesis tries: `bench.run(…)` on the loop where it lives."""

    def __init__(self, runner: asyncio.Runner, store: AsyncStore) -> None:
        self.run = runner.run
        self.store = store

    def tenant(self):
        """One that nobody else has."""
        return self.store.tenant(f"bench-{next(NUMBERS)}")


@pytest.fixture(scope="module")
def bench(where):
    with asyncio.Runner() as runner:
        store = runner.run(AsyncStore(blobs=where.blobs, catalog=where.catalog).open())
        yield Bench(runner, store)
        runner.run(store.aclose())


@pytest.fixture
def stored(places, where):
    return StoredBytes(places, where.blobs)
