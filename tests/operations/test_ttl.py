"""A put that says how long its version is wanted: what the answer says, the catalog and the log say, and retention does."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, timezone

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from casstore import AsyncStore, Conflict, Invalid, NotFound, Part, limits
from casstore.errors import Code
from casstore.testing.audit import audit
from tests.operations.conftest import NUMBERS
from tests.operations.failing import fails
from tests.support.locks import waiting

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
BAD = {
    "zero": timedelta(0),
    "negative": -DAY,
    "less than a second": timedelta(milliseconds=1),
    "not whole seconds": timedelta(seconds=1, microseconds=1),
    "more than a hundred years": timedelta(days=36_526),
    "a number": 30,
    "text": "30d",
    "an instant": datetime(2099, 1, 1, tzinfo=UTC),
}


def kept(where, tenant):
    """When versions expire and who said so, as the table has it."""
    with psycopg.connect(where.catalog) as connection:
        rows = connection.execute(
            "select a.name || '@' || e.number, e.expires_at, e.actor from casstore.expiries e"
            " join casstore.artifacts a on a.id = e.artifact_id join casstore.tenants t on t.id = a.tenant_id"
            " where t.name = %s",
            (tenant,),
        ).fetchall()
    return {ref: (at, actor) for ref, at, actor in rows}


# -- the law ---------------------------------------------------------------------------------------------------------------

lives = st.none() | st.integers(1, 9).map(timedelta) | st.just(timedelta(days=36_525))
deeds = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.sampled_from(["a", "b"]),
            "content": st.sampled_from(["[1]", "[1 ]", "[2]"]),
            "on_same": st.sampled_from(["reuse", "reuse", "semantic", "new_version", "error"]),
            "ttl": lives,
        },
        optional={"key": st.sampled_from(["k", "l"])},
    )
    | st.fixed_dictionaries({"expire": st.sampled_from(["a@1", "b@1", "a@2"]), "when": lives}),
    max_size=12,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(together=deeds, apart=deeds)
@example(
    together=[{"name": "a", "content": "[1]", "on_same": "reuse", "ttl": DAY}] * 2,
    apart=[{"name": "a", "content": "[1]", "on_same": "reuse", "ttl": ttl} for ttl in (2 * DAY, DAY, None, DAY)],
)
def test_a_version_lives_as_long_as_the_longest_of_its_puts_asks_for(where, together, apart):
    async def main():
        async with AsyncStore(blobs=where.blobs, catalog=where.catalog) as store:
            t = store.tenant(f"tenant-{next(NUMBERS)}")
            until = {}  # what the answers have said
            puts = [each for each in together if "name" in each and each["on_same"] != "error"]
            begin = datetime.now(UTC)
            async with t.transaction() as tx:
                made = [await tx.put(**asked(each)) for each in puts]
            for pending, each in zip(made, puts, strict=True):
                judge(until, pending.stored, each["ttl"], begin)
            for each in apart:
                begin = datetime.now(UTC)
                try:
                    if "expire" in each:
                        done = await t.expire(each["expire"], each["when"], by="me")
                        until[each["expire"]] = done.at
                        continue
                    stored = await t.put(**asked(each), idempotency_key=each.get("key"))
                except (Conflict, NotFound):
                    continue
                if stored.repeated:
                    assert stored.expires_at == until[stored.ref]
                else:
                    judge(until, stored, each["ttl"], begin)
            assert {ref: at for ref, (at, _) in kept(where, t.name).items()} == {k: v for k, v in until.items() if v}
            assert await audit(store) == []

    asyncio.run(main())


def asked(each):
    part = Part(each["content"], "application/json")
    return {"name": each["name"], "data": part, "on_same": each["on_same"], "ttl": each["ttl"]}


def judge(until, stored, ttl, begin):
    """Hold an answer to the law, and remember what it says."""
    end, said = datetime.now(UTC), stored.expires_at
    if not stored.reused:
        assert stored.ref not in until
        assert said == (stored.created_at + ttl if ttl else None)
    elif until[stored.ref] is None or ttl is None:
        assert said is None
    elif said != until[stored.ref]:
        assert said > until[stored.ref]
        assert begin + ttl <= said <= end + ttl
    else:
        assert said >= begin + ttl
    until[stored.ref] = said


# -- one by one ------------------------------------------------------------------------------------------------------------


async def test_a_version_that_has_lived_is_dropped_by_retention(t, where):
    first = await t.put("a", "x", ttl=timedelta(seconds=1))
    second = await t.put("b", "x", ttl=DAY)
    with psycopg.connect(where.catalog) as connection:
        connection.execute("select pg_sleep(1.05)")
    told = {each.ref: (each.drops, each.rule, each.expires_at) for each in await t.preview_retention()}
    assert told == {"a@1": (True, "ttl", first.expires_at), "b@1": (False, None, second.expires_at)}
    assert (await t.apply_retention(by="keeper")).dropped == 1
    assert [each.ref for each in await t.trash()] == ["a@1"]


async def test_whoever_puts_what_has_expired_keeps_it(t, where):
    """It was reused before retention came: it is wanted again."""
    for name, ttl in (("a", None), ("b", DAY)):
        await t.put(name, "x", ttl=DAY)
        await t.expire(f"{name}@1", datetime(2020, 1, 1, tzinfo=UTC), by="ops", reason="over")
        assert (await t.put(name, "x", ttl=ttl)).reused
    assert (await t.apply_retention(by="keeper")).dropped == 0
    assert [(ref, actor) for ref, (_, actor) in kept(where, t.name).items()] == [("b@1", None)]  # not ops any more


async def test_what_retention_has_dropped_first_is_made_anew(t):
    await t.put("a", "x", ttl=DAY)
    await t.expire("a@1", datetime(2020, 1, 1, tzinfo=UTC), by="ops")
    await t.apply_retention(by="keeper")
    stored = await t.put("a", "x", ttl=DAY)
    assert (stored.ref, stored.reused) == ("a@2", False)


async def test_a_put_and_retention_at_the_same_time_leave_what_the_put_says(store, where):
    """Both wait for the artifact's lock; whoever gets it first, the version of the answer is there, and stays."""
    for round_ in range(6):
        t = store.tenant(f"tenant-{next(NUMBERS)}")
        await t.put("a", "x", ttl=DAY)
        await t.expire("a@1", datetime(2020, 1, 1, tzinfo=UTC), by="ops")
        async with await psycopg.AsyncConnection.connect(where.catalog) as holder:
            await holder.execute("select from casstore.artifacts for update")
            deeds = [asyncio.ensure_future(t.put("a", "x", ttl=DAY)), asyncio.ensure_future(t.apply_retention(by="k"))]
            await waiting(where.catalog, 1 + round_ % 2)
        stored, dropped = await asyncio.gather(*deeds)
        assert (await t.resolve("a")).ref == stored.ref
        assert stored.expires_at > datetime.now(UTC)
        assert stored.reused == (dropped.dropped == 0)
        assert (await t.apply_retention(by="k")).dropped == 0


