"""The tenant's door over HTTP, for blocking code: `casstore.sync.Tenant` over the remote twin."""

from __future__ import annotations

from typing import Self

from casstore.client.tenant import AsyncRemoteTenant
from casstore.loops import Loop
from casstore.sync import Tenant

__all__ = ["RemoteTenant"]


class RemoteTenant(Tenant):
    """A `Tenant` on a server; `casstore.connect` makes one. Threads may share it. Use it as a context manager, or close it."""

    def __init__(self, twin: AsyncRemoteTenant) -> None:
        self._twin: AsyncRemoteTenant = twin
        self._running = Loop()
        try:
            self._running.run(twin.open())
        except BaseException:
            self._running.close()
            raise
        self.name = twin.name
        self._is_open = True

    @property
    def _loop(self) -> Loop:
        return self._running

    def close(self) -> None:
        """Give back connections and the thread. May be called twice."""
        if self._is_open:
            self._is_open = False
            try:
                self._running.run(self._twin.aclose())
            finally:
                self._running.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
