"""Verification names whatever was altered, removed or added behind the store's back, and nothing else."""

from __future__ import annotations

import asyncio
import re

import psycopg
import pytest

from casstore import AsyncStore, limits
from casstore.formats import journal
from casstore.formats.sealing import JournalKey
from tests.journal.histories import small_history

# What somebody does by hand, the tables that are named for it, and the row. `artifact` 1 is sop/login of one.
ALTERED = {
    "log at": ("update log set at = at + interval '1 us' where seq = 1", {"log"}, "log 1: put one sop/login@1"),
    "log op": (
        "update log set op = 'delete' where seq = 1",
        {"log", "versions", "components", "trash"},
        "sop/login@1",
    ),
    "log number": (
        "update log set number = 2 where seq = 1",
        {"log", "versions", "components", "sources"},
        "sop/login@1",
    ),
    "log detail": (
        "update log set detail = detail || '{\"actor\": \"you\"}' where op = 'accepted' and artifact_id = 1 and number = 1",
        {"log"},
        "accepted one",
    ),
    "log key": ("update log set key = 'other' where key = 'key'", {"requests"}, "key key"),
    "log of another tenant": (
        "update log set tenant_id = 2 where seq = 1",
        {"tenants", "log"},
        "log 1: put one sop/login@1",
    ),
    "log of another artifact": (
        "update log set artifact_id = 2 where seq = 1",
        {"artifacts", "versions", "components", "sources"},
        "log 1: put one sop/login@1",
    ),
    "log row removed": ("delete from log where seq = 1", {"log", "versions"}, "log 1: put one sop/login@1"),
    "last log row removed": (
        "delete from log where seq = (select max(seq) from log)",
        {"log", "trash"},
        "purge two later@1",
    ),
    "tenant": ("update tenants set name = 'won' where name = 'one'", {"tenants"}, "put one sop/login@1"),
    "tenant since": ("update tenants set created_at = now() where name = 'one'", {"tenants"}, "put one sop/login@1"),
    "artifact name": ("update artifacts set name = 'sop/logout' where id = 1", {"artifacts"}, "put one sop/login@1"),
    "artifact type": ("update artifacts set type = 'other' where id = 1", {"artifacts"}, "put one sop/login@1"),
    "artifact since": ("update artifacts set created_at = now() where id = 1", {"artifacts"}, "put one sop/login@1"),
    "artifact head": ("update artifacts set head = 3 where id = 1", {"artifacts"}, "one sop/login"),
    "artifact latest": ("update artifacts set latest = 1 where id = 1", {"artifacts"}, "one sop/login"),
    "artifact head_at": ("update artifacts set head_at = now() where id = 1", {"artifacts"}, "one sop/login"),
    "version id": (
        "update versions set id = gen_random_uuid() where artifact_id = 1 and number = 2",
        {"versions", "sources"},
        "sop/login@2",
    ),
    "version seq": (
        "update versions set seq = 1000 where artifact_id = 2",
        {"versions"},
        "put one sop/many@1",
    ),
    "version type": (
        "update versions set type = 'x' where artifact_id = 1 and number = 2",
        {"versions"},
        "put one sop/login@2",
    ),
    "version manifest": (
        "update versions set manifest = sha256('x') where artifact_id = 1 and number = 2",
        {"versions"},
        "sop/login@2",
    ),
    "version relations": (
        "update versions set relations = '{\"a b c\"}' where artifact_id = 1 and number = 2",
        {"versions"},
        "sop/login@2",
    ),
    "version title": (
        "update versions set title = 'x' where artifact_id = 1 and number = 1",
        {"versions"},
        "put one sop/login@1",
    ),
    "version labels": (
        'update versions set labels = \'{"k": "w"}\' where artifact_id = 1 and number = 1',
        {"versions"},
        "sop/login@1",
    ),
    "version metadata": (
        "update versions set metadata = metadata || '{\"n\": 1.51}' where artifact_id = 1 and number = 1",
        {"versions"},
        "@1",
    ),
    "version created_at": (
        "update versions set created_at = created_at - interval '1 us' where artifact_id = 1 and number = 1",
        {"versions"},
        "put one sop/login@1",
    ),
    "version by whom": (
        "update versions set actor = 'x' where artifact_id = 1 and number = 1",
        {"versions"},
        "sop/login@1",
    ),
    "version by nobody": ("update versions set actor = null where actor = 'bot'", {"versions"}, "two new@1"),
    "version of another tenant": (
        "update versions set tenant_id = 2 where artifact_id = 1 and number = 1",
        {"versions"},
        "sop/login@1",
    ),
    "version removed": (
        "delete from versions where artifact_id = 1 and number = 1",
        {"versions", "sources"},
        "sop/login@1",
    ),
    "component digest": (
        "update components set digest = (select digest from blobs order by 1 desc limit 1) where artifact_id = 1 and number = 1",
        {"components"},
        "put one sop/login@1",
    ),
    "component size": (
        "update components set size_bytes = 9 where artifact_id = 1 and number = 1",
        {"components"},
        "sop/login@1",
    ),
    "component media type": (
        "update components set media_type = 'a/b' where artifact_id = 1 and number = 1",
        {"components"},
        "login@1",
    ),
    "component role": (
        "update components set role = 'x' where artifact_id = 1 and number = 1",
        {"components"},
        "sop/login@1",
    ),
    "component pixels": (
        "update components set pixels = digest, width = 1, height = 1 where artifact_id = 1 and number = 1",
        {"components"},
        "put one sop/login@1",
    ),
    "component meaning": (
        "update components set meaning = digest where artifact_id = 1 and number = 1",
        {"components"},
        "put one sop/login@1",
    ),
    "component layout": (
        "update components set meaning = coalesce(meaning, digest), layout = digest where artifact_id = 1 and number = 1",
        {"components"},
        "put one sop/login@1",
    ),
    "component of another tenant": (
        "update components set tenant_id = 2 where artifact_id = 1 and number = 1",
        {"components"},
        "login@1",
    ),
    "component removed": ("delete from components where role = 'b'", {"components"}, "put one sop/many@1"),
    "all components removed": (
        "delete from components where artifact_id = 1 and number = 1",
        {"components"},
        "put one sop/login@1",
    ),
    "component added": (
        "insert into components select 1, 1, 'x', 1, digest, 5, 'a/b' from components where (artifact_id, number) = (1, 1)",
        {"components"},
        "put one sop/login@1",
    ),
    "ledger's checksum": (
        "update blobs set crc32c = 1 where digest = (select digest from components where artifact_id = 1 and number = 1)",
        {"components"},
        "put one sop/login@1",
    ),
    "source": (
        "update sources set source_number = 1 where artifact_id = 2 and place = 1",
        {"sources"},
        "put one sop/many@1",
    ),
    "source of another artifact": (
        "update sources set source_artifact_id = 2 where artifact_id = 1",
        {"sources"},
        "put one sop/login@2",
    ),
    "source role": (
        "update sources set role = 'x' where artifact_id = 2 and place = 1",
        {"sources"},
        "put one sop/many@1",
    ),
    "source place": (
        "update sources set place = 3 where artifact_id = 2 and place = 1",
        {"sources"},
        "put one sop/many@1",
    ),
    "source of another tenant": (
        "update sources set tenant_id = 2 where artifact_id = 2",
        {"sources"},
        "one sop/many@1",
    ),
    "source removed": ("delete from sources where artifact_id = 1", {"sources"}, "put one sop/login@2"),
    "source added": ("insert into sources values (1, 1, 1, 1, 2, 1, 'source')", {"sources"}, "put one sop/login@1"),
    "transition before": (
        "update transitions set before = 'draft' where artifact_id = 1 and state = 'obsolete'",
        {"transitions"},
        "obsolete one",
    ),
    "transition actor": (
        "update transitions set actor = 'x' where artifact_id = 1 and state = 'accepted'",
        {"transitions"},
        "accepted one",
    ),
    "transition reason": (
        "update transitions set reason = null where state = 'accepted'",
        {"transitions"},
        "accepted one",
    ),
    "transition at": (
        "update transitions set at = now() where artifact_id = 1 and state = 'obsolete'",
        {"transitions"},
        "obsolete one",
    ),
    "transition seq": (
        "update transitions set seq = 77 where artifact_id = 1 and state = 'obsolete'",
        {"transitions"},
        "one sop/login@1",
    ),
    "transition that was undone": (  # twice: entered again, and not
        "insert into transitions select 1, 2, 'obsolete', 1, seq, 'accepted', 'me', 'obsolete', now() from versions where seq = 2",
        {"transitions"},
        "one sop/login@2",
    ),
    "transition that was undone in place of the one that counts": (
        (
            "update transitions t set at = l.at, actor = 'me', reason = 'accepted' from (select min(at) as at from log"
            " where op = 'accepted' and number = 2) l where t.number = 2 and t.state = 'accepted'"
        ),
        {"transitions"},
        "one sop/login@2",
    ),
    "transition removed": (
        "delete from transitions where artifact_id = 1 and state = 'obsolete'",
        {"transitions"},
        "obsolete one",
    ),
    "transition added": (
        "insert into transitions select 2, 1, 'accepted', 1, seq, 'draft', 'x', '', now() from versions where artifact_id = 2",
        {"transitions"},
        "one sop/many@1",
    ),
    "pointer": ("update pointers set number = 1 where move = 2", {"pointers"}, "alias one sop/login@2"),
    "pointer at": ("update pointers set moved_at = now() where move = 2", {"pointers"}, "alias one sop/login@2"),
    "pointer kind": ("update pointers set is_tag = false where pointer = 'final'", {"pointers"}, "tag one sop/login@1"),
    "pointer name": (
        "update pointers set pointer = 'finale' where pointer = 'final'",
        {"pointers"},
        "tag one sop/login@1",
    ),
    "pointer by whom": ("update pointers set actor = 'x' where move = 2", {"pointers"}, "one sop/login@2"),
    "pointer by nobody": ("update pointers set actor = null where actor = 'bot'", {"pointers"}, "two new@1"),
    "pointer of another tenant": (
        "update pointers set tenant_id = 2 where pointer = 'final'",
        {"pointers"},
        "sop/login@1",
    ),
    "pointer removed": ("delete from pointers where move = 3", {"pointers"}, "unalias one sop/login"),
    "pointer added": (
        "insert into pointers values (1, 'prod', 4, 1, false, 1, now())",
        {"pointers"},
        "one sop/login@1",
    ),
    "trash actor": ("update trash set actor = 'x' where reason = 'why not'", {"trash"}, "two gone@2"),
    "trash at": ("update trash set at = now() where reason = 'why not'", {"trash"}, "two gone@2"),
    "trash reason": ("update trash set reason = 'x' where reason = 'why not'", {"trash"}, "two gone@2"),
    "trash of another tenant": ("update trash set tenant_id = 1 where reason = 'why not'", {"trash"}, "two gone@2"),
    "hold actor": ("update holds set actor = 'x' where reason = 'a case'", {"holds"}, "two gone@1"),
    "hold at": ("update holds set at = now() where reason = 'a case'", {"holds"}, "two gone@1"),
    "hold reason": ("update holds set reason = 'x' where reason = 'a case'", {"holds"}, "two gone@1"),
    "hold renamed": ("update holds set hold = 'x' where reason = 'a case'", {"holds"}, "two gone@1"),
    "hold released": (
        "update holds set released_at = now(), released_by = 'x' where reason = 'a case'",
        {"holds"},
        "two gone@1",
    ),
    "hold placed again": (
        "update holds set released_at = null, released_by = null where hold = 'case-2'",
        {"holds"},
        "all of a tenant",
    ),
    "hold of everything, by whom": ("update holds set actor = 'x' where hold = 'case-2'", {"holds"}, "all of a tenant"),
    "hold removed": ("delete from holds where reason = 'a case'", {"holds"}, "two gone@1"),
    "policy": ("update retention set policy = policy - 'purge_after'", {"retention"}, "two"),
    "policy's revision": ("update retention set revision = 1", {"retention"}, "two"),
    "policy by whom": ("update retention set actor = 'x'", {"retention"}, "two"),
    "policy removed": ("delete from retention", {"retention"}, "two"),
    "expiry": ("update expiries set expires_at = now() where reason = 'later'", {"expiries"}, "two trace/y@1"),
    "expiry by whom": ("update expiries set actor = 'x' where reason = 'later'", {"expiries"}, "two trace/y@1"),
    "expiry of a put": ("update expiries set expires_at = now() where actor is null", {"expiries"}, "two trace/z@1"),
    "expiry of a put, by whom": ("update expiries set actor = 'x' where actor is null", {"expiries"}, "two trace/z@1"),
    "expiry of a put removed": ("delete from expiries where actor is null", {"expiries"}, "two trace/v@1"),
    "expiry removed": ("delete from expiries where reason = 'later'", {"expiries"}, "two trace/y@1"),
    "erased hash": (
        "update erased_components set hash = sha256('x') where number = 2",
        {"erased_components"},
        "letter@2",
    ),
    "erased by whom": (
        "update erased_components set actor = 'x' where number = 3",
        {"erased_components"},
        "one letter@3",
    ),
    "erased when": ("update erased_components set at = now() where number = 3", {"erased_components"}, "one letter@3"),
    "erased size": (
        "update erased_components set size_bytes = 1 where number = 3",
        {"erased_components"},
        "one letter@3",
    ),
    "erased format": (
        "update erased_components set media_type = 'a/b' where number = 3",
        {"erased_components"},
        "one letter@3",
    ),
    "erasing forgotten": ("delete from erased_components where number = 3", {"erased_components"}, "one letter@3"),
    "erased and back": (
        (
            "insert into components select e.artifact_id, e.number, e.role, e.tenant_id, sha256('x'), e.size_bytes, e.media_type"
            " from erased_components e where number = 3"
        ),
        {"components"},
        "one letter@3",
    ),
    "the other component of what was erased": (
        "delete from components where role = 'b' and artifact_id = (select artifact_id from erased_components where role = 'c')",
        {"components"},
        "one letter@1",
    ),
    "trash rule": ("update trash set rule = 'x' where rule = 'ttl'", {"trash"}, "two trace/x@3"),
    "trash removed": ("delete from trash where reason = 'why not'", {"trash", "artifacts"}, "two gone@2"),
    "trash added": ("insert into trash values (1, 1, 1, now(), 'x')", {"trash"}, "one sop/login@1"),
    "trash purged_at": ("update trash set purged_at = now() where purged_by = 'us'", {"trash"}, "two purged@2"),
    "trash purged_by": ("update trash set purged_by = 'x' where purged_by = 'us'", {"trash"}, "two purged@2"),
    "purged by hand": (
        (
            "with t as (update trash set purged_at = at, purged_by = actor where reason is not null returning artifact_id, number)"
            " delete from components c using t where (c.artifact_id, c.number) = (t.artifact_id, t.number)"
        ),
        {"trash"},
        "two gone@2",
    ),
    "brought back by hand": (
        "update trash set purged_at = null, purged_by = null where purged_by = 'later'",
        {"trash", "components"},
        "put two later@1",
    ),
    "component of what was purged": (
        "insert into components select artifact_id, 1, 'a', tenant_id, sha256(''), 1, 'a/b' from trash where actor = 'later'",
        {"components"},
        "put two later@1",
    ),
    "undeleted by hand": (
        "insert into trash select artifact_id, 1, tenant_id, now(), 'me' from log where op = 'undelete' and not detail ? 'reason'",
        {"trash", "artifacts"},
        "two back@1",
    ),
    "request": (
        "update requests set fingerprint = sha256('x') where key = 'key'",
        {"requests"},
        "put one sop/login@2 key key",
    ),
    "request versions": (
        "update requests set versions = '{}' where key = 'tx'",
        {"requests"},
        "transaction two key tx",
    ),
    "request reused": ("update requests set reused = '{false}' where key = 'reused'", {"requests"}, "key reused"),
    "request at": ("update requests set made_at = now() where key = 'key'", {"requests"}, "key key"),
    "request key": ("update requests set key = 'other' where key = 'key'", {"requests"}, "key key"),
    "request removed": (
        "delete from requests where key = 'moves only'",
        {"requests"},
        "transaction two key moves only",
    ),
    "tenant deleted": (
        "update tenants set deleted_at = now(), deleted_by = 'me', reason = 'x' where name = 'one'",
        {"tenants"},
        "one",
    ),
    "tenant domain": (
        "update tenants set domain = decode(repeat('ff', 32), 'hex') where name = 'one'",
        {"tenants"},
        "one",
    ),
    "request added": ("insert into requests values (1, 'x', sha256('x'), '{}', '{}')", {"requests"}, "one key x"),
    "version added": (
        (
            "with v as (insert into versions values (1, 3, 1, 5000, gen_random_uuid(), 'x', sha256('x'), null, null, null, null,"
            " now())) update artifacts set head = 3, latest = 3, head_at = now() where id = 1"
        ),
        {"versions"},
        "one sop/login@3",
    ),
    "log row added": (
        "update log set seq = seq + 1000 where seq = (select max(seq) from log)",
        {"log"},
        "purge two later@1",
    ),
}


