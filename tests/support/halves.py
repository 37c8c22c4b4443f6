"""The two halves that the tests' stores are made of: which servers they are on is the environment's choice."""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from casstore import AsyncStore, Digest, limits
from casstore.blobs import keys
from casstore.urls import folder_of
from tests.support.pgbouncer import PgBouncer
from tests.support.postgres import Databases, passable_folder, throwaway_server

if TYPE_CHECKING:
    from casstore.testing.gcs import GcsServer

CATALOG = os.environ.get("CASSTORE_TEST_CATALOG", "")
BLOBS = os.environ.get("CASSTORE_TEST_BLOBS", "")
POSTGRES_15 = Path("/usr/lib/postgresql/15/bin")  # Debian's; the oldest that is supported


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
def server_for_catalogs() -> Iterator[str]:
    """The DSN of the server that CASSTORE_TEST_CATALOG means, never by way of a pooler."""
    if "://" in CATALOG:
        yield CATALOG
        return
    if CATALOG not in ("", "pgbouncer", "postgres15"):
        pytest.exit(f"CASSTORE_TEST_CATALOG={CATALOG} is unknown: leave it unset, or pgbouncer, postgres15, or a DSN")
    if CATALOG == "postgres15" and not POSTGRES_15.exists():
        pytest.exit(f"CASSTORE_TEST_CATALOG={CATALOG}, but there is no {POSTGRES_15}: apt-get install postgresql-15")
    with throwaway_server(POSTGRES_15 if CATALOG == "postgres15" else None) as dsn:
        yield dsn


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


class FolderPlaces:
    """Places for blobs in folders below one, and what may happen to the bytes there behind a store's back."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count()

    def new(self) -> str:
        """The URL of an empty place."""
        return f"{self._folder.as_uri()}/{next(self._numbers)}"

    def bytes_of(self, url: str, digest: Digest) -> bytes:
        """What is stored as the bytes of a digest."""
        return self._file(url, digest).read_bytes()

    def damage(self, url: str, digest: Digest, data: bytes | None) -> None:
        """Let them be others, or None at all; the times of the file stay as they were."""
        file = self._file(url, digest)
        if data is None:
            file.unlink()
            return
        times = file.stat()
        file.write_bytes(data)
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))

    def plant(self, url: str, digest: Digest, data: bytes) -> None:
        """Write an object behind the store's back, as another generation if one is there."""
        file = folder_of(url, "file") / keys.key_of(digest)
        file.unlink(missing_ok=True)
        file.write_bytes(data)

    def _file(self, url: str, digest: Digest) -> Path:
        (found,) = folder_of(url, "file").rglob(digest.hex())
        return found


class BucketPlaces:
    """The same as prefixes of a bucket."""

    def __init__(self, server: GcsServer) -> None:
        self._server = server
        self._bucket = f"casstore-test-{secrets.token_hex(4)}"
        self._numbers = itertools.count()
        server.create_bucket(self._bucket)

    def new(self) -> str:
        return f"gs://{self._bucket}/{next(self._numbers)}"

    def bytes_of(self, url: str, digest: Digest) -> bytes:
        return self._server.objects(self._bucket)[self._name(url, digest)].data

    def damage(self, url: str, digest: Digest, data: bytes | None) -> None:
        """Nothing in a bucket changes without a new generation."""
        if data is None:
            self._server.remove(self._bucket, self._name(url, digest))
        else:
            self._server.write(self._bucket, self._name(url, digest), data)

    def plant(self, url: str, digest: Digest, data: bytes) -> None:
        self._server.write(self._bucket, self._name(url, digest), data)

    def _name(self, url: str, digest: Digest) -> str:
        return f"{url.removeprefix(f'gs://{self._bucket}/')}/{keys.key_of(digest)}"


@contextlib.contextmanager
def places_for_blobs(folder: Path) -> Iterator[FolderPlaces | BucketPlaces]:
    """Places for blobs of the kind that CASSTORE_TEST_BLOBS means."""
    if BLOBS not in ("", "gcs"):
        pytest.exit(f"CASSTORE_TEST_BLOBS={BLOBS} is unknown: leave it unset, or gcs")
    if not BLOBS:
        yield FolderPlaces(folder)
        return
    from casstore.testing.gcs import GcsServer

    with GcsServer(recording=False) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", server.url)  # for the processes that tests start, too
        yield BucketPlaces(server)
