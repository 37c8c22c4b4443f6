"""How close are put, put again and verified get of a large file to plain copying and hashing?

python benchmarks/large.py [SIZE_MIB] [ROUNDS]

First put: copy + BLAKE3 + fsync, one thread, one pass. Again, under another name: hashing it; the bytes added on disk are shown.
Verified get into a file (not synced): read + hash + write. Random bytes from the page cache; A B B A; unlink and sync untimed.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from floor import copy_hashed
from machine import compare, describe, disk_bytes, fresh_folder, random_file

from casstore import AsyncStore, AsyncTenant


class Work:
    """One large file, and both sides of each comparison. Each call is timed; what `make_ready` does is not."""

    def __init__(self, home: Path, tenant: AsyncTenant, size_bytes: int) -> None:
        self.tenant = tenant
        self.blobs = home / "blobs"
        self.source = random_file(home / "source", size_bytes)
        self.target = home / "target"
        self.numbers = itertools.count(1)

    def make_ready(self, *, new: bool) -> None:
        self.target.unlink(missing_ok=True)
        if new:  # content nobody has stored, at the cost of one page
            for blob in self.blobs.rglob("*"):
                if blob.is_file() and blob.stat().st_size == self.source.stat().st_size:
                    blob.unlink()
            with self.source.open("r+b") as file:
                file.write(os.urandom(64))
        os.sync()
        time.sleep(0.2)

    async def put(self) -> None:
        await self.tenant.put(f"large/n{next(self.numbers)}", self.source)

    async def copy(self) -> None:
        copy_hashed(self.source, self.target, sync=True)

    async def hash(self) -> None:
        copy_hashed(self.source, None, sync=False)

    async def get(self) -> None:
        artifact = await self.tenant.get(f"large/n{next(self.numbers) - 1}")
        self.numbers = itertools.count(next(self.numbers) - 1)
        async with await artifact.open() as reader:
            with self.target.open("wb", buffering=0) as file:
                while chunk := await reader.read():
                    file.write(chunk)

    async def copy_unsynced(self) -> None:
        copy_hashed(self.source, self.target, sync=False)


async def alternate(
    work: Work, ours: Callable[[], Awaitable[None]], floor: Callable[[], Awaitable[None]], rounds: int, *, new: bool
) -> tuple[list[float], list[float]]:
    samples: dict[object, list[float]] = {ours: [], floor: []}
    for side in (ours, floor, floor, ours) * rounds:
        work.make_ready(new=new and side == ours)
        begin = time.perf_counter()
        await side()
        samples[side].append(time.perf_counter() - begin)
    return samples[ours], samples[floor]


async def main(size_mib: int, rounds: int) -> None:
    with fresh_folder() as home:
        async with AsyncStore(home) as store:
            work = Work(home, store.tenant("bench"), size_mib * 2**20)
            await work.hash()  # into the page cache
            first = await alternate(work, work.put, work.copy, rounds, new=True)
            compare(f"put {size_mib} MiB, first", *first, "<= 1.25", "copy + hash + fsync")
            before = disk_bytes(work.blobs)
            again = await alternate(work, work.put, work.hash, rounds, new=False)
            compare(f"put {size_mib} MiB, again", *again, "<= 1.2", "hash")
            print(f"put {size_mib} MiB, again: {disk_bytes(work.blobs) - before} bytes of blobs added (goal 0)")
            got = await alternate(work, work.get, work.copy_unsynced, rounds, new=False)
            compare(f"get {size_mib} MiB to a file", *got, "none", "read + hash + write")


if __name__ == "__main__":
    print(describe())
    arguments = [int(argument) for argument in sys.argv[1:]] + [1024, 3][len(sys.argv) - 1 :]
    asyncio.run(main(*arguments))
