"""Blobs in a bucket beyond the contract: which requests a call takes, where objects lie, whose they are, how it ends."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import time
from datetime import timedelta
from uuid import uuid4

import pytest

from casstore import limits
from casstore.blobs import keys, open_blobs
from casstore.errors import Code, Corrupt, Unavailable, UsageError
from casstore.model import MAIN, Digest
from casstore.staging import stage
from casstore.testing.gcs import GcsServer, drop_after, stall, status
from casstore.testing.harness import listed, put_bytes, read_all, sample

LARGE = sample(2 * limits.GCS_REQUEST_BYTES + 1)
IDENTITY = "artifacts/store-identity"


async def read(store, digest, **bounds):
    return await read_all(await store.open(digest, **bounds))


# -- how many requests -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "new", "known", "dead"),
    [
        (b"small", ["upload"], ["upload", "stat"], ["upload"]),
        (
            LARGE,
            ["stat", "upload_start", *["upload_chunk"] * 3],
            ["stat"],
            ["stat", "upload_start", *["upload_chunk"] * 3],
        ),
    ],
    ids=["small", "large"],
)
def test_the_requests_of_a_put(gcs, drive_gcs, data, new, known, dead):
    async def put(store):
        assert await asked(gcs, put_bytes(store, data)) == new
        assert await asked(gcs, put_bytes(store, data)) == known
        there = await store.stat(Digest.of(data))
        assert await asked(gcs, put_bytes(store, data, dead=there.generation)) == dead

    drive_gcs(put)


def test_the_requests_of_everything_else(gcs, drive_gcs):
    async def use(store):
        small, large, absent = Digest.of(b"small"), Digest.of(LARGE), Digest.of(b"absent")
        await put_bytes(store, LARGE)
        placed = await put_bytes(store, b"small")
        assert await asked(gcs, read(store, small)) == ["download"]
        assert await asked(gcs, read(store, small, start=1, end=3)) == ["download"]
        assert await asked(gcs, read(store, large)) == ["download"]
        assert await asked(gcs, read(store, small, start=3, end=3)) == ["stat"]
        assert await asked(gcs, read(store, small, start=9)) == ["download", "stat"]
        assert await asked(gcs, store.stat(small)) == ["stat"]
        assert await asked(gcs, store.stat(absent)) == ["stat"]
        assert await asked(gcs, store.page()) == ["list"]
        assert await asked(gcs, store.delete(small, generation=placed.generation)) == ["delete"]
        assert await asked(gcs, store.delete(small, generation=placed.generation)) == ["delete"]
        assert await asked(gcs, store.identify(uuid4())) == ["upload"]
        assert await asked(gcs, store.identify(uuid4())) == ["upload", "download"]
        assert await asked(gcs, store.identity()) == ["download"]

    drive_gcs(use)


async def asked(gcs, work):
    gcs.requests.clear()
    await work
    return [seen.operation for seen in gcs.requests]


def test_nobody_asks_for_the_bucket_behind_our_back(gcs, drive_gcs, monkeypatch):
    """Google's client does after a miss, in a thread of its own, unless it is told not to."""
    monkeypatch.delenv("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", raising=False)

    async def miss(store):
        await store.delete(Digest.of(b"absent"), generation=1)
        await store.stat(Digest.of(b"absent"))
        await asyncio.sleep(0.1)  # for a request that must not come nothing can be waited

    drive_gcs(miss)
    assert {seen.operation for seen in gcs.requests} == {"delete", "stat"}


def test_a_404_in_other_words_is_checked(gcs, drive_gcs):
    """Only "No such object" says that it is the object that is missing, and not the bucket."""

    async def miss(store):
        for call in (lambda: store.stat(digest), lambda: store.delete(digest, generation=1)):
            gcs.faults.add(status(404))
            assert not await call()
            assert gcs.requests[-1].operation == "list"

    digest = Digest.of(b"absent")
    drive_gcs(miss)


def test_a_burst_finds_a_connection_for_each_thread(gcs, drive_gcs, caplog):
    """A pool smaller than that throws away, and opens anew, most connections of every burst."""

    async def burst(store):
        for number in range(3):
            await asyncio.gather(*(put_bytes(store, sample(100 * number + n)) for n in range(limits.GCS_THREADS)))

    with caplog.at_level(logging.WARNING, "urllib3"):
        drive_gcs(burst)
    assert not caplog.records


