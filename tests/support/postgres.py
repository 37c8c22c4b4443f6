"""Servers for tests: a throwaway Postgres, empty databases on it, and one over TCP that a test may stop and start again."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, urlencode

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from casstore.catalog.embedded import EmbeddedPostgres
from casstore.catalog.migrate import migrate
from casstore.catalog.postgres_binaries import account_for, find_binaries, run, runnable_by

WITHOUT_DURABILITY = {"fsync": "off", "full_page_writes": "off", "autovacuum": "off", "max_wal_size": "128MB"}
MEMORY, ENOUGH_BYTES = Path("/dev/shm"), 4 * 2**30


def uri_of(conninfo: str, **changes: str | None) -> str:
    """The same connection string as a URI, the form a store takes, with some parameters changed or left out (None)."""
    parts = {key: value for key, value in (conninfo_to_dict(conninfo) | changes).items() if value is not None}
    return f"postgresql:///{parts.pop('dbname')}?{urlencode(parts, quote_via=quote)}"


@contextlib.contextmanager
def passable_folder() -> Iterator[Path]:
    """A new folder that the account of a server, which is another than root's, can pass through.

    In memory where there is enough: a database is some hundred files, which take a disk ten times as long to make.
    """
    is_quick = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ENOUGH_BYTES
    # Short: a socket's path may have 100 bytes.
    folder = Path(tempfile.mkdtemp(prefix="casstore-pg-", dir=MEMORY if is_quick else None))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def throwaway_server(binaries: Path | None = None) -> Iterator[str]:
    """A Postgres of its own, quick because nothing it writes has to survive a power cut."""
    with passable_folder() as folder, EmbeddedPostgres(folder / "pg", binaries=binaries) as server:
        with psycopg.connect(server.dsn, autocommit=True) as connection:
            for setting, value in WITHOUT_DURABILITY.items():
                connection.execute(sql.SQL("alter system set {} = {}").format(sql.Identifier(setting), value))
            connection.execute("select pg_reload_conf()")
        yield uri_of(server.dsn)


class Databases:
    """Databases on one server, each with a name nobody else has.

    Attributes:
        server: The DSN of the server itself.
    """

    def __init__(self, server: str, through: Callable[[str], str] | None = None) -> None:
        self.server = server
        self._through = through or (lambda dsn: dsn)
        self._prefix = f"casstore_test_{secrets.token_hex(4)}"
        self._numbers = itertools.count()
        self._left: list[str] = []
        self._template = self._named("template")
        with self._admin() as admin:
            self._create(admin, self._template, "template0")
        asyncio.run(migrate(uri_of(server, dbname=self._template)))

    def fresh(self, *, migrated: bool = True) -> contextlib.AbstractContextManager[str]:
        """The DSN of a new database, by the way that the tests take."""
        return self._made_from(self._template if migrated else "template0")

    def copy_of(self, dsn: str) -> contextlib.AbstractContextManager[str]:
        """The same for one with all that is in another, which nobody works with. A pooler's connections to it are ended."""
        template = str(conninfo_to_dict(dsn)["dbname"])
        with self._admin() as admin:
            admin.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", (template,))
        return self._made_from(template)

    @contextlib.contextmanager
    def _made_from(self, template: str) -> Iterator[str]:
        name = self._named(next(self._numbers))
        with self._admin() as admin:
            self._drop_left(admin)
            self._create(admin, name, template)
        try:
            yield self._through(uri_of(self.server, dbname=name))
        finally:
            # Dropped later: a server waits a tenth of a second for connections that were closed a moment ago.
            self._left.append(name)

    def direct(self, dsn: str) -> str:
        """The same database without a pooler in between: what a session of one's own is needed for."""
        return uri_of(self.server, dbname=str(conninfo_to_dict(dsn)["dbname"]))

    def close(self) -> None:
        with self._admin() as admin:
            self._left.append(self._template)
            self._drop_left(admin)

    def _named(self, what: object) -> str:
        return f"{self._prefix}_{what}"

    def _create(self, admin: psycopg.Connection[Any], name: str, template: str) -> None:
        admin.execute(sql.SQL("create database {} template {}").format(sql.Identifier(name), sql.Identifier(template)))
        # The embedded server's role is named as our schema: names without a schema would be found in it, and only there.
        admin.execute(sql.SQL("alter database {} set search_path = ''").format(sql.Identifier(name)))

    def _drop_left(self, admin: psycopg.Connection[Any]) -> None:
        while self._left:
            admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(self._left.pop())))

    def _admin(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.server, autocommit=True)


class Daemon:
    """A server process of a test's own, on a port of 127.0.0.1 that it keeps; as root under an unprivileged account."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.account = account_for(folder, None)
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str | Path]:
        """How it is started."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it, and return when it takes connections."""
        account = self.account
        run_as = {"user": account.uid, "group": account.gid, "extra_groups": []} if account else {}
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self.command(), cwd="/", stdout=log, stderr=log, **run_as)
        end = time.monotonic() + 30
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"{self.command()} did not start:\n{(self.folder / 'log').read_text()[-3000:]}")
            time.sleep(0.01)

    def stop(self, number: int = signal.SIGINT) -> None:
        """Stop it, and return when it is gone. Again does no harm."""
        if self._process:
            self._process.send_signal(number)
            self._process.wait(60)
            self._process = None

    def give(self, *paths: Path) -> None:
        """Make the account the owner of these paths."""
        for path in paths:
            if self.account:
                os.chown(path, self.account.uid, self.account.gid)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
            return True
        return False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()


def free_port() -> int:
    """A port nobody listens on now. That somebody takes it before its server does is rare enough."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class TcpPostgres(Daemon):
    """A Postgres over TCP. `dsn` is its database `postgres`; `settings` are the server's."""

    def __init__(self, folder: Path, binaries: Path | None = None, **settings: str) -> None:
        super().__init__(folder)
        self.dsn = f"postgresql://casstore@127.0.0.1:{self.port}/postgres"
        self.settings = WITHOUT_DURABILITY | settings
        self._bindir = runnable_by(self.account, find_binaries(binaries))
        self._data = folder / "data"
        self._data.mkdir(mode=0o700)
        self.give(self._data)
        made = run(
            [self._bindir / "initdb", "-D", self._data, "-U", "casstore", "-A", "trust", "--no-sync", "-E", "UTF8"],
            self.account,
            capture_output=True,
        )
        assert made.returncode == 0, made.stderr

    def command(self) -> list[str | Path]:
        fixed = {"listen_addresses": "127.0.0.1", "port": str(self.port), "unix_socket_directories": ""}
        words = [word for name, value in (self.settings | fixed).items() for word in ("-c", f"{name}={value}")]
        return [self._bindir / "postgres", "-D", self._data, *words]

    def _answers(self) -> bool:
        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(self.dsn):
            return True
        return False
