"""Exporting the log: everything once, in order, in segments that nobody changes."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import psycopg
import pytest

from casstore import AsyncStore, Code, Corrupt, Digest, Invalid, Unavailable, limits
from casstore.blobs import open_blobs
from casstore.formats import journal
from casstore.operations import journaling, segments
from tests.journal.conftest import unsealed
from tests.journal.histories import small_history


async def chain(store):
    return [link async for link in segments.walk(segments.keeper_of(store._blobs))]


async def records(store):
    found = await chain(store)
    assert not [link.fault for link in found if link.fault]
    return [record for link in found for record in await unsealed(store, link.segment)]


async def test_an_empty_store_has_no_journal(store):
    done = await store.export_journal()
    assert (done.segments, done.records, done.last, done.digest) == (0, 0, 0, None)
    assert await chain(store) == []


async def test_every_row_of_the_log_is_exported_once_and_in_order(store, by_hand):
    await small_history(store)
    done = await store.export_journal()
    found = await records(store)
    assert done.records == done.last == len(found) > 20
    assert [journal.seq_of(r) for r in found] == [seq for (seq,) in by_hand("select seq from log order by seq")]
    (link,) = await chain(store)
    assert link.digest == done.digest
    assert {op for _, _, op, *_ in (r["log"] for r in found)} == {
        *(
            "put",
            "alias",
            "unalias",
            "tag",
            "accepted",
            "obsolete",
            "delete",
            "undelete",
            "purge",
            "transaction",
            "undo",
            "hold",
            "release",
            "expire",
            "erase_content",
            "retention",
        ),
        "domain",
    }


async def test_again_writes_what_is_new_and_nothing_else(store):
    tenant = store.tenant()
    await tenant.put("a", "1")
    first = await store.export_journal()
    assert await store.export_journal() == first.model_copy(update={"segments": 0, "records": 0})
    await tenant.put("a", "2")
    await tenant.put("a", "3")
    second = await store.export_journal()
    assert (second.segments, second.records, second.last) == (1, 2, 3)
    one, two = await chain(store)
    assert (one.first, one.last, two.first, two.last) == (1, 1, 2, 3)
    assert (one.segment.previous, two.segment.previous) == (journal.NO_SEGMENT, one.digest)
    assert one.segment.store == two.segment.store


async def test_segments_are_bounded(store, monkeypatch):
    monkeypatch.setattr(limits, "SEGMENT_BYTES", 2_000)
    monkeypatch.setattr(limits, "RECORDS_AT_ONCE", 3)
    for number in range(25):
        await store.tenant().put("a", f"{number}", title="t" * 100)
    done = await store.export_journal()
    found = await chain(store)
    assert done.segments == len(found) > 3
    for link in found[:-1]:
        sizes = [len(journal.pack(record)) for record in await unsealed(store, link.segment)]
        assert sum(sizes[:-1]) < 2_000 <= sum(sizes)  # it ends with the record that reaches the bound
    assert [journal.seq_of(r) for r in await records(store)] == list(range(1, 26))


async def test_one_record_over_the_bound_is_a_segment(store, monkeypatch):
    monkeypatch.setattr(limits, "SEGMENT_BYTES", 1)
    for number in range(3):
        await store.tenant().put("a", f"{number}")
    assert (await store.export_journal()).segments == 3


async def test_what_is_under_way_keeps_later_rows_for_the_next_export(store, store_urls, databases, monkeypatch):
    """A transaction that has its number in the log and has not committed: what comes after it must not be exported before it."""
    monkeypatch.setattr(limits, "SETTLE_TIMEOUT", timedelta(seconds=0.3))
    await store.tenant().put("a", "1")
    with psycopg.connect(databases.direct(store_urls.catalog)) as slow:
        slow.execute("select from casstore.artifacts for no key update")
        slow.execute(
            "insert into casstore.log (tenant_id, op, artifact_id, number, detail) values (1, 'put', 1, 1, '{\"reused\": true}')"
        )
        await store.tenant().put("b", "after it, and committed before it")
        with pytest.raises(Unavailable) as refused:
            await store.export_journal()
        assert refused.value.code is Code.CATALOG_BUSY
        slow.commit()
    await store.export_journal()
    assert [journal.seq_of(r) for r in await records(store)] == [1, 2, 3]


async def test_an_export_waits_for_what_is_under_way(store, store_urls, databases):
    with psycopg.connect(databases.direct(store_urls.catalog)) as slow:
        await store.tenant().put("a", "1")
        slow.execute("select from casstore.artifacts for no key update")
        slow.execute(
            "insert into casstore.log (tenant_id, op, artifact_id, number, detail) values (1, 'put', 1, 1, '{}')"
        )
        export = asyncio.create_task(store.export_journal())
        await asyncio.sleep(0.2)
        assert not export.done()
        slow.rollback()
        await export
    assert [journal.seq_of(r) for r in await records(store)] == [1]  # number 2 was never used


async def test_rows_are_exported_in_an_order_in_which_they_can_be_made(store, store_urls, databases):
    """Whose transaction began first may have come second to what both want: by the order of transactions it came first."""
    with psycopg.connect(databases.direct(store_urls.catalog)) as early:
        early.execute("select pg_current_xact_id()")
        await store.tenant().put("a", "1")
        early.execute("select casstore.move_pointer('default', 'a', 'latest', null, null, null, 'prod', false, null)")
    await store.export_journal()
    assert [record["log"][2] for record in await records(store)] == ["put", "alias"]


@pytest.mark.parametrize("exporters", [2, 8])
async def test_many_exporters_at_once_make_one_journal(store, store_urls, monkeypatch, exporters):
    monkeypatch.setattr(limits, "SEGMENT_BYTES", 3_000)
    monkeypatch.setattr(limits, "RECORDS_AT_ONCE", 4)
    async with AsyncStore(blobs=store_urls.blobs, catalog=store_urls.catalog) as other:
        for number in range(40):
            await store.tenant().put("a", f"{number}")
        await asyncio.gather(*((store, other)[n % 2].export_journal() for n in range(exporters)))
    assert [journal.seq_of(r) for r in await records(store)] == list(range(1, 41))
    assert (await store.verify_journal()).ok


async def test_exporters_beside_writers_lose_and_repeat_nothing(store, store_urls, by_hand):
    async def write(number):
        for each in range(15):
            await store.tenant(f"t{number}").put(f"n{each % 3}", f"{number} {each}")

    async def export(each):
        for _ in range(6):
            await each.export_journal()

    async with AsyncStore(blobs=store_urls.blobs, catalog=store_urls.catalog) as other:
        await asyncio.gather(*(write(number) for number in range(4)), export(store), export(other))
    await store.export_journal()
    assert [journal.seq_of(r) for r in await records(store)] == [
        seq for (seq,) in by_hand("select seq from log order by seq")
    ]
    assert (await store.verify_journal()).ok


async def test_a_planned_segment_is_finished_by_whoever_comes_next(store, by_hand):
    for number in range(3):
        await store.tenant().put("a", f"{number}")
    by_hand("insert into journal (first, last, last_seq) values (1, 2, 2)")  # and there its exporter died
    done = await store.export_journal()
    assert (done.segments, done.records) == (2, 3)
    assert [(link.first, link.last) for link in await chain(store)] == [(1, 2), (3, 3)]
    assert by_hand("select count(*) from journal where digest is null").fetchone() == (0,)


async def test_a_segment_whose_confirmation_was_lost_is_found_again(store, by_hand):
    await store.tenant().put("a", "1")
    first = await store.export_journal()
    by_hand("update journal set digest = null")
    assert (await store.export_journal()).digest == first.digest
    assert (await store.verify_journal()).ok


async def test_a_segment_that_says_more_of_the_same_rows_is_taken_as_it_is(store, by_hand):
    """What was there when it was exported, and is gone when an export after a crash comes back to it."""
    await store.tenant().put("a", "1")
    first = await store.export_journal()
    by_hand("update journal set digest = null")
    by_hand("delete from components")
    assert (await store.export_journal()).digest == first.digest


async def restored_to(by_hand, seq):
    """The catalog as a backup of long ago has it."""
    by_hand("delete from journal where last_seq > %s", seq)
    by_hand("delete from log where seq > %s", seq)
    by_hand("delete from components where number > %s", seq)
    by_hand("delete from versions where number > %s", seq)
    by_hand("update artifacts set head = %s, latest = %s", seq, seq)


async def test_a_catalog_restored_from_a_backup_does_not_go_on_with_the_journal(store, by_hand):
    tenant = store.tenant()
    for number in range(3):
        await tenant.put("a", f"{number}")
        await store.export_journal()
    await restored_to(by_hand, 1)
    before = [link.digest for link in await chain(store)]
    await tenant.put("a", "another way")
    for _ in range(2):
        with pytest.raises(Corrupt) as refused:
            await store.export_journal()
        assert refused.value.code is Code.JOURNAL_AHEAD
        assert refused.value.fields["key"] == journal.key_of(2, 2)
    assert [link.digest for link in await chain(store)] == before


async def test_a_journal_that_is_not_wanted_is_moved_away_and_begun_anew(store, store_urls, by_hand):
    tenant = store.tenant()
    for number in range(3):
        await tenant.put("a", f"{number}")
        await store.export_journal()
    await restored_to(by_hand, 1)
    by_hand("delete from journal")
    with pytest.raises(Corrupt):
        await store.export_journal()
    (store_urls.folder / "artifacts" / "journal").rename(store_urls.folder / "old")
    await tenant.put("a", "another way")
    assert (await store.export_journal()).last == 2
    assert (await store.verify_journal()).faults == ()


async def test_nor_with_a_segment_that_it_had_planned(store, by_hand):
    await store.tenant().put("a", "1")
    await store.export_journal()
    by_hand("update journal set digest = null")
    by_hand("update log set at = at + interval '1 s'")
    with pytest.raises(Corrupt) as refused:
        await store.export_journal()
    assert refused.value.code is Code.JOURNAL_AHEAD


async def test_rows_that_were_planned_and_are_gone(store, by_hand):
    for number in range(2):
        await store.tenant().put("a", f"{number}")
    by_hand("insert into journal (first, last, last_seq) values (1, 2, 2)")
    by_hand("delete from log where seq = 1")
    with pytest.raises(Corrupt) as refused:
        await store.export_journal()
    assert refused.value.code is Code.CATALOG_INCONSISTENT
    assert await chain(store) == []


async def test_a_lost_answer_of_the_bucket_is_no_trouble(store):
    """put_new says that something is there: it is ours."""
    await store.tenant().put("a", "1")
    inner = store._blobs

    class Lossy:
        url = inner.url
        get, list_keys, remove = inner.get, inner.list_keys, inner.remove

        async def put_new(self, key, data):
            await inner.put_new(key, data)
            return False

    done = await journaling.export(store._catalog, Lossy())
    (link,) = await chain(store)
    assert done.digest == link.digest


async def test_blobs_that_cannot_keep_a_journal_say_so(store):
    class Blobs:
        url = "mine:"

    with pytest.raises(Invalid) as refused:
        await journaling.export(store._catalog, Blobs())
    assert refused.value.code is Code.BAD_CONFIG


async def test_strangers_beside_segments_are_left_alone(store):
    await store.tenant().put("a", "1")
    for name in ("README", "1-1.msgpack", f"{journal.key_of(1, 1)[len(journal.PREFIX) :]}.bak"):
        await store._blobs.put_new(journal.PREFIX + name, b"?")
    await store.export_journal()
    assert len(await chain(store)) == 1
    assert (await store.verify_journal()).ok


async def test_the_journal_is_beside_the_blobs_and_no_blob(store, store_urls):
    await store.tenant().put("a", "1")
    await store.export_journal()
    blobs = await open_blobs(store_urls.blobs)
    try:
        assert [each.digest for each in await blobs.page()] == [Digest.of(b"1")]
        assert await blobs.list_keys(journal.PREFIX) == [journal.key_of(1, 1)]
    finally:
        await blobs.aclose()
