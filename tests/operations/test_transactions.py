"""Transactions: everything they hold is stored together, or nothing is."""

from __future__ import annotations

import asyncio
import itertools

import psycopg
import pytest

from casstore import AsyncStore, Components, Conflict, Invalid, NotFound, Part, UsageError
from casstore.errors import Code
from casstore.testing.audit import audit
from casstore.testing.proxy import Line
from tests.operations.failing import fails as failing
from tests.support.halves import CATALOG

NUMBERS = itertools.count()
STATES = ("current_state", "coexistence_state")


def fresh() -> bytes:
    return b"never seen %d" % next(NUMBERS)


async def fails(work, kind, code):
    """The error of `work`."""
    with failing(kind, code) as caught:
        await work
    return caught.value


def blueprint(**changed):
    """The four parts of a blueprint, as a platform makes them."""
    parts = {role: Part(f"# {role}", "text/markdown") for role in STATES}
    parts |= {"roadmap": {"phases": []}, "responsibility_matrix": {"roles": []}}
    return Components(parts | changed)


async def names(t):
    return {version.name: version.number for version in (await t.list()).items}


async def test_an_execution_is_stored_as_one(t):
    async with t.transaction(idempotency_key="execution-1") as tx:
        sop = await tx.put("sop/a", "# How to", type="sop")
        flow = await tx.put("workflow/a", {"steps": []}, type="workflow", labels={"intent": "create"})
        plan = await tx.put("blueprint/a", blueprint(), type="blueprint", expect=0)
        tx.alias("blueprint/a", "current")
        tx.tag("sop/a@1", "first")
        with pytest.raises(UsageError, match="has not been committed"):
            _ = sop.stored
    assert [each.stored.ref for each in (sop, flow, plan)] == ["sop/a@1", "workflow/a@1", "blueprint/a@1"]
    assert not any(each.stored.reused or each.stored.repeated for each in (sop, flow, plan))
    assert await (await t.get("sop/a@first")).text() == "# How to"
    version = (await t.get("blueprint/a@current")).version
    assert [str(relation) for relation in version.relations] == [str(each) for each in plan.stored.relations] != []
    assert version == (await t.resolve(f"id:{plan.stored.id}"))
    assert plan.stored.digest == version.digest


async def test_an_error_in_the_block_stores_nothing(t):
    async def broken():
        async with t.transaction() as tx:
            await tx.put("doc/a", fresh())
            raise LookupError

    with pytest.raises(LookupError):
        await broken()
    assert await names(t) == {}


async def test_a_conflict_names_each_loser_and_stores_nothing(t):
    await t.put("doc/a", b"one")
    await t.put("doc/b", b"one", type="sop", media_type="text/plain")
    await t.put("doc/d", b"one")
    for data in (b"one", fresh()):  # known bytes are refused under the lock, new ones before they are uploaded
        error = await fails(_of_losers(t, data), Conflict, Code.TRANSACTION_REFUSED)
        assert [(each["error"], each["put"]) for each in error.fields["refused"]] == [
            ("head_moved", 0), ("type_mismatch", 1), ("name_case", 3),
        ]  # fmt: skip
        assert "'doc/a' is at version 1, not 7" in error.message
        assert "differs only in case" in error.message
    assert await names(t) == {"doc/a": 1, "doc/b": 1, "doc/d": 1}


async def _of_losers(t, data):
    async with t.transaction() as tx:
        await tx.put("doc/a", data, expect=7)
        await tx.put("doc/b", data, type="poc", media_type="text/markdown")
        await tx.put("doc/c", data)
        await tx.put("doc/D", data)


async def test_a_pointer_that_cannot_be_moved_undoes_the_puts(t):
    await t.put("doc/a", b"one")
    await t.tag("doc/a@1", "final")
    for ref, word, kind, code in (
        ("doc/a", "final", Conflict, Code.TAG_FROZEN),
        ("doc/b@7", "x", NotFound, Code.VERSION_NOT_FOUND),
        ("doc/none", "x", NotFound, Code.ARTIFACT_NOT_FOUND),
    ):
        await fails(_pointing(t, ref, word), kind, code)
    assert await names(t) == {"doc/a": 1}


async def _pointing(t, ref, word):
    async with t.transaction() as tx:
        await tx.put("doc/a", fresh())
        await tx.put("doc/b", fresh())
        tx.tag(ref, word)


async def test_puts_to_one_name_follow_each_other(t):
    async with t.transaction() as tx:
        first = await tx.put("doc/a", fresh(), expect=0)
        second = await tx.put("doc/a", fresh(), expect=1)
        same = await tx.put("doc/b", b"x", expect=0)
        again = await tx.put("doc/b", b"x", expect=1)
        tx.alias("doc/a@1", "old")
    assert [each.stored.number for each in (first, second, same, again)] == [1, 2, 1, 1]
    assert (same.stored.reused, again.stored.reused) == (False, True)
    assert (await t.resolve("doc/a@old")).number == 1


async def test_the_same_key_is_one_transaction_from_any_process(t, where):
    async def run(tenant, data=b"made once"):
        async with tenant.transaction(idempotency_key="k") as tx:
            puts = [await tx.put(f"doc/{n}", data) for n in range(3)]
            tx.alias("doc/0", "now")
        return [each.stored for each in puts]

    first = await run(t)
    await t.put("doc/0", fresh())
    async with AsyncStore(blobs=where.blobs, catalog=where.catalog) as other:
        again = await run(other.tenant(t.name))
    assert [each.id for each in again] == [each.id for each in first]
    assert all(each.repeated for each in again)
    assert await names(t) == {"doc/0": 2, "doc/1": 1, "doc/2": 1}
    await fails(run(t, b"something else"), Conflict, Code.IDEMPOTENCY_KEY_REUSED)