def test_only_who_has_a_bucket_imports_the_client_of_google(tmp_path):
    code = (
        "import asyncio, sys, casstore.blobs as blobs; asyncio.run(blobs.open_blobs(sys.argv[1])); "
        "print('google' in sys.modules or 'requests' in sys.modules)"
    )
    command = [sys.executable, "-c", code, tmp_path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("False\n", "")


# -- where ---------------------------------------------------------------------------------------------------------------


def test_objects_lie_below_the_prefix(gcs, drive_gcs):
    drive_gcs(lambda store: put_bytes(store, b"here"))
    (name, stored), *others = gcs.objects("blobs").items()
    assert name == f"here/{keys.key_of(Digest.of(b'here'))}"
    assert stored.data == b"here"
    assert stored.metadata["contentType"] == "application/octet-stream"
    assert not others


def test_prefixes_do_not_see_each_other(gcs, drive_gcs):
    places = ("gs://blobs", "gs://blobs/a", "gs://blobs/ab", "gs://blobs/a/b", "gs://blobs/%C3%A9%20%25%3F%2B")

    async def alone(store, number):
        data, identity = sample(10 + number), uuid4()
        assert await store.identify(identity) == identity
        placed = await put_bytes(store, data)
        assert await listed(store) == [placed]
        assert await read(store, placed.digest) == data
        assert await store.stat(Digest.of(sample(9 + number))) is None
        assert await store.identity() == identity

    for number, url in enumerate(places):
        drive_gcs(lambda store, number=number: alone(store, number), url)
    assert "é %?+/artifacts/store-identity" in gcs.objects("blobs")


def test_a_store_says_where_it_is_but_not_who_asks(drive_gcs):
    async def url(store):
        return store.url

    assert drive_gcs(url, "gs://blobs/a%20b/?user_project=payer") == "gs://blobs/a%20b"
    assert drive_gcs(url, "gs://blobs") == "gs://blobs"


def test_who_pays_is_named_in_every_request(gcs, drive_gcs):
    asked = []

    async def use(store):
        store._bucket._session.hooks["response"].append(lambda answer, **_: asked.append(answer.request.url))
        for data in (b"small", LARGE):
            placed = await put_bytes(store, data)
            await read(store, placed.digest)
        await store.page()
        await store.delete(placed.digest, generation=placed.generation)

    drive_gcs(use, "gs://blobs?user_project=payer%26co")
    assert len(asked) > 8
    assert all("userProject=payer%26co" in url for url in asked if "upload_id=" not in url)


def test_a_page_of_strangers_is_not_the_end(monkeypatch):
    async def page(url):
        store = await open_blobs("gs://blobs/here")
        try:
            return await store.page(limit=1)
        finally:
            await store.aclose()

    with GcsServer(page_items=2) as server:
        server.create_bucket("blobs")
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        for name in ("0", "1", "2", "3", "4"):
            server.write("blobs", f"here/{keys.PREFIX}{name}", b"a stranger")
        digest = Digest(b"\xff" * 32)
        generation = server.write("blobs", f"here/{keys.key_of(digest)}", b"a blob")
        (found,) = asyncio.run(page(server.url))
    assert (found.digest, found.size_bytes, found.generation) == (digest, 6, generation)


# -- whose ---------------------------------------------------------------------------------------------------------------


def test_of_two_who_identify_at_once_one_wins(connect):
    async def race():
        stores = [await connect() for _ in range(8)]
        assert await stores[0].identity() is None
        answers = await asyncio.gather(*(store.identify(uuid4()) for store in stores))
        assert set(answers) == {await stores[0].identity()}
        for store in stores:
            await store.aclose()

    asyncio.run(race())


def test_an_identity_whose_answer_got_lost_is_ours(gcs, drive_gcs):
    identity = uuid4()
    gcs.faults.add(drop_after(), operation="upload")
    assert drive_gcs(lambda store: store.identify(identity)) == identity
    assert gcs.objects("blobs")[f"here/{IDENTITY}"].data == f"{identity}\n".encode()


@pytest.mark.parametrize("data", [b"", b"nonsense", b"\xff\xfe"])
def test_a_damaged_identity_is_corrupt(gcs, drive_gcs, data):
    gcs.write("blobs", f"here/{IDENTITY}", data)
    for work in (lambda store: store.identity(), lambda store: store.identify(uuid4())):
        with pytest.raises(Corrupt) as caught:
            drive_gcs(work)
        assert caught.value.code is Code.BLOB_ALTERED


# -- how it ends ---------------------------------------------------------------------------------------------------------


def test_a_cancelled_put_sends_no_more(gcs, drive_gcs):
    async def cancel(store):
        gcs.faults.add(stall(0.2), operation="upload_chunk", nth=2)
        writing = asyncio.ensure_future(put_bytes(store, LARGE))
        while "upload_chunk" not in (seen.operation for seen in gcs.requests):
            await asyncio.sleep(0.01)  # the server tells only who looks
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing

    drive_gcs(cancel)  # waits for the thread
    assert [seen.operation for seen in gcs.requests].count("upload_chunk") < 3
    assert not gcs.objects("blobs")


def test_a_cancelled_put_does_not_try_again(gcs, drive_gcs):
    async def cancel(store):
        gcs.faults.add(status(503), times=None)
        writing = asyncio.ensure_future(put_bytes(store, b"unwanted"))
        await asyncio.sleep(0.1)  # any moment of its tries will do
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        await asyncio.sleep(0.1)  # the pause it was in
        before = len(gcs.requests)
        await asyncio.sleep(0.2)  # the pauses after it: a request that must not come
        assert len(gcs.requests) == before > 0

    drive_gcs(cancel, deadline=timedelta(seconds=30))


def test_a_cancelled_open_gives_its_connection_back(gcs, drive_gcs):
    async def cancel(store):
        placed = await put_bytes(store, LARGE)
        gcs.faults.add(stall(0.1, after=True), operation="download")
        opening = asyncio.ensure_future(store.open(placed.digest))
        await asyncio.sleep(0.05)  # any moment of the stall will do
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening

    drive_gcs(cancel)  # an unclosed socket would be a ResourceWarning


def test_a_cancelled_read_loses_no_bytes(gcs, drive_gcs):
    async def cancel(store):
        placed = await put_bytes(store, LARGE)
        gcs.faults.add(stall(0.2, after_bytes=limits.CHUNK_BYTES), operation="download")
        reader = await store.open(placed.digest)
        found = [await reader.read(limits.CHUNK_BYTES)]
        reading = asyncio.ensure_future(reader.read(limits.CHUNK_BYTES))
        await asyncio.sleep(0.05)  # likewise
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert b"".join([*found, await read_all(reader)]) == LARGE

    drive_gcs(cancel)


def test_a_read_that_is_cancelled_before_it_began_can_be_repeated(gcs, drive_gcs):
    async def cancel(store):
        placed = await put_bytes(store, LARGE)
        reader = await store.open(placed.digest)
        found = [await reader.read(limits.CHUNK_BYTES)]
        gcs.faults.add(stall(0.2), operation="stat", times=None)
        busy = [asyncio.ensure_future(store.stat(placed.digest)) for _ in range(limits.GCS_THREADS)]
        await asyncio.sleep(0.1)  # now no thread is free
        reading = asyncio.ensure_future(reader.read(limits.CHUNK_BYTES))
        await asyncio.sleep(0)  # asked for, and not begun
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert b"".join([*found, await read_all(reader)]) == LARGE
        await asyncio.gather(*busy)

    drive_gcs(cancel)


def test_closing_waits_for_no_pause(gcs, connect):
    async def close():
        store = await connect(first_pause=timedelta(seconds=60), deadline=timedelta(seconds=600))
        gcs.faults.add(status(503), times=None)
        asking = asyncio.ensure_future(store.stat(Digest.of(b"x")))
        await asyncio.sleep(0.1)  # it is in its first pause, which takes up to a minute
        begin = time.monotonic()
        await store.aclose()
        assert time.monotonic() - begin < 2
        with pytest.raises(Unavailable, match="503"):
            await asking

    asyncio.run(close())


def test_a_closed_reader_reads_nothing(drive_gcs):
    async def closed(store):
        placed = await put_bytes(store, b"bytes")
        reader = await store.open(placed.digest)
        await reader.aclose()
        with pytest.raises(UsageError):  # b"" would look like the end of a damaged blob
            await reader.read(1)

    drive_gcs(closed)


def test_a_source_that_changes_leaves_nothing(gcs, drive_gcs, tmp_path):
    """Also one that changes behind what was already sent, and one of several pieces: the last one is held back."""
    path = tmp_path / "source"

    async def change(store):
        for after in (LARGE[:-1] + b"!", b"!" + LARGE[1:], LARGE + b"more", LARGE[:-1], b""):
            path.write_bytes(LARGE)
            staged = (await stage(path))[MAIN]
            path.write_bytes(after)
            with pytest.raises(ValueError, match=f"{path} changed"):
                await store.put(staged)

    drive_gcs(change)
    assert not gcs.objects("blobs")
