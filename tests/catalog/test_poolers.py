"""Behind a pooler, whose connections to the server are many clients' in turn: a real pgbouncer, mostly in transaction mode."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta

import psycopg
import pytest

from casstore import AsyncStore, Conflict, Unavailable, limits
from casstore.catalog.migrate import migrate
from casstore.testing.audit import audit
from tests.support.halves import StoreUrls, fill_pool
from tests.support.pgbouncer import PgBouncer
from tests.support.postgres import TcpPostgres, passable_folder

CLIENTS, CONNECTIONS = 20, 3


@pytest.fixture
def pooled(databases, database, new_blobs):
    """`with pooled(default_pool_size=3) as (urls, pooler):` is a store's halves, the catalog behind a pooler of these settings."""

    @contextlib.contextmanager
    def start(**settings):
        direct = databases.direct(database)
        with passable_folder() as folder, PgBouncer(folder, direct, **settings) as pooler:
            yield StoreUrls(new_blobs(), pooler.dsn(direct)), pooler

    return start


def opened(urls) -> AsyncStore:
    return AsyncStore(blobs=urls.blobs, catalog=urls.catalog)


def ask(dsn, query):
    with psycopg.connect(dsn, autocommit=True, prepare_threshold=None, application_name="casstore") as connection:
        return connection.execute(query).fetchall()


