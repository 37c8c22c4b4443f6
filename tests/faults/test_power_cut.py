"""The catalog's host loses its power: what was not waited for is gone, reservations of uploads among it; clients go on.

Here the server is killed before its log was written, which takes the same from it.
"""

from __future__ import annotations

import asyncio

import pytest

from casstore import AsyncStore, Digest
from casstore.catalog import collecting
from casstore.testing.audit import audit
from tests.faults.test_kill import embedded, kill_postmaster  # noqa: F401 - a fixture
from tests.races.collecting import Collector

X = b"the contested bytes"


async def statement(store, text) -> None:
    async with store._catalog._pool.connection() as connection:
        await connection.set_autocommit(True)
        await connection.execute(text)
        await connection.set_autocommit(False)


async def lose_what_is_not_on_disk(store) -> None:
    """From here on nothing reaches the disk that nobody waits for; a sequence writes down its next numbers anew."""
    await statement(store, "alter system set wal_writer_delay = '10s'")
    await statement(store, "select pg_reload_conf()")
    await statement(store, "checkpoint")


class Accident:
    """Between an upload and its second call: the reservation is lost, the claim it had taken over is alive again, and its
    collector deletes the upload. Then somebody else reserves the same bytes.
    """

    def __init__(self, store, folder, collector, claim) -> None:
        self.store, self.folder, self.collector, self.claim = store, folder, collector, claim
        self.upload = store._blobs.put
        self.has_reserved, self.go_on = asyncio.Event(), asyncio.Event()
        self.other: asyncio.Task | None = None
        store._blobs.put = self.put

    async def put(self, staged, *, dead=None):
        if self.other is asyncio.current_task():  # that somebody, who is slow
            self.has_reserved.set()
            await self.go_on.wait()
            return await self.upload(staged, dead=dead)
        placed = await self.upload(staged, dead=dead)
        if self.other:  # it had to upload again
            return placed
        assert not await self.collector.delete(self.claim)  # another generation is there now
        kill_postmaster(self.folder)
        if await self.collector.target(self.claim):
            await self.store._blobs.delete(placed.digest, generation=placed.generation)
            await self.collector.done(self.claim)
        self.other = asyncio.create_task(self.store.tenant().put("doc/other", X))
        await self.has_reserved.wait()
        return placed


@pytest.mark.slow
def test_a_ticket_that_was_lost_with_its_reservation_is_never_given_again(run, embedded):  # noqa: F811
    """Found by tests/protocol: a sequence gives the numbers of transactions that nobody waited for once more after a power cut."""

    async def main() -> None:
        async with asyncio.timeout(60), AsyncStore(embedded) as store:
            tenant = store.tenant()
            gone = await tenant.put("doc/gone", X)
            await tenant.delete(gone.ref, by="me")
            await tenant.purge(gone.ref, by="me")
            collector = Collector(store._catalog, store._blobs, "")
            await collector.mark()
            (claim,) = await collector.claim()
            await lose_what_is_not_on_disk(store)
            accident = Accident(store, embedded, collector, claim)
            stored = await tenant.put("doc/a", X)
            assert accident.other
            assert await store._blobs.stat(Digest.of(X)) is not None, "its object is gone"
            assert await (await tenant.get(stored.ref)).bytes() == X
            accident.go_on.set()
            await accident.other
            assert await audit(store) == []

    run(main())


@pytest.mark.slow
def test_what_a_lost_reservation_said_of_an_orphan_is_said_again(run, embedded):  # noqa: F811
    """Found by tests/protocol: a collector's row of an object that was found knows neither its CRC32C nor its domain. A put tells
    both when it reserves, keeping the ticket; the power cut took what it had told, and the put went on with a ticket that was good.
    """

    async def main() -> None:
        async with asyncio.timeout(60), AsyncStore(embedded, domains={"vault": bytes(32)}) as store:
            await store.set_domain("acme", "vault", by="me")
            tenant = store.tenant("acme")
            digest = await tenant.digest_of(X)
            await tenant.put("doc/first", b"a tenant's first put is waited for")
            assert await collecting.register(store._catalog, {digest: 1}) == 1
            await lose_what_is_not_on_disk(store)
            upload = store._blobs.put

            async def put(staged, *, dead=None):
                placed = await upload(staged, dead=dead)
                kill_postmaster(embedded)
                store._blobs.put = upload
                return placed

            store._blobs.put = put
            await tenant.put("doc/a", X)
            assert [defect async for defect in store.fsck()] == []
            assert await audit(store) == []
            assert (await tenant.put("doc/b", X)).new_bytes == 0

    run(main())
