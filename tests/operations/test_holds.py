"""Holds: what is held is there, whoever wants it gone, and whichever of the two comes first.

The law over any sequence of calls is in test_deleting.py, whose model knows holds.
"""

from __future__ import annotations

import concurrent.futures
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from casstore import AsyncStore, Conflict, Digest, Invalid, NotFound
from casstore.errors import Code
from casstore.testing.audit import audit
from tests.operations.failing import fails


async def test_a_hold_keeps_a_version_until_it_is_released(t):
    await t.put("a", "1")
    await t.put("a", "2")
    hold = await t.hold("a@1", "case-17", by="legal", reason="a case")
    assert (hold.hold, hold.ref, hold.by, hold.reason, hold.released_at) == ("case-17", "a@1", "legal", "a case", None)
    with fails(Conflict, Code.STILL_USED) as caught:
        await t.delete("a@1", by="me")
    assert caught.value.fields["holds"] == ["case-17"]
    assert "case-17" in caught.value.message
    await t.delete("a@2", by="me")
    released = await t.release("a@1", "case-17", by="legal")
    assert (released.released_by, released.at) == ("legal", hold.at)
    assert released.released_at > hold.at
    await t.delete("a@1", by="me")


async def test_a_hold_on_a_name_is_on_its_later_versions_too_and_one_on_everything_on_later_names(t):
    await t.put("a", "1")
    await t.hold("a", "case", by="legal")
    await t.hold(None, "all", by="legal")
    await t.put("a", "2")
    await t.put("b", "1")
    for call, holds in ((t.delete("a@2", by="me"), ["all", "case"]), (t.delete_artifact("b", by="me"), ["all"])):
        with fails(Conflict, Code.STILL_USED) as caught:
            await call
        assert caught.value.fields["holds"] == holds
    assert (await t.explain("delete", "a@2")).holds == ("all", "case")
    await t.release(None, "all", by="legal")
    await t.delete("b@1", by="me")
    with fails(Conflict, Code.STILL_USED):
        await t.delete("a@2", by="me")


async def test_placing_and_releasing_again_are_successes_and_change_nothing(t):
    await t.put("a", "1")
    first = await t.hold("a@1", "case", by="legal", reason="first")
    assert await t.hold("a@1", "case", by="other", reason="second") == first
    over = await t.release("a@1", "case", by="legal")
    assert await t.release("a@1", "case", by="other") == over
    anew = await t.hold("a@1", "case", by="other")
    assert (anew.by, anew.reason, anew.released_at) == ("other", None, None)
    assert anew.at > over.released_at


async def test_the_custody_of_a_version_is_its_end_and_each_hold_that_keeps_it(t, other):
    for tenant in (t, other):
        await tenant.put("a", "1")
        await tenant.put("b", "1")
    await t.put("a", "2", ttl=timedelta(days=1), by="ana")
    nothing = await t.custody("b")
    assert (nothing.expiry.at, nothing.expiry.by, nothing.holds) == (None, None, ())
    placed = [
        await t.hold("a@2", "one", by="legal", reason="why"),
        await t.hold("a", "name", by="legal"),
        await t.hold(None, "all", by="audit"),
    ]
    over = await t.hold("a@2", "over", by="legal")
    await t.release("a@2", "over", by="legal")
    for elsewhere in ("a@1", "b"):
        await t.hold(elsewhere, "elsewhere", by="legal")
    await other.hold(None, "theirs", by="them")
    found = await t.custody("a")
    assert found.holds == tuple(reversed(placed))
    assert over.hold not in [hold.hold for hold in found.holds]
    assert (found.expiry.name, found.expiry.number, found.expiry.by) == ("a", 2, "ana")
    said = await t.expire("a@2", datetime(2099, 1, 1, tzinfo=UTC), by="ops", reason="later")
    assert (await t.custody(f"id:{(await t.resolve('a')).id}")).expiry == said
    assert [hold.hold for hold in (await t.custody("b@1")).holds] == ["elsewhere", "all"]
    for ref, code in (("a@3", Code.VERSION_NOT_FOUND), ("nothing", Code.ARTIFACT_NOT_FOUND)):
        with fails(NotFound, code):
            await t.custody(ref)
    with fails(NotFound, Code.VERSION_NOT_FOUND):  # another tenant's
        await other.custody(f"id:{(await t.resolve('a')).id}")


