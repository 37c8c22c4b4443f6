"""Putting and reading a blob takes the same memory whatever its size."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

CHILD = """
import asyncio, sys
from pathlib import Path
from casstore import limits
from casstore.blobs.local import LocalBlobs
from casstore.hashing import Hasher
from casstore.staging import stage

def peak():  # not getrusage, whose maximum a child inherits from its parent
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024

async def round_trip(store, source):
    staged = (await stage(source))["main"]
    await store.put(staged)
    staged.close()
    reader, hasher = await store.open(staged.digest), Hasher()
    while chunk := await reader.read(limits.CHUNK_BYTES):
        hasher.update(chunk)
    await reader.aclose()
    assert (hasher.digest, hasher.size_bytes) == (staged.digest, staged.size_bytes)

async def main(kind, path, root):
    store = await LocalBlobs.connect(Path(root))
    await round_trip(store, b"everything is imported now")
    before = peak()
    await round_trip(store, Path(path) if kind == "path" else open(path, "rb"))
    await store.aclose()
    print(peak() - before)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak of memory from /proc")
@pytest.mark.parametrize(("kind", "size_bytes"), [("path", 2**30), ("file object", 2**28)])
def test_a_large_blob_grows_memory_by_at_most_64_mib(tmp_path, kind, size_bytes):
    source = tmp_path / "source"
    block = random.Random(1).randbytes(2**22 - 3)  # repeats at no power of two
    with source.open("wb") as file:
        while file.tell() < size_bytes:
            file.write(block)
        file.truncate(size_bytes)
    try:
        command = [sys.executable, "-W", "ignore", "-c", CHILD, kind, source, tmp_path / "store"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        assert int(done.stdout) <= 64 * 2**20
    finally:
        source.unlink()
        for path in (tmp_path / "store" / "artifacts" / "blobs").iterdir():
            path.unlink()
