"""The two halves that the tests' stores are made of: which servers they are on is the environment's choice."""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from casstore import AsyncStore, limits
from casstore.urls import folder_of
from tests.support.pgbouncer import PgBouncer
from tests.support.postgres import Databases, passable_folder

CATALOG = os.environ.get("CASSTORE_TEST_CATALOG", "")
BLOBS = os.environ.get("CASSTORE_TEST_BLOBS", "")


class StoreUrls(NamedTuple):
    """Where the two halves of one test's store are."""

    blobs: str
    catalog: str

    @property
    def folder(self) -> Path:
        """The folder of the blobs. A test that looks into it is skipped where the blobs are elsewhere."""
        return folder_of(self.blobs, "file") or pytest.skip("about a folder of blobs")

    def leftovers(self) -> list[str]:
        """The temporary files that writers left among the blobs. In a bucket there is none to leave."""
        folder = folder_of(self.blobs, "file")
        return [path.name for path in folder.rglob(".tmp-*")] if folder else []


async def fill_pool(store: AsyncStore) -> None:
    """Make an open store have as many connections to its catalog as it ever has."""
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(limits.CATALOG_CONNECTIONS):
            await stack.enter_async_context(store._catalog._pool.connection())


@contextlib.contextmanager
def databases_on(server: str) -> Iterator[Databases]:
    """Databases of a server, reached as CASSTORE_TEST_CATALOG says."""
    with contextlib.ExitStack() as stack:
        through = None
        if CATALOG == "pgbouncer":
            through = stack.enter_context(PgBouncer(stack.enter_context(passable_folder()), server)).dsn
        databases = Databases(server, through)
        stack.callback(databases.close)
        yield databases


@contextlib.contextmanager
def places_for_blobs(folder: Path) -> Iterator[Callable[[], str]]:
    """A function that answers the URL of a new, empty place for blobs, of the kind that CASSTORE_TEST_BLOBS names."""
    if BLOBS not in ("", "gcs"):
        pytest.exit(f"CASSTORE_TEST_BLOBS={BLOBS} is unknown: leave it unset, or gcs")
    numbers = itertools.count()
    if not BLOBS:
        yield lambda: f"{folder.as_uri()}/{next(numbers)}"
        return
    from casstore.testing.gcs import GcsServer

    with GcsServer() as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", server.url)  # for the processes that tests start, too
        bucket = f"casstore-test-{secrets.token_hex(4)}"
        server.create_bucket(bucket)
        yield lambda: f"gs://{bucket}/{next(numbers)}"
