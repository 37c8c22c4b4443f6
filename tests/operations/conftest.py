"""One store for all tests of operations, a tenant of its own for each: what a tenant cannot see cannot disturb it.

An `async def` test runs with its `store` open.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import itertools
from pathlib import Path

import pytest

from casstore import AsyncStore, Digest
from tests.support.halves import StoreUrls

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


@pytest.fixture(scope="session")
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


@pytest.fixture
def file_of(where):
    """Where the object of a digest lies, for those who damage it."""
    folder = where.folder

    def path(digest: Digest) -> Path:
        (found,) = folder.rglob(digest.hex())
        return found

    return path
