"""The server in a thread of this process, and what a test can do to it behind everybody's back."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Coroutine, Mapping
from concurrent.futures import Future
from typing import Any, Final, NamedTuple, Self

from casstore.testing.gcs.faults import Faults
from casstore.testing.gcs.objects import new_object
from casstore.testing.gcs.service import Seen, Service
from casstore.testing.gcs.storage import Options
from casstore.testing.gcs.wire import HEAD_BYTES, reset, serve

__all__ = ["GcsServer", "Stored"]

_HOST: Final = "127.0.0.1"
_WAIT_S: Final = 30
_BACKLOG: Final = 1024


class Stored(NamedTuple):
    """What is stored under one name."""

    data: bytes
    generation: int
    metadata: dict[str, Any]


class GcsServer:
    """A Cloud Storage of its own. Use it as `with GcsServer() as server:`; the methods are for any thread.

    Args:
        port: Where to listen on 127.0.0.1; 0 for a free port.
        recording: Whether `requests` is kept.
        page_items, conditions_at_start, signing_keys: See `Options`.

    Attributes:
        faults: What is to go wrong.
        requests: All requests so far, in the order of their answers; may be cleared.

    Raises:
        OSError: The port is taken. Leaving the context raises what went wrong in the server itself, if anything did.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        recording: bool = True,
        page_items: int = 1000,
        conditions_at_start: bool = False,
        signing_keys: Mapping[str, tuple[int, int]] | None = None,
    ) -> None:
        self.faults = Faults()
        self.requests: list[Seen] = []
        options = Options(page_items, conditions_at_start, signing_keys or {})
        record = self.requests.append if recording else lambda _: None
        self._service = Service(options, self.faults, record)
        self._reserved = _reserve(port)
        self._port: int = self._reserved.getsockname()[1]
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live()), name="gcs-server", daemon=True)
        self._alive: Future[asyncio.AbstractEventLoop] = Future()
        self._end = asyncio.Event()
        self._listener: socket.socket | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._writers: dict[asyncio.StreamWriter, asyncio.Task[Any] | None] = {}
        self._mistakes: list[BaseException] = []

    @property
    def url(self) -> str:
        """Where it is: the value for `STORAGE_EMULATOR_HOST`."""
        return f"http://{_HOST}:{self._port}"

    def __enter__(self) -> Self:
        self._thread.start()
        self.resume()
        return self

    def __exit__(self, *exc: object) -> None:
        self._alive.result().call_soon_threadsafe(self._end.set)
        self._thread.join(_WAIT_S)
        self._reserved.close()
        if self._mistakes:
            raise self._mistakes[0]

    # -- the place ---------------------------------------------------------------------------------------------------

    def stop_answering(self) -> None:
        """Break all connections and refuse new ones. What is stored stays."""
        self._do(self._close())

    def resume(self) -> None:
        """Take connections again."""
        self._do(self._listen())

    async def _live(self) -> None:
        self._alive.set_result(asyncio.get_running_loop())
        await self._end.wait()
        await self._close()

    async def _listen(self) -> None:
        if self._listener is None:
            self._listener = _bound(self._port)
            self._listener.setblocking(False)
            self._listener.listen(_BACKLOG)
            asyncio.get_running_loop().add_reader(self._listener, self._accept, self._listener)

    async def _close(self) -> None:
        if self._listener:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None
        writers = dict(self._writers)
        for writer, connection in writers.items():
            reset(writer)
            if connection:  # it may be waiting for something else
                connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)

    def _accept(self, listener: socket.socket) -> None:
        """Take a connection. Not by asyncio's own server: closed at this moment, it would leave the client hanging."""
        with contextlib.suppress(OSError):  # the client is gone again
            line, _ = listener.accept()
            connection = asyncio.get_running_loop().create_task(self._serve(line))
            self._connections.add(connection)
            connection.add_done_callback(self._ended)

    async def _serve(self, line: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=line, limit=HEAD_BYTES)
        if self._listener is None:  # closed since it was accepted
            reset(writer)
            return
        self._writers[writer] = asyncio.current_task()
        try:
            with contextlib.suppress(ConnectionError):
                await serve(reader, writer, self._service.respond)
        finally:
            del self._writers[writer]
            writer.close()

    def _ended(self, connection: asyncio.Task[None]) -> None:
        self._connections.discard(connection)
        if not connection.cancelled() and (mistake := connection.exception()):
            self._mistakes.append(mistake)  # ours: nothing a client does ends a connection so

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._alive.result(_WAIT_S)).result(_WAIT_S)

    # -- what is stored ----------------------------------------------------------------------------------------------

    def create_bucket(
        self,
        name: str,
        *,
        versioning: bool = False,
        soft_delete_seconds: int = 0,
        retention_seconds: int = 0,
        **properties: Any,
    ) -> None:
        """Make a bucket. `properties` are further fields of the bucket resource.

        Raises:
            Refusal: There is one, or it cannot be called so.
        """
        policies: dict[str, Any] = {"softDeletePolicy": {"retentionDurationSeconds": soft_delete_seconds}}
        if versioning:
            policies["versioning"] = {"enabled": True}
        if retention_seconds:
            policies["retentionPolicy"] = {"retentionPeriod": retention_seconds}
        with self._service.lock:
            self._service.storage.create_bucket(name, policies | properties)

    def objects(self, bucket: str) -> dict[str, Stored]:
        """The live objects by name, in order."""
        with self._service.lock:
            found = self._service.storage.bucket(bucket)
            live = [found.live[name] for name in found.names()]
            return {one.name: Stored(one.data, one.generation, dict(one.metadata)) for one in live}

    def write(self, bucket: str, name: str, data: bytes, **metadata: Any) -> int:
        """Store an object, whatever is there, and answer its generation. `metadata` are fields of its resource."""
        storage = self._service.storage
        with self._service.lock:
            new = new_object(bucket, name, bytes(data), metadata, generation=storage.next_generation())
            target = storage.bucket(bucket)
            target.remove(name)
            target.put(new)
            return new.generation

    def remove(self, bucket: str, name: str) -> None:
        """Take an object away, without a trace, held or not."""
        with self._service.lock:
            self._service.storage.bucket(bucket).remove(name)


def _reserve(port: int) -> socket.socket:
    """A socket that keeps the port ours while nobody listens on it: connections to it are refused then."""
    if port:  # sharing the port with another server is what must not happen
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((_HOST, port))
    return _bound(port)


def _bound(port: int) -> socket.socket:
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind((_HOST, port))
    return bound
