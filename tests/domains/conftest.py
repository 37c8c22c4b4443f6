"""Stores with keys of isolation domains, and without, on the same two halves."""

from __future__ import annotations

import asyncio
import contextlib
import inspect

import psycopg
import pytest

from casstore import AsyncStore
from tests.support.halves import StoreUrls

KEYS = {name: bytes([number]) * 32 for number, name in enumerate(("east", "west", "spare"), 1)}


class World:
    """One store, opened as often and with whatever keys a test likes."""

    def __init__(self, urls: StoreUrls, dsn: str, places) -> None:
        self.urls = urls
        self.dsn = dsn
        self.places = places

    def store(self, *names: str, **keys: bytes) -> AsyncStore:
        """A store with these keys; by their names, or as they are given."""
        return AsyncStore(
            blobs=self.urls.blobs, catalog=self.urls.catalog, domains={name: KEYS[name] for name in names} | keys
        )

    def sql(self, statement, *arguments):
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            cursor = connection.execute(statement, arguments)
            return cursor.fetchall() if cursor.description else []

    def damage(self, digest, data):
        self.places.damage(self.urls.blobs, digest, data)

    @property
    def ledger(self):
        """How many blobs it has, and versions."""
        return self.sql("select (select count(*) from casstore.blobs), (select count(*) from casstore.versions)")


class Counting:
    """A blob store that counts what is uploaded to it."""

    def __init__(self, store: AsyncStore) -> None:
        self._blobs = store._blobs
        self.uploads = []
        store._blobs = self

    async def put(self, staged, *, dead=None):
        self.uploads.append(staged.digest)
        return await self._blobs.put(staged, dead=dead)

    def __getattr__(self, name):
        return getattr(self._blobs, name)


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


@pytest.fixture
def world(store_urls, databases, places):
    return World(store_urls, databases.direct(store_urls.catalog), places)


@pytest.fixture
def store(world):
    """With all keys; open in an async test."""
    return world.store(*KEYS)
