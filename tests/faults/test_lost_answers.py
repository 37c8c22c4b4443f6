"""The effect happens and its answer is lost, for each effect of a put: the put, by itself, gives the one right version.

Three ways to lose it: psycopg's connection breaks (`Faults`), the line is cut (`Line`), an administrator ends the session.
"""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from casstore import AsyncStore, Components, Conflict, Unavailable
from casstore.testing.audit import audit
from casstore.testing.faults import Faults, faulty_store
from casstore.testing.proxy import Line
from tests.support.halves import CATALOG, StoreUrls
from tests.support.locks import waiting

NAME = "doc/under-test"
PARTS = Components(main=b"known", second=b"2", third=b"3", fourth=b"4")
PUTS = {
    "new bytes": {"data": b"new"},
    "known bytes": {"data": b"known"},
    "same as the head": {"data": b"first", "on_same": "new_version"},
    "four components": {"data": PARTS},
    "expect": {"data": b"new", "expect": 1},
    "key": {"data": b"new", "idempotency_key": "k"},
    "key and expect": {"data": b"new", "idempotency_key": "k", "expect": 1},
}
FATES = ("lose_answer", "kill_backend", "cut_at_once")


async def prepare(urls) -> None:
    async with AsyncStore(blobs=urls.blobs, catalog=urls.catalog) as store:
        await store.tenant("elsewhere").put("doc/known", b"known")
        await store.tenant().put(NAME, b"first")


async def assert_two_versions(urls, stored) -> None:
    async with AsyncStore(blobs=urls.blobs, catalog=urls.catalog) as fresh:
        tenant = fresh.tenant()
        assert [v.number for v in await tenant.history(NAME)] == [2, 1]
        assert (await tenant.resolve(NAME)).id == stored.id
        assert (stored.number, stored.reused, stored.repeated) == (2, False, False)
        for role in stored.roles:
            assert await (await tenant.get(f"{NAME}@2#{role}")).bytes()
        assert await audit(fresh) == []


async def terminate(dsn: str) -> None:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as admin:
        await admin.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
            " where datname = current_database() and application_name = 'casstore'"
        )


@pytest.mark.parametrize("loss", ["answer", "request"])
@pytest.mark.parametrize("put", PUTS)
def test_a_put_survives_the_loss_of_any_one_of_its_connections(run, databases, new_blobs, put, loss):
    """Also without an idempotency key: the version's own id, made before the commit, tells that it is there already."""

    async def strikes(n, dsn) -> bool:
        """Lose the n-th; False when there are not so many."""
        urls = StoreUrls(new_blobs(), dsn)
        await prepare(urls)
        faults = Faults(lose_at=n, loss=loss)
        async with faulty_store(faults, blobs=urls.blobs, catalog=urls.catalog) as store:
            stored = await until_blobs_answer(store.tenant(), PUTS[put])
        await assert_two_versions(urls, stored)
        return len(faults.effects) >= n

    struck = 0
    while True:
        with databases.fresh() as dsn:
            if not run(strikes(struck + 1, dsn)):
                break
        struck += 1
    assert struck >= (1 if put in ("known bytes", "same as the head") else 3)


async def until_blobs_answer(tenant, arguments):
    """Put; a blob store that does not answer is the caller's to retry (a retrying decorator may come between)."""
    try:
        return await tenant.put(NAME, **arguments)
    except Unavailable as error:
        assert (error.code, len(await tenant.history(NAME))) == ("blobs_unavailable", 1)  # noqa: PT017 - blobs only
        return await tenant.put(NAME, **arguments)


@pytest.mark.parametrize("fate", FATES)
@pytest.mark.parametrize("put", PUTS)
def test_a_put_survives_a_line_cut_after_each_request(run, store_urls, put, fate):
    if fate == "kill_backend" and CATALOG == "pgbouncer":
        pytest.skip("a pooler tells no client of the end of an idle session")

    async def main() -> None:
        await prepare(store_urls)
        async with Line(store_urls.catalog, kill=lambda: terminate(store_urls.catalog)) as line:
            async with AsyncStore(blobs=store_urls.blobs, catalog=line.dsn) as store:
                line.doom("put_versions", fate)
                line.doom(
                    "put_versions", fate
                )  # a put of new bytes asks twice, and the repetition of the one is the other
                stored = await store.tenant().put(NAME, **PUTS[put])
            assert line.struck == 2
        await assert_two_versions(store_urls, stored)

    run(main())


