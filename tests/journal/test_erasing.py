"""Erasing a tenant: nothing of it is left anywhere, others are as they were, and what proved the store whole still does."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from casstore import AsyncStore, Code, Components, Conflict, Corrupt, Denied, Digest, Invalid, NotFound, Receipt, limits
from casstore.catalog import erasing
from casstore.formats.sealing import key_object
from casstore.testing.audit import audit
from casstore.urls import folder_of
from tests.journal.histories import read_all, small_history
from tests.operations.failing import fails

pytestmark = pytest.mark.timeout(900)  # behind a pooler and on a bucket, on a busy machine

SECRETS = (  # what only the tenant has, in every place that takes a text
    *(
        "vaughan-acme",
        "secret-name",
        "Secret Title",
        "secret-label",
        "secret-value",
        "secret-key",
        "secret-metadata",
        "secret-actor",
    ),
    *(
        "secret reason",
        "secret-alias",
        "secret-role",
        "secret-type",
        "secret-tag",
        "secret-eraser",
        "secret why",
        "secret-domain",
    ),
)
NAME = SECRETS[0]


async def fill(store, name=NAME):
    t = store.tenant(name)
    await t.put(
        "secret-name/a",
        Components(**{"secret-role": b"secret bytes", "b": b"shared"}),
        type="secret-type",
        title="Secret Title",
        labels={"secret-label": "secret-value"},
        metadata={"secret-metadata": 1},
        idempotency_key="secret-key",
    )
    await t.put("secret-name/a", b"more", sources=["secret-name/a@1"])
    await t.alias("secret-name/a", "secret-alias")
    await t.tag("secret-name/a@1", "secret-tag")
    await t.transition("secret-name/a@1", "accepted", by="secret-actor", reason="secret reason")
    await t.put("secret-name/gone", b"gone")
    await t.delete_artifact("secret-name/gone", by="secret-actor", reason="secret reason")
    await t.purge_artifact("secret-name/gone", by="secret-actor", reason="secret reason")
    await t.put("secret-name/trash", b"trash")
    await t.delete_artifact("secret-name/trash", by="secret-actor", reason="secret reason")
    await t.put("secret-name/e", b"erased")
    await t.erase_content(await t.digest_of(b"erased"), by="secret-actor", reason="secret reason")
    async with t.transaction(idempotency_key="secret-key-2") as tx:
        await tx.put("secret-name/tx", b"tx")
    await store.delete_tenant(name, by="secret-actor", reason="secret reason")


def everything(databases, dsn, folder):
    """All text of all tables, and the bytes of all objects that are no blobs."""
    found = []
    with psycopg.connect(databases.direct(dsn)) as connection:
        tables = connection.execute(
            "select relname from pg_class where relnamespace = 'casstore'::regnamespace and relkind = 'r'"
        )
        for (table,) in tables.fetchall():
            found += [
                (table, row.encode())
                for (row,) in connection.execute(f"select x::text from casstore.{table} x").fetchall()
            ]
    for path in (folder / "artifacts").rglob("*"):
        if path.is_file() and path.parent.name != "blobs":
            found.append((path.name, path.read_bytes()))
    return found


def assert_nothing_is_left(databases, dsn, folder, digests=()):
    needles = [text.encode() for text in SECRETS] + [part for d in digests for part in (d.hex().encode(), bytes(d))]
    told = [
        (where, needle) for where, text in everything(databases, dsn, folder) for needle in needles if needle in text
    ]
    told = [each for each in told if each[0] not in ("blobs", "dereferenced") or each[1].startswith(b"secret")]
    assert told == []


OWN = [Digest.of(data) for data in (b"secret bytes", b"more", b"gone", b"trash", b"erased", b"tx")]


@pytest.mark.parametrize("exported", ["before", "never", "after", "between"])
async def test_nothing_of_it_is_left_and_all_else_is_as_it_was(store, store_urls, again, databases, exported):
    await small_history(store)
    if exported == "between":
        await store.export_journal()
    await fill(store)
    if exported == "before":
        await store.export_journal()
    before, digest = await read_all(store), await store.catalog_digest()
    receipt = await store.erase_tenant(NAME, by="secret-eraser", reason="secret why", backups=timedelta(days=90))
    assert_nothing_is_left(databases, store_urls.catalog, store_urls.folder, OWN)
    assert await read_all(store) == before
    if exported != "never":
        await store.export_journal()
    verified = await store.verify_journal()
    assert (verified.faults, await audit(store)) == ((), [])
    assert verified.erased == (0 if exported == "never" else 15)
    assert [defect async for defect in store.fsck()] == []
    assert_nothing_is_left(databases, store_urls.catalog, store_urls.folder, OWN)
    assert (await store.verify_receipt(receipt)).ok
    await store.collect(quarantine=timedelta(0))
    await store.collect(quarantine=timedelta(0))
    blobs = {path.name for path in (store_urls.folder / "artifacts" / "blobs").iterdir()}
    assert not blobs & {each.hex() for each in OWN}
    if exported == "never":
        await store.export_journal()
    now = await store.catalog_digest()
    assert (now.rows["log"], now.digest != digest.digest) == (digest.rows["log"] + 1, True)
    await again.rebuild()
    async with again:
        assert await again.catalog_digest() == now
        assert await read_all(again) == before
        assert (await again.verify_journal()).faults == ()
        assert (await again.verify_receipt(receipt)).ok


async def test_the_name_of_a_domain_goes_with_its_last_tenant(store_urls, databases, again):
    """Whoever gives a tenant a key of its own calls it by the tenant's name."""
    keys = {"secret-domain": bytes(range(32))}
    async with AsyncStore(blobs=store_urls.blobs, catalog=store_urls.catalog, domains=keys) as store:
        for name in (NAME, "secret-name"):
            await store.set_domain(name, "secret-domain", by="ops")
            await fill(store, name)
        await store.erase_tenant(NAME, by="ops")
        assert [(each.name, each.tenants) for each in await store.domains()] == [("secret-domain", ("secret-name",))]
        await store.erase_tenant("secret-name", by="ops")
        await store.export_journal()
        assert_nothing_is_left(databases, store_urls.catalog, store_urls.folder)
        assert [(each.tenants, each.has_key) for each in await store.domains()] == [((), True)]
        assert ([each async for each in store.fsck()], (await store.verify_journal()).faults) == ([], ())
        before = await store.catalog_digest()
        await again.rebuild()
        async with again:
            assert await again.catalog_digest() == before
            assert_nothing_is_left(databases, again.settings.catalog, store_urls.folder)


