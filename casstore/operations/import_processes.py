"""Work dealt over several processes: each asks for the next item when it has hands free, and tells what came of each.

A worker is spawned, and talks with this process through a socket whose end is the one signal to stop. Whether this process
closes it, ends or is killed: the worker cancels what it does, gives back what it holds, and ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import pickle
import signal
import socket
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from multiprocessing import resource_tracker
from multiprocessing.context import SpawnProcess
from typing import Any, Final, Self, TypeAlias, TypeVar

from casstore import limits
from casstore.errors import CasstoreError, Code, Unavailable

__all__ = ["Take", "Tell", "Work", "deal", "unwrapped"]

Item = TypeVar("Item")
Answer = TypeVar("Answer")
Result = TypeVar("Result")

Take: TypeAlias = Callable[[], Awaitable[Item | None]]
"""The next item, or None when there is none left."""

Tell: TypeAlias = Callable[[Answer], None]
Work: TypeAlias = Callable[[Take[Item], Tell[Answer]], Coroutine[Any, Any, None]]

_SPAWN: Final = multiprocessing.get_context("spawn")  # a fork would copy our connections, and locks that threads hold
_LENGTH_BYTES: Final = 8
_KILLED: Final = "Run it again: what was stored stays. If memory ran short, use fewer processes."
_ENDED: Final = 'Standard error says why. A program has to begin its work under `if __name__ == "__main__":`.'


async def deal(items: Iterator[Item], work: Work[Item, Answer], processes: int, tell: Tell[Answer]) -> None:
    """Do `work` in so many processes, which share the items, and `tell` their answers here. None of them is left afterwards.

    Args:
        items: Each goes to one process.
        work: Takes items until there are none; called once in each process. As items and answers, it has to be picklable.
        processes: How many.
        tell: Called on this event loop, in the order in which answers arrive.

    Raises:
        Unavailable: A process could not be started, or died (process_failed).
        CasstoreError: What `work` raised in the first process that failed.
        RuntimeError: There it was a bug; a note has its traceback.
    """
    async with unwrapped(), asyncio.TaskGroup() as group:
        for _ in range(processes):
            group.create_task(_deal_to_one(items, work, tell))


@asynccontextmanager
async def unwrapped() -> AsyncIterator[None]:
    """The first error itself, not the group it comes in."""
    try:
        yield
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from failures


class _Said(Enum):
    """What a worker's message is; the other half of it is a value."""

    MORE = auto()  # it wants an item
    ANSWER = auto()
    FAILED = auto()  # with this error, and ends
    DONE = auto()  # with all it took, and ends


