"""Connections in bad times: locks that are not given back, lines that fall silent, servers that restart or are full."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import time
from datetime import timedelta

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from casstore import AsyncStore, Unavailable, limits
from casstore.catalog.migrate import migrate
from casstore.testing.audit import audit
from casstore.testing.proxy import Line
from tests.support.halves import StoreUrls, fill_pool
from tests.support.pgbouncer import PgBouncer
from tests.support.postgres import TcpPostgres, passable_folder, uri_of


def opened(urls, catalog=None) -> AsyncStore:
    return AsyncStore(blobs=urls.blobs, catalog=catalog or urls.catalog)


@pytest.fixture(params=["direct", "pooled"])
def urls(request, databases, database, new_blobs):
    """The halves of a store, the catalog by each of two ways."""
    direct = databases.direct(database)
    if request.param == "direct":
        yield StoreUrls(new_blobs(), direct)
        return
    with passable_folder() as folder, PgBouncer(folder, direct, default_pool_size=3) as pooler:
        yield StoreUrls(new_blobs(), pooler.dsn(direct))


@pytest.fixture
def patience(monkeypatch):
    """`with patience(statement_timeout=0.3):` the limits are these, in seconds."""

    @contextlib.contextmanager
    def of(**seconds):
        with monkeypatch.context() as patch:
            for name, value in seconds.items():
                patch.setattr(limits, name.upper(), timedelta(seconds=value))
            yield

    return of


@pytest.fixture
def locked(databases, database):
    """A connection in whose transaction every head is locked, until it is rolled back."""
    with psycopg.connect(databases.direct(database)) as holder:

        def lock():
            holder.execute("select from casstore.artifacts for update")
            return holder

        yield lock


async def fails(awaitable, code, *, within_s=3.0):
    """Run what has to fail with this code, soon, and with something to do; answer the error."""
    begin = time.monotonic()
    with pytest.raises(Unavailable) as caught:
        await awaitable
    assert time.monotonic() - begin < within_s
    assert caught.value.code == code
    assert caught.value.hint
    return caught.value


# -- statements that take too long ---------------------------------------------------------------------------------------


def test_a_put_that_meets_a_lock_is_cancelled_and_has_changed_nothing(run, urls, patience, locked):
    async def main() -> None:
        async with opened(urls) as store:
            tenant = store.tenant()
            await tenant.put("doc/a", b"1")
            holder = locked()
            with patience(statement_timeout=0.3):
                error = await fails(tenant.put("doc/a", b"2", expect=1), "catalog_busy")
            assert "not done within 0.3 s" in error.message
            assert (await tenant.resolve("doc/a")).number == 1  # the connection is as good as before
            holder.rollback()
            assert (await tenant.put("doc/a", b"2", expect=1)).number == 2
            assert await audit(store) == []

    run(main())


def test_clients_that_queue_up_behind_a_lock_are_all_told_and_stay_usable(run, urls, patience, locked):
    """Behind the pooler there are more of them than connections: some wait for the lock, the others for those that wait."""

    async def main() -> None:
        async with contextlib.AsyncExitStack() as stack:
            tenants = [(await stack.enter_async_context(opened(urls))).tenant() for _ in range(8)]
            await tenants[0].put("doc/a", b"0")
            holder = locked()
            with patience(statement_timeout=0.3):
                puts = (tenant.put("doc/a", b"x%d" % n) for n, tenant in enumerate(tenants))
                errors = await asyncio.gather(*puts, return_exceptions=True)
            assert {error.code for error in errors} == {"catalog_busy"}
            holder.rollback()
            puts = (tenant.put("doc/a", b"y%d" % n) for n, tenant in enumerate(tenants))
            assert sorted(stored.number for stored in await asyncio.gather(*puts)) == list(range(2, 10))

    run(main())


def test_an_answer_past_the_limit_is_an_answer(run, urls, patience, locked):
    """The server was done when it was asked to cancel: the put is told so, and the next statement is not cancelled instead."""

    async def main() -> None:
        async with Line(urls.catalog) as line, opened(urls, line.dsn) as store:
            tenant = store.tenant()
            await tenant.put("doc/a", b"known")
            line.one_way_s = 0.1  # the answer comes after 0.2 s, and the request to cancel would arrive after 0.25
            with patience(statement_timeout=0.15):
                begin = time.monotonic()
                assert (await tenant.put("doc/a", b"known", on_same="new_version")).number == 2
                assert time.monotonic() - begin > 0.15
            line.one_way_s = 0
            holder = locked()
            put = asyncio.create_task(tenant.put("doc/a", b"known", on_same="new_version"))
            await asyncio.sleep(0.2)
            assert not put.done()
            holder.rollback()
            assert (await put).number == 3

    run(main())


@pytest.mark.parametrize("arguments", [{}, {"expect": 1}, {"idempotency_key": "k"}, {"on_same": "new_version"}])
def test_a_commit_whose_answer_never_comes_is_one_version(run, urls, patience, arguments):
    """As when the server's host is gone, or what stands between has forgotten the connection: no answer, and no end of it."""

    async def main() -> None:
        async with Line(urls.catalog) as line, opened(urls, line.dsn) as store:
            tenant = store.tenant()
            await tenant.put("doc/known", b"known")
            await tenant.put("doc/a", b"first")
            line.doom("put_versions", "swallow_answer")
            with patience(statement_timeout=0.5, cancel_timeout=0.1):
                assert (await tenant.put("doc/a", b"known", **arguments)).number == 2
            assert line.struck == 1
            assert [version.number for version in await tenant.history("doc/a")] == [2, 1]
            assert await audit(store) == []

    run(main())


