"""repair --history heals from what a bucket has kept: exactly, from nothing it has not hashed, and in one place only."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from casstore import AsyncStore, Code, Digest, Invalid
from casstore.blobs import KeepsHistory, keys
from casstore.testing.audit import audit
from casstore.testing.gcs import GcsServer, faults

DATA = b"the bytes that are to come back"
DIGEST = Digest.of(DATA)
NAME = f"here/{keys.key_of(DIGEST)}"
GARBAGE = {"same size": DATA[::-1], "shorter": b"x", "empty": b""}


@pytest.fixture(scope="module")
def server():
    with GcsServer() as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", server.url)
        yield server


@pytest.fixture
def bucket(server, request):
    """A function: a new bucket with these policies."""
    made = []

    def make(**policies):
        name = f"b{abs(hash(request.node.name)) % 10**9}-{len(made)}"
        server.create_bucket(name, **policies)
        made.append(name)
        return name

    yield make
    server.faults.clear()


@pytest.fixture
def in_store(databases):
    """`in_store(bucket, work)` runs `await work(store)` in a store that has the bytes, as n@1 of the tenant t."""

    def run(name, work):
        async def main(dsn):
            async with AsyncStore(blobs=f"gs://{name}/here", catalog=dsn) as store:
                await store.tenant("t").put("n", DATA)
                await work(store)

        with databases.fresh() as dsn:
            asyncio.run(main(dsn))

    return run


def somebody(bucket):
    """The object, as somebody with Google's client sees it."""
    client = storage.Client(project="p", credentials=AnonymousCredentials())
    return client.bucket(bucket).blob(NAME)


def write(bucket, data):
    somebody(bucket).upload_from_string(data, timeout=10)


def lose(bucket, how):
    if how == "deleted":
        somebody(bucket).delete(timeout=10)
    else:
        write(bucket, GARBAGE[how])


async def healed(store):
    (done,) = await store.repair([DIGEST], history=True)
    assert (done.outcome, await (await store.tenant("t").get("n@1")).bytes()) == ("healed", DATA)
    assert [defect async for defect in store.fsck()] == []
    assert await audit(store) == []
    return done


KEEPING = {
    "soft delete": {"soft_delete_seconds": 3600},
    "versioning": {"versioning": True},
    "both": {"soft_delete_seconds": 3600, "versioning": True},
}


@pytest.mark.parametrize("keeping", KEEPING)
@pytest.mark.parametrize("how", ["deleted", *GARBAGE])
def test_what_was_lost_comes_back_byte_for_byte(server, bucket, in_store, keeping, how):
    name = bucket(**KEEPING[keeping])

    async def work(store):
        generation = server.objects(name)[NAME].generation
        lose(name, how)
        done = await healed(store)
        assert done.source == f"generation {generation} of its own object"
        assert (await store.repair([DIGEST], history=True))[0].outcome == "good"

    in_store(name, work)


def test_garbage_among_what_was_kept_is_not_believed(server, bucket, in_store):
    for policies in KEEPING.values():
        name = bucket(**policies)

        async def work(store, name=name):
            for garbage in GARBAGE.values():
                write(name, garbage)
            lose(name, "deleted")
            await healed(store)

        in_store(name, work)


def test_what_was_not_kept_is_told_as_lost(server, bucket, in_store):
    name = bucket(soft_delete_seconds=0)

    async def work(store):
        lose(name, "deleted")
        assert [each.outcome for each in await store.repair([DIGEST], history=True)] == ["no_bytes"]
        assert {defect.code async for defect in store.fsck()} == {"object_missing"}

    in_store(name, work)


def test_a_good_object_stays_as_it_is(server, bucket, in_store):
    name = bucket(soft_delete_seconds=3600)

    async def work(store):
        write(name, GARBAGE["same size"])
        write(name, DATA)
        before = server.objects(name)[NAME].generation
        (done,) = await store.repair([DIGEST], history=True)
        assert (done.source, server.objects(name)[NAME].generation) == ("its own object", before)

    in_store(name, work)


STRIKES = {
    "503": faults.status(503),
    "503 after": faults.status(503, after=True),
    "dropped": faults.drop_before(),
    "answer lost": faults.drop_after(),
}


@pytest.mark.parametrize("strike", STRIKES)
@pytest.mark.parametrize("operation", ["list", "restore", "download", "stat", "upload"])
def test_one_fault_at_any_call_is_got_over(server, bucket, in_store, operation, strike):
    for keeping in ("soft delete", "versioning"):
        name = bucket(**KEEPING[keeping])

        async def work(store, name=name):
            lose(name, "same size")
            server.faults.add(STRIKES[strike], operation=operation)
            await healed(store)
            server.faults.clear()

        in_store(name, work)


def test_what_nobody_needs_any_more_does_not_come_back(server, bucket, in_store):
    """It is purged and collected while it is being repaired, again and again."""
    name = bucket(soft_delete_seconds=3600)

    async def work(store):
        t = store.tenant("t")

        async def let_go():
            await t.delete_artifact("n", by="me")
            await t.purge_artifact("n", by="me")
            for _ in range(3):
                await store.collect(full=True, quarantine=timedelta(0))

        lose(name, "deleted")
        await asyncio.gather(let_go(), *(store.repair([DIGEST], history=True) for _ in range(3)))
        assert [each.outcome for each in await store.repair([DIGEST], history=True)] == ["unknown"]
        for _ in range(3):
            await store.collect(full=True, orphans=True, quarantine=timedelta(0))
        assert NAME not in server.objects(name)
        assert await audit(store) == []

    in_store(name, work)


def test_a_folder_says_that_it_keeps_nothing(databases, tmp_path):
    async def main(dsn):
        async with AsyncStore(blobs=tmp_path.as_uri(), catalog=dsn) as store:
            assert not isinstance(store._blobs, KeepsHistory)
            with pytest.raises(Invalid) as caught:
                await store.repair(history=True)
            assert caught.value.code is Code.NO_HISTORY

    with databases.fresh() as dsn:
        asyncio.run(main(dsn))