async def test_a_key_stands_for_the_time_too(t):
    first = await t.put("a", "x", idempotency_key="k", ttl=DAY)
    again = await t.put("a", "x", idempotency_key="k", ttl=DAY)
    assert (again.repeated, again.expires_at) == (True, first.expires_at)
    for ttl in (None, 2 * DAY):
        with fails(Conflict, Code.IDEMPOTENCY_KEY_REUSED):
            await t.put("a", "x", idempotency_key="k", ttl=ttl)
    async with t.transaction(idempotency_key="tx") as tx:
        await tx.put("b", "x", ttl=DAY)
    with fails(Conflict, Code.IDEMPOTENCY_KEY_REUSED):
        async with t.transaction(idempotency_key="tx") as tx:
            await tx.put("b", "x", ttl=2 * DAY)


async def test_a_repeated_put_does_not_take_back_what_was_said_since(t):
    await t.put("a", "x", idempotency_key="k", ttl=DAY)
    await t.expire("a@1", 9 * DAY, by="ops")
    at = (await t.expire("a@1", datetime(2099, 1, 1, tzinfo=UTC), by="ops")).at
    assert (await t.put("a", "x", idempotency_key="k", ttl=DAY)).expires_at == at


async def test_a_refused_put_changes_no_time(t, where):
    await t.put("a", "x", ttl=DAY)
    before = kept(where, t.name)
    with fails(Conflict, Code.SAME_CONTENT):
        await t.put("a", "x", on_same="error", ttl=9 * DAY)
    with fails(Conflict, Code.TRANSACTION_REFUSED):
        async with t.transaction() as tx:
            await tx.put("a", "x", ttl=9 * DAY)
            await tx.put("a", "y", expect=7)
    assert kept(where, t.name) == before


@pytest.mark.parametrize("bad", BAD)
async def test_no_such_time(t, bad):
    with fails(Invalid, Code.BAD_ARGUMENT):
        await t.put("a", "x", ttl=BAD[bad])
    with fails(Invalid, Code.BAD_ARGUMENT):
        async with t.transaction() as tx:
            await tx.put("a", "x", ttl=BAD[bad])
    assert (await t.list()).items == ()


async def test_the_log_and_events_say_so(t):
    """A put that made its version is one row; of one that made none an own event says that the time is another."""
    await t.put("a", "x", ttl=DAY)
    await t.put("a", "x", ttl=DAY / 2)  # shorter: nothing has changed
    await t.put("a", "x", ttl=2 * DAY)
    found = (await t.events()).items
    assert [(event.op, event.ref, event.by) for event in found] == [("put", "a@1", None), ("expire", "a@1", None)]
    assert [each.op for each in await t.operations()] == ["put", "expire", "put", "put"]


# -- which instants there are ----


@pytest.mark.parametrize(
    "at",
    [
        datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone(-14 * HOUR)),  # the year 10000, which psycopg cannot read
        datetime(1, 1, 1, tzinfo=timezone(14 * HOUR)),
        limits.EXPIRY_MAX,
        limits.EXPIRY_MIN - timedelta(microseconds=1),
    ],
)
async def test_an_instant_that_others_cannot_say_is_refused(t, at):
    """Regression: it was stored, and from then on every question about the version was answered by an outage."""
    await t.put("a", "x")
    with fails(Invalid, Code.BAD_ARGUMENT):
        await t.expire("a@1", at, by="ops")
    assert (await t.custody("a@1")).expiry.at is None


@pytest.mark.parametrize("at", [limits.EXPIRY_MIN, limits.EXPIRY_MAX - timedelta(microseconds=1)])
async def test_the_first_and_the_last_instant_can_be_said(t, at):
    await t.put("a", "x")
    await t.expire("a@1", at.astimezone(timezone(-14 * HOUR)), by="ops")
    assert (await t.custody("a@1")).expiry.at == at
    assert (await t.preview_retention()).totals.drops == (at == limits.EXPIRY_MIN)
