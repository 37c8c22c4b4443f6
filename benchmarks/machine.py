"""What every benchmark here shares: fresh folders, interleaved rounds, medians, a line about the machine."""

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

PIECE = 2**18


@contextlib.contextmanager
def fresh_folder() -> Iterator[Path]:
    """A folder in BENCH_DIR (else the current one), gone afterwards: file creation cost drifts with a file system's age."""
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


def compare(what: str, ours: list[float], floor: list[float], goal: str, name: str = "floor") -> None:
    """Print one comparison of seconds a call."""
    print(
        f"{what}: casstore {milliseconds(ours)}   {name} {milliseconds(floor)}   "
        f"ratio {ratio(ours, floor):.2f} (goal {goal}; load {os.getloadavg()[0]:.1f})",
        flush=True,
    )


async def timed(work: Callable[[int], Awaitable[object]], count: int, first: int = 0) -> list[float]:
    """Seconds of each call, one after the other."""
    samples = []
    for index in range(first, first + count):
        begin = time.perf_counter()
        await work(index)
        samples.append(time.perf_counter() - begin)
    return samples


def random_file(path: Path, size_bytes: int) -> Path:
    """A file of random bytes, on disk before anything is measured."""
    with path.open("wb") as file:
        for done in range(0, size_bytes, PIECE):
            file.write(os.urandom(min(PIECE, size_bytes - done)))
    os.sync()
    return path


def disk_bytes(folder: Path) -> int:
    """What the files in a folder take on disk."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())
