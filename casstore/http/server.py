"""The server: uvicorn, in the loop of whoever calls, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, Final

import uvicorn
from fastapi import FastAPI

from casstore.errors import Code, Invalid

__all__ = ["listen", "serve"]

_STOP: Final = (signal.SIGINT, signal.SIGTERM)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there; raises Invalid (bad_config) where that cannot be."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        server = socket.create_server(address[:2], family=family, backlog=2048)
    except OSError as error:
        hint = "Choose another --host or --port."
        raise Invalid(Code.BAD_CONFIG, f"cannot listen on {host}:{port}: {error.strerror}", hint=hint) from error
    # Inherited by connections. asyncio sets it on sockets only that were made for TCP by name; without it the body of an answer
    # waits 40 ms for the client to acknowledge the head.
    server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return server


async def serve(
    app: FastAPI,
    host: str,
    port: int,
    *,
    ready: Callable[[str], None],
    beside: Callable[[], Coroutine[Any, Any, Any]] | None = None,
) -> None:
    """Answer requests until SIGINT or SIGTERM, then finish those that are under way.

    Args:
        app: The application.
        host: A name or address of this machine.
        port: 0 for any that is free.
        ready: Called with the URL as soon as connections are taken.
        beside: Runs as long as requests are answered. If it fails, the server ends as by a signal, and its error is raised.

    Raises:
        Invalid: Nothing can listen there (bad_config).
    """
    config = uvicorn.Config(app, log_config=None, access_log=False, server_header=False, lifespan="off")
    with _settled(), listen(host, port) as server:
        bound, number = server.getsockname()[:2]
        ready(f"http://{f'[{bound}]' if ':' in bound else bound}:{number}")
        stoppable = _Stoppable(config)
        async with _beside(beside, stoppable):
            await stoppable.serve(sockets=[server])


@contextlib.contextmanager
def _settled() -> Iterator[None]:
    """Spare the collector of garbage what is there before the first request, and stays: to look through all of it takes tens of
    milliseconds, in which nobody is answered.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextlib.asynccontextmanager
async def _beside(work: Callable[[], Coroutine[Any, Any, Any]] | None, server: uvicorn.Server) -> AsyncIterator[None]:
    if work is None:
        yield
        return
    task = asyncio.create_task(work())
    task.add_done_callback(lambda _: setattr(server, "should_exit", True))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
    if not task.cancelled():
        task.result()  # it has ended by itself: let its error be seen


class _Stoppable(uvicorn.Server):
    """Ends when it is told to, and lets the caller close the store: uvicorn's own raises the signal again, which would kill it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take the signals that stop a server, while there is one."""
        loop = asyncio.get_running_loop()
        for number in _STOP:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in _STOP:
                loop.remove_signal_handler(number)
