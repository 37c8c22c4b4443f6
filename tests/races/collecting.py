"""The store's own collector, one step at a time."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import psycopg

from casstore import limits
from casstore.catalog import collecting
from casstore.catalog.connection import Catalog
from casstore.operations.collecting import _Collection

NOW = timedelta(0)


class Collector:
    """A collector with connections of its own. Every step may be taken on its own, and again."""

    def __init__(self, catalog, blobs, dsn) -> None:
        self.catalog = catalog
        self.blobs = blobs
        self._dsn = dsn
        self.lost = 0

    @classmethod
    async def connect(cls, dsn, blobs):
        return cls(await Catalog.open(dsn), blobs, dsn)

    async def plan(self):
        """What there is to do about any blob, without a quarantine."""
        stretch = await collecting.plan(self.catalog, b"", full=True, quarantine=NOW)
        assert stretch.last is None, "a test has fewer blobs than a stretch"
        return stretch.candidates

    async def mark(self, plan=None) -> int:
        planned = [each for each in plan or await self.plan() if each.step == "condemn"]
        return len(await collecting.mark(self.catalog, planned))

    async def claim(self, plan=None, between=None):
        """With `between`, that is done after the rows have been locked, and before references are looked for."""
        planned = [each for each in plan or await self.plan() if each.step == "delete"]
        if between is None:
            return await collecting.claim(self.catalog, planned, NOW)
        async with await psycopg.AsyncConnection.connect(self._dsn) as holder:
            await holder.execute("lock table casstore.components in access exclusive mode")
            claiming = asyncio.create_task(collecting.claim(self.catalog, planned, NOW))
            await between()
            await holder.rollback()
        return await claiming

    async def delete(self, claim) -> bool:
        return await self.blobs.delete(claim.digest, generation=claim.dead)

    async def target(self, claim) -> bool:
        found = await self.blobs.stat(claim.digest)
        return await collecting.target(self.catalog, claim, found.generation)

    async def done(self, claim) -> bool:
        return bool(await collecting.done(self.catalog, [claim]))

    async def finish(self, claims) -> None:
        """Objects, then rows, as the store does it."""
        gone = await _Collection(self.catalog, self.blobs, NOW, limits.COLLECT_RATE)._sweep(claims)
        self.lost += len(claims) - len(gone)

    async def aclose(self) -> None:
        await self.catalog.aclose()
