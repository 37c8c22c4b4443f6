"""Export and rebuild die at every effect in turn, and lose every answer: the next one goes on, and the end is the same."""

from __future__ import annotations

from itertools import chain

import psycopg
import pytest

from casstore import AsyncStore, CasstoreError, limits
from casstore.operations import rebuilding
from casstore.testing.faults import Faults, SimulatedCrash, faulty_store
from tests.journal.histories import read_all, small_history
from tests.support.points import some_points

EFFECTS_OF_EXPORT = 15  # at least: several segments, each planned, written and confirmed
pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def small_segments(monkeypatch):
    monkeypatch.setattr(limits, "SEGMENT_BYTES", 2_500)


@pytest.fixture
def where(databases, new_blobs, run):
    """Blobs, and a database with a history that was not exported; its copies are as many stores."""
    with databases.fresh() as made:
        blobs, dsn = new_blobs(), databases.direct(made)

        async def main():
            async with AsyncStore(blobs=blobs, catalog=dsn) as store:
                await small_history(store)

        run(main())
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("select casstore.keys_to_store()")  # made at random: all copies seal with the same ones
        yield blobs, dsn


async def keys_of(store):
    return await store._blobs.list_keys("artifacts/journal/")


def test_an_export_that_dies_anywhere_is_finished_by_the_next(run, where):
    """On one store: each time one more thing has happened, and some of it was exported before."""
    blobs, dsn = where

    async def main():
        survived, points = False, 0
        while not survived:
            points += 1
            async with AsyncStore(blobs=blobs, catalog=dsn) as store:
                await store.tenant("one").put("sop/login", f"{points}")
            async with faulty_store(Faults(crash_at=points), blobs=blobs, catalog=dsn) as store:
                try:
                    await store.export_journal()
                    survived = True
                except SimulatedCrash:
                    pass
        async with AsyncStore(blobs=blobs, catalog=dsn) as store:
            await store.export_journal()
            assert (await store.verify_journal()).faults == ()
            return points

    assert run(main()) > 10


@pytest.mark.parametrize("loss", ["request", "answer"])
def test_an_export_that_loses_an_answer_anywhere_goes_on_or_can_be_repeated(run, where, databases, new_blobs, loss):
    _, dsn = where

    async def main():
        effects, digest = None, None
        for at in chain((0,), some_points(every=4)):  # at first nothing is lost
            if effects and at > effects:
                return effects
            print(loss, at)
            with databases.copy_of(dsn) as copy:
                blobs = new_blobs()  # with none of the bytes: no export looks at them
                faults = Faults(lose_at=at, loss=loss)
                async with faulty_store(faults, blobs=blobs, catalog=copy) as store:
                    try:
                        await store.export_journal()
                    except CasstoreError as error:
                        assert error.retryable, error  # noqa: PT017 - it may also go on
                    effects = effects or len(faults.effects)
                    done = await store.export_journal()
                    assert digest in (None, done.digest)  # to the last bit the same journal, whatever was lost
                    digest = done.digest
                    assert (await store.verify_journal()).faults == ()
        raise AssertionError

    assert run(main()) > EFFECTS_OF_EXPORT


def is_empty(databases, dsn):
    with psycopg.connect(databases.direct(dsn)) as connection:
        tables = ("tenants", "artifacts", "versions", "components", "blobs", "requests", "log", "journal")
        return not any(connection.execute(f"select count(*) from casstore.{table}").fetchone()[0] for table in tables)


@pytest.mark.parametrize("fault", ["crash_at", "lose_at"])
def test_a_rebuild_that_dies_anywhere_leaves_nothing_and_can_be_repeated(run, where, databases, fault):
    blobs, dsn = where

    async def main():
        async with AsyncStore(blobs=blobs, catalog=dsn) as store:
            await store.export_journal()
            before, seen = await store.catalog_digest(), await read_all(store)
        points, survived = 0, False
        with databases.fresh() as new:
            while not survived:
                points += 1
                async with faulty_store(Faults(**{fault: points}), blobs=blobs, catalog=new) as store:
                    try:
                        await rebuilding.restore(store._catalog, store._blobs)
                        survived = True
                    except (SimulatedCrash, CasstoreError):
                        assert is_empty(databases, new)
            async with AsyncStore(blobs=blobs, catalog=new) as store:
                assert await store.catalog_digest() == before
                assert await read_all(store) == seen
        return points

    assert run(main()) > 15
