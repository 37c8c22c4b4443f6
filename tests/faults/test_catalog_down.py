"""A catalog that is down, busy, not set up or not ours: each a distinct error with a hint, soon, and never a hang."""

from __future__ import annotations

import asyncio
import socket
import time
from datetime import timedelta

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from casstore import AsyncStore, Denied, Invalid, Unavailable, UsageError, limits
from casstore.testing.proxy import Line


async def put(store, data=b"x"):
    return await store.tenant().put("doc/a", data)


@pytest.fixture
def within():
    """Run a call that must fail soon; answer its error."""

    async def failing(seconds, awaitable, kind=Unavailable):
        begin = time.monotonic()
        with pytest.raises(kind) as caught:
            await awaitable
        assert time.monotonic() - begin < seconds
        assert caught.value.hint
        return caught.value

    return failing


@pytest.mark.parametrize("where", ["@127.0.0.1:1/x", "@/x?host=/nowhere"])
def test_opening_where_nobody_listens_is_unavailable_at_once(run, tmp_path, within, where):
    store = AsyncStore(blobs=tmp_path.as_uri(), catalog=f"postgresql://me:secret{where}")
    error = run(within(2, store.open()))
    assert error.code == "catalog_unavailable"
    assert "secret" not in str(error)


@pytest.mark.parametrize(
    "url", ["postgresql://me:secret@[x", "mysql://me:secret@host/x", "postgresql://me:secret@h/x?nonsense=1"]
)
def test_a_url_that_is_none_is_refused_without_its_password(run, tmp_path, within, url):
    error = run(within(2, AsyncStore(blobs=tmp_path.as_uri(), catalog=url).open(), Invalid))
    assert error.code == "bad_config"
    assert "secret" not in str(error)


@pytest.mark.slow
def test_opening_where_nobody_answers_is_unavailable_within_the_connect_timeout(run, tmp_path, within, monkeypatch):
    """A firewall that drops, a server that hangs: the connection is made and then nothing comes."""
    monkeypatch.setattr(limits, "CONNECT_TIMEOUT", timedelta(seconds=2))  # the least that libpq's rules allow
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        store = AsyncStore(blobs=tmp_path.as_uri(), catalog=f"postgresql://me@127.0.0.1:{port}/x")
        assert run(within(5, store.open())).code == "catalog_unavailable"


@pytest.mark.slow
def test_a_server_that_stops_under_an_open_store_is_unavailable_soon_and_comes_back(run, store_urls, within):
    async def main() -> None:
        async with Line(store_urls.catalog) as line, AsyncStore(blobs=store_urls.blobs, catalog=line.dsn) as store:
            await put(store)
            await line.cut()
            for _ in range(2):  # the second finds no connection in the pool at all
                error = await within(3, put(store, b"y"))
                assert error.code == "catalog_unavailable"
                assert (await within(3, store.tenant().get("doc/a"))).code == "catalog_unavailable"
            await line.listen()
            assert (await asyncio.wait_for(put(store, b"y"), 3)).number == 2

    run(main())


def test_a_pool_without_a_free_connection_is_busy_after_one_time_limit(run, store_urls, within, monkeypatch):
    """Found by this test: the time limit was taken for a lost connection, and waited for four times."""
    monkeypatch.setattr(limits, "CATALOG_CONNECTIONS", 1)
    monkeypatch.setattr(limits, "CONNECT_TIMEOUT", timedelta(seconds=0.3))

    async def main() -> None:
        async with AsyncStore(blobs=store_urls.blobs, catalog=store_urls.catalog) as store:
            async with store._catalog._pool.connection():
                assert (await within(0.9, put(store))).code == "catalog_busy"
            assert (await put(store)).number == 1

    run(main())


def test_a_closed_store_says_so(run, store_urls):
    async def main() -> None:
        store = AsyncStore(blobs=store_urls.blobs, catalog=store_urls.catalog)
        with pytest.raises(UsageError) as never_opened:
            await put(store)
        await store.open()
        tenant = store.tenant()
        await store.aclose()
        await store.aclose()
        with pytest.raises(UsageError) as closed:
            await tenant.get("doc/a")
        for error in (never_opened, closed):
            assert error.value.code == "store_closed"
            assert error.value.hint

    run(main())


def test_a_call_under_way_while_the_store_closes_says_so(run, store_urls, within):
    async def main() -> None:
        async with AsyncStore(blobs=store_urls.blobs, catalog=store_urls.catalog) as store:
            await store._catalog._pool.close()  # as aclose() does, while a put is staging
            assert (await within(1, put(store), UsageError)).code == "store_closed"

    run(main())


def test_a_database_that_was_not_migrated_says_what_to_run(run, databases, tmp_path, within):
    with databases.fresh(migrated=False) as dsn:
        error = run(within(2, AsyncStore(blobs=tmp_path.as_uri(), catalog=dsn).open()))
    assert error.code == "catalog_unavailable"
    assert "casstore init" in error.hint


def as_role(dsn: str, role: str) -> str:
    return dsn.replace(f"user={conninfo_to_dict(dsn)['user']}", f"user={role}")


@pytest.mark.parametrize("grants", [(), ("usage on schema supabase_migrations",), "all but the functions"])
def test_a_role_without_rights_is_denied(run, databases, tmp_path, within, grants):
    role = "casstore_test_nobody"
    if grants == "all but the functions":
        grants = (
            "usage on schema supabase_migrations",
            "select on all tables in schema supabase_migrations",
            "usage on schema casstore",
        )
    with databases.fresh() as dsn, psycopg.connect(dsn, autocommit=True) as admin:
        admin.execute(f"create role {role} login")
        for grant in grants:
            admin.execute(f"grant {grant} to {role}")
        try:

            async def main() -> None:
                async with AsyncStore(blobs=tmp_path.as_uri(), catalog=as_role(dsn, role)) as store:
                    await put(store)

            assert run(within(2, main(), Denied)).code == "not_permitted"
        finally:
            admin.execute(f"drop owned by {role}")
            admin.execute(f"drop role {role}")
