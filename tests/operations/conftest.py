"""One store for all tests of operations, a tenant of its own for each: what a tenant cannot see cannot disturb it.

An `async def` test runs with its `store` open.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import itertools
from pathlib import Path
from types import SimpleNamespace

import pytest

from casstore import AsyncStore, Digest

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
def where(databases, tmp_path_factory):
    folder = tmp_path_factory.mktemp("blobs")
    with databases.fresh() as dsn:
        yield SimpleNamespace(blobs=folder.as_uri(), catalog=dsn, folder=folder)


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
    """Where the object of a digest lies."""

    def path(digest: Digest) -> Path:
        (found,) = where.folder.rglob(digest.hex())
        return found

    return path
