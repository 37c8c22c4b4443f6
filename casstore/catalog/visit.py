"""A visit to a catalog in whatever state it is: to bring it to this release, or to look what is wrong with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, LiteralString

from psycopg import AsyncConnection

from casstore import limits
from casstore.catalog import faults, migrate
from casstore.catalog.connection import check_url, started
from casstore.catalog.embedded import EmbeddedPostgres
from casstore.catalog.time_limit import TimeLimit
from casstore.urls import folder_of

__all__ = ["Role", "Visit", "embedded_folder", "visit"]

_ROLE: Final = """
select current_user::text,
       r.rolsuper or r.rolbypassrls or exists (
         select from pg_class c where c.relnamespace = to_regnamespace('casstore') and c.relkind = 'r'
            and pg_has_role(r.oid, c.relowner, 'usage')),
       array(select c.relname::text from pg_class c
              where c.relnamespace = to_regnamespace('casstore') and c.relkind = 'r' and not c.relrowsecurity order by 1)
  from pg_roles r where r.rolname = current_user
"""


def embedded_folder(url: str) -> Path | None:
    """The folder of an `embedded:///folder` URL; None for a server of someone else's."""
    return folder_of(url, "embedded")


@asynccontextmanager
async def visit(url: str, *, binaries: Path | None, owner: str | None) -> AsyncIterator[Visit]:
    """The catalog at `url`, an embedded one started for as long as the visit lasts; nothing in it is changed.

    Raises:
        Invalid: The URL is of no known kind (bad_config).
        Unavailable: No server answers, or none can be started.
    """
    folder = embedded_folder(check_url(url))
    if folder is None:
        yield Visit(url)
        return
    server = await started(EmbeddedPostgres(folder, binaries=binaries, owner=owner))
    try:
        yield Visit(server.dsn)
    finally:
        await asyncio.to_thread(server.stop)


@dataclass(frozen=True, slots=True)
class Role:
    """A role of the database, and how row-level security holds it."""

    name: str
    is_exempt: bool  # by its attributes, or as the owner of the tables
    open_tables: list[str]  # of ours, where it is off


@dataclass(frozen=True, slots=True)
class Visit:
    """A server that should be there, and the questions that need no schema."""

    dsn: str

    async def identity(self) -> tuple[Any, bool]:
        """The identity of the store, and whether its blobs should carry it."""
        rows = await self._ask("select identity, blobs_marked from casstore.store")
        return rows[0][0], rows[0][1]

    async def version(self) -> tuple[int, str]:
        """The server's major version, and its version as it says it."""
        rows = await self._ask(
            "select current_setting('server_version_num')::int / 10000, current_setting('server_version')"
        )
        return rows[0][0], rows[0][1]

    async def clock_skew(self) -> timedelta:
        """How far the database's clock is ahead of ours, give or take half a round trip."""
        async with self._connection() as connection:
            before = datetime.now(UTC)
            row = await (await connection.execute("select clock_timestamp()")).fetchone()
            after = datetime.now(UTC)
        return row[0] - (before + (after - before) / 2) if row else timedelta()

    async def role(self) -> Role:
        """Whom we are connected as."""
        rows = await self._ask(_ROLE)
        return Role(*rows[0])

    async def missing(self) -> list[str]:
        """The migrations of this release that are still to be applied."""
        async with self._connection() as connection:
            return [f"{m.version}_{m.name}" for m in await migrate.check(connection)]

    async def migrate(self) -> list[str]:
        """Apply them, and say which."""
        return [f"{m.version}_{m.name}" for m in await migrate.migrate(self.dsn)]

    async def _ask(self, sql: LiteralString) -> list[tuple[Any, ...]]:
        async with self._connection() as connection:
            return await (await connection.execute(sql)).fetchall()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection[Any]]:
        timeout_s = int(limits.CONNECT_TIMEOUT.total_seconds())
        try:
            connecting = AsyncConnection.connect(self.dsn, autocommit=True, connect_timeout=timeout_s)
            async with await connecting as connection, TimeLimit(connection):
                yield connection
        except faults.FOREIGN as error:
            raise faults.translate(error) from error
