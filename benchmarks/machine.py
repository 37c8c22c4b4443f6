"""What every benchmark here shares: fresh folders, one server for both sides, interleaved rounds, medians, and a line about the machine."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import blake3
import psycopg


@contextlib.contextmanager
def fresh_folder() -> Iterator[Path]:
    """A folder on the disk of the current directory, gone afterwards: file creation cost drifts with a file system's age."""
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=os.environ.get("BENCH_DIR", ".")))
    try:
        yield folder.absolute()
    finally:
        shutil.rmtree(folder)


def describe() -> str:
    """One line about where the figures were taken."""
    load = os.getloadavg()[0]
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, load {load:.1f}"


def milliseconds(samples: list[float]) -> str:
    """Median and 99th percentile of seconds, as text."""
    ordered = sorted(samples)
    return f"{statistics.median(ordered) * 1e3:8.3f} ms  p99 {ordered[int(len(ordered) * 0.99)] * 1e3:8.3f} ms"


def ratio(ours: list[float], floor: list[float]) -> float:
    """Median over median."""
    return statistics.median(ours) / statistics.median(floor)


async def timed(work: Callable[[int], Awaitable[object]], count: int, first: int = 0) -> list[float]:
    """Seconds of each call, one after the other."""
    samples = []
    for index in range(first, first + count):
        begin = time.perf_counter()
        await work(index)
        samples.append(time.perf_counter() - begin)
    return samples


class Floor:
    """What a put and a get cannot beat: one fsynced file and one commit call; one query and one file read and hashed.

    Blocking code without a pool, an event loop or a check: the least any design of this kind does. The commit call is casstore's
    own function on a blob the ledger knows already, so both sides write the same rows.
    """

    def __init__(self, folder: Path, dsn: str) -> None:
        self.folder = folder
        folder.mkdir()
        self.connection = psycopg.connect(dsn, autocommit=True, prepare_threshold=1)

    def write(self, data: bytes) -> str:
        """One durable file: temp, write, fsync, link, fsync of the folder."""
        name = blake3.blake3(data).hexdigest()
        temp = self.folder / f".tmp-{name}"
        descriptor = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        os.write(descriptor, data)
        os.fsync(descriptor)
        os.close(descriptor)
        os.link(temp, self.folder / name)
        os.unlink(temp)
        folder = os.open(self.folder, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
        return name

    def read(self, name: str) -> bytes:
        """One file, hashed."""
        data = (self.folder / name).read_bytes()
        if blake3.blake3(data).hexdigest() != name:
            raise AssertionError(name)
        return data
