"""How long a statement may take: past that it is cancelled, and what became of it is known."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from types import TracebackType
from typing import Any, Self

import psycopg

from casstore import limits
from casstore.catalog.faults import NoAnswer

__all__ = ["TimeLimit"]


class TimeLimit:
    """Ends the statement in its block when it takes too long: the server is asked to cancel it, then the line is cut.

    Kept by the client, because a server's own `statement_timeout` has to be set in the session (which a transaction pooler
    hands to others), in the role (which is not ours) or by a statement before each; and it does not help when no answer comes.

    The task that waits is not cancelled, so that the end tells what became of the statement: its rows after all, QueryCanceled
    (it has changed nothing), or a lost connection (nobody knows).
    """

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self._connection = connection
        self._alarm: asyncio.TimerHandle | None = None
        self._ending: asyncio.Task[None] | None = None
        self._is_over = asyncio.Event()
        self._is_cut = False

    async def __aenter__(self) -> Self:
        limit_s = limits.STATEMENT_TIMEOUT.total_seconds()
        self._alarm = asyncio.get_running_loop().call_later(limit_s, self._expire)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._alarm:
            self._alarm.cancel()
        if not self._ending:
            return
        self._is_over.set()
        await asyncio.wait([self._ending])  # a request on its way might meet the connection's next statement
        limit = f"{limits.STATEMENT_TIMEOUT.total_seconds():g} s"
        if self._is_cut and isinstance(error, psycopg.OperationalError):
            raise NoAnswer(f"nothing within {limit}, nor to a request to cancel") from error
        if isinstance(error, psycopg.errors.QueryCanceled):
            raise psycopg.errors.QueryCanceled(f"not done within {limit}") from error

    def _expire(self) -> None:
        self._ending = asyncio.ensure_future(self._end())

    async def _end(self) -> None:
        """Ask the server to cancel until the statement is over, for a while; then cut the line."""
        try:
            async with asyncio.timeout(limits.CANCEL_TIMEOUT.total_seconds()):
                while not self._is_over.is_set():
                    await self._ask()
        except TimeoutError:
            if not self._is_over.is_set():
                self._cut()

    async def _ask(self) -> None:
        # Once is not enough: a pooler drops the request while the statement still waits for a connection to the server.
        pause_s = limits.CANCEL_TIMEOUT.total_seconds() / 10
        with contextlib.suppress(psycopg.Error, OSError):
            await self._connection.cancel_safe()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._is_over.wait(), pause_s)

    def _cut(self) -> None:
        self._is_cut = True
        with contextlib.suppress(psycopg.Error, OSError):
            line = socket.socket(fileno=self._connection.fileno())
            try:
                line.shutdown(socket.SHUT_RDWR)
            finally:
                line.detach()  # closing it stays the connection's business
