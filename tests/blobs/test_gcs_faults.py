"""Every fault at every request to a bucket: what a call answers is true, or it says why it cannot answer."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import timedelta
from uuid import UUID

import pytest

from casstore import AsyncStore, limits
from casstore.blobs import keys
from casstore.errors import CasstoreError, Code, Corrupt, Denied, Unavailable
from casstore.model import Digest
from casstore.testing.gcs import (
    Chaos,
    corrupt_byte,
    corrupt_upload,
    cut_body,
    drop_after,
    drop_before,
    keep_part,
    stall,
    status,
)
from casstore.testing.harness import listed, put_bytes, read_all, sample

SMALL = b"a small blob"
LARGE = sample(2 * limits.GCS_REQUEST_BYTES + 1)
IDENTITY = UUID(int=7)


# -- the calls, each on a place of its own, and what it answers when nothing goes wrong ------------------------------------


async def read(store, data, **bounds):
    return await read_all(await store.open(Digest.of(data), **bounds))


async def put_small(store):
    await put_bytes(store, SMALL)
    return len(await store.page()) == 1, await read(store, SMALL) == SMALL


async def put_large(store):
    await put_bytes(store, LARGE)
    return len(await store.page()) == 1, await read(store, LARGE) == LARGE


async def replace(store):
    first = await put_bytes(store, SMALL)
    second = await put_bytes(store, SMALL, dead=first.generation)
    return await store.stat(second.digest) == second, await store.delete(second.digest, generation=first.generation)


async def delete(store):
    placed = await put_bytes(store, SMALL)
    done = await store.delete(placed.digest, generation=placed.generation)
    return done, await store.stat(placed.digest), await store.page()


async def look(store):
    placed = await put_bytes(store, SMALL)
    return await store.stat(placed.digest) == placed == (await store.page())[0], await store.stat(Digest.of(b"absent"))


async def identify(store):
    return await store.identity(), await store.identify(IDENTITY), await store.identity()


CALLS = [put_small, pytest.param(put_large, marks=pytest.mark.slow), replace, delete, look, identify]
FAULTS = [
    drop_before(),
    drop_after(),
    status(503),
    status(503, after=True),
    status(500, after=True),
    status(429),
    status(408, after=True),
    cut_body(),
]


def every(values):
    return pytest.mark.parametrize("fault", values, ids=lambda fault: fault.kind)


def each_request(gcs, drive_gcs, call, fault):
    """The call again and again, in empty places, with the fault at its first request, its second, and so on."""
    wanted = drive_gcs(call, "gs://blobs/undisturbed")
    for nth in range(1, len(gcs.requests) + 1):
        rule = gcs.faults.add(fault, nth=nth)
        assert drive_gcs(call, f"gs://blobs/{nth}", deadline=timedelta(seconds=20)) == wanted, f"request {nth}"
        assert rule.struck
        gcs.faults.clear()


@pytest.mark.parametrize("call", CALLS)
@every(FAULTS)
def test_one_fault_at_any_request_changes_no_answer(gcs, drive_gcs, call, fault):
    each_request(gcs, drive_gcs, call, fault)


@pytest.mark.slow
@pytest.mark.parametrize("call", CALLS)
@every([stall(0.7), stall(0.7, after=True), stall(0.7, after_bytes=3)])
def test_one_silence_at_any_request_changes_no_answer(gcs, drive_gcs, call, fault):
    each_request(gcs, drive_gcs, call, fault)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_chaos_changes_no_bytes(gcs, connect, seed):
    """One request in five goes wrong somehow, while blobs are put, read, listed, deleted by several at once."""

    async def live(store, number):
        data = [sample(size, seed=number) for size in (0, 1, 70_000, 9 * 2**20)]
        for each in data:
            placed = await put_bytes(store, each)
            assert await read(store, each) == each
            assert await read(store, each, start=10, end=1000) == each[10:1000]
            assert placed in await listed(store)
        await store.delete(placed.digest, generation=placed.generation)
        assert await store.stat(placed.digest) is None

    async def together():
        store = await connect(deadline=timedelta(seconds=60))
        chaos = Chaos(seed=seed, rate=0.2)
        gcs.faults.unleash(chaos)
        await asyncio.gather(*(live(store, number) for number in range(6)))
        await store.aclose()
        assert chaos.struck > 20

    asyncio.run(together())


# -- trouble that does not pass ------------------------------------------------------------------------------------------


def methods(store):
    digest = Digest.of(SMALL)
    return (
        lambda: put_bytes(store, SMALL),
        lambda: put_bytes(store, LARGE),
        lambda: store.open(digest),
        lambda: store.stat(digest),
        lambda: store.delete(digest, generation=1),
        store.page,
        store.identity,
        lambda: store.identify(IDENTITY),
    )


@every([status(503), status(429), status(500), drop_before()])
def test_trouble_without_end_is_unavailable_by_the_deadline(gcs, drive_gcs, fault):
    async def storm(store):
        gcs.faults.add(fault, times=None)
        for method in methods(store):
            begin = time.monotonic()
            with pytest.raises(Unavailable) as caught:
                await method()
            assert time.monotonic() - begin < 2
            assert caught.value.code is Code.BLOBS_UNAVAILABLE
            assert ("slow down" in caught.value.hint) == (fault.kind[:3] in ("503", "429"))
        gcs.faults.clear()
        assert await store.page() == []

    drive_gcs(storm, deadline=timedelta(seconds=0.05))


@pytest.mark.parametrize(("code", "hint"), [(401, "gcloud auth"), (403, "roles/storage.objectUser")])
def test_a_missing_right_is_denied_at_once(gcs, drive_gcs, code, hint):
    async def refused(store):
        gcs.faults.add(status(code), times=None)
        for method in methods(store):
            with pytest.raises(Denied) as caught:
                await method()
            assert caught.value.code is Code.NOT_PERMITTED
            assert hint in caught.value.hint

    drive_gcs(refused, deadline=timedelta(seconds=600))


def test_a_refused_stream_gives_its_connection_back(gcs, drive_gcs, caplog):
    """Google's session drops an unread 401, with its connection, to ask again with a new token."""

    async def refused(store):
        gcs.faults.add(status(401), times=None)
        for _ in range(5):
            with pytest.raises(Denied):
                await store.open(Digest.of(SMALL))

    with caplog.at_level(logging.DEBUG, "urllib3"):
        drive_gcs(refused)
    assert caplog.text.count("Starting new HTTP connection") == 1


