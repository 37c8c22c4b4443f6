"""Collecting: what anything refers to stays readable whatever is put, deleted, purged and collected; the rest goes in the end."""

from __future__ import annotations

import itertools
import time
from datetime import timedelta

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casstore import AsyncStore, CasstoreError, Components, Conflict, Digest, Invalid, Unavailable, limits
from casstore.errors import Code
from casstore.model import MAIN
from casstore.staging import stage
from casstore.testing.audit import audit
from tests.operations.failing import fails

NOW = timedelta(0)

# -- the law ---------------------------------------------------------------------------------------------------------------

CONTENTS = [b"content %d " % n * 30 for n in range(5)]
STEPS = st.one_of(
    st.tuples(
        st.just("put"),
        st.tuples(st.sampled_from(["one", "two"]), st.sampled_from(["a", "b"])),
        st.lists(st.sampled_from(CONTENTS), min_size=1, max_size=3),
    ),
    st.tuples(st.sampled_from(["delete", "undelete", "purge", "let go"]), st.integers(0, 5)),
    st.tuples(
        st.just("collect"), st.fixed_dictionaries({}, optional={"full": st.booleans(), "orphans": st.booleans()})
    ),
    st.tuples(st.just("plan"), st.booleans()),
    st.tuples(st.just("apply")),
)
RUNS = itertools.count()


class World:
    """Versions by tenant, name and number: their parts, and whether they are live, in the trash or purged."""

    def __init__(self, store) -> None:
        self.store = store
        self.run = next(RUNS)
        self.versions = {}
        self.plan = []

    def tenant(self, who):
        return self.store.tenant(f"{who}-{self.run}")

    async def take(self, verb, *arguments):
        if verb == "collect":
            await self.store.collect(quarantine=NOW, **arguments[0])
        elif verb == "plan":
            self.plan = list(await self.store.plan_collection(quarantine=NOW, full=arguments[0]))
        elif verb == "apply":
            await self.store.collect(self.plan, quarantine=NOW)
        elif verb == "put":
            (who, name), parts = arguments
            data = Components({f"part{n}": part for n, part in enumerate(parts)})
            made = await self.tenant(who).put(name, data, on_same="new_version")
            self.versions[who, name, made.number] = (parts, "live")
        elif arguments[0] < len(self.versions):
            for each in ["delete", "purge"] if verb == "let go" else [verb]:
                await self.change(each, sorted(self.versions)[arguments[0]])

    async def change(self, verb, place):
        who, name, number = place
        try:
            await getattr(self.tenant(who), verb)(f"{name}@{number}", by="me")
        except CasstoreError:
            return  # the law of the trash is another test's
        parts, state = self.versions[place]
        after = {"delete": "trash", "undelete": "live", "purge": "purged"}[verb]
        self.versions[place] = (parts, "purged" if state == "purged" else after)

    async def assert_readable(self):
        for (who, name, number), (parts, state) in self.versions.items():
            if state == "live":
                artifact = await self.tenant(who).get(f"{name}@{number}")
                assert [await artifact[f"part{n}"].bytes() for n in range(len(parts))] == parts

    def kept(self):
        return {Digest.of(part) for parts, state in self.versions.values() for part in parts if state != "purged"}


async def objects(store):
    return {thing.digest for thing in await store._blobs.page()}


@settings(max_examples=60)
@given(steps=st.lists(STEPS, max_size=30))
def test_what_is_referred_to_stays_and_the_rest_goes(run, store_urls, steps):
    """All examples share one store: what one keeps, another must not collect."""

    async def main():
        async with AsyncStore(blobs=store_urls.blobs, catalog=store_urls.catalog) as store:
            world = World(store)
            for step in steps:
                await world.take(*step)
                await world.assert_readable()
            KEPT.append(world.kept())
            for _ in range(2):
                await store.collect(quarantine=NOW)
            await world.assert_readable()
            assert await objects(store) == set().union(*KEPT)
            assert await rows(store_urls, "select count(*) from casstore.blobs where state <> 'l'") == [(0,)]
            assert await rows(store_urls, "select count(*) from casstore.dereferenced") == [(0,)]
            assert await audit(store) == []

    run(main())


KEPT = []


