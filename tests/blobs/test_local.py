"""What only the local folder promises: its layout, the order of its effects, how it reads and closes."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import io
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from casstore import limits
from casstore.blobs import keys, local, open_blobs
from casstore.blobs.local import LocalBlobs
from casstore.errors import CasstoreError, Code, Corrupt, Unavailable
from casstore.model import Digest
from casstore.staging import Staged
from casstore.testing.harness import put_bytes, read_all

FOLDER = "artifacts/blobs"


def test_one_file_per_blob_under_its_key(drive, tmp_path):
    placed = drive(tmp_path, lambda store: put_bytes(store, b"abc"))
    path = tmp_path / "artifacts" / "blobs" / "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"
    assert path.read_bytes() == b"abc"
    assert keys.key_of(placed.digest) == str(path.relative_to(tmp_path))
    assert placed.generation == path.stat().st_mtime_ns
    assert list(path.parent.iterdir()) == [path]
    assert path.stat().st_nlink == 1


def test_the_url_of_a_store_opens_it_again(drive, tmp_path):
    async def again(store):
        placed = await put_bytes(store, b"here")
        other = await open_blobs(store.url)
        assert await other.stat(placed.digest) == placed
        await other.aclose()

    drive(tmp_path / "a folder with ü and %20", again)


class Recorder:
    """Calls through to the real os functions, and writes down what they did to which file."""

    CALLS = ("open", "write", "fsync", "utime", "link", "rename", "unlink", "close", "mkdir")

    def __init__(self, monkeypatch, root):
        self.root, self.events, self.names = str(root), [], {}
        for name in self.CALLS:
            monkeypatch.setattr(os, name, self._recording(name, getattr(os, name)))

    def _recording(self, name, real):
        def call(*arguments, **options):
            answer = real(*arguments, **options)
            subject = arguments[0]
            if name == "open":
                self.names[answer] = str(subject)
            place = self.names.get(subject, "") if isinstance(subject, int) else str(subject)
            if place.startswith(self.root):
                self.events.append((name, self._role(place)))
            return answer

        return call

    @staticmethod
    def _role(place):
        last = place.rsplit("/", 1)[1]
        if last.startswith(".tmp-"):
            return "temp"
        return last if last in ("blobs", ".lock", "artifacts") else "blob" if len(last) == 64 else "other"


def recorded(drive, monkeypatch, root, work):
    """The effects of `work` on a store that is open already, without opening and closing of files."""

    async def main(store):
        with monkeypatch.context() as patch:
            recorder = Recorder(patch, root)
            await work(store)
        return [event for event in recorder.events if event[0] not in ("open", "close")]

    return drive(root, main)


def test_a_put_is_durable_before_it_is_visible_and_visible_before_it_is_acknowledged(drive, tmp_path, monkeypatch):
    events = recorded(drive, monkeypatch, tmp_path, lambda store: put_bytes(store, b"new"))
    assert events == [
        ("write", "temp"),
        ("utime", "temp"),
        ("fsync", "temp"),  # bytes and generation are durable
        ("link", "temp"),  # visible, create-only
        ("fsync", "blobs"),  # the name is durable
        ("unlink", "temp"),
    ]


def test_a_disk_that_takes_a_little_at_a_time_gets_everything(drive, tmp_path, monkeypatch):
    real = os.write

    async def main(store):
        data = bytes(range(256)) * 100
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", lambda descriptor, view: real(descriptor, view[:1_000]))
            placed = await put_bytes(store, data)
        assert await read_all(await store.open(placed.digest)) == data

    drive(tmp_path, main)


def test_an_adopted_object_is_made_durable_before_it_is_acknowledged(drive, tmp_path, monkeypatch):
    drive(tmp_path, lambda store: put_bytes(store, b"there already"))
    assert recorded(drive, monkeypatch, tmp_path, lambda store: put_bytes(store, b"there already")) == [
        ("fsync", "blobs")
    ]


def test_a_replacement_is_durable_before_it_takes_the_place(drive, tmp_path, monkeypatch):
    old = drive(tmp_path, lambda store: put_bytes(store, b"dead"))
    events = recorded(drive, monkeypatch, tmp_path, lambda store: put_bytes(store, b"dead", dead=old.generation))
    assert events[:5] == [
        ("write", "temp"),
        ("utime", "temp"),
        ("fsync", "temp"),
        ("rename", "temp"),
        ("fsync", "blobs"),
    ]


def test_a_delete_is_durable_before_it_is_acknowledged(drive, tmp_path, monkeypatch):
    old = drive(tmp_path, lambda store: put_bytes(store, b"dead"))
    events = recorded(drive, monkeypatch, tmp_path, lambda store: store.delete(old.digest, generation=old.generation))
    assert events == [("unlink", "blob"), ("fsync", "blobs")]


def test_every_folder_that_connecting_made_is_durable(drive, tmp_path, monkeypatch):
    """Regression: the parents of the root were not synced, so a power cut could take the whole new store."""
    synced = []
    monkeypatch.setattr(local, "sync", lambda folder: synced.append(str(folder)))
    drive(tmp_path / "a" / "b", lambda store: store.page())
    made = [tmp_path / "a", tmp_path / "a" / "b", tmp_path / "a" / "b" / "artifacts", tmp_path / "a" / "b" / FOLDER]
    assert {str(folder.parent) for folder in made} <= set(synced)


def test_two_processes_on_one_folder_agree(drive, tmp_path):
    script = f"""