def test_a_missing_bucket_is_named(drive_gcs):
    async def missing(store):
        for method in methods(store):
            with pytest.raises(Unavailable, match="there is no bucket elsewhere") as caught:
                await method()
            assert "CASSTORE_BLOBS" in caught.value.hint

    drive_gcs(missing, "gs://elsewhere/here")


def test_an_upload_that_is_never_answered_is_found(gcs, drive_gcs):
    """Unavailable says that nothing is there."""
    gcs.faults.add(status(503, after=True), operation="upload", times=None)
    placed = drive_gcs(lambda store: put_bytes(store, SMALL), deadline=timedelta(seconds=0.05))
    (stored,) = gcs.objects("blobs").values()
    assert (stored.generation, stored.data) == (placed.generation, SMALL)


def test_an_upload_that_never_arrives_leaves_what_is_there(gcs, drive_gcs):
    async def never(store):
        old = await put_bytes(store, SMALL)
        gcs.faults.add(status(503), operation="upload", times=None)
        with pytest.raises(Unavailable):
            await put_bytes(store, SMALL, dead=old.generation)
        assert await store.stat(old.digest) == old

    drive_gcs(never, deadline=timedelta(seconds=0.05))


def test_no_error_tells_the_url_of_an_upload(gcs, drive_gcs):
    """Who knows it can write in our place."""
    for code in (503, 403, 400):
        gcs.faults.add(status(code), operation="upload_chunk", times=None)
        with pytest.raises(CasstoreError) as caught:
            drive_gcs(lambda store: put_bytes(store, LARGE), deadline=timedelta(seconds=0.05))
        assert "upload_id" not in caught.value.message + caught.value.hint
        gcs.faults.clear()