async def test_twins_at_the_same_time_are_one(t):
    async def run():
        async with t.transaction(idempotency_key="k") as tx:
            puts = [await tx.put(f"doc/{n}", b"new %d" % n) for n in range(3)]
        return [each.stored.id for each in puts]

    outcomes = await asyncio.gather(*(run() for _ in range(6)))
    assert all(outcome == outcomes[0] for outcome in outcomes)
    assert await names(t) == {f"doc/{n}": 1 for n in range(3)}


async def test_a_refused_transaction_leaves_its_key_free(t):
    async def run(expect):
        async with t.transaction(idempotency_key="k") as tx:
            return await tx.put("doc/a", b"x", expect=expect)

    await fails(run(3), Conflict, Code.TRANSACTION_REFUSED)
    assert (await run(0)).stored.number == 1


async def test_nothing_to_do_does_nothing(t):
    async with t.transaction():
        pass
    async with t.transaction(idempotency_key="k") as tx:
        pass
    await fails(tx.put("doc/a", b"x"), UsageError, Code.TRANSACTION_OVER)
    with pytest.raises(UsageError):
        tx.alias("doc/a", "x")


async def test_pointers_alone_are_a_transaction_too(t):
    await t.put("doc/a", b"x")
    async with t.transaction() as tx:
        tx.alias("doc/a@1", "one")
        tx.tag("doc/a", "two")
    assert [pointer.pointer for pointer in await t.pointers("doc/a")] == ["one", "two"]


# -- kinds -----------------------------------------------------------------------------------------------------------------


async def test_a_composition_that_is_not_of_its_kind_is_refused_before_anything_is_stored(t):
    parts = {"current_state": "x", "extra": "y"}
    error = await fails(t.put("blueprint/a", Components(parts), type="blueprint"), Invalid, Code.BAD_COMPOSITION)
    assert {fault["role"] for fault in error.fields["faults"]} >= {"extra", "roadmap", "coexistence_state"}
    assert await names(t) == {}


async def test_who_names_no_type_is_checked_by_the_kind_of_what_is_there(t):
    first = await t.put("blueprint/a", blueprint(), type="blueprint")
    await fails(t.put("blueprint/a", b"no blueprint"), Invalid, Code.BAD_COMPOSITION)
    again = await t.put("blueprint/a", blueprint())
    assert (again.reused, again.id) == (True, first.id)
    changed = await t.put("blueprint/a", blueprint(roadmap={"phases": [{"id": "one"}]}), idempotency_key="k")
    assert (changed.number, changed.relations) == (2, first.relations)
    repeated = await t.put("blueprint/a", blueprint(roadmap={"phases": [{"id": "one"}]}), idempotency_key="k")
    assert (repeated.id, repeated.repeated, repeated.relations) == (changed.id, True, first.relations)
    async with t.transaction() as tx:
        last = await tx.put("blueprint/a", blueprint(roadmap={"phases": [{"id": "two"}]}))
        await tx.put("doc/a", fresh())
    assert (last.stored.number, last.stored.relations) == (3, first.relations)


async def test_a_change_in_one_component_adds_one_blob(t, where):
    await t.put("blueprint/a", blueprint(), type="blueprint")
    before = (await t.usage()).stored_bytes
    second = await t.put("blueprint/a", blueprint(roadmap={"phases": [{"id": "one"}]}), type="blueprint")
    assert (await t.usage()).stored_bytes - before == second.new_bytes == len(b'{"phases":[{"id":"one"}]}')


# -- round trips, lost answers ---------------------------------------------------------------------------------------------


def test_two_round_trips_however_many_there_are(run, store_urls):
    async def main():
        trips = []
        async with Line(store_urls.catalog) as line, AsyncStore(blobs=store_urls.blobs, catalog=line.dsn) as store:
            t = store.tenant()
            await t.put("doc/warm", b"x")
            for data in (fresh, lambda: b"x"):
                for _ in range(2):
                    before = line.turnarounds
                    async with t.transaction() as tx:
                        for n in range(12):
                            await tx.put(f"doc/{n}", Components(a=data(), b=data()), on_same="new_version")
                        tx.alias("doc/0", "now")
                    trips.append(line.turnarounds - before)
        return trips

    assert run(main()) == [2, 2, 1, 1]


@pytest.mark.parametrize("fate", ["lose_answer", "cut_at_once", "kill_backend"])
@pytest.mark.parametrize("data", [lambda: b"x", fresh], ids=["of the commit", "of the reservation"])
def test_a_lost_answer_is_found_again(run, store_urls, databases, fate, data):
    if fate == "kill_backend" and CATALOG == "pgbouncer":
        pytest.skip("a pooler tells no client of the end of an idle session")

    async def kill():
        async with await psycopg.AsyncConnection.connect(
            databases.direct(store_urls.catalog), autocommit=True
        ) as admin:
            await admin.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where application_name = 'casstore' and datname = current_database()"
            )

    async def main():
        async with (
            Line(store_urls.catalog, kill=kill) as line,
            AsyncStore(blobs=store_urls.blobs, catalog=line.dsn) as store,
        ):
            t = store.tenant()
            await t.put("doc/warm", b"x")
            line.doom("put_transaction", fate)
            async with t.transaction() as tx:
                puts = [await tx.put(f"doc/{n}", data()) for n in range(3)]
            assert line.struck == 1
            assert [each.stored.number for each in puts] == [1, 1, 1]
            assert await names(t) == {"doc/warm": 1, "doc/0": 1, "doc/1": 1, "doc/2": 1}
            assert await audit(store) == []

    run(main())
