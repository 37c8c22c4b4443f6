"""Die at every effect of a purge and of a collection: nothing that is referred to is lost, and the next ones finish the work."""

from __future__ import annotations

import contextlib
from datetime import timedelta

import pytest

from casstore import AsyncStore, Components, Digest, Unavailable, limits
from casstore.model import MAIN
from casstore.staging import stage
from casstore.testing.audit import audit
from casstore.testing.faults import Faults, Loss, SimulatedCrash, faulty_store

NOW = timedelta(0)
KEPT = b"held by two, purged by one"

pytestmark = pytest.mark.slow


async def purge(store, tenant):
    await store.tenant(tenant).purge("gone@1", by="me")


async def empty(store, tenant):
    await store.tenant(tenant).empty_trash(NOW, by="me")


async def collect(store, _):
    await store.collect(quarantine=NOW, full=True, orphans=True)


SCENARIOS = {  # what dies, after what, and at how many points: two for each effect
    "purge": (purge, [], 2),
    "empty the trash": (empty, [], 4),
    "condemn": (collect, [purge], 12),
    "delete": (collect, [purge, collect], 24),
}


async def prepare(store, tenant, before):
    """A version in the trash, with bytes of its own and some that a live version holds too; and an object that nobody knows."""
    t = store.tenant(tenant)
    await t.put("kept", KEPT)
    await t.put(
        "gone", Components(mine=b"of %s alone" % tenant.encode(), other=b"likewise " + tenant.encode(), both=KEPT)
    )
    await t.delete("gone@1", by="me")
    await store._blobs.put((await stage(b"an orphan beside " + tenant.encode()))[MAIN])
    for step in before:
        await step(store, tenant)


@pytest.mark.parametrize("name", ["purge", "empty the trash", "condemn", "delete"])
def test_a_crash_at_any_point_loses_nothing_and_is_made_good(run, store_urls, monkeypatch, name):
    monkeypatch.setattr(limits, "COLLECT_CLAIM", NOW)  # the dead are known to be dead
    act, before, points = SCENARIOS[name]
    visited = run(until_it_survives(store_urls, act, before))
    assert len(visited) == points, visited


async def until_it_survives(urls, act, before):
    visited = []
    while True:
        tenant, faults = f"t{len(visited)}", Faults(crash_at=len(visited) + 1)
        async with AsyncStore(**urls._asdict()) as healthy:
            await prepare(healthy, tenant, before)
        if not await dies(urls, act, tenant, faults):
            return visited
        visited.append(faults.points[-1])
        await assert_made_good(urls, tenant)


async def dies(urls, act, tenant, faults) -> bool:
    async with faulty_store(faults, **urls._asdict()) as store:
        try:
            await act(store, tenant)
        except SimulatedCrash:
            return True
        assert not faults.burnt, "the crash was swallowed"
        return False


async def assert_made_good(urls, tenant) -> None:
    async with AsyncStore(**urls._asdict()) as store:
        assert await (await store.tenant(tenant).get("kept")).bytes() == KEPT
        assert [fault for fault in await audit(store) if "no row of the ledger" not in fault] == []
        await purge(store, tenant)
        for _ in range(3):  # what was half done is finished, condemned and deleted
            await store.collect(quarantine=NOW, orphans=True)
        assert [thing.digest for thing in await store._blobs.page()] == [Digest.of(KEPT)]
        assert await (await store.tenant(tenant).get("kept")).bytes() == KEPT
        assert await audit(store) == []


@pytest.mark.parametrize("loss", ["request", "answer"])
@pytest.mark.parametrize("name", ["purge", "empty the trash", "condemn", "delete"])
def test_a_line_that_breaks_at_any_effect_is_made_good(run, store_urls, monkeypatch, name, loss: Loss):
    """Calls to the catalog are repeated; a delete whose answer was lost is reported, and due again."""
    monkeypatch.setattr(limits, "COLLECT_CLAIM", NOW)
    act, before, points = SCENARIOS[name]

    async def main():
        for number in range(1, points // 2 + 1):
            async with AsyncStore(**store_urls._asdict()) as healthy:
                await prepare(healthy, f"t{number}", before)
            faults = Faults(lose_at=number, loss=loss)
            async with faulty_store(faults, **store_urls._asdict()) as store:
                with contextlib.suppress(Unavailable):  # the list of objects
                    await act(store, f"t{number}")
            assert len(faults.effects) >= number
            await assert_made_good(store_urls, f"t{number}")

    run(main())
