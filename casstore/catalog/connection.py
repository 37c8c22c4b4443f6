"""The catalog's connections: one pool, one way to call a function, the retries that are safe, and errors of ours.

A call is one statement in autocommit, unprepared, with no setting of its session: so it works on a direct connection, behind a
session pooler and behind a transaction pooler alike, and nobody has to say which of them a URL leads to.
"""

from __future__ import annotations

import asyncio
import functools
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, LiteralString

from psycopg import AsyncConnection, ProgrammingError
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from casstore import limits
from casstore.catalog import faults, migrate
from casstore.catalog.coalescing import Coalescer
from casstore.catalog.companions import Companions
from casstore.catalog.embedded import EmbeddedPostgres
from casstore.catalog.time_limit import TimeLimit
from casstore.errors import CasstoreError, Code, Invalid, Unavailable
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
        self._coalescers: dict[object, Coalescer[Any, Any]] = {}
        self._companions: dict[object, Companions[Any, Any]] = {}

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
            Invalid: The URL is neither, or asks for another TLS than the server's (bad_config); the schema is not this
                release's (migration_*).
            Unavailable: No server answers (catalog_unavailable), it takes no more connections or lets us wait (catalog_busy),
                or none can be started (no_postgres, postgres_failed).
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
            async with await _by_hand(dsn) as first, TimeLimit(first):
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
        for companions in self._companions.values():
            await companions.aclose()
        await self._pool.close()
        if self._server:
            await asyncio.to_thread(self._server.stop)

    async def call(
        self, sql: LiteralString, arguments: Sequence[Any], again: Callable[[], Sequence[Any]] | None = None
    ) -> list[Row]:
        """Run one statement, which is one transaction and one round trip, and return its rows.

        The statement must be safe to send twice: a call whose connection broke is repeated (with what `again` gives for
        arguments, where it is there), because nobody knows whether it took effect.

        Raises:
            Unavailable: The server cannot be reached (catalog_unavailable); every connection stayed in use, or the statement
                took longer than a statement may and was cancelled (catalog_busy).
        """
        try:
            return await self._persist(sql, arguments, again)
        except faults.FOREIGN as error:
            raise faults.translate(error) from faults.cause_of(error)

    async def one(self, sql: LiteralString, arguments: Sequence[Any]) -> Row:
        """As `call`, for a statement that answers exactly one row."""
        (row,) = await self.call(sql, arguments)
        return row

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection[Any]]:
        """A connection for one transaction of many statements, none of them repeated or limited in time; errors as `call`."""
        try:
            async with self._connection() as connection, connection.transaction():
                yield connection
        except CasstoreError:  # of the block's own: Denied is an OSError too
            raise
        except faults.FOREIGN as error:
            self._broken |= faults.is_lost_connection(error)
            raise faults.translate(error) from error

    async def _persist(
        self, sql: LiteralString, arguments: Sequence[Any], again: Callable[[], Sequence[Any]] | None
    ) -> list[Row]:
        begin = time.monotonic()
        for attempt in range(limits.CATALOG_ATTEMPTS):
            try:
                if self._broken:
                    await self._revive(attempt)
                return await self._once(sql, arguments)
            except PoolTimeout:
                await self._why_none()
                raise
            except faults.FOREIGN as error:
                lost = faults.is_lost_connection(error)
                self._broken |= lost
                is_late = time.monotonic() - begin > limits.CALL_TIMEOUT.total_seconds()
                if is_late or attempt + 1 == limits.CATALOG_ATTEMPTS or not faults.is_retryable(error):
                    raise
                if lost and again:
                    arguments = again()
        raise AssertionError  # the last attempt returns or raises

    async def _once(self, sql: LiteralString, arguments: Sequence[Any]) -> list[Row]:
        async with self._connection() as connection, TimeLimit(connection):
            cursor = await connection.execute(sql, arguments, binary=True)
            rows: list[Row] = await cursor.fetchall()
            return rows

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection[Any]]:
        """A connection of the pool, given back whatever happens.

        As a task of its own: the pool loses a connection for good when the task that gives it back is cancelled in between.
        """
        connection = await self._pool.getconn()
        try:
            yield connection
        finally:
            back = asyncio.ensure_future(self._pool.putconn(connection))
            try:
                await asyncio.shield(back)
            except asyncio.CancelledError:
                await asyncio.wait([back])
                raise

    def coalescer(
        self, run: Callable[[Catalog, Sequence[Any]], Awaitable[Sequence[Any]]], apart: Callable[[Any], Hashable | None]
    ) -> Coalescer[Any, Any]:
        """What sends the questions of all callers to `run` together; see `Coalescer`."""
        if run not in self._coalescers:
            self._coalescers[run] = Coalescer(functools.partial(run, self), apart)
        return self._coalescers[run]

    def companions(self, run: Callable[[Catalog, Sequence[Any]], Awaitable[Sequence[Any]]]) -> Companions[Any, Any]:
        """What lets the questions of all callers, which change nothing, go to `run` together; see `Companions`."""
        if run not in self._companions:
            self._companions[run] = Companions(
                functools.partial(run, self), 1 if self._server else limits.READS_AT_ONCE
            )
        return self._companions[run]

    async def _revive(self, attempt: int) -> None:
        """After a connection broke: find the server again, and give the pool new connections to it."""
        if self._server:
            await asyncio.to_thread(self._server.ensure_running)
        if attempt:
            await asyncio.sleep(0.05 * 4 ** (attempt - 1))  # 0.05, 0.2, 0.8 s: a server restarts within these
        await (await _by_hand(self._dsn)).close()
        if self._broken:  # nobody was quicker
            self._broken = False
            # Without asking whether they still live: a connection to a host that is gone would not answer.
            await self._pool.drain()

    async def _why_none(self) -> None:
        """After the pool gave no connection in time: fail with the reason, unless it is that all are in use."""
        try:
            await (await _by_hand(self._dsn)).close()
        except faults.FOREIGN as error:
            self._broken |= faults.is_lost_connection(error)
            raise


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


async def _by_hand(dsn: str) -> AsyncConnection[Any]:
    """A connection outside the pool: it fails at once and tells why, where the pool would only know that time is up."""
    return await AsyncConnection.connect(dsn, **_settings(dsn, direct=False))


def _settings(dsn: str, *, direct: bool) -> dict[str, Any]:
    # Prepared statements break behind transaction poolers; the embedded server is always reached directly.
    settings = {"autocommit": True, "prepare_threshold": 1 if direct else None, "application_name": "casstore"}
    defaults = {
        "connect_timeout": math.ceil(limits.CONNECT_TIMEOUT.total_seconds()),  # psycopg's own is two minutes
        # The system's own limits are hours, and the devices between us and the server forget a silent line in minutes.
        "keepalives_idle": math.ceil(limits.KEEPALIVE.total_seconds()),
        "keepalives_interval": math.ceil(limits.KEEPALIVE.total_seconds() / 3),
        "tcp_user_timeout": math.ceil(limits.ACKNOWLEDGE_TIMEOUT.total_seconds() * 1000),  # ms
    }
    return defaults | conninfo_to_dict(dsn) | settings


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
