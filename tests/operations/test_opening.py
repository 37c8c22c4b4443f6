"""What opening a store promises: the two halves belong together, once, and nothing is left behind by one that fails."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import time

import pytest

from casstore import AsyncStore, CasstoreError, Store
from casstore.blobs import gcs, local
from casstore.errors import Code
from casstore.hashing import Hasher


def refusal(call) -> CasstoreError:
    with pytest.raises(CasstoreError) as error:
        call()
    return error.value


def refused(call) -> Code:
    return refusal(call).code


def opened(blobs, catalog):
    async def go():
        async with AsyncStore(blobs=blobs, catalog=catalog) as store:
            return await store.tenant("t").put("a", b"bytes")

    return asyncio.run(go())


def test_blobs_of_another_catalog_are_refused(databases, tmp_path):
    """Regression: a typo in CASSTORE_BLOBS acknowledged a put of bytes that the folder does not hold."""
    with databases.fresh() as catalog, databases.fresh() as other:
        mine, empty = (tmp_path / "mine").as_uri(), (tmp_path / "empty").as_uri()
        opened(mine, catalog)
        assert refused(lambda: opened(empty, catalog)) == Code.WRONG_BLOBS  # mistyped, or not mounted
        assert opened(mine, catalog).reused  # and nothing was doubted meanwhile
        (tmp_path / "mine/artifacts/blobs/.store").write_text("01a20477-8a0c-79f3-a602-a57f42aac3ee\n")
        assert refused(lambda: opened(mine, catalog)) == Code.WRONG_BLOBS
        assert "rebuild" not in refusal(lambda: opened(mine, catalog)).hint
        lost = refusal(lambda: opened(mine, other))  # a new catalog on blobs that have one
        assert (lost.code, "`casstore rebuild`" in lost.hint) == (Code.WRONG_BLOBS, True)


def test_a_store_that_is_not_open_begins_nothing():
    """Regression: a coroutine was made before anybody asked for the loop, and Python warned of it, which is an error here."""
    assert refused(lambda: Store().tenant("a").put("x", "y")) is Code.STORE_CLOSED
    gc.collect()


def test_many_first_openings_agree(store_urls):
    async def first():
        async with AsyncStore(blobs=store_urls[0], catalog=store_urls[1]):
            pass

    async def at_once():
        await asyncio.gather(*(first() for _ in range(6)))

    asyncio.run(at_once())


def test_a_store_is_opened_once(store_urls):
    with Store(blobs=store_urls[0], catalog=store_urls[1]) as store:
        assert refused(store.open) == Code.STORE_OPEN
        store.tenant("t").put("a", b"1")  # the first opening is still good


def test_a_callback_may_not_wait_for_its_own_thread(store_urls, tmp_path):
    """Regression: it hung for ever."""
    (tmp_path / "sop/a").mkdir(parents=True)
    (tmp_path / "sop/a/v0001.md").write_text("x")
    with Store(blobs=store_urls[0], catalog=store_urls[1]) as store:
        tenant = store.tenant("t")
        assert refused(lambda: tenant.import_tree(tmp_path, progress=lambda *_: tenant.usage())) == Code.STORE_BUSY


@pytest.mark.slow
def test_a_cancelled_first_opening_leaves_no_server(tmp_path):
    """Regression: the thread that made the cluster went on, and nobody stopped what it had started."""
    code = """
import asyncio, sys
from casstore import AsyncStore
async def main():
    task = asyncio.create_task(AsyncStore(sys.argv[1]).open())
    await asyncio.sleep(0.15)  # into the making of the cluster, which tells nobody how far it is
    task.cancel()
    await asyncio.wait([task])
asyncio.run(main())
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, timeout=60)
    data = next((tmp_path / "catalog").glob("data*"), None)
    assert data is None or not (data / "postmaster.pid").exists()


def test_a_large_put_that_is_cancelled_is_not_waited_for(store_urls, monkeypatch):
    """Regression: leaving the store waited until the whole file had been copied."""

    class Slow(Hasher):
        def update(self, data):
            time.sleep(0.05)  # a slow disk
            super().update(data)

    for backend in (local, gcs):
        monkeypatch.setattr(backend, "Hasher", Slow)

    async def go():
        async with AsyncStore(blobs=store_urls[0], catalog=store_urls[1]) as store:
            task = asyncio.create_task(store.tenant("t").put("a", b"x" * 2**25))  # 128 pieces of 0.05 s
            await asyncio.sleep(0.5)
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()

    asyncio.run(asyncio.wait_for(go(), 4))
