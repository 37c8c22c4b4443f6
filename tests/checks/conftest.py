"""Stores to be damaged: each example has one of its own, because a check is about all tenants of a store.

Artifact `n/I` of such a store is for damage number I, so that damages do not meet.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest

from casstore import AsyncStore, AsyncTenant, Digest
from tests.support.halves import BucketPlaces, FolderPlaces


@dataclass
class World:
    """A store, the way behind its back, and what was put into it."""

    store: AsyncStore
    tenant: AsyncTenant
    places: FolderPlaces | BucketPlaces
    url: str
    dsn: str
    contents: dict[str, bytes] = field(default_factory=dict)  # by reference

    @property
    def tells_checksums(self) -> bool:
        """Whether the blob store knows an object's CRC32C without reading it."""
        return self.url.startswith("gs:")

    def sql(self, statement: str, *arguments: Any, unchecked: bool = False) -> None:
        """A statement of somebody who should not; `unchecked`, without triggers and foreign keys."""
        with psycopg.connect(self.dsn) as connection:
            if unchecked:
                connection.execute("set local session_replication_role = replica")
            assert connection.execute(statement, arguments).rowcount > 0, statement

    async def put(self, name: str, data: bytes, **options: Any) -> Digest:
        stored = await self.tenant.put(name, data, **options)
        self.contents[stored.ref] = data
        return Digest.of(data)

    def bytes_of(self, digest: Digest) -> bytes:
        return self.places.bytes_of(self.url, digest)


async def fill(world: World, artifacts: int) -> None:
    """Versions 1 to 3 of each artifact, 2 made from 1, an alias that moved, a lifecycle; and one version that was purged."""
    for index in range(artifacts):
        name = f"n/{index}"
        await world.put(name, f"{name} first".encode(), idempotency_key=f"key {index}")
        await world.put(name, f"{name} second".encode(), sources=[f"{name}@1"])
        await world.put(name, f"{name} third".encode())
        for number in (1, 2, 3):
            await world.tenant.alias(f"{name}@{number}", "prod")
        await world.tenant.transition(f"{name}@3", "accepted", by="me")
        await world.tenant.transition(f"{name}@3", "obsolete", by="me")
        await world.tenant.put(f"purged/{index}", f"{name} purged".encode())
        await world.tenant.delete(f"purged/{index}@1", by="me")
        await world.tenant.purge(f"purged/{index}@1", by="me")


@pytest.fixture(scope="session")
def in_world(databases, places) -> Callable[..., None]:
    """`in_world(work, artifacts=3)` runs `await work(world)` in a store of its own."""

    def run(work, artifacts: int = 3) -> None:
        async def within(dsn: str) -> None:
            url = places.new()
            async with AsyncStore(blobs=url, catalog=dsn) as store:
                world = World(store, store.tenant("acme"), places, url, databases.direct(dsn))
                await fill(world, artifacts)
                await work(world)

        with databases.fresh() as dsn:
            asyncio.run(within(dsn))

    return run


async def found_by(check) -> set[tuple[str, str]]:
    """Code and place of every defect, told once each."""
    found = [(defect.code, defect.where) async for defect in check]
    assert len(found) == len(set(found)) == check.summary.defects
    return set(found)


@contextlib.contextmanager
def fewer_at_a_time(monkeypatch, **more):
    """Pages so small that a small store has many."""
    from casstore import limits

    sizes = (
        dict.fromkeys(("CHECK_PAGE", "CHECK_VERSIONS", "CHECK_ARTIFACTS", "CHECK_LOG_ARTIFACTS", "SCRUB_PAGE"), 2)
        | more
    )
    with monkeypatch.context() as patch:
        for name, size in sizes.items():
            patch.setattr(limits, name, size)
        yield