async def rows(urls, query):
    async with await psycopg.AsyncConnection.connect(urls.catalog, autocommit=True, prepare_threshold=None) as admin:
        cursor = await admin.execute(query)
        return await cursor.fetchall() if cursor.description else []


# -- one thing at a time, on a store of its own ----------------------------------------------------------------------------


@pytest.fixture
def where(store_urls):
    return store_urls


async def let_go(t, *contents):
    """Put and purge these; their digests."""
    for number, data in enumerate(contents):
        stored = await t.put(f"gone/{number}", data)
        await t.delete(stored.ref, by="me")
        await t.purge(stored.ref, by="me")
    return [Digest.of(data) for data in contents]


async def test_bytes_wait_for_their_quarantine_by_the_clock_of_the_catalog(store, t, where):
    (digest,) = await let_go(t, b"1")
    assert (await store.collect()).condemned == 1
    assert (await store.collect()).waiting == 1
    (candidate,) = await store.plan_collection()
    assert (candidate.step, candidate.due_at - candidate.state_at) == ("wait", limits.QUARANTINE)
    await rows(where, "update casstore.blobs set state_at = state_at - interval '6 days 23:59:00'")
    assert (await store.collect()).waiting == 1
    await rows(where, "update casstore.blobs set state_at = state_at - interval '1 minute'")
    report = await store.collect()
    assert (report.deleted, report.deleted_bytes, report.waiting) == (1, 1, 0)
    assert digest not in await objects(store)


async def test_a_plan_does_not_shorten_the_quarantine(store, t):
    await let_go(t, b"1")
    await store.collect()
    (candidate,) = await store.plan_collection(quarantine=NOW)
    assert candidate.step == "delete"
    report = await store.collect([candidate])
    assert (report.deleted, report.kept) == (0, 1)


async def test_an_upload_that_is_under_way_is_nothing_to_collect(store, t):
    blobs_put = store._blobs.put
    seen = []

    async def put(staged, *, dead=None):
        seen.extend(await store.plan_collection(full=True))
        return await blobs_put(staged, dead=dead)

    store._blobs.put = put
    await t.put("a", b"1")
    assert seen == []


async def test_what_another_tenant_holds_stays(store, t, other):
    await other.put("mine", b"shared")
    await t.put("mine", b"shared")
    await t.delete("mine@1", by="me")
    assert (await t.explain("purge", "mine@1")).frees_bytes == 6, "of another tenant's nothing is said"
    await t.purge("mine@1", by="me")
    for _ in range(2):
        assert (await store.collect(quarantine=NOW)).condemned == 0
    assert await (await other.get("mine")).bytes() == b"shared"


async def test_a_put_takes_back_what_was_condemned(store, t):
    (digest,) = await let_go(t, b"1")
    await store.collect(quarantine=NOW)
    before = await store._blobs.stat(digest)
    await t.put("again", b"1")
    report = await store.collect(quarantine=NOW, full=True)
    assert (report.condemned, report.deleted) == (0, 0)
    assert await store._blobs.stat(digest) == before


async def test_what_a_refused_put_has_left_is_found_by_a_full_collection(store, t):
    """It was uploaded, and refused in the end: nothing says that it lost a reference, because it never had one."""
    await t.put("a", b"1")
    blobs_put = store._blobs.put

    async def put(staged, *, dead=None):
        store._blobs.put = blobs_put
        await t.put("a", b"in between")
        return await blobs_put(staged, dead=dead)

    store._blobs.put = put
    with fails(Conflict, Code.HEAD_MOVED):
        await t.put("a", b"2", expect=1)
    assert (await store.collect()).condemned == 0
    assert (await store.collect(full=True)).condemned == 1


async def test_what_a_put_holds_is_looked_at_the_next_time(store, t, where):
    (digest,) = await let_go(t, b"1")
    async with await psycopg.AsyncConnection.connect(where.catalog) as put:
        await put.execute("select from casstore.blobs where digest = %s for key share", (bytes(digest),))
        report = await store.collect()
        assert (report.condemned, report.kept) == (0, 1)
    assert (await store.collect()).condemned == 1


async def test_what_others_refer_to_leaves_the_queue(store, t, where):
    await t.put("kept", b"1")
    await let_go(t, b"1")
    assert (await store.collect()).condemned == 0
    assert await rows(where, "select count(*) from casstore.dereferenced") == [(0,)]