# -- many clients, few connections ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_twenty_clients_share_three_connections(run, pooled, databases):
    async def client(urls, n) -> None:
        async with opened(urls) as store:
            tenant = store.tenant(f"tenant-{n % 2}")
            for k in range(8):
                text = f"client {n}, text {k}"
                stored = await tenant.put("doc/shared", text)
                await tenant.alias(stored.ref, f"of-{n}")
                assert await (await tenant.get(f"doc/shared@of-{n}")).text() == text
                assert (await tenant.list()).items[0].number >= stored.number

    async def main(urls) -> None:
        await asyncio.gather(*(client(urls, n) for n in range(CLIENTS)))
        async with opened(urls) as store:
            assert await audit(store) == []
            for n in range(2):
                assert (await store.tenant(f"tenant-{n}").resolve("doc/shared")).number == 8 * CLIENTS // 2

    with pooled(default_pool_size=CONNECTIONS) as (urls, _):
        run(main(urls))
        sessions = (
            "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        )
        assert ask(databases.direct(urls.catalog), sessions) == [(CONNECTIONS,)]


SESSION = """
select pg_backend_pid(),
       (select jsonb_object_agg(name, setting) from pg_settings where source = 'session'),
       (select count(*) from pg_prepared_statements), (select count(*) from pg_listening_channels()),
       (select count(*) from pg_locks where pid = pg_backend_pid() and locktype = 'advisory'), pg_my_temp_schema()
"""


def test_a_session_that_a_store_has_used_is_as_it_was(run, pooled):
    """No setting, no prepared statement, no lock: nothing that the next client of the same connection would meet."""

    async def use(urls) -> None:
        async with opened(urls) as store:
            tenant = store.tenant()
            for _ in range(7):  # psycopg prepares by itself what it has sent five times
                await tenant.put("doc/a", b"1", on_same="new_version")
                await (await tenant.get("doc/a")).bytes()
                await tenant.list(label={"k": "v"})
            await tenant.alias("doc/a@1", "prod")
            await tenant.history("doc/a")
            await tenant.usage()
            with pytest.raises(Conflict):
                await tenant.put("doc/a", b"2", expect=1)

    with pooled(default_pool_size=1) as (urls, _):
        before = ask(urls.catalog, SESSION)
        run(use(urls))
        assert ask(urls.catalog, SESSION) == before


def test_a_session_pooler_will_do(run, pooled):
    async def main(urls) -> None:
        async with opened(urls) as store:
            puts = (store.tenant().put(f"doc/{n}", b"x") for n in range(8))
            assert {stored.number for stored in await asyncio.gather(*puts)} == {1}

    with pooled(pool_mode="session") as (urls, _):
        run(main(urls))


# -- what a pooler does to its clients -----------------------------------------------------------------------------------


def test_a_client_that_was_silent_too_long_for_the_pooler_connects_anew(run, pooled):
    async def main(urls) -> None:
        async with opened(urls) as store:
            await store.tenant().put("doc/a", b"1")
            await asyncio.sleep(0.8)  # it looks three times a second
            assert (await store.tenant().put("doc/a", b"2")).number == 2

    with pooled(client_idle_timeout=0.2) as (urls, _):
        run(main(urls))


def test_a_pooler_that_takes_no_more_clients_says_so_at_once(run, pooled):
    async def main(urls) -> None:
        async with opened(urls):
            with pytest.raises(Unavailable, match="no more connections") as caught:
                await asyncio.wait_for(opened(urls).open(), 2)
            assert caught.value.code == "catalog_busy"
            assert caught.value.hint

    with pooled(max_client_conn=1) as (urls, _):
        run(main(urls))


def test_a_pooler_whose_connections_are_all_in_use_is_busy_in_bounded_time(run, pooled, monkeypatch):
    """It lets the call wait, two minutes by default, and takes no request to cancel what has not begun."""

    async def main(urls) -> None:
        async with opened(urls) as store:
            monkeypatch.setattr(limits, "STATEMENT_TIMEOUT", timedelta(seconds=0.2))
            monkeypatch.setattr(limits, "CANCEL_TIMEOUT", timedelta(seconds=0.1))
            monkeypatch.setattr(limits, "CALL_TIMEOUT", timedelta(seconds=0.4))
            async with await psycopg.AsyncConnection.connect(urls.catalog) as greedy:
                await greedy.execute("select 1")  # and stays in its transaction
                with pytest.raises(Unavailable, match="does not answer") as caught:
                    await asyncio.wait_for(store.tenant().put("doc/a", b"1"), 3)
                assert caught.value.code == "catalog_busy"
            assert (await store.tenant().put("doc/a", b"1")).number == 1

    with pooled(default_pool_size=1) as (urls, _):
        run(main(urls))


# -- outages -------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_pooler_that_restarts_is_found_again(run, pooled):
    async def main(urls, pooler) -> None:
        async with opened(urls) as store:
            tenant = store.tenant()
            await fill_pool(store)
            pooler.stop()
            pooler.start()
            assert (await tenant.put("doc/a", b"1")).number == 1
            pooler.stop()
            with pytest.raises(Unavailable) as caught:
                await asyncio.wait_for(tenant.put("doc/a", b"2"), 4)
            assert caught.value.code == "catalog_unavailable"
            pooler.start()
            assert (await asyncio.wait_for(tenant.put("doc/a", b"2"), 4)).number == 2

    with pooled() as (urls, pooler):
        run(main(urls, pooler))


@pytest.mark.slow
def test_a_server_that_restarts_behind_its_pooler_is_found_again(run, new_blobs, monkeypatch):
    """The pooler's clients stay connected: they hear of it by the fate of their statements only."""
    monkeypatch.setattr(limits, "STATEMENT_TIMEOUT", timedelta(seconds=2))
    monkeypatch.setattr(limits, "CANCEL_TIMEOUT", timedelta(seconds=0.5))

    async def main(urls, server) -> None:
        async with opened(urls) as store:
            tenant = store.tenant()
            await fill_pool(store)
            await tenant.put("doc/a", b"1")
            server.stop()
            server.start()
            assert (await until_available(tenant, "doc/a", b"2")).number == 2
            server.stop()
            with pytest.raises(Unavailable):
                await asyncio.wait_for(tenant.put("doc/a", b"3"), 10)
            server.start()
            assert (await until_available(tenant, "doc/a", b"3")).number == 3
            assert await audit(store) == []

    with passable_folder() as folder, passable_folder() as beside, TcpPostgres(folder) as server:
        run(migrate(server.dsn))
        with PgBouncer(beside, server.dsn, server_login_retry=0.5) as pooler:
            run(main(StoreUrls(new_blobs(), pooler.dsn(server.dsn)), server))


async def until_available(tenant, name, data):
    """Put, again and again: a pooler that could not log in pauses before it tries anew, and tells its clients so."""
    async with asyncio.timeout(10):
        while True:
            with contextlib.suppress(Unavailable):
                return await tenant.put(name, data)