@pytest.fixture(scope="module")
def exported(databases, new_blobs):
    """A database and its blobs after a history, exported. Nobody stays connected: it is copied."""
    with databases.fresh() as made:
        blobs, dsn = new_blobs(), databases.direct(made)

        async def main():
            async with AsyncStore(blobs=blobs, catalog=dsn) as store:
                await small_history(store)
                await store.tenant("two").put("later", "purged when its put was exported")
                await store.export_journal()
                await store.tenant("two").delete_artifact("later", by="later")
                await store.tenant("two").purge("later@1", by="later")
                await store.export_journal()
                assert (await store.verify_journal()).ok
                return (await store.catalog_digest()).digest

        yield blobs, dsn, asyncio.run(main())


async def looked_at(blobs, dsn):
    async with AsyncStore(blobs=blobs, catalog=dsn) as store:
        return await store.verify_journal(), (await store.catalog_digest()).digest


async def verified(blobs, dsn):
    async with AsyncStore(blobs=blobs, catalog=dsn) as store:
        return await store.verify_journal()


@pytest.mark.parametrize("what", ALTERED)
def test_what_was_done_by_hand_is_named(exported, databases, run, what):
    blobs, dsn, before = exported
    sql, tables, place = ALTERED[what]
    with databases.copy_of(dsn) as copy:
        with psycopg.connect(databases.direct(copy)) as connection:
            connection.execute("set session_replication_role = replica")
            connection.execute("set search_path = casstore, pg_catalog")
            connection.execute("alter table transitions drop constraint transitions_left_once")
            for table in ("log", "versions"):
                connection.execute(f"alter table {table} alter seq set generated by default")
            assert connection.execute(sql).rowcount > 0
        audit, digest = run(looked_at(blobs, copy))
    assert audit.count == len(audit.faults) > 0
    assert digest != before  # which says that something is another, if not what
    assert {fault.table for fault in audit.faults} == tables, audit.faults
    assert any(place in fault.place for fault in audit.faults), audit.faults


