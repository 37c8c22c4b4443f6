"""Erasing dies at every effect in turn, or loses an answer: the tenant is as it was, or is gone, and the same call finishes it."""

from __future__ import annotations

import contextlib
import shutil

import pytest

from casstore import AsyncStore, CasstoreError, Components, NotFound, limits
from casstore.testing.audit import audit
from casstore.testing.faults import Faults, SimulatedCrash, faulty_store
from casstore.urls import folder_of
from tests.support.points import some_points

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
NAME = "vaughan-acme"


async def small_life(store):
    living, t = store.tenant("living"), store.tenant(NAME)
    await living.put("a", b"shared")
    await t.put("a", Components(x=b"mine", y=b"shared"), idempotency_key="k")
    await t.put("b", b"other", sources=["a@1"])
    await t.alias("a", "prod")
    await store.export_journal()
    await t.put("b", b"never exported")
    await store.delete_tenant(NAME, by="ops")


@pytest.fixture
def where(databases, new_blobs, run):
    with databases.fresh() as made:
        blobs, dsn = new_blobs(), databases.direct(made)

        async def main():
            async with AsyncStore(blobs=blobs, catalog=dsn) as store:
                await small_life(store)

        run(main())
        yield blobs, dsn


def copied(blobs, target):
    folder = folder_of(blobs, "file") or pytest.skip("about a folder of blobs")
    shutil.copytree(folder, folder_of(target, "file"), dirs_exist_ok=True)
    return target


async def erased_or_as_it_was(store):
    """After a crash: nobody can read it, it is deleted or gone, and nothing looks damaged."""
    with pytest.raises(NotFound):
        await store.tenant(NAME).list() if await is_deleted(store) else await store.show_tenant(NAME)
    assert (await store.verify_journal()).faults == ()
    assert [each async for each in store.fsck()] == []


async def is_deleted(store):
    try:
        return (await store.show_tenant(NAME)).deleted_at is not None
    except NotFound:
        return False


@pytest.mark.parametrize("fault", ["crash_at", "lose_at"])
def test_an_erasing_that_dies_anywhere_is_finished_by_the_same_call(
    run, where, databases, new_blobs, monkeypatch, fault
):
    blobs, dsn = where
    monkeypatch.setattr(limits, "ERASE_BATCH", 4)

    async def once(place, copy, at):
        faults, receipt = Faults(**{fault: at}), None
        async with faulty_store(faults, blobs=place, catalog=copy) as store:
            with contextlib.suppress(SimulatedCrash, CasstoreError):
                receipt = await store.erase_tenant(NAME, by="ops")
        async with AsyncStore(blobs=place, catalog=copy) as store:
            await erased_or_as_it_was(store)
            try:
                receipt = await store.erase_tenant(NAME, by="ops")
            except NotFound:  # only its last answer was lost
                assert receipt or faults.points[-1] == "after sql erase_end"
            left = [each async for each in store.fsck()]
            assert ((await store.verify_journal()).faults, await audit(store), left) == ((), [], [])
            if receipt:
                assert (await store.verify_receipt(receipt)).ok
                assert (len(receipt.versions), len(receipt.contents)) == (3, 4)
            await store.export_journal()
            assert (await store.verify_journal()).faults == ()
            assert await (await store.tenant("living").get("a")).bytes() == b"shared"
            now = await store.catalog_digest()
        with databases.fresh() as fresh:
            again = AsyncStore(blobs=place, catalog=databases.direct(fresh))
            await again.rebuild()
            async with again:
                assert await again.catalog_digest() == now
        return faults

    async def main():
        for at in some_points(every=4):
            print(fault, at)
            with databases.copy_of(dsn) as copy:
                faults = await once(copied(blobs, new_blobs()), copy, at)
            if len(faults.points if fault == "crash_at" else faults.effects) < at:
                return at
        raise AssertionError

    assert run(main()) > 15