# -- uploads -------------------------------------------------------------------------------------------------------------


def stored_in(gcs):
    return [stored.data for stored in gcs.objects("blobs").values()]


@pytest.mark.parametrize(("data", "operation"), [(SMALL, "upload"), (LARGE, "upload_chunk")], ids=["small", "large"])
def test_bytes_altered_on_their_way_are_sent_again(gcs, drive_gcs, data, operation):
    gcs.faults.add(corrupt_upload(), operation=operation)
    drive_gcs(lambda store: put_bytes(store, data))
    assert stored_in(gcs) == [data]


@pytest.mark.parametrize(("data", "operation"), [(SMALL, "upload"), (LARGE, "upload_chunk")], ids=["small", "large"])
def test_bytes_always_altered_on_their_way_are_never_stored(gcs, drive_gcs, data, operation):
    gcs.faults.add(corrupt_upload(), operation=operation, times=None)
    with pytest.raises(Unavailable, match="unaltered"):
        drive_gcs(lambda store: put_bytes(store, data))
    assert not gcs.objects("blobs")


@pytest.mark.parametrize("kept", [2**18, 5 * 2**20, 0])
@pytest.mark.parametrize("nth", [1, 2])
def test_a_piece_of_which_google_kept_a_part_is_continued(gcs, drive_gcs, kept, nth):
    gcs.faults.add(keep_part(kept), operation="upload_chunk", nth=nth)
    drive_gcs(lambda store: put_bytes(store, LARGE))
    assert stored_in(gcs) == [LARGE]
    assert [seen.operation for seen in gcs.requests].count("upload_start") == 1


def test_a_bucket_that_keeps_nothing_is_unavailable_by_the_deadline(gcs, drive_gcs):
    gcs.faults.add(keep_part(0), operation="upload_chunk", times=None)
    with pytest.raises(Unavailable, match="0 bytes of an upload"):
        drive_gcs(lambda store: put_bytes(store, LARGE), deadline=timedelta(seconds=0.05))


@pytest.mark.parametrize("code", [404, 410])
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_an_upload_whose_session_is_gone_begins_again(gcs, drive_gcs, code, nth):
    gcs.faults.add(status(code), operation="upload_chunk", nth=nth)
    drive_gcs(lambda store: put_bytes(store, LARGE))
    assert stored_in(gcs) == [LARGE]
    assert [seen.operation for seen in gcs.requests].count("upload_start") == 2


@pytest.mark.parametrize(("data", "operation"), [(SMALL, "upload"), (LARGE, "upload_chunk")], ids=["small", "large"])
def test_a_writer_that_was_faster_is_adopted(gcs, drive_gcs, data, operation):
    """Between our looking and the last of our bytes: Google refuses the precondition then, and only then."""

    async def overtaken(store):
        gcs.faults.add(stall(0.2), operation=operation)
        writing = asyncio.ensure_future(put_bytes(store, data))
        await asyncio.sleep(0.1)  # half of the stall
        generation = gcs.write("blobs", f"here/{keys.key_of(Digest.of(data))}", data)
        assert (await writing).generation == generation

    drive_gcs(overtaken)


def test_after_a_lost_answer_the_checksum_decides(gcs, drive_gcs):
    """Another object of the same size may be what our own request left; without a lost answer put does not judge."""
    data, altered = b"the true bytes", b"the fake bytes"

    async def lost(store):
        generation = gcs.write("blobs", f"here/{keys.key_of(Digest.of(data))}", altered)
        assert (await put_bytes(store, data)).generation == generation
        gcs.faults.add(drop_before(), operation="upload")
        with pytest.raises(Corrupt) as caught:
            await put_bytes(store, data)
        assert caught.value.code is Code.BLOB_ALTERED
        assert caught.value.fields["generation"] == generation
        await put_bytes(store, data, dead=generation)

    drive_gcs(lost)


