"""How often a call waits for the database, counted on the line: what a distant catalog costs."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from datetime import timedelta
from math import inf

import pytest

from casstore import AsyncStore, Components, limits
from casstore.catalog import connection
from casstore.testing.proxy import Line

FOUR = ("current_state", "roadmap", "coexistence_state", "matrix")
DAY = timedelta(days=1)
numbers = itertools.count(1)


def fresh() -> bytes:
    """Bytes nobody has stored."""
    return b"text %d" % next(numbers)


CALLS = {  # name: (round trips, the call)
    "put of known bytes": (1, lambda t: t.put("doc/a", b"known", on_same="new_version")),
    "put of the head's content": (1, lambda t: t.put("doc/same", b"known")),
    "put of the head's content for longer": (1, lambda t: t.put("doc/short", b"known", ttl=DAY * next(numbers))),
    "put of known bytes with everything": (
        1,
        lambda t: t.put(
            "doc/b",
            b"known",
            title="T",
            labels={"a": "b"},
            idempotency_key=fresh().decode(),
            on_same="new_version",
            ttl=DAY,
        ),
    ),
    "put of four known components": (
        1,
        lambda t: t.put("bp/known", Components(dict.fromkeys(FOUR, b"known")), on_same="new_version"),
    ),
    "apply": (2, lambda t: t.apply("doc/same", [], into="doc/patched", on_same="new_version")),
    "apply with a key": (3, lambda t: t.apply("doc/same", [], into="doc/patched", idempotency_key=fresh().decode())),
    "apply with a key, repeated": (1, lambda t: t.apply("doc/same", [], into="doc/patched", idempotency_key="once")),
    "put of new bytes": (2, lambda t: t.put("doc/c", fresh())),
    "put of new bytes under a new name": (2, lambda t: t.put(f"doc/{next(numbers)}", fresh())),
    "put of four new components": (2, lambda t: t.put("bp/a", Components({role: fresh() for role in FOUR}))),
    "put of 64 new components": (2, lambda t: t.put("bp/b", Components({f"r{n}": fresh() for n in range(64)}))),
    "get by name": (1, lambda t: read(t, "doc/same")),
    "get by number": (1, lambda t: read(t, "doc/same@1")),
    "get by alias": (1, lambda t: read(t, "doc/same@prod")),
    "resolve": (1, lambda t: t.resolve("doc/same")),
    "history": (1, lambda t: t.history("doc/same")),
    "list": (1, lambda t: t.list(name_prefix="doc/same")),
    "where used": (1, lambda t: t.where_used("b3:" + "0" * 64)),
    "alias": (1, lambda t: t.alias("doc/same@1", f"a{next(numbers)}")),
    "tag": (1, lambda t: t.tag("doc/same@1", f"t{next(numbers)}")),
    "pointers": (1, lambda t: t.pointers("doc/same")),
}


async def read(tenant, ref):
    return await (await tenant.get(ref)).bytes()


@contextlib.asynccontextmanager
async def distant(urls, one_way_s=0.0, *, in_domain=False):
    """A store far from its catalog, its connection warm."""
    keys = {"vault": bytes(32)} if in_domain else {}
    async with Line(urls.catalog) as line, AsyncStore(blobs=urls.blobs, catalog=line.dsn, domains=keys) as store:
        tenant = store.tenant("somebody")
        if in_domain:
            await store.set_domain("somebody", "vault", by="ops")
        await tenant.put("doc/same", b"known")
        await tenant.alias("doc/same@1", "prod")
        for _, call in CALLS.values():  # each statement is prepared, where statements are, on each connection
            for _ in range(6):
                await call(tenant)
        line.one_way_s = one_way_s
        yield line, tenant


@pytest.fixture
def without_pooler(store_urls, databases):
    return store_urls._replace(catalog=databases.direct(store_urls.catalog))


@pytest.fixture(params=["prepared", "unprepared"])
def urls(request, monkeypatch, store_urls, without_pooler):
    """As the embedded server is talked to, and as one that may be behind a transaction pooler is."""
    # On two connections in turn it is chance on which of them a statement has been asked often enough to be prepared.
    monkeypatch.setattr(limits, "EMBEDDED_CONNECTIONS", 1)
    monkeypatch.setattr(limits, "CATALOG_CONNECTIONS", 1)
    settings = connection._settings
    is_prepared = request.param == "prepared"
    monkeypatch.setattr(connection, "_settings", lambda dsn, **_: settings(dsn, direct=is_prepared))
    return without_pooler if is_prepared else store_urls


@pytest.mark.parametrize("in_domain", [False, True])
def test_round_trips_of_each_call(run, urls, in_domain):
    async def main():
        counted = {}
        async with distant(urls, in_domain=in_domain) as (line, tenant):
            for name, (_, call) in CALLS.items():
                before = line.turnarounds
                await call(tenant)
                counted[name] = line.turnarounds - before
        return counted

    assert run(main()) == {name: expected for name, (expected, _) in CALLS.items()}


@pytest.mark.slow
def test_the_clock_agrees(run, without_pooler, tmp_path):
    """At 20 ms a call takes as many times 20 ms as it has round trips, and less than one more."""
    round_trip_s = 0.020
    urls = without_pooler._replace(blobs=tmp_path.as_uri())  # it is the catalog's time that is measured

    async def main():
        async with distant(urls, round_trip_s / 2) as (_, tenant):
            for name in ("put of known bytes", "put of new bytes", "put of four new components", "get by name"):
                trips, call = CALLS[name]
                fastest = inf
                for _ in range(50):  # as often as a busy machine needs
                    begin = time.perf_counter()
                    await call(tenant)
                    fastest = min(fastest, time.perf_counter() - begin)
                    if fastest < (trips + 1) * round_trip_s:
                        break
                assert trips * round_trip_s <= fastest < (trips + 1) * round_trip_s, name

    run(main())


def test_concurrent_first_calls_open_connections_not_more_trips(run, store_urls):
    """Eight calls at once on one warm connection are still eight round trips, beside those of connecting."""

    async def main():
        async with distant(store_urls) as (line, tenant):
            await asyncio.gather(*(tenant.history("doc/same") for _ in range(8)))
            before = line.turnarounds
            await asyncio.gather(*(tenant.history("doc/same") for _ in range(8)))
            return line.turnarounds - before

    assert 8 <= run(main()) <= 8 + 3 * 8


def test_reads_at_the_same_time_share_their_round_trips(run, store_urls):
    """The first go at once, as many as may be under way; those that come meanwhile go together."""

    async def main():
        async with distant(store_urls, one_way_s=0.01) as (line, tenant):
            await asyncio.gather(*(tenant.history("doc/same") for _ in range(8)))  # opens the connections
            before = line.turnarounds
            await asyncio.gather(*(read(tenant, "doc/same") for _ in range(32)))
            return line.turnarounds - before

    assert run(main()) == limits.READS_AT_ONCE + 1


def test_puts_at_the_same_time_share_their_round_trips(run, store_urls):
    """The first goes at once, those that come meanwhile go together: of known bytes two trips, of new ones two more."""

    async def main():
        trips = []
        async with distant(store_urls, one_way_s=0.01) as (line, tenant):
            for data in (lambda: b"known", fresh):
                before = line.turnarounds
                asked = (tenant.put(f"many/{n}", data(), on_same="new_version") for n in range(16))
                stored = await asyncio.gather(*asked)
                trips.append(line.turnarounds - before)
                assert [version.name for version in stored] == [f"many/{n}" for n in range(16)]
        return trips

    known, new = run(main())
    assert known <= 2
    assert new <= 6  # uploads end at different moments