async def test_the_key_of_a_domain_without_tenants_may_get_another_name(store_urls):
    """Digests that are made with it are still in the ledger, and the file of keys may call it what it likes."""
    urls = {"blobs": store_urls.blobs, "catalog": store_urls.catalog}
    async with AsyncStore(**urls, domains={"acme": bytes(32)}) as store:
        await store.set_domain(NAME, "acme", by="ops")
        await fill(store)
        await store.erase_tenant(NAME, by="ops")
        await store.set_domain("later", "acme", by="ops")
        assert (await store.tenant("later").put("a", b"secret bytes")).new_bytes == len(b"secret bytes")
        assert [(each.name, each.tenants) for each in await store.domains()] == [("acme", ("later",))]
    async with AsyncStore(**urls, domains={"other": bytes(32)}) as store:
        with fails(Denied, Code.DOMAIN_KEY_WRONG):  # it has a tenant, and keeps its name
            await store.set_domain("more", "other", by="ops")
        await store.delete_tenant("later", by="ops")
        await store.erase_tenant("later", by="ops")
        assert (await store.set_domain("more", "other", by="ops")).changed
        assert [(each.name, each.tenants) for each in await store.domains()] == [("other", ("more",))]
        assert (await store.verify_journal()).faults == ()


async def test_the_receipt_proves_what_was_there_and_nothing_else_does(store):
    await fill(store)
    receipt = await store.erase_tenant(NAME, by="ops", reason="asked to", backups=timedelta(days=90))
    receipt = Receipt.model_validate_json(receipt.model_dump_json())
    assert receipt.is_name(NAME)
    assert not receipt.is_name("another")
    refs = ["secret-name/a@1", "secret-name/a@2", "secret-name/gone@1", "secret-name/trash@1", "secret-name/tx@1"]
    refs.append("secret-name/e@1")
    assert all(receipt.has_version(ref) for ref in refs)
    assert len(receipt.versions) == len(refs)
    held = [Digest.of(data) for data in (b"secret bytes", b"shared", b"more", b"trash", b"tx")]
    assert all(receipt.has_content(each) for each in held)
    assert not receipt.has_content(Digest.of(b"gone"))  # purged before
    assert sorted(each.size_bytes for each in receipt.contents) == sorted(
        map(len, (b"secret bytes", b"shared", b"more", b"trash", b"tx"))
    )
    assert receipt.gone_at == receipt.erased_at + timedelta(days=90)
    assert (receipt.by, receipt.reason, receipt.soft_delete) == ("ops", "asked to", timedelta())


async def test_only_what_is_deleted_is_erased(store):
    await store.tenant(NAME).put("a", b"1")
    with fails(Conflict, Code.TENANT_NOT_DELETED):
        await store.erase_tenant(NAME, by="ops")
    with fails(NotFound, Code.TENANT_NOT_FOUND):
        await store.erase_tenant("never", by="ops")
    assert (await store.tenant(NAME).resolve("a")).number == 1


