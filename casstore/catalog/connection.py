"""The catalog's connections: one pool, one way to call a function, the retries that are safe, and errors of ours."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, LiteralString

from psycopg import AsyncConnection, ProgrammingError
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import AsyncConnectionPool

from casstore import limits
from casstore.catalog import faults, migrate
from casstore.catalog.embedded import EmbeddedPostgres
from casstore.errors import Code, Invalid, Unavailable
from casstore.urls import folder_of

__all__ = ["Catalog"]

Row = tuple[Any, ...]


class Catalog:
    """One database, and what may be asked of it. The modules beside this one hold the questions."""

    def __init__(self, dsn: str, pool: AsyncConnectionPool[Any], server: EmbeddedPostgres | None) -> None:
        self._dsn = dsn
        self._pool = pool
        self._server = server
        self._broken = False  # a connection broke, and nobody has looked since whether the server is there

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        binaries: Path | None = None,
        owner: str | None = None,
        connection_class: type[AsyncConnection[Any]] = AsyncConnection,
    ) -> Catalog:
        """Connect to `embedded:///folder` (started and migrated as needed) or to a `postgresql://` DSN (migrated before).

        Raises:
            Invalid: The URL is neither (bad_config); the schema is not this release's (migration_*).
            Unavailable: No server answers (catalog_unavailable), or none can be started (no_postgres, postgres_failed).
        """
        check_url(url)
        folder = folder_of(url, "embedded")
        server = await started(EmbeddedPostgres(folder, binaries=binaries, owner=owner)) if folder else None
        try:
            return await cls._connect(server.dsn if server else url, server, connection_class)
        except BaseException:
            if server:
                await asyncio.to_thread(server.stop)
            raise

    @classmethod
    async def _connect(
        cls, dsn: str, server: EmbeddedPostgres | None, connection_class: type[AsyncConnection[Any]]
    ) -> Catalog:
        pool = _pool(dsn, connection_class, direct=server is not None)
        try:
            # A first connection made by hand tells the reason of a failure; the pool would only know that time is up.
            async with await AsyncConnection.connect(dsn, **_settings(dsn, direct=False)) as first:
                todo = await migrate.check(first)
            if todo and server:
                await migrate.migrate(dsn)
            elif todo:
                message = f"the catalog lacks {len(todo)} migration(s) of this release"
                raise Unavailable(Code.CATALOG_UNAVAILABLE, message, hint="Run `casstore init` once.")
            await pool.open()
        except faults.FOREIGN as error:
            raise faults.translate(error) from error
        return cls(dsn, pool, server)

    async def aclose(self) -> None:
        """Close the connections; an embedded server stops when its last user leaves."""
        await self._pool.close()
        if self._server:
            await asyncio.to_thread(self._server.stop)

    async def call(self, sql: LiteralString, arguments: Sequence[Any], again: Sequence[Any] | None = None) -> list[Row]:
        """Run one statement, which is one transaction and one round trip, and return its rows.

        The statement must be safe to send twice: a call whose connection broke is repeated (with `again` for arguments,
        where given), because nobody knows whether it took effect.
        """
        for attempt in range(limits.CATALOG_ATTEMPTS):
            try:
                if self._broken:
                    await self._revive(attempt)
                async with self._pool.connection() as connection:
                    cursor = await connection.execute(sql, arguments, binary=True)
                    rows: list[Row] = await cursor.fetchall()
                    return rows
            except faults.FOREIGN as error:
                lost = faults.is_lost_connection(error)
                self._broken |= lost or faults.is_timeout(error)
                if attempt + 1 == limits.CATALOG_ATTEMPTS or not faults.is_retryable(error):
                    raise faults.translate(error) from error
                if lost:
                    arguments = again or arguments
        raise AssertionError  # the last attempt returns or raises

    async def one(self, sql: LiteralString, arguments: Sequence[Any], again: Sequence[Any] | None = None) -> Row:
        """As `call`, for a statement that answers exactly one row."""
        (row,) = await self.call(sql, arguments, again)
        return row

    async def _revive(self, attempt: int) -> None:
        """After a connection broke: find the server again, and give the pool new connections to it."""
        if self._server:
            await asyncio.to_thread(self._server.ensure_running)
        if attempt:
            await asyncio.sleep(0.05 * 4 ** (attempt - 1))  # 0.05, 0.2, 0.8 s: a server restarts within these
        # By hand: it fails at once and tells why, where the pool would wait and only know that time is up.
        async with await AsyncConnection.connect(self._dsn, **_settings(self._dsn, direct=False)):
            pass
        await self._pool.check()
        self._broken = False


async def started(server: EmbeddedPostgres) -> EmbeddedPostgres:
    """Start the server in a thread; a caller that goes away meanwhile leaves none behind."""
    starting = asyncio.ensure_future(asyncio.to_thread(server.start))
    try:
        await asyncio.shield(starting)
    except asyncio.CancelledError:
        await asyncio.wait([starting])
        await asyncio.to_thread(server.stop)
        raise
    return server


def _pool(dsn: str, connection_class: type[AsyncConnection[Any]], *, direct: bool) -> AsyncConnectionPool[Any]:
    return AsyncConnectionPool(
        dsn,
        connection_class=connection_class,
        kwargs=_settings(dsn, direct=direct),
        min_size=1,
        max_size=limits.EMBEDDED_CONNECTIONS if direct else limits.CATALOG_CONNECTIONS,
        timeout=limits.CONNECT_TIMEOUT.total_seconds(),
        reconnect_timeout=limits.CONNECT_TIMEOUT.total_seconds(),  # longer, its pauses outgrow the wait of a caller
        open=False,
        name="casstore",
    )


def _settings(dsn: str, *, direct: bool) -> dict[str, Any]:
    # Prepared statements break behind transaction poolers; the embedded server is always reached directly.
    settings = {"autocommit": True, "prepare_threshold": 1 if direct else None, "application_name": "casstore"}
    # psycopg's own limit is two minutes.
    return {"connect_timeout": math.ceil(limits.CONNECT_TIMEOUT.total_seconds())} | conninfo_to_dict(dsn) | settings


def check_url(url: str) -> str:
    """Return a catalog URL of a kind we know; raise Invalid (bad_config)."""
    hint = "embedded:///folder or postgresql://user@host/database"
    if url.startswith(("postgresql://", "postgres://")):
        try:
            conninfo_to_dict(url)
        except ProgrammingError:  # its text repeats the URL, and with it the password
            raise Invalid(Code.BAD_CONFIG, "the catalog URL is no Postgres URI", hint=hint) from None
    elif not url.startswith("embedded:///"):
        raise Invalid(Code.BAD_CONFIG, f"the catalog URL {url.rpartition('@')[2]!r} is of no known kind", hint=hint)
    return url
