"""How fast is importing a folder of versions, beside git libraries that store the same versions?

python benchmarks/corpus.py DIR [--peers-python PATH] [--rounds N]

DIR is laid out as `<type>/<name>/v0001.<ext>` and `<type>/<name>/v0001/<role>.<ext>`. PATH is a Python with pygit2 and dulwich.
Both sides get the versions that are one text file each, of names casstore takes: casstore by `AsyncTenant.import_tree`, a peer by
one blob, tree, commit on a branch and tag a version (`peer_git.py`), in a process of its own; opening the store is not timed. Then
casstore alone imports the whole of DIR, in one process and in two, into a folder and into a bucket on a test server of our own, and
says how many versions it refused. Each round has a fresh store for each.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from machine import describe, fresh_folder

from casstore import AsyncStore, Invalid, grammar
from casstore.testing.gcs import gcs_process

PROCESSES = (1, 2)
GOALS = {"pygit2-fsync": ">= 1.5", "dulwich": ">= 1"}


def text_versions(folder: Path) -> list[Path]:
    """Versions of one file that is UTF-8 text, of names that casstore takes; the first of every name first."""

    def fits(path: Path) -> bool:
        try:
            grammar.check_name(f"{path.parent.parent.name}/{path.parent.name}")
            path.read_bytes().decode()
        except (Invalid, UnicodeDecodeError):
            return False
        return True

    found = [path for path in folder.glob("*/*/v*.*") if path.is_file() and fits(path)]
    return sorted(found, key=lambda path: (path.stem, path.parent))


def copied(paths: list[Path], folder: Path, target: Path) -> list[Path]:
    copies = [target / path.relative_to(folder) for path in paths]
    for path, copy in zip(paths, copies, strict=True):
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    return copies


@contextlib.contextmanager
def fresh_blobs(place: str) -> Iterator[str | None]:
    """Where a store is to keep its blobs: None for its home's folder."""
    if place == "folder":
        yield None
        return
    with gcs_process("bench") as server:
        os.environ["STORAGE_EMULATOR_HOST"] = server
        yield "gs://bench/corpus"


async def import_rate(
    folder: Path, expected: int | None = None, place: str = "folder", processes: int = 1
) -> tuple[float, int, int]:
    """Versions a second, how many, and how many were refused."""
    with fresh_folder() as home, fresh_blobs(place) as blobs:
        async with AsyncStore(home, blobs=blobs) as store:
            tenant = store.tenant("bench")
            await tenant.put("warm", os.urandom(4096))
            os.sync()
            begin = time.perf_counter()
            report = await tenant.import_tree(folder, processes=processes)
            taken = time.perf_counter() - begin
            done = report.stored + report.deduplicated
            if expected not in (None, done):
                raise AssertionError(f"{done} of {expected} versions stored")
            return done / taken, done, report.refused


def peer_rate(python: str, peer: str, paths: list[Path]) -> float:
    with fresh_folder() as home:
        os.sync()
        command = [python, str(Path(__file__).with_name("peer_git.py")), peer, str(home / "git")]
        names = "\n".join(map(str, paths))
        answer = subprocess.run(command, check=True, input=names, capture_output=True, text=True).stdout
        return len(paths) / float(answer)


async def main(folder: Path, python: str | None, rounds: int) -> None:
    with fresh_folder() as place:
        paths = copied(text_versions(folder), folder, place / "texts")
        sides: dict[str, list[float]] = {"casstore": []} | ({name: [] for name in GOALS} if python else {})
        for turn in range(rounds):
            for name in sorted(sides, reverse=bool(turn % 2)):
                if name == "casstore":
                    rate, *_ = await import_rate(place / "texts", len(paths))
                else:
                    rate = await asyncio.to_thread(peer_rate, python, name, paths)
                sides[name].append(rate)
    for name, rates in sides.items():
        low, middle, high = min(rates), statistics.median(rates), max(rates)
        ratio = statistics.median(sides["casstore"]) / middle
        goal = f"   casstore is {ratio:.2f} x that (goal {GOALS[name]})" if name in GOALS else ""
        print(f"{len(paths)} text versions: {name:12} {middle:6.0f}/s  ({low:.0f} to {high:.0f}){goal}")
    for place in ("folder", "bucket"):
        await whole(folder, place, rounds)


async def whole(folder: Path, place: str, rounds: int) -> None:
    """Import all of the folder in one process and in several, in turn."""
    rates: dict[int, list[float]] = {processes: [] for processes in PROCESSES}
    for turn in range(rounds):
        for processes in sorted(PROCESSES, reverse=bool(turn % 2)):
            rate, done, refused = await import_rate(folder, place=place, processes=processes)
            rates[processes].append(rate)
    one = statistics.median(rates[1])
    for processes, found in rates.items():
        rate = statistics.median(found)
        print(
            f"the whole folder, {done} versions ({refused} refused), into a {place}, processes={processes}: "
            f"casstore {rate:.0f}/s  ({min(found):.0f} to {max(found):.0f}), {rate / one:.2f} x one process",
            flush=True,
        )


if __name__ == "__main__":
    print(describe())
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--peers-python")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    asyncio.run(main(given.folder.absolute(), given.peers_python, given.rounds))