async def test_an_upload_that_was_never_finished_goes(store, t, monkeypatch):
    monkeypatch.setattr(limits, "LEASE", NOW)

    async def put(staged, *, dead=None):
        raise Unavailable(Code.BLOBS_UNAVAILABLE, "it was a test")

    blobs_put, store._blobs.put = store._blobs.put, put
    with fails(Unavailable, Code.BLOBS_UNAVAILABLE):
        await t.put("a", b"1")
    store._blobs.put = blobs_put
    assert (await store.collect(quarantine=NOW)).condemned == 1
    assert (await store.collect(quarantine=NOW)).deleted == 1


async def test_an_orphan_is_registered_and_goes_the_usual_way(store, t, where):
    await t.put("kept", b"kept")
    for data in (b"an orphan", b"a lucky orphan"):
        await store._blobs.put((await stage(data))[MAIN])
    report = await store.collect(orphans=True, quarantine=NOW)
    assert (report.registered, report.condemned, report.condemned_bytes, report.deleted) == (2, 2, 23, 0)
    await t.put("lucky", b"a lucky orphan")
    wrong = "select count(*) from casstore.blobs where crc32c = 0"
    assert await rows(where, wrong) == [(1,)], "who puts it says what it is"
    assert (await store.collect(orphans=True, quarantine=NOW)).deleted == 1
    assert await objects(store) == {Digest.of(b"kept"), Digest.of(b"a lucky orphan")}
    assert await audit(store) == []


async def test_one_bad_key_stops_nothing(store, t, monkeypatch):
    digests = await let_go(t, *(b"%d" % n for n in range(8)))
    await store.collect(quarantine=NOW)
    blobs_delete = store._blobs.delete

    async def delete(digest, *, generation):
        if digest == digests[3]:
            raise Unavailable(Code.BLOBS_UNAVAILABLE, "not this one")
        return await blobs_delete(digest, generation=generation)

    store._blobs.delete = delete
    report = await store.collect(quarantine=NOW)
    assert (report.deleted, report.failed, report.kept) == (7, 1, 0)
    assert [(f.digest, f.code) for f in report.failures] == [(digests[3], Code.BLOBS_UNAVAILABLE)]
    store._blobs.delete = blobs_delete
    assert (await store.collect(quarantine=NOW)).waiting == 1
    monkeypatch.setattr(limits, "COLLECT_CLAIM", NOW)
    assert (await store.collect(quarantine=NOW)).deleted == 1
    assert await objects(store) == set()


async def test_an_object_that_is_gone_or_was_written_anew_is_no_trouble(store, t):
    gone, anew = await let_go(t, b"1", b"2")
    await store.collect(quarantine=NOW)
    await store._blobs.delete(gone, generation=(await store._blobs.stat(gone)).generation)
    before = await store._blobs.stat(anew)
    await store._blobs.put((await stage(b"2"))[MAIN], dead=before.generation)
    assert (await store.collect(quarantine=NOW)).deleted == 2
    assert await objects(store) == set()


async def test_a_collection_is_one_of_many_stretches_and_batches(store, t, monkeypatch):
    monkeypatch.setattr(limits, "COLLECT_STRETCH", 3)
    monkeypatch.setattr(limits, "COLLECT_BATCH", 2)
    digests = await let_go(t, *(b"%d" % n for n in range(8)))
    await t.put("kept", b"kept")
    for full in (False, True):
        seen, cursor, more = [], None, True
        while more:
            page = await store.plan_collection(full=full, cursor=cursor)
            seen += [each.digest for each in page]
            cursor, more = page.cursor, page.cursor is not None
        assert seen == sorted(digests)
    assert (await store.collect(quarantine=NOW)).condemned == 8
    assert (await store.collect(quarantine=NOW)).deleted == 8


async def test_objects_are_deleted_no_faster_than_asked(store, t):
    await let_go(t, b"1", b"2", b"3")
    await store.collect(quarantine=NOW)
    begin = time.monotonic()
    assert (await store.collect(quarantine=NOW, rate=20)).deleted == 3
    assert time.monotonic() - begin >= 3 / 20