def test_nothing_was_done_by_hand(exported, databases, run):
    blobs, dsn, _ = exported
    with databases.copy_of(dsn) as copy:
        audit = run(verified(blobs, copy))
    assert (audit.ok, audit.faults, audit.segments) == (True, (), 2)
    assert audit.records > 20


def test_every_column_is_altered_above(exported, databases):
    _, dsn, _ = exported
    with databases.copy_of(dsn) as copy, psycopg.connect(databases.direct(copy)) as connection:
        found = connection.execute(
            "select table_name || '.' || column_name from information_schema.columns where table_schema = 'casstore'"
            " and table_name in ('log', 'tenants', 'artifacts', 'versions', 'components', 'sources', 'transitions', 'pointers',"
            " 'trash', 'requests')"
        ).fetchall()
    told = " ".join(sql for sql, _, _ in ALTERED.values())
    left = {name for (name,) in found if not re.search(rf"\b{name.partition('.')[2]}\b", told)}
    assert left == {"artifacts.folded", "log.xid"}  # made from the name; of the database, not of the history


# -- the journal itself ----------------------------------------------------------------------------------------------------


@pytest.fixture
def three(store, run):
    """A store whose journal has three segments."""

    async def main():
        async with store:
            for number in range(3):
                await store.tenant().put("a", f"{number}")
                await store.export_journal()

    run(main())
    return [journal.key_of(n, n) for n in (1, 2, 3)]


