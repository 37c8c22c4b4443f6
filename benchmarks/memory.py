"""By how much does the resident memory of a process grow while it puts or gets a large file?

python benchmarks/memory.py [SIZE_MIB]

Each case has a process of its own, which first puts and gets a small document; then its peak (VmHWM, reset through clear_refs)
is taken before and after. The last case is `casstore put NAME -` fed by a pipe: its peak, less that of one fed 64 KiB.
The floor is reading, hashing and writing the file in pieces, in the same kind of process.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from floor import copy_hashed
from machine import describe, fresh_folder, random_file

from casstore import AsyncStore

PROGRAM = str(Path(sys.executable).with_name("casstore"))
GOAL_MIB = 64


def peak_kib() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM")))


def grown_kib(case: str, home: Path, source: Path) -> int:
    """Runs in a process of its own."""

    async def stream() -> AsyncIterator[bytes]:
        with source.open("rb", buffering=0) as file:
            while chunk := file.read(2**20):
                yield chunk

    async def get(tenant) -> None:
        async with await (await tenant.get("large/path")).open() as reader:
            with (home / "target").open("wb", buffering=0) as file:
                while chunk := await reader.read():
                    file.write(chunk)

    async def run() -> int:
        async with AsyncStore(home) as store:
            tenant = store.tenant("bench")
            await tenant.put("small/warm", os.urandom(4096))
            await (await tenant.get("small/warm")).bytes()
            Path("/proc/self/clear_refs").write_text("5")
            before = peak_kib()
            match case:
                case "floor":
                    copy_hashed(source, home / "target", sync=True)
                case "put a path":
                    await tenant.put("large/path", source)
                case "put a stream, again":
                    await tenant.put("large/stream", stream())
                case "get to a file":
                    await get(tenant)
            return peak_kib() - before

    return asyncio.run(run())


def piped_kib(home: Path, source: Path) -> int:
    """The peak of `casstore put NAME -`."""
    with subprocess.Popen(["cat", str(source)], stdout=subprocess.PIPE) as cat:
        command, environment = [PROGRAM, "put", f"piped/{source.name}", "-"], os.environ | {"CASSTORE_HOME": str(home)}
        child = subprocess.Popen(command, stdin=cat.stdout, stdout=subprocess.DEVNULL, env=environment)
        cat.stdout.close()
        _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise AssertionError(child.returncode)
    return usage.ru_maxrss


def main(size_mib: int) -> None:
    with fresh_folder() as home:
        source, little = random_file(home / "source", size_mib * 2**20), random_file(home / "little", 64 * 2**10)
        for case in ("floor", "put a path", "get to a file", "put a stream, again"):
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
                report(case, size_mib, process.submit(grown_kib, case, home, source).result())
            (home / "target").unlink(missing_ok=True)
        with source.open("r+b") as file:  # new content: the pipe has to be stored, not just hashed
            file.write(os.urandom(64))
        report("casstore put NAME -", size_mib, piped_kib(home, source) - piped_kib(home, little))


def report(case: str, size_mib: int, kib: int) -> None:
    print(f"{case}, {size_mib} MiB: resident memory grew by {kib / 1024:.1f} MiB (goal <= {GOAL_MIB})", flush=True)


if __name__ == "__main__":
    print(describe())
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2048)