async def test_it_refuses_to_look_twice_at_one_snapshot(where):
    async with await psycopg.AsyncConnection.connect(where.catalog) as connection:
        await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
        for call in ("gc_mark('{}', '{}')", "gc_claim('{}', '{}', '0', '0')"):
            with pytest.raises(psycopg.errors.ActiveSqlTransaction):
                await connection.execute(f"select * from casstore.{call}")
            await connection.rollback()


@pytest.mark.parametrize(
    "wrong", [{"quarantine": timedelta(-1)}, {"quarantine": 7}, {"rate": 0}, {"rate": float("nan")}]
)
async def test_wrong_arguments(store, wrong):
    with fails(Invalid, Code.BAD_ARGUMENT):
        await store.collect(**wrong)


async def test_a_cursor_of_something_else(store):
    with fails(Invalid, Code.BAD_CURSOR):
        await store.plan_collection(cursor="x")


# -- purging ---------------------------------------------------------------------------------------------------------------


async def test_what_is_left_of_a_purged_version(store, t, where):
    made = await t.put("a", b"1", title="One", metadata={"of": "a"})
    await t.delete("a@1", by="me", reason="old")
    purged = await t.purge(f"id:{made.id}", by="you", reason="wrong client")
    assert (purged.ref, purged.digest, purged.title, purged.by, purged.purged_by) == (
        "a@1",
        made.digest,
        "One",
        "me",
        "you",
    )
    assert purged.at < purged.purged_at
    assert await t.purge("a@1", by="another") == purged, "once"
    assert list(await t.trash(purged=True)) == [purged]
    assert list(await t.where_used(made.digest)) == list(await t.where_used(made.components[0].digest)) == []
    again = await t.put("a", b"1")
    assert (again.number, again.new_bytes, again.reused) == (2, 1, False)
    log = "select op, number, detail ->> 'actor', detail ->> 'reason' from casstore.log order by seq"
    assert await rows(where, log) == [
        ("put", 1, None, None),
        ("delete", 1, "me", "old"),
        ("purge", 1, "you", "wrong client"),
        ("put", 2, None, None),
    ]


async def test_a_source_is_not_purged_before_what_can_come_back(t):
    source = await t.put("source", b"1")
    await t.put("made", b"2", sources=[source])
    await t.delete("made@1", by="me")
    await t.delete("source@1", by="me")
    assert (await t.explain("purge", "source@1")).dependants == ("made@1",)
    with fails(Conflict, Code.STILL_USED):
        await t.purge("source@1", by="me")
    assert await t.empty_trash(NOW, by="me") == 2, "all at once they go"
    with fails(Conflict, Code.VERSION_PURGED):
        await t.undelete("made@1", by="me")


async def test_an_artifact_comes_back_without_what_was_purged(t):
    for n in range(3):
        await t.put("a", b"%d" % n)
    await t.delete_artifact("a", by="me")
    await t.purge("a@2", by="me")
    assert [v.number for v in await t.undelete_artifact("a", by="me")] == [1, 3]
    assert [v.number for v in await t.history("a")] == [3, 1]
    with fails(Conflict, Code.NOT_DELETED):
        await t.purge("a@1", by="me")
    assert [d.ref for d in await t.purge_artifact("a", by="me")] == ["a@2"]


async def test_the_trash_is_emptied_by_age_in_more_than_one_call(t, where, monkeypatch):
    monkeypatch.setattr(limits, "PURGE_BATCH", 2)
    for n in range(5):
        await t.put("a", b"%d" % n)
    await t.delete_artifact("a", by="me")
    assert await t.empty_trash(timedelta(hours=1), by="me") == 0
    await rows(where, "update casstore.trash set at = at - interval '2 hours'")
    for name in ("a", "b"):
        await t.delete((await t.put(name, b"new")).ref, by="me")
    assert await t.empty_trash(timedelta(hours=1), by="me", reason="a year has passed") == 5
    assert [d.ref for d in await t.trash()] == ["b@1", "a@6"]


@pytest.mark.parametrize("age", [timedelta(-1), 7])
async def test_an_age_that_is_none(t, age):
    with fails(Invalid, Code.BAD_ARGUMENT):
        await t.empty_trash(age, by="me")


async def test_only_what_can_be_done_can_be_explained(t):
    with fails(Invalid, Code.BAD_ARGUMENT):
        await t.explain("undelete", "a@1")