def test_a_server_that_answers_nothing_any_more_is_given_up(run, urls, patience):
    async def main() -> None:
        async with Line(urls.catalog) as line, opened(urls, line.dsn) as store:
            await store.tenant().put("doc/a", b"1")
            for _ in range(2):
                line.doom("resolve", "swallow_answer")
            with patience(statement_timeout=0.3, cancel_timeout=0.1, call_timeout=0.5):
                error = await fails(store.tenant().resolve("doc/a"), "catalog_busy")
            assert "does not answer" in error.message
            assert (await store.tenant().resolve("doc/a")).number == 1

    run(main())


def test_opening_waits_no_longer_than_a_statement_may_take(run, urls, patience, databases):
    async def main() -> None:
        with psycopg.connect(databases.direct(urls.catalog)) as holder:
            holder.execute("lock table supabase_migrations.schema_migrations")
            with patience(statement_timeout=0.3):
                await fails(opened(urls).open(), "catalog_busy")

    run(main())


# -- no connection to be had ---------------------------------------------------------------------------------------------


@pytest.fixture
def narrow(databases, database, new_blobs):
    """The halves of a store whose role may have one connection."""
    direct = databases.direct(database)
    role = sql.Identifier(f"narrow_{conninfo_to_dict(direct)['dbname']}")
    with psycopg.connect(direct, autocommit=True) as admin:
        owner = sql.Identifier(admin.info.user)
        admin.execute(sql.SQL("create role {} login in role {} connection limit 1").format(role, owner))
        yield StoreUrls(new_blobs(), uri_of(direct, user=role.as_string(None).strip('"')))
        admin.execute(sql.SQL("drop role {}").format(role))


def test_a_full_server_says_so_at_once(run, narrow):
    async def main() -> None:
        async with opened(narrow):
            error = await fails(opened(narrow).open(), "catalog_busy", within_s=1)
            assert "too many connections" in error.message

    run(main())


def test_one_connection_is_enough_for_many_calls_at_once(run, narrow):
    async def main() -> None:
        async with opened(narrow) as store:
            await asyncio.gather(*(store.tenant().put(f"doc/{n}", b"x") for n in range(16)))

    run(main())


def test_a_full_server_is_no_reason_to_give_up_the_connection_one_has(run, narrow, patience):
    """Found by this test: after a call had waited in vain, those that followed asked for another one first."""

    async def main() -> None:
        async with opened(narrow) as store:
            async with store._catalog._pool.connection():
                error = await fails(store.tenant().put("doc/a", b"1"), "catalog_busy")
                assert "too many connections" in error.message
            assert (await store.tenant().put("doc/a", b"1")).number == 1

    with patience(connect_timeout=1):
        run(main())


def test_a_pool_that_could_make_no_connection_says_why(run, urls, patience):
    """Its connections had their time, and when it made new ones the server was away: no call has met that yet."""

    async def main() -> None:
        async with Line(urls.catalog) as line, opened(urls, line.dsn) as store:
            await line.cut()
            await store._catalog._pool.drain()
            error = await fails(store.tenant().put("doc/a", b"1"), "catalog_unavailable")
            assert "connection refused" in error.message.lower()
            await line.listen()
            assert (await store.tenant().put("doc/a", b"1")).number == 1

    with patience(connect_timeout=0.3):
        run(main())


# -- connections that end ------------------------------------------------------------------------------------------------