@dataclass(frozen=True, slots=True)
class _Wire:
    """Python values through a socket."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def on(cls, end: socket.socket) -> Self:
        """The wire on this end of a pair."""
        return cls(*await asyncio.open_connection(sock=end))

    def send(self, value: object) -> None:
        """Without waiting: what is sent is small, and whoever sends much of it waits for answers. Nothing, if nobody listens."""
        data = pickle.dumps(value)
        if not self.writer.is_closing():
            self.writer.write(len(data).to_bytes(_LENGTH_BYTES) + data)

    async def receive(self) -> Any:
        """The next value; raises EOFError when the other side has gone."""
        try:
            length = int.from_bytes(await self.reader.readexactly(_LENGTH_BYTES))
            return pickle.loads(await self.reader.readexactly(length))  # noqa: S301 - from our own process
        except ConnectionError as error:
            raise EOFError from error


# In this process.


async def _deal_to_one(items: Iterator[Item], work: Work[Item, Answer], tell: Tell[Answer]) -> None:
    async with _worker(work) as (process, wire):
        try:
            await _converse(wire, items, tell)
        except EOFError as error:
            raise await _to_its_end(_death, process) from error


async def _converse(wire: _Wire, items: Iterator[Item], tell: Tell[Answer]) -> None:
    while True:
        match await wire.receive():
            case _Said.MORE, _:
                wire.send(next(items, None))
            case _Said.ANSWER, answer:
                tell(answer)
            case _Said.FAILED, error:
                raise error
            case _Said.DONE, _:
                return


@asynccontextmanager
async def _worker(work: Work[Item, Answer]) -> AsyncIterator[tuple[SpawnProcess, _Wire]]:
    with _refusals():
        ours, theirs = socket.socketpair()
    process = _SPAWN.Process(target=_serve, args=(work, theirs), daemon=True)
    try:
        await _to_its_end(_start, process, theirs)
        wire = await _Wire.on(ours)
        try:
            yield process, wire
        finally:
            wire.writer.transport.abort()
    finally:
        ours.close()
        await _to_its_end(_end, process)


async def _to_its_end(call: Callable[..., Result], *arguments: object) -> Result:
    """In a thread; who is cancelled meanwhile goes when it is over, and leaves no process behind."""
    running = asyncio.ensure_future(asyncio.to_thread(call, *arguments))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise


def _start(process: SpawnProcess, theirs: socket.socket) -> None:
    """Start it deaf to Ctrl-C, which this process answers: it is born with the mask of the thread that starts it."""
    with _refusals(), theirs:
        resource_tracker.ensure_running()  # which would lift the mask
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@contextmanager
def _refusals() -> Iterator[None]:
    """The system's reasons for having no more processes, and that a daemonic one may have no children, as an error of ours."""
    try:
        yield
    except (OSError, AssertionError) as error:
        message = f"another process cannot be started: {error}"
        raise Unavailable(Code.PROCESS_FAILED, message, hint="Use fewer processes, or one.") from error


def _end(process: SpawnProcess) -> None:
    """Wait until it has ended, as it does when its wire is cut; kill it if it does not."""
    if process.pid is not None:
        process.join(limits.WORKER_STOP_TIMEOUT.total_seconds())
        process.kill()
        process.join()
    process.close()


def _death(process: SpawnProcess) -> Unavailable:
    """What to say of one that went without a word."""
    process.join(limits.WORKER_STOP_TIMEOUT.total_seconds())
    code = process.exitcode or 0
    how, hint = (f"was killed by signal {-code}", _KILLED) if code < 0 else (f"ended with exit code {code}", _ENDED)
    return Unavailable(Code.PROCESS_FAILED, f"process {process.pid}, one of several, {how}", hint=hint)


# In a worker.


def _serve(work: Work[Any, Any], end: socket.socket) -> None:
    asyncio.run(_answer(work, end))


async def _answer(work: Work[Any, Any], end: socket.socket) -> None:
    wire, given = await _Wire.on(end), asyncio.Queue[Any]()

    async def take() -> Any:
        wire.send((_Said.MORE, None))
        return await given.get()  # whichever: an item is as good as another

    working = asyncio.ensure_future(work(take, lambda answer: wire.send((_Said.ANSWER, answer))))
    hearing = asyncio.create_task(_hear(wire, given, working))
    await asyncio.wait([working])
    if not working.cancelled():  # or nobody would listen
        error = working.exception()
        wire.send((_Said.FAILED, _portable(error)) if error else (_Said.DONE, None))
    await hearing  # until that was heard: who sends an item to a closed socket hears nothing more from it
    wire.writer.close()


async def _hear(wire: _Wire, given: asyncio.Queue[Any], working: asyncio.Future[None]) -> None:
    try:
        with contextlib.suppress(EOFError):
            while True:
                given.put_nowait(await wire.receive())
    finally:
        working.cancel()


def _portable(error: BaseException) -> Exception:
    """An error of ours as it is; of a bug, which pickling may not survive, what it says and where it happened."""
    if isinstance(error, CasstoreError):
        return error
    told = RuntimeError("".join(traceback.format_exception_only(error)).strip())
    told.add_note("".join(traceback.format_exception(error)))
    return told