async def test_the_name_is_free_and_the_old_tenant_does_not_come_back(store):
    await fill(store)
    receipt = await store.erase_tenant(NAME, by="ops")
    for call in (store.undelete_tenant, store.erase_tenant):
        for name in (NAME, f"erased-{receipt.key}"):
            with fails(NotFound, Code.TENANT_NOT_FOUND):
                await call(name, by="ops")
    made = await store.tenant(NAME).put("secret-name/a", b"new life")
    assert (made.number, made.new_bytes) == (1, len(b"new life"))
    await store.export_journal()
    assert (await store.verify_journal()).faults == ()
    await store.delete_tenant(NAME, by="ops")
    assert (await store.erase_tenant(NAME, by="ops")).key != receipt.key
    assert (await store.verify_journal()).faults == ()


@pytest.mark.parametrize("_", range(3))
async def test_two_who_erase_at_once(store, _):
    await fill(store)
    first, second = await asyncio.gather(
        *(store.erase_tenant(NAME, by="ops") for _ in range(2)), return_exceptions=True
    )
    receipts = [each for each in (first, second) if isinstance(each, Receipt)]
    assert receipts
    assert all(isinstance(each, Receipt | NotFound) for each in (first, second))
    assert (await store.verify_receipt(receipts[0])).ok


# -- the log is changed by erasing, and by nothing else ----------------------------------------------------------------------

HASH = "a" * 64
FORGED = {
    "of a living tenant": (
        "update log set op = 'erased', artifact_id = null, number = null, key = null, detail = '{{\"hash\": \"{h}\"}}'"
    ),
    "another hash": "update log set detail = '{{\"hash\": \"{h}\"}}' where op = 'erased'",
    "more than a hash": "update log set detail = detail || '{{\"more\": 1}}' where op = 'erased'",
    "another number": "update log set seq = seq + 1000 where op = 'erased'",
    "another tenant": "update log set tenant_id = 1 where op = 'erased'",
    "another time": "update log set at = now() where op = 'erased'",
    "something again": "update log set op = 'put' where op = 'erased'",
    "about a version": "update log set number = 1 where op = 'erased'",
    "the erasing itself": "update log set op = 'erased', detail = '{{\"hash\": \"{h}\"}}' where op = 'erase_tenant'",
    "no row": "delete from log where op = 'erased'",
    "no rows": "truncate log",
}


@pytest.mark.parametrize("what", FORGED)
async def test_nothing_else_changes_the_log(store, store_urls, databases, what):
    await store.tenant("living").put("a", b"1")
    await fill(store)
    await store.erase_tenant(NAME, by="ops")
    with psycopg.connect(databases.direct(store_urls.catalog)) as owner:
        owner.execute("set search_path = casstore, pg_catalog")
        owner.execute("alter table log alter seq set generated by default")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="never changed"):
            owner.execute(FORGED[what].format(h=HASH))


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        (
            (
                f'update log set detail = \'{{"hash": "{HASH}"}}\''
                " where op = 'erased' and seq = (select min(seq) from log where op = 'erased')"
            ),
            {"log"},
        ),
        ("update versions set title = 'forged' where tenant_id = 1", {"versions"}),
        ("update log set op = 'tag' where op = 'alias' and tenant_id = 1", {"log"}),
        ("update tenants set name = 'somebody' where deleted_by = 'erased'", {"tenants"}),
        (
            "update journal_keys set secret = sha256('x') where secret is not null and tenant_id = 1",
            {"journal", "journal_keys"},
        ),
    ],
)
async def test_what_is_altered_after_an_erasing_is_still_named(store, by_hand, sql, tables):
    t = store.tenant("living")
    await t.put("a", b"1", title="t")
    await t.alias("a", "prod")
    await fill(store)
    await store.export_journal()
    await store.erase_tenant(NAME, by="ops")
    assert (await store.verify_journal()).faults == ()
    by_hand(sql)
    assert {fault.table for fault in (await store.verify_journal()).faults} & tables == tables


async def test_a_lost_key_is_named_and_stops_a_rebuild(store, again, store_urls, by_hand):
    await small_history(store)
    await store.export_journal()
    ((key,),) = by_hand(
        "select k.id from journal_keys k join tenants t on t.id = k.tenant_id where t.name = 'one'"
    ).fetchall()
    path = store_urls.folder / key_object(key)
    data = path.read_bytes()
    path.unlink()
    (fault,) = (await store.verify_journal()).faults
    assert (fault.table, fault.place) == ("journal_keys", key_object(key))
    with fails(Corrupt, Code.JOURNAL_BROKEN):
        await again.rebuild()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert [fault.table for fault in (await store.verify_journal()).faults] == ["journal_keys"]
    with fails(Corrupt, Code.JOURNAL_BROKEN):
        await again.rebuild()
    path.write_bytes(data)
    assert (await store.verify_journal()).ok
    await again.rebuild()


