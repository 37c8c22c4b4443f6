"""Crashes and lost answers at every effect, without hooks in the product.

Effects cross two seams only: blob calls and SQL statements. `FaultyBlobs` wraps the one and a subclass of psycopg's
connection the other; both count on one `Faults`, which knows where the process is to die or an answer to get lost.

    faults = Faults(crash_at=3)
    async with faulty_store(faults, blobs=…, catalog=…) as store:
        await store.tenant().put(…)        # raises SimulatedCrash
    faults.points                           # ["before sql put_versions", "after sql put_versions", "before blobs.put"]
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Literal, TypeAlias, TypeVar

import psycopg
from psycopg import AsyncConnection

from casstore.blobs import BlobReader, BlobStore, KeepsJournal, Object, open_blobs
from casstore.catalog.connection import Catalog
from casstore.errors import Code, Unavailable
from casstore.model import Digest
from casstore.staging import Staged
from casstore.store import AsyncStore

__all__ = ["Faults", "FaultyBlobs", "Loss", "SimulatedCrash", "connection_class", "faulty_store"]

Answer = TypeVar("Answer")
Loss: TypeAlias = Literal["request", "answer"]


class SimulatedCrash(BaseException):
    """The process died here. Not an Exception: nothing may tidy up after it."""


class Faults:
    """Counts effects and strikes at one of them.

    Args:
        crash_at: The point (two for each effect: before and after it) at which the process dies, from 1. From then on
            every further effect raises too, for a dead process does nothing more.
        lose_at: The effect, from 1, whose connection breaks, once: before it happens ("request") or after ("answer").
        loss: Which of the two.
    """

    def __init__(self, *, crash_at: int | None = None, lose_at: int | None = None, loss: Loss = "answer") -> None:
        self.points: list[str] = []
        self.effects: list[str] = []
        self.burnt = False
        self._crash_at = crash_at
        self._lose_at = lose_at
        self._loss = loss

    async def effect(
        self, name: str, work: Callable[[], Awaitable[Answer]], broken: Callable[[], Awaitable[Exception]]
    ) -> Answer:
        """Do the work, unless its time has come. `broken` breaks the connection and says how that shows."""
        self._pass(f"before {name}")
        self.effects.append(name)
        struck = self._lose_at == len(self.effects)
        if struck and self._loss == "request":
            raise await broken()
        answer = await work()
        self._pass(f"after {name}")
        if struck:
            raise await broken()
        return answer

    def _pass(self, point: str) -> None:
        if not self.burnt:
            self.points.append(point)
            self.burnt = len(self.points) == self._crash_at
        if self.burnt:
            raise SimulatedCrash(point)


class FaultyBlobs:
    """A `BlobStore` whose every call is an effect. A lost answer shows as Unavailable (blobs_unavailable)."""

    def __init__(self, inner: BlobStore, faults: Faults) -> None:
        self.url = inner.url
        self._inner = inner
        self._faults = faults

    async def put(self, staged: Staged, *, dead: int | None = None) -> Object:  # noqa: D102 - the contract has the prose
        return await self._effect("put", lambda: self._inner.put(staged, dead=dead))

    async def open(self, digest: Digest, *, start: int = 0, end: int | None = None) -> BlobReader:  # noqa: D102
        return await self._effect("open", lambda: self._inner.open(digest, start=start, end=end))

    async def stat(self, digest: Digest) -> Object | None:  # noqa: D102
        return await self._effect("stat", lambda: self._inner.stat(digest))

    async def delete(self, digest: Digest, *, generation: int) -> bool:  # noqa: D102
        return await self._effect("delete", lambda: self._inner.delete(digest, generation=generation))

    async def page(self, *, after: Digest | None = None, limit: int = 1000) -> list[Object]:  # noqa: D102
        return await self._effect("page", lambda: self._inner.page(after=after, limit=limit))

    async def put_new(self, key: str, data: bytes) -> bool:  # noqa: D102
        return await self._effect("put_new", lambda: self._journal.put_new(key, data))

    async def get(self, key: str) -> bytes | None:  # noqa: D102
        return await self._effect("get", lambda: self._journal.get(key))

    async def remove(self, key: str) -> None:  # noqa: D102
        await self._effect("remove", lambda: self._journal.remove(key))

    async def list_keys(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[str]:  # noqa: D102
        return await self._effect("list_keys", lambda: self._journal.list_keys(prefix, after=after, limit=limit))

    async def aclose(self) -> None:  # noqa: D102
        await self._inner.aclose()

    @property
    def _journal(self) -> KeepsJournal:
        assert isinstance(self._inner, KeepsJournal)  # noqa: S101 - or this one is not asked to keep one
        return self._inner

    async def _effect(self, name: str, work: Callable[[], Awaitable[Answer]]) -> Answer:
        async def broken() -> Exception:
            return Unavailable(Code.BLOBS_UNAVAILABLE, "the line to the blobs broke", hint="It was a test.")

        return await self._faults.effect(f"blobs.{name}", work, broken)


def connection_class(faults: Faults) -> type[AsyncConnection[Any]]:
    """A psycopg connection whose every statement is an effect: for `Catalog.open(connection_class=…)`."""

    class FaultyConnection(AsyncConnection[Any]):
        async def execute(self, query: Any, *args: Any, **kwargs: Any) -> Any:
            async def broken() -> Exception:
                await self.close()
                return psycopg.OperationalError("the line to the catalog broke: it was a test")

            execute = super().execute
            return await faults.effect(f"sql {_function(query)}", lambda: execute(query, *args, **kwargs), broken)

    return FaultyConnection


def _function(query: object) -> str:
    """The function of ours that a statement calls."""
    found = re.search(r"casstore\.(\w+)", str(query))
    return found[1] if found else str(query)


@contextlib.asynccontextmanager
async def faulty_store(faults: Faults, *, blobs: str, catalog: str) -> AsyncIterator[AsyncStore]:
    """An open store whose effects are counted from here on. Opening and closing it are no effects."""
    store = AsyncStore(blobs=blobs, catalog=catalog)
    try:
        store._catalog = await Catalog.open(catalog, connection_class=connection_class(faults))  # noqa: SLF001 - the seam
        store._blobs = FaultyBlobs(await open_blobs(blobs), faults)  # noqa: SLF001
        yield store
    finally:
        await store.aclose()
