"""What does the backend for buckets cost beside Google's bare client, on a test server of our own (no figure is of a real bucket)?

python benchmarks/gcs.py [ROUNDS] [SIZE_MIB]

Whole: a put of new bytes through store and catalog, beside a bare upload and then a commit call. Small: 4 KB put create-only, and
read back, 1, 8 and 32 at once, in one process; bare: as many threads, each in a loop over
the client's own calls. Large: put (hash, then upload) beside the client's upload in pieces as long as ours; verified get into a
file beside the client's download, not verified by BLAKE3. The server is a process of its own. Ratios are of times.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from floor import Floor
from google.cloud import storage
from google.cloud.storage.retry import DEFAULT_RETRY
from machine import compare, describe, fresh_folder, random_file, timed
from requests.adapters import HTTPAdapter

from casstore import AsyncStore, limits
from casstore.blobs import BlobStore, open_blobs
from casstore.hashing import Hasher
from casstore.model import MAIN, Digest
from casstore.staging import stage
from casstore.testing.gcs import gcs_process

PER_ROUND = 384
SMALL_BYTES = 4096
BUCKET = "bench"
CALL = {"retry": DEFAULT_RETRY.with_timeout(90), "timeout": (5, 60)}


class Bare:
    """Google's client as its users use it, with a connection for each thread."""

    def __init__(self) -> None:
        client = storage.Client()
        client._http.mount("http://", HTTPAdapter(pool_maxsize=64))
        self.bucket = client.bucket(BUCKET)

    def put(self) -> None:
        blob = self.bucket.blob(f"bare/{os.urandom(32).hex()}")
        blob.upload_from_string(os.urandom(SMALL_BYTES), if_generation_match=0, checksum="crc32c", **CALL)
        self.name = blob.name

    def get(self) -> None:
        blob = self.bucket.blob(self.name)
        if len(blob.download_as_bytes(single_shot_download=True, raw_download=True, **CALL)) != SMALL_BYTES:
            raise AssertionError(self.name)

    def upload(self, source: Path) -> None:
        blob = self.bucket.blob(f"bare/{os.urandom(8).hex()}", chunk_size=limits.GCS_REQUEST_BYTES)
        blob.upload_from_filename(source, if_generation_match=0, checksum="crc32c", **CALL)
        self.name = blob.name

    def download(self, target: Path) -> None:
        self.bucket.blob(self.name).download_to_filename(target, raw_download=True, **CALL)

    async def forget(self) -> None:
        self.bucket.delete_blob(self.name)


class Ours:
    """A blob store of casstore, and what was put into it."""

    def __init__(self, store: BlobStore) -> None:
        self.store = store
        self.digest = Digest.of(b"")

    async def put(self) -> None:
        self.digest = (await self.store.put((await stage(os.urandom(SMALL_BYTES)))[MAIN])).digest

    async def get(self) -> None:
        reader = await self.store.open(self.digest)
        if Digest.of(await reader.read(limits.CHUNK_BYTES)) != self.digest:
            raise AssertionError(self.digest)
        await reader.aclose()

    async def upload(self, source: Path) -> None:
        self.digest = (await self.store.put((await stage(source))[MAIN])).digest

    async def download(self, target: Path) -> None:
        reader, hasher = await self.store.open(self.digest), Hasher()
        with target.open("wb", buffering=0) as file:
            while chunk := await reader.read(limits.CHUNK_BYTES):
                hasher.update(chunk)
                file.write(chunk)
        await reader.aclose()
        if hasher.digest != self.digest:
            raise AssertionError(self.digest)

    async def forget(self) -> None:
        await self.store.delete(self.digest, generation=(await self.store.stat(self.digest)).generation)


async def tasks(work: Callable[[], Awaitable[None]], at_once: int) -> float:
    """Seconds a call, so many under way at once."""
    calls = iter(range(PER_ROUND))

    async def loop() -> None:
        for _ in calls:
            await work()

    begin = time.perf_counter()
    await asyncio.gather(*(loop() for _ in range(at_once)))
    return (time.perf_counter() - begin) / PER_ROUND


def threads(work: Callable[[], None], at_once: int) -> float:
    """The same in threads."""
    with ThreadPoolExecutor(at_once) as pool:
        begin = time.perf_counter()
        list(pool.map(lambda _: work(), range(PER_ROUND)))
        return (time.perf_counter() - begin) / PER_ROUND


async def small(ours: Ours, bare: Bare, rounds: int) -> None:
    for what in ("put", "get"):
        for at_once in (1, 8, 32):
            samples, others = [], []
            for turn in range(rounds + 1):
                mine = await tasks(getattr(ours, what), at_once)
                its = await asyncio.to_thread(threads, getattr(bare, what), at_once)
                if turn:  # the first is to warm up
                    samples.append(mine)
                    others.append(its)
            compare(f"{what} 4 KB, {at_once} at once", samples, others, "<= 1.11", "bare client")


async def whole(bare: Bare, rounds: int) -> None:
    """A put of new bytes through the whole store, beside what it cannot do without: one upload, then one commit call."""
    with fresh_folder() as home:
        async with AsyncStore(home, blobs=f"gs://{BUCKET}/whole") as store:
            tenant = store.tenant("bench")
            known = (await tenant.put("known", os.urandom(SMALL_BYTES))).components[0].digest
            floor = Floor(home / "floor", store._catalog._server.dsn, known)

            async def put(index: int) -> None:
                await tenant.put(f"doc/n{index % 100}", os.urandom(SMALL_BYTES))

            async def bare_put(index: int) -> None:
                bare.put()
                floor.commit(f"doc/n{index % 100}")

            samples, others = [], []
            for turn in range(rounds + 1):
                mine, its = await timed(put, 100, turn * 100), await timed(bare_put, 100, turn * 100)
                if turn:
                    samples += mine
                    others += its
            compare("whole put of 4 KB", samples, others, "<= 1.25", "bare upload, commit call")


async def large(ours: Ours, bare: Bare, rounds: int, size_mib: int) -> None:
    with fresh_folder() as folder:
        source, target = random_file(folder / "source", size_mib * 2**20), folder / "target"
        uploads, downloads = {ours: [], bare: []}, {ours: [], bare: []}
        for side in (ours, bare, bare, ours) * rounds:
            with source.open("r+b") as file:
                file.write(os.urandom(64))  # content nobody has stored, at the cost of one page
            uploads[side].append(await seconds(side.upload, source))
            downloads[side].append(await seconds(side.download, target))
            target.unlink()
            await side.forget()
        compare(f"put {size_mib} MiB", uploads[ours], uploads[bare], "<= 1.25", "bare upload")
        compare(f"get {size_mib} MiB to a file", downloads[ours], downloads[bare], "<= 1.18", "bare download")


async def seconds(work: Callable[[Path], object], path: Path) -> float:
    begin = time.perf_counter()
    await (work(path) if asyncio.iscoroutinefunction(work) else asyncio.to_thread(work, path))
    return time.perf_counter() - begin


async def main(rounds: int, size_mib: int) -> None:
    with gcs_process(BUCKET) as url:
        os.environ["STORAGE_EMULATOR_HOST"] = url
        store = await open_blobs(f"gs://{BUCKET}/ours")
        ours, bare = Ours(store), Bare()
        await small(ours, bare, rounds)
        await whole(bare, rounds)
        await large(ours, bare, max(1, rounds // 3), size_mib)
        await store.aclose()


if __name__ == "__main__":
    print(describe())
    arguments = [int(argument) for argument in sys.argv[1:]] + [9, 256][len(sys.argv) - 1 :]
    asyncio.run(main(*arguments))