import asyncio
from pathlib import Path
from casstore.blobs.local import LocalBlobs
from casstore.staging import stage
async def main():
    store = await LocalBlobs.connect(Path({str(tmp_path)!r}))
    for number in range(30):
        placed = await store.put((await stage(b"shared %d" % number))["main"])
        print(placed.digest, placed.generation)
    await store.aclose()
asyncio.run(main())"""
    children = [subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) for _ in range(3)]
    answers = {child.communicate(timeout=60)[0] for child in children}
    assert len(answers) == 1
    assert len(answers.pop().splitlines()) == 30
    assert len(drive(tmp_path, lambda store: store.page())) == 30


def test_deleting_and_replacing_exclude_each_other_and_creating_waits_for_nobody(drive, tmp_path):
    async def main(store):
        old = await put_bytes(store, b"contended")
        with (tmp_path / "artifacts/blobs/.lock").open("wb") as held:
            fcntl.flock(held, fcntl.LOCK_EX)  # as another process would, in the middle of a delete
            waiting = [
                asyncio.ensure_future(store.delete(old.digest, generation=old.generation)),
                asyncio.ensure_future(put_bytes(store, b"contended", dead=old.generation)),
            ]
            await put_bytes(store, b"created meanwhile")
            done, _ = await asyncio.wait(waiting, timeout=0.05)
            assert not done
            assert await store.stat(old.digest) == old
        _, new = await asyncio.gather(*waiting)
        assert await store.stat(old.digest) == new

    drive(tmp_path, main)


def test_generations_survive_reopening(drive, tmp_path):
    placed = drive(tmp_path, lambda store: put_bytes(store, b"kept"))
    assert drive(tmp_path, lambda store: store.stat(placed.digest)) == placed
    assert drive(tmp_path, lambda store: store.page()) == [placed]
    assert drive(tmp_path, lambda store: store.delete(placed.digest, generation=placed.generation))


@pytest.mark.parametrize("flag", [getattr(os, "RWF_NOWAIT", 0), 0], ids=["page cache", "thread"])
@pytest.mark.parametrize("max_bytes", [100, limits.INLINE_BYTES, limits.INLINE_BYTES + 1, 2**20])
def test_both_ways_to_read_give_the_same_bytes(drive, tmp_path, monkeypatch, flag, max_bytes):
    monkeypatch.setattr(local, "_NO_WAIT", flag)
    data = random.Random(1).randbytes(3 * limits.INLINE_BYTES + 5)

    async def both(store):
        placed = await put_bytes(store, data)
        assert await read_all(await store.open(placed.digest), max_bytes) == data

    drive(tmp_path, both)


@pytest.mark.skipif(not hasattr(os, "RWF_NOWAIT"), reason="only Linux has RWF_NOWAIT")
def test_what_is_not_in_the_page_cache_is_read_in_a_thread(drive, tmp_path, monkeypatch):
    def cold(*arguments):
        raise BlockingIOError(11, "Resource temporarily unavailable")

    async def main(store):
        placed = await put_bytes(store, b"cold")
        with monkeypatch.context() as patch:
            patch.setattr(os, "preadv", cold)
            assert await read_all(await store.open(placed.digest)) == b"cold"

    drive(tmp_path, main)


@pytest.mark.skipif(not hasattr(os, "RWF_NOWAIT"), reason="only Linux has RWF_NOWAIT")
def test_what_is_half_in_the_page_cache_is_read_whole(drive, tmp_path, monkeypatch):
    real = os.preadv

    def half(descriptor, buffers, *arguments):
        return real(descriptor, [memoryview(buffers[0])[: len(buffers[0]) // 2]], *arguments)

    async def main(store):
        placed = await put_bytes(store, b"lukewarm bytes")
        with monkeypatch.context() as patch:
            patch.setattr(os, "preadv", half)
            assert await read_all(await store.open(placed.digest)) == b"lukewarm bytes"

    drive(tmp_path, main)


def test_a_disk_that_cannot_be_read_is_unavailable(drive, tmp_path, monkeypatch):
    def broken(*arguments):
        raise OSError(5, "Input/output error")

    async def main(store):
        placed = await put_bytes(store, b"on a bad sector")
        with monkeypatch.context() as patch:
            patch.setattr(os, "preadv", broken)
            patch.setattr(os, "pread", broken)
            with pytest.raises(Unavailable) as caught:
                await read_all(await store.open(placed.digest))
        assert caught.value.code is Code.BLOBS_UNAVAILABLE
        assert str(tmp_path) in str(caught.value)

    drive(tmp_path, main)


def test_a_page_whose_blobs_are_all_deleted_meanwhile_is_not_the_end(drive, tmp_path):
    """Regression: the page was empty, and a collector or check would have stopped before the rest."""

    class Racing(LocalBlobs):
        doomed = 2

        def _stat(self, digest):
            if self.doomed:
                self.doomed -= 1
                Path(self._path(digest)).unlink()
            return super()._stat(digest)

    placed = drive(tmp_path, lambda store: put_all(store, 5))

    async def race():
        store = await Racing.connect(tmp_path)
        assert await store.page(limit=2) == placed[2:4]
        assert await store.page(after=placed[3].digest, limit=2) == placed[4:]
        await store.aclose()

    asyncio.run(race())


async def put_all(store, count):
    placed = [await put_bytes(store, hashlib.sha256(bytes([number])).digest()) for number in range(count)]
    return sorted(placed, key=lambda each: each.digest)


def test_closing_waits_for_writers_without_stopping_the_event_loop(tmp_path):
    """Regression: aclose joined the threads on the event loop."""

    class Slow(io.BytesIO):
        def read(self, size=-1):
            time.sleep(0.2)
            return super().read(size)

    class Source(Staged):
        def open(self):
            return Slow(self.source)

    async def main():
        store = await LocalBlobs.connect(tmp_path)
        writing = asyncio.ensure_future(store.put(Source(Digest.of(b"slow"), 4, 0, "", b"slow")))
        await asyncio.sleep(0.05)
        closing = asyncio.ensure_future(store.aclose())
        ticks = 0
        while not closing.done():
            await asyncio.sleep(0.01)
            ticks += 1
        assert ticks > 5
        assert (await writing).size_bytes == 4

    asyncio.run(main())


def test_no_descriptors_are_left_open(drive, tmp_path):
    async def main(store):
        before = len(list(Path("/proc/self/fd").iterdir()))
        for number in range(20):
            placed = await put_bytes(store, b"%d" % number)
            await read_all(await store.open(placed.digest))
            with pytest.raises(Corrupt):
                await store.open(Digest.of(b"never"))
            with pytest.raises(CasstoreError):
                await store.put(Staged(Digest.of(b"never"), 5, 0, "", b"other"))
            await store.delete(placed.digest, generation=placed.generation)
        assert len(list(Path("/proc/self/fd").iterdir())) == before

    drive(tmp_path, main)
