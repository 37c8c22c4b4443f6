"""Deleting a tenant: at once all of it is gone for its own, was never there for others, and comes back as it was."""

from __future__ import annotations

import asyncio
import inspect
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casstore import AsyncStore, AsyncTenant, Code, Components, Digest, Invalid, NotFound, Store
from casstore.testing.audit import audit
from tests.journal.histories import TENANTS, read_all, small_history
from tests.operations.failing import fails

EVERYTHING = {
    "put": lambda t: t.put("new", b"1"),
    "get": lambda t: t.get("a@1"),
    "resolve": lambda t: t.resolve("a"),
    "history": lambda t: t.history("a"),
    "list": lambda t: t.list(),
    "where_used": lambda t: t.where_used("b3:000000000000"),
    "same_pixels_as": lambda t: t.same_pixels_as("a"),
    "alias": lambda t: t.alias("a", "prod"),
    "unalias": lambda t: t.unalias("a", "prod"),
    "tag": lambda t: t.tag("a", "final"),
    "pointers": lambda t: t.pointers("a"),
    "pointer_history": lambda t: t.pointer_history("a", "prod"),
    "transition": lambda t: t.transition("a@1", "accepted", by="me"),
    "transitions": lambda t: t.transitions("a@1"),
    "delete": lambda t: t.delete("a@1", by="me"),
    "delete_artifact": lambda t: t.delete_artifact("a", by="me"),
    "undelete": lambda t: t.undelete("a@1", by="me"),
    "undelete_artifact": lambda t: t.undelete_artifact("a", by="me"),
    "trash": lambda t: t.trash(),
    "purge": lambda t: t.purge("a@1", by="me"),
    "purge_artifact": lambda t: t.purge_artifact("a", by="me"),
    "empty_trash": lambda t: t.empty_trash(timedelta(), by="me"),
    "hold": lambda t: t.hold("a@1", "case", by="me"),
    "release": lambda t: t.release("a@1", "case", by="me"),
    "holds": lambda t: t.holds(),
    "set_retention": lambda t: t.set_retention({"rules": []}, by="me"),
    "retention": lambda t: t.retention(),
    "preview_retention": lambda t: t.preview_retention(),
    "apply_retention": lambda t: t.apply_retention(by="me"),
    "expire": lambda t: t.expire("a@1", None, by="me"),
    "explain": lambda t: t.explain("delete", "a@1"),
    "lineage": lambda t: t.lineage("a"),
    "operations": lambda t: t.operations(),
    "undo": lambda t: t.undo(1, by="me"),
    "diff": lambda t: t.diff("a@1", b"1"),
    "compare": lambda t: t.compare("a@1", b"1"),
    "apply": lambda t: t.apply("a@1", []),
    "merge": lambda t: t.merge("a@1", "a@1", base="a@1"),
    "direct_link": lambda t: t.direct_link("a@1"),
    "digest_of": lambda t: t.digest_of(b"1"),
    "erase_content": lambda t: t.erase_content(Digest.of(b"1"), by="me"),
    "events": lambda t: t.events(),
    "follow": lambda t: anext(t.follow()),
    "add_webhook": lambda t: t.add_webhook("https://example.com/", by="me"),
    "webhooks": lambda t: t.webhooks(),
    "remove_webhook": lambda t: t.remove_webhook(UUID(int=1)),
    "replay_webhook": lambda t: t.replay_webhook(UUID(int=1)),
    "test_webhook": lambda t: t.test_webhook(UUID(int=1)),
    "custody": lambda t: t.custody("a"),
    "usage": lambda t: t.usage(),
    "shared": lambda t: t.shared(),
}
# A transaction and an offer of an upload ask nothing: what is put in the end is refused. An import is many puts.
NOT_OF_THE_CATALOG = {"import_tree", "transaction", "offer_upload"}


def test_every_method_of_a_tenant_is_refused_below():
    methods = {name for name, _ in inspect.getmembers(AsyncTenant, inspect.isfunction) if not name.startswith("_")}
    assert methods - NOT_OF_THE_CATALOG == set(EVERYTHING)


@pytest.mark.parametrize("method", EVERYTHING)
async def test_all_of_a_deleted_tenant_is_gone(store, t, method):
    await t.put("a", b"1")
    await store.delete_tenant(t.name, by="ops", reason="contract ended")
    with fails(NotFound, Code.TENANT_DELETED):
        await EVERYTHING[method](t)


async def test_a_transaction_too(store, t):
    await t.put("a", b"1")
    tx = t.transaction()
    await tx.__aenter__()
    await tx.put("b", b"2")
    await store.delete_tenant(t.name, by="ops")
    with fails(NotFound, Code.TENANT_DELETED):
        await tx.__aexit__(None, None, None)


async def test_who_when_and_why_and_back(store, t):
    await t.put("a", b"1")
    before = await store.show_tenant(t.name)
    assert (before.deleted_at, before.deleted_by, before.reason) == (None, None, None)
    deleted = await store.delete_tenant(t.name, by="ops", reason="contract ended")
    assert (deleted.deleted_by, deleted.reason) == ("ops", "contract ended")
    assert deleted.deleted_at > before.created_at
    assert await store.delete_tenant(t.name, by="another", reason="again") == deleted
    assert await store.show_tenant(t.name) == deleted
    assert await store.undelete_tenant(t.name, by="ops") == before
    assert await store.undelete_tenant(t.name, by="ops") == before
    assert await (await t.get("a@1")).bytes() == b"1"
    assert (await t.put("a", b"2")).number == 2


