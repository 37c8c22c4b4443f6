"""scrub: read blobs, a part of the store at a time, so that all of it is read once in a cycle.

The store is in 256 parts, by the first byte of digests; the catalog remembers of each when it was last read, and how far a reading
has come. What is due is counted in parts (`due`). So whatever calls it, hourly, daily or after a month off, keeps to the cycle, and
the part that was not read for longest comes first.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Final

from casstore import limits
from casstore.blobs import BlobStore
from casstore.catalog import checking
from casstore.catalog.checking import Believed, Part
from casstore.catalog.connection import Catalog
from casstore.domains import Keyring
from casstore.errors import Code, Invalid
from casstore.model import Digest
from casstore.operations.defects import AsyncCheck, Defect, Scrubbed
from casstore.operations.repairing import Mender, Pace, read

__all__ = ["AsyncScrub", "due"]

_PARTS: Final = 256
_A_DAY: Final = timedelta(days=1)  # so long ago a store that was never read is taken to have begun to be
_NOISE: Final = 1e-6  # of floating point, in parts


class AsyncScrub(AsyncCheck[Scrubbed]):
    """A scrub of a store; see `AsyncStore.scrub` for the promise."""

    def __init__(
        self,
        catalog: Catalog,
        blobs: BlobStore,
        keys: Keyring,
        *,
        cycle: timedelta,
        share: float | None,
        rate: int | None,
        progress: Callable[[Scrubbed], None] | None,
    ) -> None:
        _check(
            "cycle",
            cycle,
            is_right=isinstance(cycle, timedelta) and cycle > timedelta(),
            hint="A timedelta above zero.",
        )
        _check("share", share, is_right=share is None or 0 < share <= 1, hint="Above 0, up to 1.")
        _check("rate", rate, is_right=rate is None or rate > 0, hint="Bytes a second, above 0.")
        self.summary = Scrubbed()
        self._catalog = catalog
        self._blobs = blobs
        self._keys = keys
        self._cycle = cycle
        self._share = share
        self._pace = Pace(rate)
        self._progress = progress
        self._mender = Mender(catalog, blobs, keys, pace=self._pace)

    async def __aiter__(self) -> AsyncIterator[Defect]:
        """The defects, in the order of the reading."""
        for part in due(await checking.coverage(self._catalog), self._cycle, self._share):
            async for found in self._read_part(part):
                self._count(defects=1, mended=int(found.mended))
                yield found
        await self._cover()

    async def _read_part(self, part: Part) -> AsyncIterator[Defect]:
        after, before = part.after or bytes([part.number]), _end_of(part)
        await checking.mark(self._catalog, part.number, part.after, is_done=False)
        while page := await checking.ledger(self._catalog, after, limits.SCRUB_PAGE, before):
            for found in await self._read_page([row for row in page if row.state == "l" or row.needed is not None]):
                yield found
            after = bytes(page[-1].digest)
            await checking.mark(self._catalog, part.number, after, is_done=False)
            if self._progress:
                self._progress(self.summary)
        await checking.mark(self._catalog, part.number, None, is_done=True)

    async def _read_page(self, rows: list[Believed]) -> list[Defect]:
        slots = asyncio.Semaphore(limits.SCRUB_AT_ONCE)

        async def one(row: Believed) -> Defect | None:
            async with slots:
                return await self._read_one(row)

        return [found for found in await asyncio.gather(*map(one, rows)) if found]

    async def _read_one(self, row: Believed) -> Defect | None:
        digest = Digest(row.digest)
        found = await read(self._blobs, row, self._keys, self._pace)
        if found:
            self._count(blobs=1, bytes=found.thing.size_bytes, unverified=int(not found.is_proven))
            said = (row.size_bytes, row.crc32c, row.generation)
            if (
                row.state == "l"
                and found.is_good
                and (found.thing.size_bytes, found.thing.crc32c, found.thing.generation) == said
            ):
                return None
        return await self._mender.look(digest, deep=True, mend=True)

    async def _cover(self) -> None:
        times = [part.read_at for part in await checking.coverage(self._catalog)]
        known = [at for at in times if at]
        oldest = min(known) if len(known) == _PARTS else None
        self.summary = self.summary.model_copy(update={"oldest": oldest, "unread": 1 - len(known) / _PARTS})
        if self._progress:
            self._progress(self.summary)

    def _count(self, **more: int) -> None:
        figures = {name: getattr(self.summary, name) + count for name, count in more.items()}
        self.summary = self.summary.model_copy(update=figures)


def due(parts: list[Part], cycle: timedelta, share: float | None) -> list[Part]:
    """The parts to read now, the longest unread first: what a share says; else so many that the cycle is kept.

    From now on one part a slot is enough, a slot being a 256th of the cycle: the i-th in the queue is then read in i slots. As many
    as would be too late by that are read now; less than a part is left for the next call.
    """
    now, slot = parts[0].seen_at, cycle / _PARTS
    # A reading that was interrupted goes on first: it has been paid for.
    queue = sorted(parts, key=lambda part: (part.began_at is None, part.read_at is not None, part.read_at, part.number))
    if share is not None:
        return queue[: math.ceil(share * _PARTS)]
    first = min((at for part in parts for at in (part.read_at, part.began_at) if at), default=now - _A_DAY)
    late = (place + 1 - (cycle - (now - (part.read_at or first))) / slot for place, part in enumerate(queue))
    begun = sum(part.began_at is not None for part in parts)
    return queue[: max(begun, math.floor(max(late) + _NOISE), 0)]


def _end_of(part: Part) -> bytes | None:
    return bytes([part.number + 1]) if part.number + 1 < _PARTS else None


def _check(name: str, value: object, *, is_right: bool, hint: str) -> None:
    if not is_right:
        raise Invalid(Code.BAD_ARGUMENT, f"{name}={value!r} is out of range", hint=hint)
