"""A minute of trouble in both halves at once: answers get lost, connections break, servers refuse and go away for a while.

What was acknowledged stays, and nothing is there that nobody asked for. CASSTORE_TEST_SOAK_S: how many seconds.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import secrets
import time
from collections import Counter
from functools import partial

import pytest

from casstore import AsyncStore, Components, Unavailable
from casstore.testing.audit import audit
from casstore.testing.gcs import Chaos
from casstore.testing.proxy import Line

SECONDS = float(os.environ.get("CASSTORE_TEST_SOAK_S", "30"))
WORKERS = 6
PLACE = "gs://blobs/soak"
NAMES = [f"soak/{n}" for n in range(12)]
SHARED = [b"shared %d" % n * 50 for n in range(8)]
LARGE_BYTES = 9 * 2**20  # goes up in pieces
FATES = ("lose_answer", "cut_at_once")
PATIENCE_S = 0.3  # for the bucket, which is away for longer
AWAY_S = (0.5, 2.5)  # the catalog is waited for 1 s
THERE_S = (1, 4)
TROUBLES = ("blobs_unavailable", "catalog_unavailable")  # of each somebody has to be told, else it was no soak
SLOWEST = 120  # seconds more, until each half was missed by somebody

pytestmark = [pytest.mark.slow, pytest.mark.timeout(SECONDS + SLOWEST + 180)]


class Soak:
    """Workers that put and get for a while, and what they were told."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.acknowledged: dict[tuple[str, int], dict[str, bytes]] = {}
        self.by_key: dict[str, tuple[str, int]] = {}
        self.in_doubt = 0  # puts that failed, each of which may have made a version
        self.counts = Counter[str]()
        self.end = time.monotonic() + SECONDS

    def is_over(self) -> bool:
        """The time is up and both halves were missed; or they never will be."""
        late = time.monotonic() - self.end
        return late > SLOWEST or (late > 0 and all(self.counts[code] for code in TROUBLES))

    def parts(self) -> dict[str, bytes]:
        kind = self.random.random()
        if kind < 0.02:
            return {"main": self.random.randbytes(64) * (LARGE_BYTES // 64)}
        if kind < 0.3:
            return {role: self.random.choice([self.random.randbytes(500), *SHARED]) for role in "abc"}
        return {"main": self.random.choice([self.random.randbytes(3000), *SHARED[:2]])}

    async def work(self, store: AsyncStore) -> None:
        tenant = store.tenant()
        while not self.is_over():
            if self.acknowledged and self.random.random() < 0.4:
                await self.check(tenant, *self.random.choice(list(self.acknowledged.items())))
            else:
                await self.put(tenant)

    async def put(self, tenant) -> None:
        name, parts = self.random.choice(NAMES), self.parts()
        key = self.random.choice([None, secrets.token_hex(8)])
        for _ in range(1 if key is None else 20):  # with a key, as callers do: again until it is known
            try:
                made = await tenant.put(name, data_of(parts), idempotency_key=key, on_same="new_version")
            except Unavailable as error:
                self.counts[error.code] += 1
                continue
            self.counts["put"] += 1
            if key:
                self.by_key[key] = (made.name, made.number)
            assert self.acknowledged.setdefault((made.name, made.number), parts) is parts, "a number was given twice"
            return
        self.in_doubt += 1

    async def check(self, tenant, place: tuple[str, int], parts: dict[str, bytes]) -> None:
        role = self.random.choice(list(parts))
        try:
            read = await (await tenant.get(f"{place[0]}@{place[1]}#{role}")).bytes()
        except Unavailable as error:
            self.counts[error.code] += 1
            return
        assert read == parts[role]
        self.counts["get"] += 1

    async def strike_calls(self, line: Line) -> None:
        """Now and then a call to the catalog meets its fate."""
        while not self.is_over():
            await asyncio.sleep(self.random.uniform(0.01, 0.3))
            line.doom(self.random.choice(("put_versions", "resolve")), self.random.choice(FATES))

    async def take_away(self, bucket, line: Line) -> None:
        """Now and then one half is not there."""
        halves = [
            (partial(asyncio.to_thread, bucket.stop_answering), partial(asyncio.to_thread, bucket.resume)),
            (line.cut, line.listen),
        ]
        for leave, come_back in itertools.cycle(halves):
            await asyncio.sleep(self.random.uniform(*THERE_S))
            if self.is_over():
                return
            await leave()
            await asyncio.sleep(self.random.uniform(*AWAY_S))
            await come_back()

    async def live(self, bucket, line: Line) -> None:
        """Everything at once, in two stores."""
        url = {"blobs": PLACE, "catalog": line.dsn}
        async with AsyncStore(**url) as one, AsyncStore(**url) as two, asyncio.TaskGroup() as group:
            bucket.faults.unleash(Chaos(seed=self.random.randrange(2**32), rate=0.05))
            group.create_task(self.strike_calls(line))
            group.create_task(self.take_away(bucket, line))
            for store in [one, two] * (WORKERS // 2):
                group.create_task(self.work(store))

    async def assert_all_there(self, store: AsyncStore) -> None:
        tenant = store.tenant()
        assert await audit(store) == []
        for (name, number), parts in self.acknowledged.items():
            artifact = await tenant.get(f"{name}@{number}")
            assert {role: await artifact[role].bytes() for role in artifact.version.roles} == parts
        unknown = (await tenant.usage()).versions - len(self.acknowledged)
        assert 0 <= unknown <= self.in_doubt, "one put made two versions"
        for key, (name, number) in self.by_key.items():  # a key is one version for ever
            data = data_of(self.acknowledged[name, number])
            again = await tenant.put(name, data, idempotency_key=key, on_same="new_version")
            assert (again.number, again.repeated) == (number, True)


def data_of(parts: dict[str, bytes]) -> bytes | Components:
    return parts["main"] if list(parts) == ["main"] else Components(parts)


def test_nothing_acknowledged_is_lost(run, databases, bucket, patience):
    seed = secrets.randbelow(2**32)
    print(f"seed {seed}")
    soak = Soak(seed)
    patience(PATIENCE_S)

    async def main(dsn: str) -> None:
        async with Line(dsn) as line:
            await soak.live(bucket, line)
        bucket.faults.clear()
        patience(20)
        async with AsyncStore(blobs=PLACE, catalog=dsn) as fresh:
            await soak.assert_all_there(fresh)
        print(dict(soak.counts), f"{line.struck} calls to the catalog struck, {soak.in_doubt} puts in doubt")
        for enough in (soak.counts["put"], soak.counts["get"], line.struck):  # else it was no soak
            assert enough > SECONDS / 5
        assert all(soak.counts[code] for code in TROUBLES)

    with databases.fresh() as dsn:
        run(main(dsn))
