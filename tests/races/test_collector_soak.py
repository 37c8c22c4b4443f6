"""Writers that live on each other's blobs, collectors without a quarantine, and trouble in both halves, for a while.

Nothing that was acknowledged is lost, and in the end nothing is left over. CASSTORE_TEST_SOAK_S: how many seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from collections import Counter
from datetime import timedelta

import pytest

from casstore import AsyncStore, CasstoreError, Components, Conflict, Corrupt, Unavailable, limits
from casstore.errors import Code
from casstore.testing.audit import audit
from casstore.testing.proxy import Line

SECONDS = float(os.environ.get("CASSTORE_TEST_SOAK_S", "5"))
WRITERS, COLLECTORS = 8, 2
NOW = timedelta(0)
CONTENTS = [b"content %d " % n * 40 for n in range(24)]
CALLS = ("put_versions", "delete_versions", "purge_versions", "gc_plan", "gc_mark", "gc_claim", "gc_done", "gc_strike")
FATES = ("lose_answer", "cut_at_once")
ENOUGH = (
    "put",
    "purge",
    "check",
    "condemned",
    "deleted",
    "kept",
)  # more of each than there are seconds, else it was no soak
SLOWEST = 60  # seconds more, where the machine has other things to do

pytestmark = [pytest.mark.slow, pytest.mark.timeout(SECONDS + SLOWEST + 180)]


class Trouble:
    """Blobs that are slow, and now and then fail: before the work, or after it."""

    def __init__(self, inner, chance) -> None:
        self.url = inner.url
        self._inner = inner
        self._chance = chance

    def __getattr__(self, name):
        call = getattr(self._inner, name)
        if name not in ("put", "delete", "stat"):
            return call

        async def troubled(*args, **kwargs):
            roll = self._chance.random()
            await asyncio.sleep(self._chance.uniform(0.05, 0.4) if roll < 0.03 else self._chance.uniform(0, 0.004))
            if 0.03 < roll < 0.05:
                raise Unavailable(Code.BLOBS_UNAVAILABLE, "it was a test")
            answer = await call(*args, **kwargs)
            if 0.05 < roll < 0.07:
                raise Unavailable(Code.BLOBS_UNAVAILABLE, "it was a test")
            return answer

        return troubled


class Soak:
    def __init__(self, seed) -> None:
        self.chance = random.Random(seed)
        self.counts = Counter()
        self.wrong = []
        self.end = time.monotonic() + SECONDS

    def is_over(self):
        """The time is up and enough has happened; or it never will."""
        late = time.monotonic() - self.end
        return late > SLOWEST or (late > 0 and all(self.counts[what] > SECONDS for what in ENOUGH))

    async def write(self, store, number):
        """Put what others put too, read what is mine, let go of some of it."""
        tenant, mine = store.tenant(f"t{number % 3}"), {}
        while not self.is_over():
            parts = self.chance.sample(CONTENTS, self.chance.choice([1, 1, 2, 3]))
            data = Components({f"part{n}": part for n, part in enumerate(parts)})
            with self.excused("put"):
                made = await tenant.put(f"doc/{number}", data, on_same="new_version")
                mine[made.ref] = parts
            for ref in self.chance.sample(sorted(mine), min(2, len(mine))):
                await self.check(tenant, ref, mine[ref])
            while len(mine) > 3 or (mine and self.chance.random() < 0.3):
                ref = self.chance.choice(sorted(mine))
                del mine[ref]  # from here on nobody can say for sure where it is
                with self.excused("purge"):
                    await tenant.delete(ref, by="a writer")
                    if self.chance.random() < 0.2:
                        await tenant.undelete(ref, by="a writer")
                        await tenant.delete(ref, by="a writer")
                    await tenant.purge(ref, by="a writer")
        return tenant, mine

    async def check(self, tenant, ref, parts):
        try:
            artifact = await tenant.get(ref)
            read = [await artifact[f"part{n}"].bytes() for n in range(len(parts))]
        except Unavailable as error:
            self.counts[str(error.code)] += 1
        except CasstoreError as error:
            self.wrong.append(f"{ref}: {error}")
        else:
            self.counts["check"] += 1
            if read != parts:
                self.wrong.append(f"{ref}: other bytes")

    async def collect(self, store):
        while not self.is_over():
            with self.excused("collection"):
                try:
                    report = await store.collect(quarantine=NOW, full=self.chance.random() < 0.1)
                except Corrupt as error:  # the last alarm: a version refers to what was deleted
                    self.wrong.append(str(error))
                    return
                for key in ("condemned", "deleted", "kept", "failed"):
                    self.counts[key] += getattr(report, key)
            await asyncio.sleep(0.01)

    @contextlib.contextmanager
    def excused(self, what):
        """What may go wrong when lines break: the outcome is unknown then."""
        try:
            yield
            self.counts[what] += 1
        except (Unavailable, Conflict) as error:
            assert error.retryable or error.code is Code.BLOB_CONTENDED, error  # noqa: PT017
            self.counts[str(error.code)] += 1

    async def strike(self, line):
        while not self.is_over():
            await asyncio.sleep(self.chance.uniform(0.02, 0.3))
            if (
                self.counts["doomed"] == line.struck
            ):  # one after the other, however slow the machine: most calls are well
                self.counts["doomed"] += 1
                line.doom(self.chance.choice(CALLS), self.chance.choice(FATES))

    async def live(self, urls, line):
        async with contextlib.AsyncExitStack() as stack:
            stores = [
                await stack.enter_async_context(AsyncStore(blobs=urls.blobs, catalog=line.dsn))
                for _ in range(2 + COLLECTORS)
            ]
            for store in stores:
                store._blobs = Trouble(store._blobs, self.chance)
            writers = [self.write(stores[number % 2], number) for number in range(WRITERS)]
            others = [*map(self.collect, stores[2:]), self.strike(line)]
            return (await asyncio.gather(*writers, *others))[:WRITERS]


def test_nothing_that_is_referred_to_is_lost_and_nothing_else_is_left(run, store_urls, monkeypatch, databases):
    monkeypatch.setattr(limits, "LEASE", timedelta(milliseconds=50))
    monkeypatch.setattr(limits, "COLLECT_CLAIM", timedelta(milliseconds=200))
    seed = random.randrange(2**32)
    print("seed", seed)
    soak = Soak(seed)

    async def main():
        async with Line(databases.direct(store_urls.catalog)) as line:
            left = await soak.live(store_urls, line)
        print(dict(soak.counts), f"{line.struck} calls struck, {len(soak.wrong)} dangling")
        assert soak.wrong == []
        async with AsyncStore(**store_urls._asdict()) as store:
            assert await audit(store) == []
            for tenant, mine in left:
                for ref, parts in mine.items():
                    await soak.check(store.tenant(tenant.name), ref, parts)
            await asyncio.sleep(0.3)  # claims of the dead, and leases, are over
            for _ in range(3):
                await store.collect(quarantine=NOW, full=True, orphans=True)
            assert await audit(store) == []
            assert await leftovers(store) == []
        assert soak.wrong == []

    run(main())
    assert all(soak.counts[what] > SECONDS for what in ENOUGH), soak.counts


async def leftovers(store):
    """Objects that no version refers to."""
    async with store._catalog._pool.connection() as connection:
        cursor = await connection.execute("select distinct digest from casstore.components")
        used = {bytes(row[0]) for row in await cursor.fetchall()}
    return [thing.digest for thing in await store._blobs.page() if bytes(thing.digest) not in used]