async def test_a_key_that_comes_back_is_named_by_verify_and_by_the_receipt(store, store_urls):
    await fill(store)
    await store.export_journal()
    (path,) = (store_urls.folder / "artifacts" / "journal-keys").iterdir()
    data = path.read_bytes()
    receipt = await store.erase_tenant(NAME, by="ops")
    assert not path.exists()
    path.write_bytes(data)
    assert [fault.table for fault in (await store.verify_journal()).faults] == ["journal_keys"]
    assert (await store.verify_receipt(receipt)).key_is_there


async def test_the_same_record_is_sealed_to_the_same_bytes(store, by_hand, store_urls):
    await small_history(store)
    first = await store.export_journal()
    by_hand("delete from journal")
    for path in (store_urls.folder / "artifacts" / "journal").iterdir():
        path.unlink()
    assert (await store.export_journal()).digest == first.digest


@pytest.mark.parametrize("domain", [None, "vault"])
async def test_a_check_finds_nothing_wrong_while_a_tenant_is_being_erased(store, by_hand, monkeypatch, domain):
    """Also where whoever erased it has died half-way: what is left of the tenant obeys no laws, and needs none."""
    if domain:
        await store.set_domain(NAME, domain, by="ops")
    await fill(store)
    await fill(store, "another")
    told, seen = [], set()
    monkeypatch.setattr(limits, "ERASE_BATCH", 6)

    def looking(call):
        async def called(*arguments):
            answer = await call(*arguments)
            seen.add(call.__name__)
            told.extend([each async for each in store.fsck()])
            return answer

        return called

    for step in ("begin", "erase_log", "erase_rows", "end"):
        monkeypatch.setattr(erasing, step, looking(getattr(erasing, step)))
    await store.erase_tenant(NAME, by="ops")
    assert (told, seen) == ([], {"begin", "erase_log", "erase_rows", "end"})
    by_hand("delete from log where op = 'put'")
    assert {each.code for each in [each async for each in store.fsck()]} == {"log_disagrees"}  # of others it tells


# -- the law: whenever it is exported, cut and erased ------------------------------------------------------------------------

STEPS = st.lists(st.sampled_from(["export", "fill", "one", "two", "erase", "erase"]), min_size=1, max_size=6)


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS, bound=st.sampled_from([700, 10**7]), batch=st.sampled_from([1, 3, 500]))
def test_any_order_of_living_exporting_and_erasing(databases, new_blobs, steps, bound, batch):
    async def main(blobs, catalog, fresh):
        exists = False
        async with AsyncStore(blobs=blobs, catalog=catalog) as store:
            await small_history(store)
            for number, step in enumerate((*steps, "erase")):
                if step == "fill" and not exists:
                    await fill(store)
                    exists = True
                elif step == "erase" and exists:
                    before = await read_all(store)
                    assert (await store.verify_receipt(await store.erase_tenant(NAME, by="ops"))).ok
                    exists = False
                    assert await read_all(store) == before
                elif step == "export":
                    await store.export_journal()
                elif step in ("one", "two"):
                    await store.tenant(step).put("more", f"{number}")
            await store.export_journal()
            assert (await store.verify_journal()).faults == ()
            assert await audit(store) == []
            now, seen = await store.catalog_digest(), await read_all(store)
        assert_nothing_is_left(
            databases, catalog, folder_of(blobs, "file") or pytest.skip("about a folder of blobs"), OWN
        )
        again = AsyncStore(blobs=blobs, catalog=fresh)
        await again.rebuild()
        async with again:
            assert await again.catalog_digest() == now
            assert await read_all(again) == seen
            assert (await again.verify_journal()).faults == ()

    with pytest.MonkeyPatch.context() as patch, databases.fresh() as catalog, databases.fresh() as fresh:
        patch.setattr(limits, "SEGMENT_BYTES", bound)
        patch.setattr(limits, "ERASE_BATCH", batch)
        with psycopg.connect(databases.direct(fresh)) as connection:
            connection.execute("update casstore.store set identity = gen_random_uuid()")
        asyncio.run(main(new_blobs(), catalog, fresh))


@pytest.mark.parametrize("backups", [timedelta(days=-1), timedelta(days=36_526), timedelta.max, 30])
async def test_an_age_of_backups_that_is_none_is_refused_before_anything_is_erased(store, backups):
    """Regression: the receipt's date was reckoned last, and past the year 9999 there was none of what was gone already."""
    await store.tenant("t").put("a", b"x")
    await store.delete_tenant("t", by="ops")
    with pytest.raises(Invalid) as refused:
        await store.erase_tenant("t", by="ops", backups=backups)
    assert refused.value.code is Code.BAD_ARGUMENT
    await store.undelete_tenant("t", by="ops")
    assert await (await store.tenant("t").get("a")).bytes() == b"x"