async def test_a_hold_is_released_from_just_what_it_was_placed_on(t):
    await t.put("a", "1")
    await t.hold("a", "case", by="legal")
    for target, hold in (("a@1", "case"), (None, "case"), ("a", "other")):
        with fails(NotFound, Code.HOLD_NOT_FOUND):
            await t.release(target, hold, by="legal")
    assert [hold.ref for hold in await t.holds()] == ["a"]


@pytest.mark.parametrize(
    "target", ["a@prod", "a@latest", "a@latest~2026-01-01T00:00:00Z", "a@1#main", "a@b3:" + "0" * 12]
)
async def test_only_what_will_mean_no_other_is_held(t, target):
    await t.put("a", "1")
    with fails(Invalid, Code.BAD_REFERENCE):
        await t.hold(target, "case", by="legal")


async def test_what_is_not_there_is_not_held(t, other):
    await t.put("a", "1")
    for call, code in (
        (t.hold("b", "case", by="me"), Code.ARTIFACT_NOT_FOUND),
        (t.hold("a@2", "case", by="me"), Code.VERSION_NOT_FOUND),
        (other.hold("a@1", "case", by="me"), Code.ARTIFACT_NOT_FOUND),
        (other.release(None, "case", by="me"), Code.HOLD_NOT_FOUND),
    ):
        with fails(NotFound, code):
            await call
    await t.delete("a@1", by="me")
    await t.purge("a@1", by="me")
    with fails(Conflict, Code.VERSION_PURGED):
        await t.hold("a@1", "case", by="me")
    with fails(Invalid, Code.BAD_HOLD):
        await t.hold("a@1", "a case", by="me")


async def test_holds_are_listed_in_pages(t):
    for n in range(5):
        await t.put(f"a/{n}", "1")
        await t.hold(f"a/{n}", f"case-{n}", by="me")
    await t.release("a/2", "case-2", by="me")
    seen, cursor = [], None
    while True:
        page = await t.holds(limit=2, cursor=cursor)
        seen += [hold.hold for hold in page]
        cursor = page.cursor
        if cursor is None:
            break
    assert seen == ["case-4", "case-3", "case-1", "case-0"]
    assert [hold.hold for hold in await t.holds(released=True)] == ["case-2"]


async def test_emptying_the_trash_leaves_what_is_held_and_what_that_was_made_from(t):
    source = await t.put("source", "1")
    middle = await t.put("middle", "2", sources=[source])
    made = await t.put("made", "3", sources=[middle])
    for n in range(3):
        await t.put(f"other/{n}", "4")
        await t.delete(f"other/{n}@1", by="me")
    for version in (made, middle, source):
        await t.delete(version.ref, by="me")
    await t.hold(made.ref, "case", by="legal")
    assert await t.empty_trash(timedelta(), by="me") == 3
    assert {each.ref for each in await t.trash()} == {"made@1", "middle@1", "source@1"}
    for version in (source, middle, made):
        await t.undelete(version.ref, by="me")


async def test_a_tenant_of_which_anything_is_held_is_not_deleted(store, t):
    await t.put("a", "1")
    await t.put("b", "1")
    for target in ("a@1", "a", None):
        await t.hold(target, "case", by="legal")
        with fails(Conflict, Code.STILL_USED) as caught:
            await store.delete_tenant(t.name, by="me")
        assert caught.value.fields["holds"] == ["case"]
        await t.release(target, "case", by="legal")
    await store.delete_tenant(t.name, by="me")


async def test_an_undo_deletes_nothing_that_is_held(t):
    await t.put("a", "1")
    await t.delete("a@1", by="me")
    await t.undelete("a@1", by="me")
    undelete = next(each for each in await t.operations() if each.op == "undelete")
    await t.hold("a@1", "case", by="legal")
    with fails(Conflict, Code.STILL_USED) as caught:
        await t.undo(undelete.id, by="me")
    assert caught.value.fields["holds"] == ["case"]
    await t.release("a@1", "case", by="legal")
    await t.undo(undelete.id, by="me")


# -- races: two connections, stopped with the first one's work done and not committed --------------------------------------

ONE = f"decode('{Digest.of(b'1').hex()}', 'hex')"  # what a is
DESTROY = {
    "delete": "select * from casstore.delete_versions('one', 'a', 1, null, 'me', null)",
    "delete_artifact": "select * from casstore.delete_versions('one', 'a', null, null, 'me', null)",
    "purge": "select * from casstore.purge_versions('one', 'b', 1, null, 'me', null)",
    "purge_artifact": "select * from casstore.purge_versions('one', 'b', null, null, 'me', null)",
    "erase_content": f"select * from casstore.erase_content('one', {ONE}, sha256('x'), 'me', null)",
    "empty_trash": "select casstore.empty_trash('one', interval '0', 'me', null, 10)",
}
HOLD = "select * from casstore.place_hold('one', {}, {}, null, 'case', 'legal', null)"
ON = {"version": "1", "artifact": "null", "everything": None}
NO_LOCK = """
create or replace function casstore.share_holds(p_tenant int) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$ begin end $$
"""


