"""fsck: compare blobs and catalog both ways, then the catalog with its own laws; a bounded piece at a time.

The ledger by digest and the objects by digest are two sorted streams, merged. They are not of one instant, so what differs is only
suspected; each suspect is looked at once more by itself (`Mender.look`). The laws of the catalog are each one statement's, which
sees all that a transaction wrote, or nothing: what breaks one is broken.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from bisect import bisect_right
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Any, Final, Generic, TypeAlias, TypeVar

import msgpack

from casstore import limits
from casstore.blobs import BlobStore, Object
from casstore.catalog import checking
from casstore.catalog.checking import Believed, Law, Rows
from casstore.catalog.connection import Catalog
from casstore.domains import Keyring
from casstore.errors import Code, Invalid
from casstore.model import Digest
from casstore.operations.defects import AsyncCheck, Checked, Defect, defect
from casstore.operations.repairing import Mender, judge

__all__ = ["AsyncFsck"]

Item = TypeVar("Item", bound=Object | Believed)
_Step: TypeAlias = (
    "tuple[tuple[Any, ...] | None, list[Defect]]"  # how far a part has come (None: to its end), and what was found
)
_BEGIN: Final[dict[str, tuple[Any, ...]]] = {  # the parts of a check, and where each begins
    "blobs": (b"",),
    "artifacts": (0,),
    "versions": (0, 0),
    "log": (0,),
    "requests": (0, ""),
}
_WALKS: Final[dict[str, Callable[[Catalog, Any], Awaitable[Rows]]]] = {
    "artifacts": checking.artifacts,
    "versions": checking.versions,
    "log": checking.log,
    "requests": checking.requests,
}


class AsyncFsck(AsyncCheck[Checked]):
    """A check of a whole store; see `AsyncStore.fsck` for the promise."""

    def __init__(
        self,
        catalog: Catalog,
        blobs: BlobStore,
        keys: Keyring,
        *,
        repair: bool,
        cursor: str | None,
        progress: Callable[[Checked], None] | None,
    ) -> None:
        self.summary = Checked(cursor=cursor)
        self._part, self._after = _parsed(cursor)
        self._catalog = catalog
        self._blobs = blobs
        self._repair = repair
        self._progress = progress
        self._mender = Mender(catalog, blobs, keys)

    async def __aiter__(self) -> AsyncIterator[Defect]:
        """The defects, part by part."""
        parts = list(_BEGIN)
        for part in parts[parts.index(self._part) :]:
            after = self._after if part == self._part else _BEGIN[part]
            async for reached, defects in self._compare(*after) if part == "blobs" else self._walk(part, after):
                for found in defects:
                    self._count(defects=1, mended=int(found.mended))
                    yield found
                self._report(_packed(part, reached) if reached else _next(part))

    def _count(self, **more: int) -> None:
        figures = {name: getattr(self.summary, name) + count for name, count in more.items()}
        self.summary = self.summary.model_copy(update=figures)

    def _report(self, cursor: str | None) -> None:
        self.summary = self.summary.model_copy(update={"cursor": cursor})
        if self._progress:
            self._progress(self.summary)

    # -- the parts, step by step ---------------------------------------------

    async def _compare(self, after: bytes) -> AsyncIterator[_Step]:
        things = _Sorted(self._things, after)
        rows = _Sorted(self._rows, after)
        while True:
            await asyncio.gather(things.fill(), rows.fill())
            if things.is_over and rows.is_over:
                yield None, []
                return
            last = min(side.last for side in (things, rows) if not side.is_over)
            some_things, some_rows = things.take(last), rows.take(last)
            self._count(objects=len(some_things), blobs=len(some_rows))
            yield (last,), await self._look_again(_suspects(some_things, some_rows))

    async def _things(self, after: bytes) -> list[Object]:
        return await self._blobs.page(after=Digest(after) if after else None, limit=limits.CHECK_PAGE)

    async def _rows(self, after: bytes) -> list[Believed]:
        return await checking.ledger(self._catalog, after, limits.CHECK_PAGE)

    async def _look_again(self, suspects: Iterable[Digest]) -> list[Defect]:
        slots = asyncio.Semaphore(limits.CHECK_AT_ONCE)

        async def look(digest: Digest) -> Defect | None:
            async with slots:
                return await self._mender.look(digest, mend=self._repair)

        return [found for found in await asyncio.gather(*map(look, suspects)) if found]

    async def _walk(self, part: str, after: tuple[Any, ...]) -> AsyncIterator[_Step]:
        while True:
            rows = await _WALKS[part](self._catalog, after)
            if part != "log":  # which is about versions that were counted
                self._count(**{part: rows.seen})
            # Where there is an object, the comparison has told it.
            lost = [digest for digest in rows.unknown if await self._blobs.stat(digest) is None]
            yield rows.after, [_told(law) for law in rows.laws] + await self._look_again(lost)
            if rows.after is None:
                return
            after = rows.after


class _Sorted(Generic[Item]):
    """One of two sorted listings that are merged: what was fetched of it and is not compared yet."""

    def __init__(self, fetch: Callable[[bytes], Awaitable[list[Item]]], after: bytes) -> None:
        self._fetch = fetch
        self._after = after
        self._items: list[Item] = []
        self.is_over = False

    async def fill(self) -> None:
        """Fetch what comes next, if there is nothing left."""
        if self._items or self.is_over:
            return
        self._items = await self._fetch(self._after)
        self.is_over = not self._items
        if self._items:
            self._after = bytes(self._items[-1].digest)

    @property
    def last(self) -> bytes:
        """How far what was fetched reaches."""
        return self._after

    def take(self, last: bytes) -> list[Item]:
        """What there is up to `last`."""
        end = bisect_right(self._items, last, key=lambda item: item.digest)
        taken, self._items = self._items[:end], self._items[end:]
        return taken


def _suspects(things: Sequence[Object], rows: Sequence[Believed]) -> list[Digest]:
    found: dict[bytes, Object] = {thing.digest: thing for thing in things}
    wrong = [row.digest for row in rows if judge(row, found.pop(row.digest, None))]
    return [Digest(digest) for digest in (*wrong, *found)]


def _told(law: Law) -> Defect:
    number = "" if law.number is None else f"@{law.number}"
    told = f"{law.count} times, first here" if law.count > 1 else ""
    return defect(law.code, f"cas://{law.tenant}/{law.name}{number}", told=told)


def _next(part: str) -> str | None:
    """A cursor at the beginning of the part after this one; None after the last."""
    parts = list(_BEGIN)
    following = parts[parts.index(part) + 1 :]
    return _packed(following[0], _BEGIN[following[0]]) if following else None


def _packed(part: str, after: tuple[Any, ...]) -> str:
    packed: bytes = msgpack.packb([part, *after])
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def _parsed(cursor: str | None) -> tuple[str, tuple[Any, ...]]:
    if cursor is None:
        return "blobs", _BEGIN["blobs"]
    try:
        part, *after = msgpack.unpackb(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if list(map(type, after)) == list(map(type, _BEGIN[part])):
            return part, tuple(after)
    except (ValueError, TypeError, KeyError, msgpack.UnpackException, binascii.Error):
        pass  # refused below: whatever is wrong with it, it is not ours
    raise Invalid(Code.BAD_CURSOR, "this cursor is not of a check", hint="Start again without a cursor.")
