"""A line to Postgres that can be slow, can be cut, and counts its turnarounds: a proxy on the caller's event loop."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable
from typing import Final, Literal, Self, TypeAlias
from urllib.parse import quote, urlencode

from psycopg.conninfo import conninfo_to_dict

__all__ = ["Fate", "Line"]

_PORT: Final = "5432"  # only a part of the socket's file name
Fate: TypeAlias = Literal[
    "lose_answer",  # the server has done it; what it answers is thrown away and the line cut
    "kill_backend",  # the same, but the server is asked to end the session, and the client hears of that instead
    "swallow_answer",  # the server has done it; the answer is thrown away, and the line stays open
    "cut_at_once",  # the line is cut as soon as the request is on its way; the server works on
]
Look: TypeAlias = Callable[[bytes], Awaitable[bool]]  # whether to hand it on


class Line:
    """Stands between a client and the Postgres server of a DSN. Use it as `async with Line(dsn) as line:`.

    Attributes:
        dsn: Where clients connect instead.
        turnarounds: How often a client, on all lines together, has spoken after the server: its round trips.
    """

    def __init__(self, dsn: str, *, one_way_s: float = 0, kill: Callable[[], Awaitable[None]] | None = None) -> None:
        parts = conninfo_to_dict(dsn)
        self._host, self._port = str(parts.pop("host")), str(parts.pop("port", _PORT))
        self._folder = tempfile.mkdtemp(prefix="casstore-line-")
        query = urlencode(parts | {"host": self._folder, "port": _PORT}, quote_via=quote)
        self.dsn = f"postgresql:///{parts.pop('dbname')}?{query}"
        self.one_way_s = one_way_s
        self.turnarounds = 0
        self.struck = 0
        self._kill = kill
        self._fates: list[tuple[bytes, Fate]] = []
        self._sessions: set[_Session] = set()
        self._server: asyncio.Server | None = None

    def doom(self, word: str, fate: Fate) -> None:
        """The next request in which `word` stands meets this fate."""
        self._fates.append((word.encode(), fate))

    def fate_of(self, data: bytes) -> Fate | None:
        """The fate of a request, which is used up by it."""
        for doomed in self._fates:
            if doomed[0] in data:
                self._fates.remove(doomed)
                self.struck += 1
                return doomed[1]
        return None

    async def kill(self) -> None:
        """End the server's session, as its administrator would."""
        if self._kill:
            await self._kill()

    async def listen(self) -> None:
        """Take connections (again)."""
        self._server = await asyncio.start_unix_server(self._serve, f"{self._folder}/.s.PGSQL.{_PORT}")

    async def cut(self) -> None:
        """Take no more connections, and break those there are."""
        if self._server:
            self._server.close()
        for session in self._sessions:
            session.abort()
        await asyncio.gather(*(session.ended.wait() for session in self._sessions))

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to the real server."""
        if self._host.startswith("/"):
            return await asyncio.open_unix_connection(f"{self._host}/.s.PGSQL.{self._port}")
        return await asyncio.open_connection(self._host, int(self._port))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = _Session(self, writer)
        self._sessions.add(session)
        try:
            await session.carry(reader)
        finally:
            session.abort()
            self._sessions.discard(session)
            session.ended.set()

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.cut()
        shutil.rmtree(self._folder, ignore_errors=True)


class _Session:
    """One client's connection and its twin to the server."""

    def __init__(self, line: Line, client: asyncio.StreamWriter) -> None:
        self._line = line
        self._client = client
        self._server: asyncio.StreamWriter | None = None
        self._fate: Fate | None = None
        self.ended = asyncio.Event()
        self._answered = True  # whether the server has spoken since the client last did

    def abort(self) -> None:
        for writer in (self._client, self._server):
            if writer:
                writer.transport.abort()

    async def carry(self, requests: asyncio.StreamReader) -> None:
        with contextlib.suppress(OSError):
            answers, self._server = await self._line.connect()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(requests, self._server, self._request))
                group.create_task(self._pump(answers, self._client, self._answer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, look: Look) -> None:
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        sender = asyncio.create_task(self._send(queue, writer))
        data = b"?"
        while data:
            try:
                data = await reader.read(1 << 20)
            except OSError:
                data = b""
            if data and not await look(data):
                continue
            queue.put_nowait((time.monotonic() + self._line.one_way_s, data))
        await sender

    async def _send(self, queue: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        """Hand on what comes, each piece when it is due: a delay that does not limit the bandwidth."""
        while True:
            due, data = await queue.get()
            if (wait := due - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            if not data:
                break
            with contextlib.suppress(OSError):
                writer.write(data)
                await writer.drain()
        if not (writer is self._server and self._fate == "cut_at_once"):
            writer.close()

    async def _request(self, data: bytes) -> bool:
        self._line.turnarounds += self._answered
        self._answered = False
        self._fate = self._line.fate_of(data) or self._fate
        if self._fate == "cut_at_once":
            self._client.transport.abort()
        return True

    async def _answer(self, _data: bytes) -> bool:
        self._answered = True
        fate, self._fate = self._fate, None
        if fate == "lose_answer":
            self.abort()
        elif fate == "kill_backend":
            await self._line.kill()
        elif fate == "cut_at_once" and self._server:
            self._server.close()
        return fate is None
