"""What tests share: a real Postgres, a fresh migrated database per test, and one way to run a coroutine.

- `postgres` (session): the DSN of a server where databases may be made. An embedded one in a temporary folder, each
  xdist worker its own; or the server of CASSTORE_TEST_CATALOG (`postgresql://…` of a role that may create databases).
- `databases` (session): `with databases.fresh() as dsn:` is an empty, migrated database, dropped at the end;
  `fresh(migrated=False)` is one without our tables. Cheap: copied from one template that was migrated once.
- `database` (test): the DSN of such a database.
- `store_urls` (test): `.blobs` and `.catalog` for `AsyncStore(blobs=…, catalog=…)`: that database, a temporary folder.
- `run` (session): runs a coroutine to its end: `run(main())`.
- `other_server` (session): `with other_server(Path("/usr/lib/postgresql/15/bin")) as dsn:` is one of those binaries.

The environment's CASSTORE_* settings are taken away: no test depends on, or touches, the store of whoever runs it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from casstore.catalog.embedded import EmbeddedPostgres
from casstore.catalog.migrate import migrate

SERVER = os.environ.get("CASSTORE_TEST_CATALOG", "")

# A database answers as fast as it answers, and a fixture that only reads may be shared by the examples of one test.
settings.register_profile(
    "casstore", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
settings.load_profile("casstore")


class StoreUrls(NamedTuple):
    """Where the two halves of one test's store are."""

    blobs: str
    catalog: str


class Databases:
    """Databases on one server, each with a name nobody else has."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._prefix = f"casstore_test_{secrets.token_hex(4)}"
        self._numbers = itertools.count()
        self._template = self._named("template")
        with self._admin() as admin:
            self._create(admin, self._template, "template0")
        asyncio.run(migrate(self._dsn(self._template)))

    @contextlib.contextmanager
    def fresh(self, *, migrated: bool = True) -> Iterator[str]:
        name = self._named(next(self._numbers))
        template = self._template if migrated else "template0"
        with self._admin() as admin:
            self._create(admin, name, template)
        try:
            yield self._dsn(name)
        finally:
            self._drop(name)

    def close(self) -> None:
        self._drop(self._template)

    def _named(self, what: object) -> str:
        return f"{self._prefix}_{what}"

    def _dsn(self, name: str) -> str:
        return uri_of(make_conninfo(self._server, dbname=name))

    def _create(self, admin: psycopg.Connection[Any], name: str, template: str) -> None:
        admin.execute(sql.SQL("create database {} template {}").format(sql.Identifier(name), sql.Identifier(template)))
        # The embedded server's role is named as our schema: names without a schema would be found in it, and only there.
        admin.execute(sql.SQL("alter database {} set search_path = ''").format(sql.Identifier(name)))

    def _drop(self, name: str) -> None:
        with self._admin() as admin:
            admin.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))

    def _admin(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self._server, autocommit=True)


def uri_of(conninfo: str) -> str:
    """The same connection string as a URI, the form a store takes."""
    parts = conninfo_to_dict(conninfo)
    return f"postgresql:///{parts.pop('dbname')}?{urlencode(parts, quote_via=quote)}"


@contextlib.contextmanager
def throwaway_server(binaries: Path | None = None) -> Iterator[str]:
    """A Postgres of its own, quick because nothing it writes has to survive a power cut."""
    folder = Path(tempfile.mkdtemp(prefix="casstore-pg-"))  # short: a socket's path may have 100 bytes
    folder.chmod(0o755)  # as root the server runs under another account, which has to pass through
    try:
        with EmbeddedPostgres(folder / "pg", binaries=binaries) as server:
            with psycopg.connect(server.dsn, autocommit=True) as connection:
                for setting in ("fsync", "full_page_writes", "autovacuum"):
                    connection.execute(sql.SQL("alter system set {} = off").format(sql.Identifier(setting)))
                connection.execute("select pg_reload_conf()")
            yield uri_of(server.dsn)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    if SERVER:
        yield SERVER
        return
    with throwaway_server() as dsn:
        yield dsn


@pytest.fixture(scope="session")
def other_server() -> Callable[[Path], contextlib.AbstractContextManager[str]]:
    return throwaway_server


@pytest.fixture(scope="session")
def databases(postgres: str) -> Iterator[Databases]:
    made = Databases(postgres)
    yield made
    made.close()


@pytest.fixture
def database(databases: Databases) -> Iterator[str]:
    with databases.fresh() as dsn:
        yield dsn


@pytest.fixture
def store_urls(database: str, tmp_path: Path) -> StoreUrls:
    return StoreUrls((tmp_path / "blobs").as_uri(), database)


@pytest.fixture(scope="session")
def run() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    return asyncio.run


@pytest.fixture(autouse=True, scope="session")
def _own_environment() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HOME", "BLOBS", "CATALOG", "TENANT"):
            patch.delenv(f"CASSTORE_{name}", raising=False)
        yield
