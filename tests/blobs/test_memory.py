"""Putting and reading takes the same memory whatever the size, through the whole store."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

CHILD = """
import asyncio, sys
from pathlib import Path
from casstore import AsyncStore, Digest
from casstore.hashing import Hasher

def peak():  # not getrusage, whose maximum a child inherits from its parent
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024

async def round_trip(tenant, name, source):
    version = await tenant.put(name, source)
    hasher = Hasher()
    async with await (await tenant.get(version.ref)).open() as reader:
        while chunk := await reader.read():
            hasher.update(chunk)
    assert (hasher.digest, hasher.size_bytes) == (version.components[0].digest, version.size_bytes)

async def main(kind, path, blobs, catalog):
    async with AsyncStore(blobs=blobs, catalog=catalog) as store:
        tenant = store.tenant("memory")
        await round_trip(tenant, "small", b"everything is imported now")
        before = peak()
        await round_trip(tenant, "large", Path(path) if kind == "path" else open(path, "rb"))
        print(peak() - before)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak of memory from /proc")
@pytest.mark.parametrize(("kind", "size_bytes"), [("path", 2**31), ("file object", 2**28)])
def test_a_large_blob_grows_memory_by_at_most_64_mib(tmp_path, store_urls, kind, size_bytes):
    source = tmp_path / "source"
    block = random.Random(1).randbytes(2**22 - 3)  # repeats at no power of two
    with source.open("wb") as file:
        while file.tell() < size_bytes:
            file.write(block)
        file.truncate(size_bytes)
    try:
        command = [sys.executable, "-W", "ignore", "-c", CHILD, kind, source, *store_urls]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        assert int(done.stdout) <= 64 * 2**20
    finally:
        source.unlink()
        for path in Path(store_urls[0].removeprefix("file://"), "artifacts/blobs").glob("[0-9a-f]*"):
            path.unlink()