@pytest.fixture
def dsn(databases, new_blobs, run):
    """A live version of a, and one of b that is in the trash."""

    async def fill(dsn):
        async with AsyncStore(blobs=new_blobs(), catalog=dsn) as store:
            t = store.tenant("one")
            await t.put("a", "1")
            await t.put("b", "2")
            await t.delete("b@1", by="me")

    with databases.fresh() as dsn:
        run(fill(dsn))
        yield databases.direct(dsn)


def crossed(dsn, first, second):
    """Both at once: the second is asked while the first is done and not committed. Whether it waited, and its error."""
    with (
        concurrent.futures.ThreadPoolExecutor() as pool,
        psycopg.connect(dsn) as one,
        psycopg.connect(dsn) as two,
        psycopg.connect(dsn, autocommit=True) as watcher,
    ):
        one.execute(first)
        asked = pool.submit(two.execute, second)
        waits = False
        while not waits and not asked.done():
            (waits,) = watcher.execute(
                "select cardinality(pg_blocking_pids(%s)) > 0", (two.info.backend_pid,)
            ).fetchone()
        one.commit()
        error = asked.exception(timeout=60)
        two.rollback() if error else two.commit()
        return waits, error.diag.constraint_name if error else None


def broken(dsn):
    """What is purged and held, or was let go of under a hold."""
    with psycopg.connect(dsn) as connection:
        return connection.execute("""
          select h.hold, a.name, t.number from casstore.holds h
            join casstore.artifacts a on h.artifact_id is null or a.id = h.artifact_id
            join casstore.trash t on t.artifact_id = a.id and (h.number is null or t.number = h.number)
           where h.released_at is null and (t.at > h.at or t.purged_at > h.at or (t.purged_at is not null and h.number is not null))
          union all
          select h.hold, a.name, e.number from casstore.holds h
            join casstore.artifacts a on h.artifact_id is null or a.id = h.artifact_id
            join casstore.erased_components e on e.artifact_id = a.id and (h.number is null or e.number = h.number)
           where h.released_at is null and e.at > h.at
        """).fetchall()


def hold_sql(verb, on):
    name = "'b'" if "purge" in verb or verb == "empty_trash" else "'a'"
    return HOLD.format("null", "null") if ON[on] is None else HOLD.format(name, ON[on])


@pytest.mark.parametrize("on", ON)
@pytest.mark.parametrize("verb", DESTROY)
def test_a_hold_that_comes_first_is_seen(dsn, verb, on):
    waited, refused = crossed(dsn, hold_sql(verb, on), DESTROY[verb])
    assert (waited, refused) == (True, None if verb == "empty_trash" else "still_used")
    assert broken(dsn) == []


@pytest.mark.parametrize("on", ON)
@pytest.mark.parametrize("verb", DESTROY)
def test_a_hold_that_comes_second_is_told_what_is_gone(dsn, verb, on):
    waited, refused = crossed(dsn, DESTROY[verb], hold_sql(verb, on))
    gone = on == "version" and ("purge" in verb or verb == "empty_trash")
    assert (waited, refused) == (True, "version_purged" if gone else None)
    assert broken(dsn) == []


@pytest.mark.parametrize("verb", DESTROY)
def test_without_the_lock_what_is_held_would_be_let_go_of(dsn, verb):
    """That these races can see a fault at all."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(NO_LOCK)
    crossed(dsn, hold_sql(verb, "artifact"), DESTROY[verb])
    assert broken(dsn) != []


async def test_the_audit_sees_what_was_let_go_of_under_a_hold(databases, new_blobs):
    with databases.fresh() as dsn:
        async with AsyncStore(blobs=new_blobs(), catalog=dsn) as store:
            await store.tenant("one").put("a", "1")
            await store.tenant("one").hold("a", "case", by="legal")
            with psycopg.connect(dsn) as connection:
                connection.execute(
                    "insert into casstore.trash (artifact_id, number, tenant_id, at, actor)"
                    " select a.id, 1, a.tenant_id, clock_timestamp(), 'me' from casstore.artifacts a"
                )
            assert any(fault.startswith("a version was deleted or purged under a hold") for fault in await audit(store))
