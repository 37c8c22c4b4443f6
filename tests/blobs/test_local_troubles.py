"""Full disks, folders that are gone or read-only, sources that fail: distinct errors, nothing by halves."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from casstore import limits
from casstore.errors import Code, Invalid, Unavailable
from casstore.model import MAIN, Digest
from casstore.staging import Staged, stage
from casstore.testing.harness import put_bytes, read_all

FOLDER = "artifacts/blobs"


def temps(root):
    return sorted(path.name for path in Path(root, FOLDER).glob(".tmp-*"))


@pytest.fixture
def small_disk(tmp_path):
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("cannot mount a small tmpfs: needs root and CAP_SYS_ADMIN")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_stores_nothing_by_halves_and_works_again(drive, small_disk):
    async def fill(store):
        small = await put_bytes(store, b"small")
        with pytest.raises(Unavailable) as caught:
            await put_bytes(store, bytes(range(256)) * 2**13)  # 2 MiB
        assert caught.value.code is Code.DISK_FULL
        assert await store.page() == [small]
        assert temps(small_disk) == []
        filler = small_disk / "filler"
        with pytest.raises(OSError, match="No space"):
            filler.write_bytes(b"x" * 2**21)
        with pytest.raises(Unavailable) as caught:
            await put_bytes(store, b"y" * 8192)
        assert caught.value.code is Code.DISK_FULL
        assert await read_all(await store.open(small.digest)) == b"small"
        assert await put_bytes(store, b"small") == small
        filler.unlink()
        placed = await put_bytes(store, b"y" * 8192)
        assert await read_all(await store.open(placed.digest)) == b"y" * 8192
        assert await store.page() == sorted([small, placed], key=lambda each: each.digest)

    drive(small_disk, fill)


def test_a_disk_that_fills_at_the_fsync_stores_nothing(drive, tmp_path, monkeypatch):
    """Delayed allocation and network disks say so only there."""
    real = os.fsync

    def full(descriptor):
        if Path(f"/proc/self/fd/{descriptor}").readlink().name.startswith(".tmp-"):
            raise OSError(28, "No space left on device")
        real(descriptor)

    async def fill(store):
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            with pytest.raises(Unavailable) as caught:
                await put_bytes(store, b"too late")
        assert caught.value.code is Code.DISK_FULL
        assert await store.stat(Digest.of(b"too late")) is None
        assert temps(tmp_path) == []
        await put_bytes(store, b"too late")

    drive(tmp_path, fill)


def test_a_file_in_the_way_is_unavailable(drive, tmp_path):
    (tmp_path / "artifacts").write_text("a file, not a folder")
    with pytest.raises(Unavailable) as caught:
        drive(tmp_path, lambda store: store.page())
    assert caught.value.code is Code.BLOBS_UNAVAILABLE
    assert caught.value.hint


def test_a_file_in_the_place_of_the_folder_is_unavailable(drive, tmp_path):
    async def replaced(store):
        placed = await put_bytes(store, b"here")
        shutil.rmtree(tmp_path / "artifacts")
        (tmp_path / "artifacts").write_text("a file, not a folder")
        for work in (
            lambda: store.stat(placed.digest),
            lambda: store.open(placed.digest),
            lambda: put_bytes(store, b"there"),
            store.page,
            lambda: store.delete(placed.digest, generation=placed.generation),
        ):
            with pytest.raises(Unavailable) as caught:
                await work()
            assert caught.value.code is Code.BLOBS_UNAVAILABLE

    drive(tmp_path, replaced)


def test_an_unmounted_disk_has_lost_nothing(drive, tmp_path):
    """Regression: stat answered None and open said blob_missing, and the ledger would have believed it."""

    async def unmounted(store):
        placed = await put_bytes(store, b"on the disk")
        (tmp_path / "disk").rename(tmp_path / "elsewhere")
        for work in (store.stat, store.open):
            with pytest.raises(Unavailable):
                await work(placed.digest)
        (tmp_path / "elsewhere").rename(tmp_path / "disk")
        assert await store.stat(placed.digest) == placed

    drive(tmp_path / "disk", unmounted)


def test_a_source_that_grows_without_end_is_not_followed(drive, tmp_path):
    """Regression: a log file that was written to faster than we copied filled the disk."""
    given = 0

    class Endless(io.RawIOBase):
        def read(self, size=-1):
            nonlocal given
            given += size
            assert given < 100 * limits.HASH_BYTES, "followed for ever"
            return b"x" * size

    class Source(Staged):
        def open(self):
            return Endless()

    async def grow(store):
        with pytest.raises(Invalid) as caught:
            await store.put(Source(Digest.of(b"xxx"), 3, 0, "", b"xxx"))
        assert caught.value.code is Code.SOURCE_CHANGED

    drive(tmp_path, grow)
    assert given == limits.HASH_BYTES
    assert temps(tmp_path) == []


def test_a_failing_source_is_the_callers_error_and_names_the_path(drive, tmp_path):
    """Regression: it was told as blobs_unavailable, as if our folder were broken."""

    async def failing(store):
        path = tmp_path / "a.bin"
        path.write_bytes(b"bytes")
        staged = (await stage(path))[MAIN]
        path.unlink()
        path.mkdir()
        with pytest.raises(Invalid) as caught:
            await store.put(staged)
        assert caught.value.code is Code.UNREADABLE_SOURCE
        assert str(path) in str(caught.value)

    drive(tmp_path, failing)