def faults(run, store_urls):
    return [(f.table, f.place, f.what) for f in run(verified(store_urls.blobs, store_urls.catalog)).faults]


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_segment_that_was_altered(run, store_urls, three, at):
    path = store_urls.folder / three[at]
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    told = faults(run, store_urls)
    assert ("journal", three[at]) in [place[:2] for place in told]
    assert any("when it was written" in what for _, place, what in told if place == three[at])
    assert at == 2 or ("journal", three[at + 1]) in [place[:2] for place in told]


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_segment_that_is_no_segment(run, store_urls, three, at):
    (store_urls.folder / three[at]).write_bytes(b"\x93\x01\x02\x03")
    told = faults(run, store_urls)
    assert told[0][:2] == ("journal", three[at])
    assert {place for table, place, _ in told} == {*three[at : at + 2]}  # and nothing about the catalog


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_segment_that_was_removed(run, store_urls, three, at):
    (store_urls.folder / three[at]).unlink()
    told = faults(run, store_urls)
    assert ("journal", f"records {at + 1} to {at + 1}", "their segment is missing") in told
    assert {table for table, _, _ in told} == {"journal"}
    assert len(told) == (1 if at == 2 else 2)


@pytest.mark.parametrize(("place", "what"), [(4, "records 3 to 3 are missing"), (2, "record 2 is there twice")])
def test_a_chain_whose_places_are_wrong(run, store_urls, three, place, what):
    """Each segment is sound and names the one before: it is the counting that is wrong."""
    second, third = (journal.decode(key, (store_urls.folder / key).read_bytes()) for key in three[1:])
    (store_urls.folder / three[2]).unlink()
    packed = [journal.pack(record) for record in (*second.records, *third.records)[-2 if place == 2 else -1 :]]
    key = journal.key_of(place, place + len(packed) - 1)
    (store_urls.folder / key).write_bytes(journal.encode(third.store, place, third.previous, packed))
    assert ("journal", key, f"before {key}: {what}") in faults(run, store_urls)


