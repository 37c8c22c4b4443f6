"""What dead and killed writers leave in the folder, and who cleans it up."""

from __future__ import annotations

import fcntl
import io
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from casstore import limits
from casstore.blobs import keys, local
from casstore.model import Digest
from casstore.staging import Staged
from casstore.testing.harness import put_bytes, read_all

FOLDER = "artifacts/blobs"
STALE = limits.STALE_TEMP.total_seconds()


def temps(root):
    return sorted(path.name for path in Path(root, FOLDER).glob(".tmp-*"))


def leftover(root, name=".tmp-1-dead", *, age=STALE + 1):
    path = Path(root, FOLDER, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"half a bl")
    os.utime(path, (time.time() - age,) * 2)
    return path


def test_a_dead_writers_file_is_swept_and_never_listed(drive, tmp_path):
    path = leftover(tmp_path)
    assert drive(tmp_path, lambda store: store.page()) == []
    assert not path.exists()


def test_a_young_file_is_left_alone(drive, tmp_path):
    """Its writer may not have come to locking it."""
    path = leftover(tmp_path, age=1)
    drive(tmp_path, lambda store: store.page())
    assert path.exists()


def test_a_living_writers_file_is_left_alone(drive, tmp_path):
    path = leftover(tmp_path)
    with path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        drive(tmp_path, lambda store: store.page())
        assert path.exists()
    drive(tmp_path, lambda store: store.page())
    assert not path.exists()


def test_a_writer_keeps_its_file_locked_until_the_end(drive, tmp_path):
    """However long it takes: a source that gives its bytes slowly, and a sweeper that comes again and again."""

    class Slow(io.BytesIO):
        def read(self, size=-1):
            for path in Path(tmp_path, FOLDER).glob(".tmp-*"):
                os.utime(path, (0, 0))
                local._sweep(path)
            return super().read(7)

    class Source(Staged):
        def open(self):
            return Slow(self.source)

    async def slowly(store):
        data = b"bytes that take their time"
        placed = await store.put(Source(Digest.of(data), len(data), 0, "", data))
        assert await read_all(await store.open(placed.digest)) == data

    drive(tmp_path, slowly)
    assert temps(tmp_path) == []


def test_a_link_left_by_a_dead_writer_takes_no_blob_with_it(drive, tmp_path):
    """It died between link and unlink: two names, one file."""
    placed = drive(tmp_path, lambda store: put_bytes(store, b"linked"))
    blob = tmp_path / keys.key_of(placed.digest)
    temp = blob.with_name(".tmp-1-dead")
    os.link(blob, temp)
    os.utime(blob, ns=(placed.generation - 10**12,) * 2)

    async def check(store):
        assert await read_all(await store.open(placed.digest)) == b"linked"

    drive(tmp_path, check)
    assert not temp.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_users_leftover_stops_nobody(drive):
    """Regression: a stale temporary file of another user made connecting fail."""
    with tempfile.TemporaryDirectory() as root:
        Path(root).chmod(0o755)
        placed = drive(root, lambda store: put_bytes(store, b"readable by all"))
        stale = leftover(root)
        stale.chmod(0o600)
        script = f"""
import asyncio
from pathlib import Path
from casstore.blobs.local import LocalBlobs
from casstore.model import Digest
async def main():
    store = await LocalBlobs.connect(Path({root!r}))
    print(await store.stat(Digest.parse({str(placed.digest)!r})) is not None)
    await store.aclose()
asyncio.run(main())"""
        done = as_nobody(script)
        assert done.stdout == "True\n", done.stderr
        assert stale.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_folder_one_may_only_read_can_be_read_and_says_unavailable_to_writers(drive):
    with tempfile.TemporaryDirectory() as root:
        Path(root).chmod(0o755)
        placed = drive(root, lambda store: put_bytes(store, b"read only"))
        script = f"""
import asyncio
from pathlib import Path
from casstore.blobs.local import LocalBlobs
from casstore.errors import Unavailable
from casstore.model import Digest
from casstore.staging import stage
async def main():
    store = await LocalBlobs.connect(Path({root!r}))
    digest = Digest.parse({str(placed.digest)!r})
    reader = await store.open(digest)
    print(await reader.read(100))
    await reader.aclose()
    for work in (store.put((await stage(b"new"))["main"]), store.delete(digest, generation={placed.generation})):
        try:
            await work
        except Unavailable as error:
            print(error.code)
    await store.aclose()
asyncio.run(main())"""
        done = as_nobody(script)
        assert done.stdout == "b'read only'\nblobs_unavailable\nblobs_unavailable\n", done.stderr


def as_nobody(script):
    """Become an ordinary user after importing: root's interpreter need not be readable by others."""
    become = "import os, casstore.blobs.local, casstore.staging; os.setgid(65534); os.setuid(65534)\n"
    return subprocess.run(
        [sys.executable, "-c", become + script], capture_output=True, text=True, timeout=60, check=False
    )


WRITER = """
import asyncio, random, sys
from pathlib import Path
from casstore.blobs.local import LocalBlobs
from casstore.staging import stage

async def main():
    root, seed = sys.argv[1:]
    chance = random.Random(int(seed))
    store = await LocalBlobs.connect(Path(root))
    print("ready", flush=True)
    async def writer():
        while True:
            staged = (await stage(chance.randbytes(chance.choice([0, 100, 70_000, 1_500_000]))))["main"]
            placed = await store.put(staged)
            print(placed.digest, placed.generation, flush=True)
            if chance.random() < 0.3:
                again = await store.put(staged, dead=placed.generation)
                print(again.digest, again.generation, flush=True)
    await asyncio.gather(*(writer() for _ in range(3)))

asyncio.run(main())
"""


@pytest.mark.slow
def test_a_killed_writer_leaves_whole_blobs_and_everything_it_acknowledged(drive, tmp_path):
    chance = random.Random(20261122)
    acknowledged = {}
    for seed in range(20):
        with subprocess.Popen([sys.executable, "-c", WRITER, tmp_path, str(seed)], stdout=subprocess.PIPE) as child:
            assert child.stdout.readline() == b"ready\n"
            time.sleep(chance.uniform(0.0, 0.12))
            child.send_signal(signal.SIGKILL)
            lines = child.stdout.read().splitlines(keepends=True)
        for line in lines:
            if line.endswith(b"\n"):  # the last one may have been cut
                digest, generation = line.decode().split()
                acknowledged[Digest.parse(digest)] = int(generation)
    assert len(acknowledged) > 5  # a busy machine may be slow
    for path in Path(tmp_path, FOLDER).iterdir():
        if digest := keys.digest_of(path.name):
            assert Digest.of(path.read_bytes()) == digest, "a torn blob under a final name"
    for path in Path(tmp_path, FOLDER).glob(".tmp-*"):
        os.utime(path, (0, 0))

    async def check(store):
        found = {each.digest: each.generation for each in await store.page(limit=10**6)}
        assert found.keys() >= acknowledged.keys()
        # A replacement that was under way may have happened without being acknowledged: generations only go on.
        assert all(found[digest] >= generation for digest, generation in acknowledged.items())
        for digest in list(acknowledged)[:50]:
            assert Digest.of(await read_all(await store.open(digest))) == digest

    drive(tmp_path, check)
    assert temps(tmp_path) == []
