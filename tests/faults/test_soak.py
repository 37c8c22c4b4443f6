"""A minute of trouble on both lines at once: answers get lost, connections break, servers refuse. What was acknowledged stays."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import time
from collections import Counter

import pytest

from casstore import AsyncStore, Components, Unavailable
from casstore.testing.audit import audit
from casstore.testing.gcs import Chaos, GcsServer
from casstore.testing.proxy import Line

SECONDS = float(os.environ.get("CASSTORE_TEST_SOAK_S", "60"))
WORKERS = 6
NAMES = [f"soak/{n}" for n in range(12)]
SHARED = [b"shared %d" % n * 50 for n in range(8)]
LARGE_BYTES = 9 * 2**20  # goes up in pieces
FATES = ("lose_answer", "cut_at_once")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(SECONDS + 180)]


class Soak:
    """Workers that put and get for a while, and what they were told."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.acknowledged: dict[tuple[str, int], dict[str, bytes]] = {}
        self.by_key: dict[str, tuple[str, int]] = {}
        self.counts = Counter[str]()
        self.end = time.monotonic() + SECONDS

    def parts(self) -> dict[str, bytes]:
        kind = self.random.random()
        if kind < 0.02:
            return {"main": self.random.randbytes(64) * (LARGE_BYTES // 64)}
        if kind < 0.3:
            return {role: self.random.choice([self.random.randbytes(500), *SHARED]) for role in "abc"}
        return {"main": self.random.choice([self.random.randbytes(3000), *SHARED[:2]])}

    async def work(self, store: AsyncStore) -> None:
        tenant = store.tenant()
        while time.monotonic() < self.end:
            if self.acknowledged and self.random.random() < 0.4:
                await self.check(tenant, *self.random.choice(list(self.acknowledged.items())))
            else:
                await self.put(tenant)

    async def put(self, tenant) -> None:
        name, parts = self.random.choice(NAMES), self.parts()
        key = self.random.choice([None, secrets.token_hex(8)])
        data = parts["main"] if list(parts) == ["main"] else Components(parts)
        for _ in range(1 if key is None else 20):  # with a key, as callers do: again until it is known
            try:
                made = await tenant.put(name, data, idempotency_key=key, on_same="new_version")
            except Unavailable as error:
                self.counts[error.code] += 1
                continue
            self.counts["put"] += 1
            if key:
                self.by_key[key] = (made.name, made.number)
            assert self.acknowledged.setdefault((made.name, made.number), parts) == parts, "a number was given twice"
            return

    async def check(self, tenant, place: tuple[str, int], parts: dict[str, bytes]) -> None:
        role = self.random.choice(list(parts))
        try:
            read = await (await tenant.get(f"{place[0]}@{place[1]}#{role}")).bytes()
        except Unavailable as error:
            self.counts[error.code] += 1
            return
        assert read == parts[role]
        self.counts["get"] += 1

    async def trouble(self, line: Line) -> None:
        """Now and then a call to the catalog meets its fate."""
        while time.monotonic() < self.end:
            await asyncio.sleep(self.random.uniform(0.01, 0.3))
            line.doom(self.random.choice(("put_versions", "resolve")), self.random.choice(FATES))


@pytest.fixture
def bucket(monkeypatch):
    with GcsServer() as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        server.create_bucket("soak")
        yield server


def test_nothing_acknowledged_is_lost(run, databases, bucket):
    seed = secrets.randbelow(2**32)
    print(f"seed {seed}")
    soak = Soak(seed)

    async def main(dsn: str) -> None:
        async with Line(dsn) as line:
            stores = [AsyncStore(blobs="gs://soak/place", catalog=line.dsn) for _ in range(2)]
            for store in stores:
                await store.open()
            bucket.faults.unleash(Chaos(seed=seed, rate=0.05))
            async with asyncio.TaskGroup() as group:
                group.create_task(soak.trouble(line))
                for number in range(WORKERS):
                    group.create_task(soak.work(stores[number % 2]))
            bucket.faults.clear()
            for store in stores:
                await store.aclose()
        async with AsyncStore(blobs="gs://soak/place", catalog=dsn) as fresh:
            tenant = fresh.tenant()
            for (name, number), parts in soak.acknowledged.items():
                artifact = await tenant.get(f"{name}@{number}")
                assert {role: await artifact[role].bytes() for role in artifact.version.roles} == parts
            assert await audit(fresh) == []
            for key, (name, number) in soak.by_key.items():  # a key is one version for ever
                parts = soak.acknowledged[name, number]
                data = parts["main"] if list(parts) == ["main"] else Components(parts)
                again = await tenant.put(name, data, idempotency_key=key, on_same="new_version")
                assert (again.number, again.repeated) == (number, True)
        print(dict(soak.counts), f"{line.struck} calls to the catalog struck")
        assert soak.counts["put"] > SECONDS  # else it was no soak
        assert soak.counts["get"] > SECONDS
        assert line.struck > SECONDS

    with databases.fresh() as dsn:
        run(main(dsn))