async def test_a_tenant_that_never_was(store):
    for call in (
        store.delete_tenant("never", by="me"),
        store.undelete_tenant("never", by="me"),
        store.show_tenant("never"),
    ):
        with fails(NotFound, Code.TENANT_NOT_FOUND):
            await call
    with fails(Invalid, Code.BAD_ARGUMENT):
        await store.delete_tenant("never", by="")
    with fails(Invalid, Code.BAD_TENANT):
        await store.delete_tenant("no tenant", by="me")


async def test_others_are_not_touched(store, t, other):
    await t.put("a", b"same")
    await other.put("a", b"same")
    await store.delete_tenant(t.name, by="ops")
    assert await (await other.get("a@1")).bytes() == b"same"
    assert (await other.put("b", b"same")).new_bytes == 0


async def test_an_open_artifact_is_read_to_its_end(store, t):
    """Deleting hides; it does not reach into what was handed out."""
    await t.put("a", Components(x=b"1", y=b"2"))
    artifact = await t.get("a")
    await store.delete_tenant(t.name, by="ops")
    assert await artifact["x"].bytes() == b"1"


async def test_who_writes_at_the_same_time_comes_before_or_is_refused(store, t, where, databases):
    """A writer that has entered and not written: it must not write after the tenant was deleted."""
    await t.put("a", b"1")
    with psycopg.connect(databases.direct(where.catalog)) as slow:
        tenant = slow.execute("select casstore.enter(%s)", (t.name,)).fetchone()[0]
        await store.delete_tenant(t.name, by="ops")
        with pytest.raises(psycopg.Error, match="tenant_deleted"):
            slow.execute("insert into casstore.log (tenant_id, op) values (%s, 'transaction')", (tenant,))


async def test_deleting_waits_for_who_has_written(store, t, where, databases):
    await t.put("a", b"1")
    with psycopg.connect(databases.direct(where.catalog)) as slow:
        slow.execute(
            "select casstore.move_pointer(%s, 'a', 'latest', null, null, null, 'prod', false, null)", (t.name,)
        )
        deleting = asyncio.create_task(store.delete_tenant(t.name, by="ops"))
        while not slow.execute(
            "select exists (select from pg_locks where locktype = 'advisory' and not granted)"
        ).fetchone()[0]:
            await asyncio.sleep(0)  # let the other go on until it waits
        slow.commit()
    deleted = await deleting
    await store.undelete_tenant(t.name, by="ops")
    (pointer,) = await t.pointers("a")
    assert pointer.moved_at < deleted.deleted_at


async def test_writers_race_with_deleting_and_bringing_back(store, t):
    async def write(number):
        done = []
        for each in range(12):
            try:
                done.append(await t.put(f"n{number}", f"{number} {each}"))
            except NotFound as error:
                assert error.code is Code.TENANT_DELETED  # noqa: PT017 - it may also be stored
        return done

    async def flip():
        for _ in range(6):
            await store.delete_tenant(t.name, by="ops")
            await store.undelete_tenant(t.name, by="ops")

    await t.put("a", b"1")
    *made, _ = await asyncio.gather(*(write(number) for number in range(4)), flip())
    for each in (version for versions in made for version in versions):
        assert (await t.resolve(each.ref)).id == each.id
    assert await audit(store) == []


def test_for_blocking_code(where):
    with Store(blobs=where.blobs, catalog=where.catalog) as store:
        store.tenant("blocking").put("a", b"1")
        deleted = store.delete_tenant("blocking", by="ops")
        assert store.show_tenant("blocking") == deleted
        assert store.undelete_tenant("blocking", by="ops").deleted_at is None


# -- the law: deleting is bringing back, whatever there is, and the journal knows it ----------------------------------------

FLIPS = st.lists(
    st.tuples(st.sampled_from(["delete", "undelete", "put", "export"]), st.sampled_from(TENANTS)), max_size=12
)


@settings(max_examples=8, deadline=None)
@given(steps=FLIPS)
def test_any_order_of_deleting_and_bringing_back_is_rebuilt_as_it_is(databases, new_blobs, steps):
    async def main(blobs, catalog, fresh):
        deleted = set()
        async with AsyncStore(blobs=blobs, catalog=catalog) as store:
            await small_history(store)
            for tenant in map(store.tenant, TENANTS):  # what is held keeps its tenant
                for each in await tenant.holds():
                    await tenant.release(each.ref, each.hold, by="me")
            for number, (step, name) in enumerate(steps):
                if step == "delete":
                    await store.delete_tenant(name, by=f"by {number}", reason="why")
                    deleted.add(name)
                elif step == "undelete":
                    await store.undelete_tenant(name, by=f"by {number}")
                    deleted.discard(name)
                elif step == "export":
                    await store.export_journal()
                elif name in deleted:
                    with fails(NotFound, Code.TENANT_DELETED):
                        await store.tenant(name).put("more", f"{number}")
                else:
                    await store.tenant(name).put("more", f"{number}")
            await store.export_journal()
            assert (await store.verify_journal()).faults == ()
            before = await store.catalog_digest()
        again = AsyncStore(blobs=blobs, catalog=fresh)
        await again.rebuild()
        async with again:
            assert await again.catalog_digest() == before
            assert (await again.verify_journal()).faults == ()
            for name in TENANTS:
                assert ((await again.show_tenant(name)).deleted_at is not None) == (name in deleted)
                await again.undelete_tenant(name, by="end")
            assert len(await read_all(again)) == len(TENANTS)

    with databases.fresh() as catalog, databases.fresh() as fresh:
        with psycopg.connect(databases.direct(fresh)) as connection:
            connection.execute("update casstore.store set identity = gen_random_uuid()")
        asyncio.run(main(new_blobs(), catalog, fresh))