def test_segments_that_were_swapped(run, store_urls, three):
    one, two = (store_urls.folder / key for key in three[:2])
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    assert {("journal", three[0]), ("journal", three[1])} <= {place[:2] for place in faults(run, store_urls)}


def test_a_journal_that_was_written_anew_over_altered_rows(run, store_urls, three, by_hand):
    """The last segment and the row agree; the digest that the catalog wrote down does not."""
    path = store_urls.folder / three[2]
    segment = journal.decode(three[2], path.read_bytes())
    ((key, secret),) = by_hand("select id, secret from journal_keys").fetchall()
    forger = JournalKey(key, bytes(secret))
    record = forger.open(segment.store, segment.records[0]["sealed"])
    record["version"][5] = "forged"
    forged = [journal.pack({"sealed": forger.seal(segment.store, record)})]
    path.write_bytes(journal.encode(segment.store, 3, segment.previous, forged))
    by_hand("update versions set title = 'forged' where number = 3")
    assert [(table, place) for table, place, _ in faults(run, store_urls)] == [("journal", three[2])]


def test_a_segment_that_the_catalog_never_exported(run, store_urls, three, by_hand):
    by_hand("delete from journal where first = 3")
    assert faults(run, store_urls) == [("journal", three[2], "the catalog has not exported it")]


