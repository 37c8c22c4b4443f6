"""The catalog's connections: one pool, one way to call a function, the retries that are safe, and errors of ours."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, LiteralString
from urllib.parse import unquote, urlsplit
from pathlib import Path

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from casstore import limits
from casstore.catalog import faults, migrate
from casstore.catalog.embedded import EmbeddedPostgres
from casstore.errors import Code, Invalid, Unavailable

__all__ = ["Catalog"]

Row = tuple[Any, ...]


class Catalog:
    """One database, and what may be asked of it. The modules beside this one hold the questions."""

    def __init__(self, pool: AsyncConnectionPool[Any], server: EmbeddedPostgres | None) -> None:
        self._pool = pool
        self._server = server

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        binaries: Path | None = None,
        owner: str | None = None,
        connection_class: type[AsyncConnection[Any]] = AsyncConnection,
    ) -> Catalog:
        """Connect to `embedded:///folder` (started and migrated as needed) or to a `postgresql://` DSN (which must be migrated).

        Raises:
            Invalid: The URL is neither (bad_config); the schema is not this release's (migration_*, catalog_newer).
            Unavailable: No server answers (catalog_unavailable), or none can be started (no_postgres, postgres_failed).
        """
        server = None
        if url.startswith("embedded://"):
            server = EmbeddedPostgres(Path(unquote(urlsplit(url).path)), binaries=binaries, owner=owner)
            await asyncio.to_thread(server.start)
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
            # A first connection made by hand tells the reason of a failure; the pool would only run into its time limit.
            async with await AsyncConnection.connect(dsn, **_settings(direct=False)) as first:
                todo = await migrate.check(first)
            if todo and server:
                await migrate.migrate(dsn)
            elif todo:
                message = f"the catalog lacks {len(todo)} migration(s) of this release"
                raise Unavailable(Code.CATALOG_UNAVAILABLE, message, hint="Run `casstore init` once.")
            await pool.open()
        except faults.FOREIGN as error:
            raise faults.translate(error) from error
        return cls(pool, server)

    async def aclose(self) -> None:
        """Close the connections; an embedded server stops when its last user leaves."""
        await self._pool.close()
        if self._server:
            await asyncio.to_thread(self._server.stop)

    async def call(self, sql: LiteralString, arguments: Sequence[Any], again: Sequence[Any] | None = None) -> list[Row]:
        """Run one statement, which is one transaction and one round trip, and return its rows.

        The statement must be safe to send twice: a call whose connection broke is repeated (with `again` for arguments, where
        given), because nobody knows whether it took effect.
        """
        for attempt in range(1, limits.CATALOG_ATTEMPTS + 1):
            try:
                async with self._pool.connection() as connection:
                    cursor = await connection.execute(sql, arguments, binary=True)
                    rows: list[Row] = await cursor.fetchall()
                    return rows
            except faults.FOREIGN as error:
                if attempt == limits.CATALOG_ATTEMPTS or not faults.is_retryable(error):
                    raise faults.translate(error) from error
                if faults.is_lost_connection(error):
                    arguments = again or arguments
                    await self._revive(attempt)
        raise AssertionError  # the last attempt returns or raises

    async def one(self, sql: LiteralString, arguments: Sequence[Any], again: Sequence[Any] | None = None) -> Row:
        """As `call`, for a statement that answers exactly one row."""
        (row,) = await self.call(sql, arguments, again)
        return row

    async def _revive(self, attempt: int) -> None:
        if self._server:
            await asyncio.to_thread(self._server.ensure_running)
        await asyncio.sleep(0.05 * 4 ** (attempt - 1))  # 0.05, 0.2, 0.8 s: a server restarts within these
        await self._pool.check()


def _pool(dsn: str, connection_class: type[AsyncConnection[Any]], *, direct: bool) -> AsyncConnectionPool[Any]:
    return AsyncConnectionPool(
        dsn,
        connection_class=connection_class,
        kwargs=_settings(direct=direct),
        min_size=1,
        max_size=limits.CATALOG_CONNECTIONS,
        timeout=limits.CONNECT_TIMEOUT.total_seconds(),
        open=False,
        name="casstore",
    )


def _settings(*, direct: bool) -> dict[str, Any]:
    # Prepared statements break behind transaction poolers; the embedded server is always reached directly.
    return {"autocommit": True, "prepare_threshold": 1 if direct else None, "application_name": "casstore"}


def check_url(url: str) -> str:
    """Return a catalog URL of a kind we know; raise Invalid (bad_config)."""
    if url.startswith(("embedded:///", "postgresql://", "postgres://")):
        return url
    hint = "embedded:///folder or postgresql://user@host/database"
    raise Invalid(Code.BAD_CONFIG, f"the catalog URL {url.split('@')[-1]!r} is of no known kind", hint=hint)
