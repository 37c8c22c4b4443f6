"""Who follows a tenant is told each change once, in the order of the log, and misses none.

Laws, whoever writes at the same time and whenever their transactions end:
- What a follower was told is what the log has of its tenant, from where it began, without gaps and without repetition.
- However the answers are cut into pages, together they are the same.
- Of another tenant, of one that was deleted, and of one that was erased, nothing is told.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta

import psycopg
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from casstore import AsyncStore, Code, Invalid, NotFound, limits

LINES = 3  # connections with transactions of their own, each with an artifact of its own: so none waits for another
MOVE = "select casstore.move_pointer(%s, %s, 'number', 1, null, null, %s, false, null)"
STEPS = st.one_of(
    st.tuples(st.sampled_from(["move", "commit", "rollback"]), st.integers(0, LINES - 1)),
    st.tuples(st.just("ask"), st.integers(1, 3)),
)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """A question does not wait for transactions that the test holds open."""
    monkeypatch.setattr(limits, "EVENTS_PATIENCE", timedelta(0))


async def told(t, after=None, limit=50):
    """All events there are after a cursor."""
    found = []
    while True:
        page = await t.events(after=after, limit=limit)
        found += page.items
        after = page.cursor
        if not page.more:
            return found, after


async def logged(t):
    """What the log has, oldest first."""
    found, cursor = [], None
    while True:
        page = await t.operations(cursor=cursor)
        found += page.items
        cursor = page.cursor
        if cursor is None:
            return [(each.id, each.op, each.ref) for each in reversed(found) if each.op != "transaction"]


def seen(events):
    return [(each.id, each.op, each.ref) for each in events]


@given(steps=st.lists(STEPS, min_size=4, max_size=30))
@example([("move", 0), ("move", 1), ("commit", 1), ("ask", 3), ("commit", 0), ("ask", 3)])  # the later commits first
@example([("move", 0), ("move", 1), ("commit", 1), ("ask", 1), ("move", 2), ("commit", 0), ("ask", 1), ("ask", 1)])
@settings(max_examples=40)
def test_a_follower_misses_nothing_and_is_told_nothing_twice(bench, databases, where, steps):
    t = bench.tenant()
    for number in range(LINES):
        bench.run(t.put(f"a{number}", b"x"))
    heard, cursor = bench.run(told(t))

    async def ask(limit):
        page = await t.events(after=cursor, limit=limit)
        return list(page.items), page.cursor

    with contextlib.ExitStack() as stack:
        dsn = databases.direct(where.catalog)
        lines = [stack.enter_context(psycopg.connect(dsn)) for _ in range(LINES)]
        for count, (step, value) in enumerate(steps):
            if step == "move":
                lines[value].execute(MOVE, (t.name, f"a{value}", f"p{count}"))
            elif step == "commit":
                lines[value].commit()
            elif step == "rollback":
                lines[value].rollback()
            else:
                items, cursor = bench.run(ask(value))
                heard += items
        for line in lines:
            line.commit()
    rest, _ = bench.run(told(t, cursor))
    assert seen(heard + rest) == bench.run(logged(t))


async def test_nothing_is_told_before_what_may_still_come_below_it(t, databases, where):
    await t.put("slow", b"1")
    await t.put("quick", b"1")
    _, cursor = await told(t)
    with psycopg.connect(databases.direct(where.catalog)) as line:
        line.execute(MOVE, (t.name, "slow", "prod"))
        await t.put("quick", b"2")
        page = await t.events(after=cursor)
        assert (page.items, page.more) == ((), False)
    page = await t.events(after=page.cursor)
    assert [(e.op, e.ref) for e in page.items] == [("alias", "slow@1"), ("put", "quick@2")]
    assert page.items[0].model_dump(include={"before", "after", "pointer", "type", "name", "number"}) == {
        "before": None,
        "after": 1,
        "pointer": "prod",
        "type": "document",
        "name": "slow",
        "number": 1,
    }


async def test_a_follower_gets_on_although_there_is_always_a_transaction(t, databases, where):
    """Each is over before the next question, and another has begun: at no moment is the server at rest."""
    await t.put("a", b"1")
    _, cursor = await told(t)
    dsn = databases.direct(where.catalog)
    begin = "select pg_current_xact_id()"
    with contextlib.ExitStack() as stack:
        line = stack.enter_context(psycopg.connect(dsn))
        line.execute(begin)
        await t.put("a", b"2")
        heard = []
        for _ in range(4):
            page = await t.events(after=cursor)
            heard += page.items
            cursor = page.cursor
            following = stack.enter_context(psycopg.connect(dsn))
            following.execute(begin)
            line.commit()
            line = following
    assert [e.ref for e in heard] == ["a@2"]


async def test_followers_beside_writers(t, where, monkeypatch):
    monkeypatch.setattr(limits, "EVENTS_PATIENCE", timedelta(seconds=2))
    monkeypatch.setattr(limits, "EVENTS_LONGEST_PAUSE", timedelta(milliseconds=50))
    writers, puts = 4, 12
    heard = []

    async def follow():
        async for event in t.follow():
            heard.append(event)
            if len(heard) == writers * puts:
                return

    async def write(store, number):
        tenant = store.tenant(t.name)
        for count in range(puts):
            await tenant.put(f"n{(number + count) % 3}", f"{number}-{count}".encode())

    async with AsyncStore(blobs=where.blobs, catalog=where.catalog) as second:
        stores = (t._store, second)
        async with asyncio.timeout(60):
            await asyncio.gather(follow(), *(write(stores[number % 2], number) for number in range(writers)))
    assert seen(heard) == await logged(t)
    for name in ("n0", "n1", "n2"):
        numbers = [event.number for event in heard if event.name == name]
        assert numbers == list(range(1, len(numbers) + 1))
    assert len({event.version for event in heard}) == writers * puts


async def test_each_kind_of_change_is_told_and_answers_that_changed_nothing_are_not(t):
    await t.put("a", b"1", idempotency_key="one", type="sop")
    await t.put("a", b"1", idempotency_key="two")  # is there already
    async with t.transaction(idempotency_key="three") as tx:
        await tx.put("a", b"2")
    await t.alias("a@2", "prod")
    await t.transition("a@2", "accepted", by="ann", reason="fine")
    await t.delete("a@1", by="bob")
    (deleted, *_) = (await t.operations()).items
    await t.undo(deleted.id, by="eve")
    await t.hold("a@1", "case", by="me")
    events, _ = await told(t)
    assert [(e.op, e.ref, e.type, e.by) for e in events] == [
        ("put", "a@1", "sop", None),
        ("put", "a@2", "sop", None),
        ("alias", "a@2", "sop", None),
        ("accepted", "a@2", "sop", "ann"),
        ("delete", "a@1", "sop", "bob"),
        ("undelete", "a@1", "sop", "eve"),
        ("undo", "a@1", "sop", "eve"),
        ("hold", "a@1", "sop", "me"),
    ]
    assert events[0].version == (await t.resolve("a@1")).id
    assert (events[3].before, events[3].after, events[3].reason) == ("draft", "accepted", "fine")
    assert events[6].undoes == deleted.id
    for limit in (1, 2, 3):
        assert (await told(t, limit=limit))[0] == events
    for place, event in enumerate(events):
        assert (await told(t, event.cursor))[0] == events[place + 1 :]


async def test_from_now_on(t, other):
    assert (await other.events(after="now")).items == ()  # of a tenant that is not there yet
    await t.put("a", b"1")
    page = await t.events(after="now")
    assert (page.items, page.more) == ((), False)
    await other.put("a", b"1")
    assert (await t.events(after=page.cursor)).items == ()
    await t.put("a", b"2")
    assert [e.ref for e in (await t.events(after=page.cursor)).items] == ["a@2"]


async def test_wrong_cursors_and_sizes(t):
    for cursor in ("", "later", "NOW", (await t.list()).cursor or "x"):
        with pytest.raises(Invalid) as caught:
            await t.events(after=cursor)
        assert caught.value.code is Code.BAD_CURSOR
    with pytest.raises(Invalid):
        await t.events(limit=0)


async def test_of_another_of_a_deleted_and_of_an_erased_tenant_nothing_is_told(store, t, other):
    await t.put("secret", b"1")
    _, cursor = await told(t)
    assert (await told(other))[0] == []
    await other.put("mine", b"1")
    assert [e.ref for e in (await told(other))[0]] == ["mine@1"]
    await store.delete_tenant(t.name, by="ops")
    with pytest.raises(NotFound) as caught:
        await t.events(after=cursor)
    assert caught.value.code is Code.TENANT_DELETED
    await store.erase_tenant(t.name, by="ops")
    assert (await told(t))[0] == (await told(t, cursor))[0] == []
    await t.put("another", b"1")  # the name is free, and means somebody else
    assert [e.ref for e in (await told(t))[0]] == ["another@1"]


async def test_who_looks_and_finds_nothing_draws_no_transaction_id(t, databases, where):
    await t.put("a", b"1")
    _, cursor = await told(t)
    with psycopg.connect(databases.direct(where.catalog), autocommit=True) as line:
        drawn = "select pg_snapshot_xmax(pg_current_snapshot())::text"
        before = line.execute(drawn).fetchone()
        for _ in range(5):
            cursor = (await t.events(after=cursor)).cursor
        assert line.execute(drawn).fetchone() == before


def test_blocking_code_follows_too(where):
    from casstore import Store

    with Store(blobs=where.blobs, catalog=where.catalog) as store:
        t = store.tenant("blocking")
        t.put("a", b"1")
        t.put("a", b"2")
        following = t.follow()
        assert [next(following).ref, next(following).ref] == ["a@1", "a@2"]
        assert t.events().items[0].ref == "a@1"