@pytest.mark.parametrize("arguments", [{}, {"expect": 1}, {"idempotency_key": "k", "expect": 1}])
def test_a_put_whose_commit_alone_lost_its_answer_is_one_version(run, store_urls, arguments):
    """The second call of two, the commit point: and head_moved is not raised against our own success."""

    async def main() -> None:
        await prepare(store_urls)
        async with Line(store_urls.catalog) as line:
            async with AsyncStore(blobs=store_urls.blobs, catalog=line.dsn) as store:
                put = store._blobs.put

                async def and_doom_the_commit(*args, **kwargs):
                    line.doom("put_versions", "lose_answer")
                    return await put(*args, **kwargs)

                store._blobs.put = and_doom_the_commit
                stored = await store.tenant().put(NAME, b"new", **arguments)
            assert line.struck == 1
        await assert_two_versions(store_urls, stored)

    run(main())


@pytest.mark.parametrize("arguments", [{}, {"expect": 1}, {"idempotency_key": "k"}, {"on_same": "new_version"}])
def test_a_repetition_that_overtakes_its_own_first_try_makes_one_version(run, store_urls, arguments):
    """The line is cut while the server still waits for the head's lock: first try and repetition queue up behind it."""

    async def main() -> None:
        await prepare(store_urls)
        async with Line(store_urls.catalog) as line, AsyncStore(blobs=store_urls.blobs, catalog=line.dsn) as store:
            async with await psycopg.AsyncConnection.connect(store_urls.catalog) as holder:
                await holder.execute("select from casstore.artifacts for update")
                line.doom("put_versions", "cut_at_once")
                put = asyncio.create_task(store.tenant().put(NAME, b"known", **arguments))
                await waiting(store_urls.catalog, 2)
                await holder.rollback()
            stored = await put
        await assert_two_versions(store_urls, stored)

    run(main())


def test_another_writers_version_still_moves_the_head(run, store_urls):
    """The version id check answers for our own version only: with a lost request someone else's is a conflict."""

    async def main() -> None:
        await prepare(store_urls)
        async with faulty_store(
            Faults(lose_at=1, loss="request"), blobs=store_urls.blobs, catalog=store_urls.catalog
        ) as store:
            async with AsyncStore(blobs=store_urls.blobs, catalog=store_urls.catalog) as other:
                await other.tenant().put(NAME, b"theirs")
            with pytest.raises(Conflict, match="is at version 2") as conflict:
                await store.tenant().put(NAME, b"known", expect=1)
        assert conflict.value.code == "head_moved"

    run(main())


@pytest.mark.parametrize("move", ["alias", "tag"])
def test_a_pointer_whose_answer_was_lost_is_moved_once(run, store_urls, move):
    async def main() -> None:
        await prepare(store_urls)
        async with Line(store_urls.catalog) as line, AsyncStore(blobs=store_urls.blobs, catalog=line.dsn) as store:
            line.doom("move_pointer", "lose_answer")
            assert (await getattr(store.tenant(), move)(f"{NAME}@1", "word")).number == 1
            assert len(await store.tenant().pointer_history(NAME, "word")) == 1

    run(main())


def test_a_lost_answer_of_reads_is_asked_again(run, store_urls):
    async def main() -> None:
        await prepare(store_urls)
        async with Line(store_urls.catalog) as line, AsyncStore(blobs=store_urls.blobs, catalog=line.dsn) as store:
            for word in ("resolve", "history", "heads"):
                line.doom(word, "lose_answer")
            assert await (await store.tenant().get(NAME)).bytes() == b"first"
            assert len(await store.tenant().history(NAME)) == 1
            assert len(await store.tenant().list()) == 1
            assert line.struck == 3

    run(main())
