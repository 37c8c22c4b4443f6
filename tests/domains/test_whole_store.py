"""What looks at a whole store, with the keys of its domains and without; and what brings bytes back."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest

from casstore import AsyncStore, Code, Conflict, Corrupt, Digest
from casstore.testing.audit import audit
from tests.domains.conftest import KEYS
from tests.operations.test_importing import plant

TENANTS = {"e": "east", "w": "west", "plain": None}


async def filled(store):
    """A version of each tenant with equal bytes, and one with its own; what each has, by its digest."""
    found = {}
    for name, domain in TENANTS.items():
        if domain:
            await store.set_domain(name, domain, by="ops")
        for data in (b"equal", f"of {name}".encode()):
            stored = await store.tenant(name).put("a", data)
            found[stored.components[0].digest] = data
    return found


async def scrubbed(store):
    check = store.scrub(share=1)
    return [each async for each in check], check.summary


async def test_checks_are_clean_with_and_without_keys(store, world):
    await filled(store)
    for names, unverified in ((KEYS, 0), (["east"], 2), ([], 4)):
        async with world.store(*names) as other:
            defects, summary = await scrubbed(other)
            assert (defects, summary.blobs, summary.unverified) == ([], 6, unverified)
            for repair in (False, True):
                assert [each async for each in other.fsck(repair=repair)] == []
            assert (await other.repair()) == ()
    assert world.sql("select distinct state from casstore.blobs") == [("l",)]


async def test_altered_bytes_are_found_with_and_without_keys(store, world):
    """Without a key by the CRC32C; and nothing is believed again that was not hashed."""
    found = await filled(store)
    plain = {Digest.of(data) for data in found.values()} & found.keys()
    for digest, data in found.items():
        world.damage(digest, data[::-1])
    async with world.store() as keyless:
        defects, _ = await scrubbed(keyless)
        assert {each.digest for each in defects} == set(found)
        for digest, data in found.items():
            world.damage(digest, data)
        told = {each.digest: each.mended async for each in keyless.fsck(repair=True)}
        assert told == {digest: digest in plain for digest in found}
        outcomes = {each.digest: each.outcome for each in await keyless.repair()}
        assert outcomes == dict.fromkeys(found.keys() - plain, "no_key")
    assert {each.outcome for each in await store.repair()} == {"healed"}
    assert await audit(store) == []


async def test_what_is_whole_and_not_believed_takes_the_key_to_be_believed(store, world):
    found = await filled(store)
    plain = {Digest.of(data) for data in found.values()} & found.keys()
    world.sql("update casstore.blobs set state = 'p', generation = null, lease_until = now()")
    async with world.store() as keyless:
        assert {each.digest: each.mended async for each in keyless.fsck(repair=True)} == {
            digest: digest in plain for digest in found
        }
    assert {each.digest async for each in store.fsck(repair=True) if each.mended} == found.keys() - plain
    assert await audit(store) == []


async def test_lost_bytes_come_back_from_files_of_any_name(store, world, tmp_path):
    found = await filled(store)
    for number, (digest, data) in enumerate(found.items()):
        world.damage(digest, None)
        (tmp_path / f"{number}").write_bytes(data)
    assert {each.outcome for each in await store.repair(found, sources=[tmp_path])} == {"healed"}
    assert await audit(store) == []


async def test_a_blob_that_is_in_another_domain_than_its_tenant_is_told(store, world):
    await filled(store)
    world.sql(
        "update casstore.blobs set domain = null where digest = (select min(digest) from casstore.blobs where domain is not null)"
    )
    assert "domain_wrong" in [each.code async for each in store.fsck()]
    assert any("another domain" in each for each in await audit(store))


async def test_a_row_that_was_lost_is_made_again_in_its_domain(store, world):
    await filled(store)
    with_domain = dict(world.sql("select digest, domain from casstore.blobs"))
    world.sql("alter table casstore.components drop constraint components_blob; delete from casstore.blobs")
    assert {each.mended async for each in store.fsck(repair=True)} == {True}
    assert dict(world.sql("select digest, domain from casstore.blobs")) == with_domain
    assert await audit(store) == []


async def test_a_collection_and_a_put_of_what_it_condemned(store, world):
    found = await filled(store)
    tenant = store.tenant("e")
    await tenant.delete_artifact("a", by="ops")
    await tenant.empty_trash(older_than=timedelta(), by="ops")
    await store.collect()
    assert world.sql("select count(*) from casstore.blobs where state = 'c'") == [(2,)]
    await store.tenant("plain").put("b", b"equal")
    assert world.sql("select count(*) from casstore.blobs where state = 'c'") == [(2,)]
    await tenant.put("b", b"equal")
    assert world.sql("select count(*) from casstore.blobs where state = 'c'") == [(1,)]
    assert await (await tenant.get("b")).bytes() == b"equal"
    assert len(found) == 6


async def test_an_orphan_of_a_domain_is_taken_over_by_a_put(store, world):
    """The row of an upload is lost, as by a power cut: nobody knows in which domain the object is."""
    await filled(store)
    lost = await store.tenant("e").digest_of(b"orphan")
    await store.tenant("e").put("b", b"orphan")
    await store.tenant("e").delete_artifact("b", by="ops")
    await store.tenant("e").empty_trash(older_than=timedelta(), by="ops")
    world.sql("delete from casstore.blobs where digest = %s", bytes(lost))
    await store.collect(orphans=True)
    assert world.sql("select domain from casstore.blobs where digest = %s", bytes(lost)) == [(None,)]
    await store.tenant("e").put("c", b"orphan")
    assert await audit(store) == []
    assert [each async for each in store.fsck()] == []


async def test_a_rebuild_needs_no_key(store, world, databases):
    await store.set_domain("moved", "east", by="ops")
    await store.set_domain("moved", "west", by="ops")
    await store.set_domain("empty", "spare", by="ops")
    found = await filled(store)
    await store.export_journal()
    assert (await store.verify_journal()).ok
    before = await store.catalog_digest()
    assert before.rows["domains"] == 3
    with databases.fresh() as dsn:
        with psycopg.connect(
            databases.direct(dsn)
        ) as connection:  # all here are copies of one, which have one identity
            connection.execute("update casstore.store set identity = gen_random_uuid()")
        await store_at(world, dsn, {}).rebuild()
        async with store_at(world, dsn, KEYS) as again:
            assert await again.catalog_digest() == before
            assert (await again.verify_journal()).ok
            assert await audit(again) == []
            assert [each async for each in again.fsck()] == []
            assert (await scrubbed(again))[1].unverified == 0
            for name in TENANTS:
                assert await (await again.tenant(name).get("a@1")).bytes() == b"equal"
            assert {each.name: each.tenants for each in await again.domains()} == {
                "east": ("e",),
                "west": ("moved", "w"),
                "spare": ("empty",),
            }
            with pytest.raises(Conflict):
                await again.set_domain("plain", "east", by="ops")
    assert len(found) == 6


def store_at(world, dsn, keys):
    return AsyncStore(blobs=world.urls.blobs, catalog=dsn, domains=keys)


async def test_a_domain_that_the_log_does_not_know_is_told(store, world):
    await filled(store)
    await store.export_journal()
    assert (await store.verify_journal()).ok
    world.sql("update casstore.tenants set domain = null where name = 'e'")
    assert not (await store.verify_journal()).ok


async def test_an_import_by_several_processes(store, world, tmp_path):
    folder = plant(tmp_path, {f"sop/n{n}/v{v:04}.md": f"{n} {v}" for n in range(4) for v in (1, 2)})
    await store.set_domain("e", "east", by="ops")
    report = await store.tenant("e").import_tree(folder, processes=2)
    assert (report.stored, report.refused) == (8, 0)
    again = await store.tenant("e").import_tree(folder)
    assert again.already_there == 8
    assert world.sql("select count(*) from casstore.blobs where domain is null") == [(0,)]
    assert await audit(store) == []


async def test_a_reader_without_the_key_does_not_doubt_a_blob_that_is_gone(store, world):
    """What is missing is missing, whatever the key."""
    found = await filled(store)
    digest = next(iter(found))
    world.damage(digest, None)
    async with world.store() as keyless:
        with pytest.raises(Corrupt) as refused:
            await (await keyless.tenant("e").get("a@1")).unverified().bytes()
        assert refused.value.code is Code.BLOB_MISSING
