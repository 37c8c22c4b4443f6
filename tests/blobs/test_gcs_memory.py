"""Putting into a bucket and reading from it takes the same memory whatever the size."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from casstore.testing.gcs import gcs_process

CHILD = """
import asyncio, sys
from pathlib import Path
from casstore.blobs import open_blobs
from casstore.hashing import Hasher
from casstore.staging import stage

def peak():  # not getrusage, whose maximum a child inherits from its parent
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024

async def put(store, source):
    return await store.put((await stage(source))["main"])

async def get(store, digest):
    hasher, reader = Hasher(), await store.open(digest)
    while chunk := await reader.read(2**20):
        hasher.update(chunk)
    await reader.aclose()
    assert hasher.digest == digest

async def main(kind, path, url):
    store = await open_blobs(url)
    await get(store, (await put(store, b"everything is imported now")).digest)
    before = peak()
    placed = await put(store, Path(path) if kind == "path" else open(path, "rb"))
    after_put = peak()
    await get(store, placed.digest)
    print(after_put - before, peak() - before)
    await store.aclose()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak of memory from /proc")
@pytest.mark.parametrize("kind", ["path", "file object"])
def test_a_large_blob_grows_memory_by_at_most_40_mib(tmp_path, monkeypatch, kind):
    source = tmp_path / "source"
    source.write_bytes(random.Random(1).randbytes(2**22 - 3) * 64)  # 256 MiB, repeating at no power of two
    with gcs_process("blobs") as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        command = [sys.executable, "-W", "ignore", "-c", CHILD, kind, source, "gs://blobs/here"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    source.unlink()
    assert done.returncode == 0, done.stderr
    assert all(int(grown) <= 40 * 2**20 for grown in done.stdout.split()), done.stdout