# -- deletes -------------------------------------------------------------------------------------------------------------


def test_a_delete_whose_answer_got_lost_spares_who_came_after(gcs, drive_gcs):
    async def lost(store):
        old = await put_bytes(store, SMALL)
        gcs.faults.add(drop_after(), operation="delete")
        gcs.faults.add(stall(0.2), operation="delete")
        deleting = asyncio.ensure_future(store.delete(old.digest, generation=old.generation))
        while "delete" not in (seen.operation for seen in gcs.requests):
            await asyncio.sleep(0.01)
        new = await put_bytes(store, SMALL)
        assert not await deleting
        assert await store.stat(new.digest) == new

    drive_gcs(lost)


# -- reads ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [0, 1, limits.CHUNK_BYTES, 3 * limits.CHUNK_BYTES + 17, len(LARGE) - 1])
def test_a_large_blob_that_is_cut_is_continued(gcs, drive_gcs, at):
    async def cut(store):
        await put_bytes(store, LARGE)
        gcs.faults.add(cut_body(at), operation="download", times=3)
        assert await read(store, LARGE) == LARGE
        gcs.faults.clear()
        gcs.faults.add(cut_body(at), operation="download")
        assert await read(store, LARGE, start=5, end=len(LARGE) - 5) == LARGE[5:-5]

    drive_gcs(cut, deadline=timedelta(seconds=20))


@pytest.mark.parametrize("replaced", [True, False])
def test_a_blob_that_is_cut_and_then_another_is_unavailable(gcs, drive_gcs, replaced):
    """Never the bytes of two generations one after the other."""

    async def cut(store):
        placed = await put_bytes(store, LARGE)
        gcs.faults.add(cut_body(2 * limits.CHUNK_BYTES), operation="download")
        gcs.faults.add(stall(0.2), operation="download")
        reader = await store.open(placed.digest)
        begun = await reader.read(limits.CHUNK_BYTES)
        if replaced:
            await put_bytes(store, LARGE, dead=placed.generation)
        else:
            await store.delete(placed.digest, generation=placed.generation)
        with pytest.raises(Unavailable, match="deleted or replaced"):
            begun += await read_all(reader)
        assert LARGE.startswith(begun)

    drive_gcs(cut)


def test_a_read_that_failed_can_be_repeated(gcs, drive_gcs):
    async def failed(store):
        placed = await put_bytes(store, LARGE)
        gcs.faults.add(cut_body(2 * limits.CHUNK_BYTES), operation="download")
        gcs.faults.add(status(503), operation="download", times=None)
        reader = await store.open(placed.digest)
        begun = await reader.read(limits.CHUNK_BYTES) + await reader.read(limits.CHUNK_BYTES)
        for _ in range(2):
            with pytest.raises(Unavailable):
                begun += await reader.read(limits.CHUNK_BYTES)
        gcs.faults.clear()
        assert begun + await read_all(reader) == LARGE

    drive_gcs(failed, deadline=timedelta(seconds=0.1))


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
def test_bytes_altered_in_the_bucket_are_corrupt_and_healed(gcs, run, database, data):
    async def damaged():
        async with AsyncStore(blobs="gs://blobs/here", catalog=database) as store:
            tenant = store.tenant("acme")
            version = await tenant.put("sop/login", data)
            name = f"here/{keys.key_of(version.components[0].digest)}"
            gcs.write("blobs", name, data[:-1] + b"?")
            with pytest.raises(Corrupt) as caught:
                await (await tenant.get("sop/login")).bytes()
            assert caught.value.code is Code.BLOB_ALTERED
            await tenant.put("sop/healed", data)
            assert gcs.objects("blobs")[name].data == data
            assert await (await tenant.get("sop/login")).bytes() == data
            gcs.faults.add(corrupt_byte(), operation="download")
            with pytest.raises(Corrupt):
                await (await tenant.get("sop/login")).bytes()

    run(damaged())
