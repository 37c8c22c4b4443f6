"""A thread that runs an event loop, for a blocking door."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from casstore.errors import Code, UsageError

__all__ = ["Loop"]

R = TypeVar("R")


class Loop:
    """One thread that runs one event loop."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="casstore", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, R]) -> R:
        """Run to the end and answer or raise; an interrupt of the waiting thread cancels the work, which `close` waits for."""
        if threading.current_thread() is self._thread:
            work.close()
            message = "a blocking call on the store's own thread would wait for itself"
            raise UsageError(Code.STORE_BUSY, message, hint="Call it from another thread than the one of a callback.")
        if self._loop.is_closed() or os.getpid() != self._pid:
            work.close()
            reason = "is closed" if os.getpid() == self._pid else "was opened by another process"
            raise UsageError(
                Code.STORE_CLOSED, f"the store {reason}", hint="Open one in a `with` block of this process."
            )
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """Let what was cancelled come to its end, then stop the thread."""
        if not self._loop.is_closed():
            self.run(_settle())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()


async def _settle() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if others:
        await asyncio.wait(others)
    await asyncio.get_running_loop().shutdown_default_executor()