def test_a_segment_of_another_store(run, store_urls, three, by_hand):
    by_hand("update store set identity = gen_random_uuid(), blobs_marked = true")
    path = store_urls.folder / "artifacts" / "blobs" / ".store"
    path.write_text(str(by_hand("select identity from store").fetchone()[0]))
    told = faults(run, store_urls)
    assert [place for _, place, _ in told] == three
    assert all("it is of the store" in what for _, _, what in told)


async def test_what_was_not_exported_yet_is_held_against_the_log(store, by_hand):
    await store.tenant().put("a", "1")
    assert (await store.verify_journal()).ok
    by_hand("update log set op = 'delete'")
    assert {fault.table for fault in (await store.verify_journal()).faults} == {"versions", "trash"}


async def test_faults_are_counted_beyond_those_that_are_told(store, by_hand, monkeypatch):
    monkeypatch.setattr(limits, "JOURNAL_FAULTS_MAX", 3)
    for number in range(5):
        await store.tenant().put("a", f"{number}")
    await store.export_journal()
    by_hand("update versions set title = 'x'")
    audit = await store.verify_journal()
    assert (len(audit.faults), audit.count, audit.ok) == (3, 5, False)


async def test_writers_and_exporters_cause_no_false_alarm(store, store_urls):
    async def write(number):
        tenant = store.tenant(f"t{number}")
        for each in range(25):
            made = await tenant.put("a", f"{number} {each}", idempotency_key=f"{each}")
            await tenant.alias(made.ref, "now")
            await tenant.transition(made.ref, "accepted", by="me")
            if each % 3 == 0:
                await tenant.put("b", f"{number} {each}", sources=[made.ref])
                await tenant.delete(f"b@{each // 3 + 1}", by="me")
                if each % 2:
                    await tenant.undelete(f"b@{each // 3 + 1}", by="me")

    async with AsyncStore(blobs=store_urls.blobs, catalog=store_urls.catalog) as other:
        writers = asyncio.gather(*(write(number) for number in range(4)))
        while not writers.done():
            await other.export_journal()
            assert (await other.verify_journal()).faults == ()
        await writers
