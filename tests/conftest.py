"""What tests share: real servers, a fresh migrated database per test, and one way to run a coroutine.

Two environment variables choose the halves of every store that asks for none in particular, one cell of a matrix per run:

- CASSTORE_TEST_CATALOG: unset, an embedded server in a temporary folder; `pgbouncer`, the same behind a transaction pooler;
  `postgres15`, Debian's, the oldest that is supported; or `postgresql://…`, a server of yours, by a role that may create databases.
- CASSTORE_TEST_BLOBS: unset, temporary folders; `gcs`, a bucket on a server of `casstore.testing.gcs`, which lives in the worker.

The fixtures; each xdist worker has its own servers:

- `postgres` (session): the DSN of a server where databases may be made, never by way of a pooler.
- `databases` (session): `with databases.fresh() as dsn:` is an empty, migrated database, dropped at the end;
  `fresh(migrated=False)` is one without our tables. Cheap: copied from one template that was migrated once.
  `databases.direct(dsn)` leads there without a pooler, for a test that needs a session of its own.
- `database` (test): the DSN of such a database.
- `places` (session): places for blobs, and what may happen to the bytes there behind a store's back.
- `new_blobs` (session): `new_blobs()` is the URL of an empty place for blobs.
- `store_urls` (test): `.blobs` and `.catalog` for `AsyncStore(blobs=…, catalog=…)`; `.folder` of the blobs, or the test is skipped.
- `run` (session): runs a coroutine to its end: `run(main())`.
- `other_server` (session): `with other_server(Path("/usr/lib/postgresql/15/bin")) as dsn:` is one of those binaries.

The environment's CASSTORE_* settings are taken away: no test depends on, or touches, the store of whoever runs it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Callable, Coroutine, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from casstore import limits
from tests.support.halves import (
    BucketPlaces,
    FolderPlaces,
    StoreUrls,
    databases_on,
    places_for_blobs,
    server_for_catalogs,
)
from tests.support.postgres import Databases, throwaway_server

# A database answers as fast as it answers, and a fixture that only reads may be shared by the examples of one test.
settings.register_profile(
    "casstore", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
settings.load_profile("casstore")

LIMITS = dict(vars(limits))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Report on a test without collecting garbage meanwhile: pytest parses the code around a failure, and code that runs in the
    middle of that makes CPython raise SystemError (gh-106905), which ends the whole run and tells nothing of the failure.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    with server_for_catalogs() as dsn:
        yield dsn


@pytest.fixture(scope="session")
def other_server() -> Callable[[Path], contextlib.AbstractContextManager[str]]:
    return throwaway_server


@pytest.fixture(scope="session")
def databases(postgres: str) -> Iterator[Databases]:
    with databases_on(postgres) as made:
        yield made


@pytest.fixture
def database(databases: Databases) -> Iterator[str]:
    with databases.fresh() as dsn:
        yield dsn


@pytest.fixture(scope="session")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FolderPlaces | BucketPlaces]:
    with places_for_blobs(tmp_path_factory.mktemp("blobs")) as places:
        yield places


@pytest.fixture(scope="session")
def new_blobs(places: FolderPlaces | BucketPlaces) -> Callable[[], str]:
    return places.new


@pytest.fixture
def store_urls(database: str, new_blobs: Callable[[], str]) -> StoreUrls:
    return StoreUrls(new_blobs(), database)


@pytest.fixture(scope="session")
def run() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    return asyncio.run


@pytest.fixture(autouse=True, scope="session")
def _own_environment() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HOME", "BLOBS", "CATALOG", "TENANT"):
            patch.delenv(f"CASSTORE_{name}", raising=False)
        yield


@pytest.fixture(autouse=True)
def _limits_stay() -> Iterator[None]:
    """A limit that is changed without `monkeypatch`, say by importing a program, is changed for every later test of the worker."""
    yield
    assert vars(limits) == LIMITS