def test_sessions_that_the_server_ends_when_idle_are_made_anew(run, urls, databases):
    direct = databases.direct(urls.catalog)
    with psycopg.connect(direct, autocommit=True) as admin:
        name = sql.Identifier(conninfo_to_dict(direct)["dbname"])
        admin.execute(sql.SQL("alter database {} set idle_session_timeout = '50ms'").format(name))

    async def main() -> None:
        async with opened(urls) as store:
            tenant = store.tenant()
            await tenant.put("doc/a", b"1")
            await fill_pool(store)
            await asyncio.sleep(0.2)
            assert (await tenant.put("doc/a", b"2")).number == 2

    run(main())


@pytest.fixture(scope="module")
def server(run):
    with passable_folder() as folder, TcpPostgres(folder) as server:
        run(migrate(server.dsn))
        yield server


@pytest.fixture(scope="module")
def restartable(server, new_blobs):
    return StoreUrls(new_blobs(), server.dsn)


@pytest.mark.slow
def test_a_server_that_restarts_is_found_again(run, server, restartable):
    async def main() -> None:
        async with opened(restartable) as store:
            tenant = store.tenant("restarts")
            await tenant.put("doc/a", b"1")
            await fill_pool(store)
            server.stop()
            server.start()
            assert (await tenant.put("doc/a", b"2")).number == 2
            server.stop()
            for _ in range(2):
                await fails(tenant.put("doc/a", b"3"), "catalog_unavailable")
                await fails(tenant.resolve("doc/a"), "catalog_unavailable")
            server.start()
            assert (await asyncio.wait_for(tenant.put("doc/a", b"3"), 3)).number == 3

    run(main())


@pytest.mark.slow
def test_a_restart_under_eight_writers_loses_nothing(run, server, restartable):
    """Each put is one version or a clear error, and with its key it may be put again until it is a version."""

    done, troubles = [], []

    async def write(tenant, n) -> None:
        for k in range(40):
            while (n, k) not in done:
                try:
                    await tenant.put("doc/busy", f"writer {n} text {k}", idempotency_key=f"{n}-{k}")
                    done.append((n, k))
                except Unavailable as error:
                    troubles.append(error.code)

    async def main() -> None:
        async with opened(restartable) as store:
            tenant = store.tenant("busy")
            async with asyncio.timeout(60), asyncio.TaskGroup() as group:
                for n in range(8):
                    group.create_task(write(tenant, n))
                while len(done) < 20:
                    await asyncio.sleep(0.001)
                await asyncio.to_thread(server.stop)
                await asyncio.sleep(1.5)  # longer than the store tries by itself
                await asyncio.to_thread(server.start)
            assert set(troubles) == {"catalog_unavailable"}
            assert (await tenant.resolve("doc/busy")).number == len(done) == 320
            assert await audit(store) == []

    run(main())


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="not of this system")
@pytest.mark.parametrize(
    ("parameters", "expected"),
    [("", (1, 30, 10, 15_000)), ("?keepalives_idle=7&tcp_user_timeout=8000", (1, 7, 10, 8_000))],
)
def test_a_dead_line_is_noticed_before_a_user_would(run, server, restartable, parameters, expected):
    """No packet can be lost here: what is checked is what the system was asked to do, unless the URL asks otherwise."""

    async def main():
        async with (
            opened(restartable, server.dsn + parameters) as store,
            store._catalog._pool.connection() as connection,
        ):
            line = socket.fromfd(connection.fileno(), socket.AF_INET, socket.SOCK_STREAM)
            with line:
                return (
                    line.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
                    line.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
                    line.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL),
                    line.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
                )

    assert run(main()) == expected


# -- giving up -------------------------------------------------------------------------------------------------------------


def test_calls_that_are_cancelled_lose_no_connection(run, store_urls):
    """A pool may lose the connection that a cancelled task was giving back to one who waits: in the end nobody got any."""

    async def give_up(tenant, chance, until):
        while time.monotonic() < until:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(chance.uniform(0, 0.01)):
                    await tenant.resolve("a")

    async def main():
        async with AsyncStore(blobs=store_urls.blobs, catalog=store_urls.catalog) as store:
            tenant, chance = store.tenant(), random.Random(1)
            await tenant.put("a", b"1")
            until = time.monotonic() + 0.8
            await asyncio.gather(*(give_up(tenant, chance, until) for _ in range(40)))
            assert (await tenant.resolve("a")).number == 1
            async with asyncio.timeout(5):  # one may still be on its way from the server
                while (pool := store._catalog._pool.get_stats())["pool_available"] < pool["pool_size"]:
                    await asyncio.sleep(0.01)

    run(main())
