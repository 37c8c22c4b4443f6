"""A lost catalog, made again from the bucket alone."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest

from casstore import AsyncStore, Code, Conflict, Corrupt, Denied, Digest, Invalid, NotFound, limits
from casstore.formats import journal
from casstore.testing.audit import audit
from tests.journal.histories import read_all, small_history


async def digest(store):
    return await store.catalog_digest()


async def exported(store):
    """A history, what could be seen of it, and its digest; the store is open, and has to be told its journal is whole."""
    await small_history(store)
    await store.export_journal()
    return await read_all(store), await digest(store)


async def test_everything_comes_back(store, again):
    seen, before = await exported(store)
    assert all(count for count in before.rows.values())
    done = await again.rebuild()
    assert (done.segments, done.records, done.missing) == (1, before.rows["log"], 0)
    assert done.versions == before.rows["versions"]
    async with again:
        assert await digest(again) == before
        assert await read_all(again) == seen
        assert (await again.verify_journal()).ok
        assert await audit(again) == []


async def test_in_many_segments(store, again, monkeypatch):
    monkeypatch.setattr(limits, "SEGMENT_BYTES", 700)
    seen, before = await exported(store)
    assert (await again.rebuild()).segments > 5
    async with again:
        assert await digest(again) == before
        assert await read_all(again) == seen


async def test_what_was_not_exported_is_lost_and_nothing_else(store, again):
    tenant = store.tenant()
    await tenant.put("a", "1")
    await store.export_journal()
    before = await digest(store)
    await tenant.put("a", "2")
    await tenant.put("b", "1")
    await again.rebuild()
    async with again:
        assert await digest(again) == before
        assert [version.ref for version in await again.tenant().list()] == ["a@1"]
        stored = await again.tenant().put("a", "2")  # its bytes are there, and nobody knows
        assert stored.number == 2
        assert await (await again.tenant().get("a@2")).text() == "2"


async def test_a_patch_and_a_merge_are_repeated_by_the_keys_that_came_back(store, again):
    async def asked(tenant):
        patched = await tenant.apply("a", [{"op": "replace", "path": "/k", "value": 2}], idempotency_key="patch")
        return patched, (await tenant.merge("a", "b", idempotency_key="merge")).stored

    tenant = store.tenant()
    await tenant.put("b", {"k": 1, "l": 2}, sources=[await tenant.put("a", {"k": 1})])
    first = await asked(tenant)
    await store.export_journal()
    await again.rebuild()
    async with again:
        repeated = await asked(again.tenant())
        assert [(each.ref, each.repeated) for each in repeated] == [("a@2", True), ("a@3", True)]
        assert [each.id for each in repeated] == [each.id for each in first]


async def test_it_goes_on_where_it_was(store, again):
    """Numbers, orders, keys and the journal go on; nothing is given twice."""
    await exported(store)
    versions = [version async for version in all_versions(store)]
    await again.rebuild()
    async with again:
        one = again.tenant("one")
        repeated = await one.put("sop/login", "second", idempotency_key="key", sources=["sop/login@1"])
        assert (repeated.repeated, repeated.number) == (True, 2)
        assert (await one.put("sop/login", "second", idempotency_key="reused")).reused
        with pytest.raises(Conflict) as refused:
            await one.put("sop/login", "other", idempotency_key="key")
        assert refused.value.code is Code.IDEMPOTENCY_KEY_REUSED
        assert (await one.put("sop/login", "third")).number == 3
        assert (await again.tenant("two").put("gone", "g3")).number == 3
        assert (await again.tenant("two").list()).items[0].name == "gone"  # the newest of all
        async with again.tenant("two").transaction(idempotency_key="tx") as tx:
            put = await tx.put("Sop/login", "third")
            await tx.put("new", "n")
            tx.alias("new", "current")
            tx.transition("new", "accepted", by="me")
        assert put.stored.repeated
        done = await again.export_journal()
        assert (done.segments, done.records) == (1, 2)
        assert (await again.verify_journal()).ok
        assert {version.id for version in versions} <= {v.id async for v in all_versions(again)}
        after = await digest(again)
    with pytest.raises(Corrupt) as refused:  # the one that was thought to be lost
        await store.export_journal()
    assert refused.value.code is Code.JOURNAL_AHEAD
    assert after != await digest(store)


async def all_versions(store):
    for name in ("one", "two"):
        for head in await store.tenant(name).list():
            for version in await store.tenant(name).history(head.name):
                yield version


async def test_again_of_the_rebuilt(store, again, databases, store_urls):
    _, before = await exported(store)
    await again.rebuild()
    async with again:
        await again.export_journal()
        with databases.fresh() as dsn:
            third = AsyncStore(blobs=store_urls.blobs, catalog=dsn)
            await third.rebuild()
            async with third:
                assert await digest(third) == before


async def test_only_into_an_empty_database(store, again, databases):
    await exported(store)
    with pytest.raises(Conflict) as refused:
        await store.rebuild()
    assert refused.value.code is Code.CATALOG_NOT_EMPTY
    await again.rebuild()
    async with again:
        before = await digest(again)
        with pytest.raises(Conflict):
            await again.rebuild()
        assert await digest(again) == before


@pytest.mark.parametrize(
    "row", ["insert into casstore.tenants (name) values ('x')", "update casstore.store set blobs_marked = true"]
)
async def test_a_database_with_anything_in_it_is_not_empty(store, again, databases, row):
    await exported(store)
    with psycopg.connect(databases.direct(again.settings.catalog)) as connection:
        connection.execute(row)
    with pytest.raises(Conflict) as refused:
        await again.rebuild()
    assert refused.value.code is Code.CATALOG_NOT_EMPTY


async def test_nothing_to_rebuild_from(store, again):
    await store.tenant().put("a", "1")
    with pytest.raises(NotFound) as refused:
        await again.rebuild()
    assert refused.value.code is Code.JOURNAL_NOT_FOUND


def state_of(databases, dsn):
    with psycopg.connect(databases.direct(dsn)) as connection:
        tables = ("tenants", "artifacts", "versions", "components", "blobs", "log", "journal")
        counts = [connection.execute(f"select count(*) from casstore.{table}").fetchone()[0] for table in tables]
        return [*counts, connection.execute("select identity, blobs_marked from casstore.store").fetchone()]


@pytest.mark.parametrize("how", ["altered", "removed", "cut", "another store's", "not ours"])
async def test_a_broken_journal_is_refused_and_leaves_the_database_empty(store, again, store_urls, databases, how):
    for number in range(3):
        await store.tenant().put("a", f"{number}")
        await store.export_journal()
    before = state_of(databases, again.settings.catalog)
    path = store_urls.folder / journal.key_of(2, 2)
    segment = journal.decode(journal.key_of(2, 2), path.read_bytes())
    packed = [journal.pack(record) for record in segment.records]
    data = {
        "altered": path.read_bytes()[:-1] + bytes([path.read_bytes()[-1] ^ 1]),
        "removed": None,
        "cut": path.read_bytes()[:-1],
        "another store's": journal.encode(uuid4(), 2, segment.previous, packed),
        "not ours": path.read_bytes().replace(b"casstore/journal/2", b"casstore/journal/1"),
    }[how]
    path.unlink() if data is None else path.write_bytes(data)
    with pytest.raises(Corrupt) as refused:
        await again.rebuild()
    assert refused.value.code is Code.JOURNAL_BROKEN
    assert state_of(databases, again.settings.catalog) == before


async def test_blobs_of_another_catalog_are_refused(store, again, store_urls, databases):
    await exported(store)
    (store_urls.folder / "artifacts" / "blobs" / ".store").write_text(str(uuid4()))
    before = state_of(databases, again.settings.catalog)
    with pytest.raises(Invalid) as refused:
        await again.rebuild()
    assert refused.value.code is Code.WRONG_BLOBS
    assert state_of(databases, again.settings.catalog) == before


async def test_blobs_that_lost_their_identity_get_it_back(store, again, store_urls):
    await exported(store)
    (store_urls.folder / "artifacts" / "blobs" / ".store").unlink()
    await again.rebuild()
    async with again, store.tenant("one").transaction() as tx:
        await tx.put("x", "both are the same store's")


async def test_blobs_that_are_missing_or_altered_are_told_and_healed_by_the_next_put(store, again, store_urls, places):
    tenant = store.tenant()
    for name in ("missing", "short", "good"):
        await tenant.put(name, f"the bytes of {name}")
    await store.export_journal()
    places.damage(store_urls.blobs, Digest.of(b"the bytes of missing"), None)
    places.damage(store_urls.blobs, Digest.of(b"the bytes of short"), b"the")
    done = await again.rebuild()
    assert (done.blobs, done.missing) == (1, 2)
    async with again:
        for name in ("missing", "short"):
            with pytest.raises(Corrupt):
                await (await again.tenant().get(name)).text()
            await again.tenant().put("healed", f"the bytes of {name}")
        for name in ("missing", "short", "good"):
            assert await (await again.tenant().get(name)).text() == f"the bytes of {name}"
        assert await audit(again) == []


async def test_objects_that_no_version_uses_are_the_collectors(store, again):
    late = b"after the last export"
    await store.tenant().put("a", "1")
    await store.export_journal()
    await store.tenant().put("b", late)
    await store.tenant().put("c", b"late too")
    await again.rebuild()
    async with again:
        rows = await again._catalog.call("select digest::bytea, state::text from casstore.blobs", ())
        assert dict(rows) == {Digest.of(b"1"): "l", Digest.of(late): "p", Digest.of(b"late too"): "p"}
        await again.tenant().put("b", late)
        for _ in range(2):
            await again.collect(quarantine=timedelta(0))
        assert [each.digest for each in await again._blobs.page()] == sorted([Digest.of(b"1"), Digest.of(late)])
        assert await audit(again) == []


async def test_what_was_purged_stays_purged_and_its_bytes_are_collected(store, again):
    """The records of the put have the components: they were exported before."""
    tenant = store.tenant()
    await tenant.put("a", "1", title="T")
    await tenant.put("b", "2")
    await store.export_journal()
    await tenant.delete_artifact("a", by="me")
    await tenant.purge("a@1", by="us")
    await store.export_journal()
    before = await digest(store)
    assert (await again.rebuild()).missing == 0
    async with again:
        assert await digest(again) == before
        assert await audit(again) == []
        with pytest.raises(Conflict) as refused:
            await again.tenant().undelete("a@1", by="me")
        assert refused.value.code is Code.VERSION_PURGED
        for _ in range(2):
            await again.collect(quarantine=timedelta(0))
        assert [each.digest for each in await again._blobs.page()] == [Digest.of(b"2")]
        assert (await again.verify_journal()).faults == ()


async def test_a_store_that_wants_to_work_meanwhile(store, again):
    """An empty database is not taken for the lost one: it has another identity."""
    await exported(store)
    with pytest.raises(Invalid) as refused:
        await again.open()
    assert refused.value.code is Code.WRONG_BLOBS
    await again.rebuild()
    async with again:
        await again.tenant().put("a", "1")


def test_all_of_it_is_the_owners(run, store_urls, databases, tmp_path):
    """A login of casstore_app, which serves tenants, may do none of it; and is told so."""
    login = f"app_{uuid4().hex[:8]}"
    with psycopg.connect(databases.server, autocommit=True) as admin:
        admin.execute(f"create role {login} login in role casstore_app")
    try:
        catalog = store_urls.catalog + ("&" if "?" in store_urls.catalog else "?") + f"user={login}"

        async def main():
            async with AsyncStore(blobs=store_urls.blobs, catalog=store_urls.catalog) as owner:
                await owner.tenant().put("a", "1")
            store = AsyncStore(blobs=store_urls.blobs, catalog=catalog)
            async with store:
                await store.tenant().put("a", "2")
                for call in (store.export_journal, store.verify_journal, store.catalog_digest, store.rebuild):
                    with pytest.raises(Denied) as refused:
                        await call()
                    assert refused.value.code is Code.NOT_PERMITTED

        run(main())
    finally:
        with psycopg.connect(databases.server, autocommit=True) as admin:
            admin.execute(f"drop role {login}")


# -- the digest ------------------------------------------------------------------------------------------------------------


async def test_the_digest_tells_what_differs(store, by_hand):
    _, before = await exported(store)
    assert await digest(store) == before
    by_hand("update versions set title = 'x' where number = 1")
    after = await digest(store)
    assert after.digest != before.digest
    assert {table for table in before.tables if before.tables[table] != after.tables[table]} == {"versions"}


async def test_the_digest_does_not_depend_on_what_is_internal(store, by_hand):
    _, before = await exported(store)
    by_hand("update blobs set state = 'p', generation = null, incarnation = 77")
    by_hand("update log set xid = '5'")
    by_hand("insert into tenants (name) values ('refused-before-it-had-anything')")
    assert await digest(store) == before


async def test_a_step_that_was_undone_after_it_was_exported(store, again):
    """The undo is in another segment than the step: it takes the step away, and the one that was taken afterwards stays."""
    t = store.tenant()
    await t.put("a", "1")
    for by in ("one", "two"):
        await t.transition("a", "accepted", by=by)
        await store.export_journal()
        await t.undo((await t.operations(limit=1)).items[0].id, by="me")
    await t.transition("a", "obsolete", by="three")
    await store.export_journal()
    assert (await store.verify_journal()).ok
    before = await store.catalog_digest()
    await again.rebuild()
    async with again:
        assert await again.catalog_digest() == before
        assert [step.by for step in await again.tenant().transitions("a")] == ["three"]
        assert (await again.verify_journal()).ok
