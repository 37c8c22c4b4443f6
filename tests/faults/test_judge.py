"""Eight writers, two collectors, an exporter and a checker, each a process, killed at random, on a bucket with faults.

No version that was acknowledged is unreadable, and no orphan outlives the grace period. CASSTORE_TEST_SOAK_S=600 is the judgement
of ten minutes; by default it is a short one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from casstore import AsyncStore, limits
from casstore.testing.audit import audit
from casstore.testing.gcs import Chaos
from tests.faults import judged
from tests.races.test_collector_soak import leftovers

SECONDS = float(os.environ.get("CASSTORE_TEST_SOAK_S", "20"))
SLOWEST = 120  # seconds more, where the machine has other things to do
WORKERS = [*(f"w{n}" for n in range(8)), "c0", "c1", "e0", "k0"]
PLACE = "gs://blobs/judge"
RATE = 0.03  # of requests to the bucket that meet a fault
PAUSE_S = (0.05, 0.5)  # between two kills
LIFE = {"w": 80, "c": 25, "e": 8, "k": 5}  # at most, in lines of the report: a busy machine kills less often, not more
ENOUGH = {"put": 20, "read": 20, "purged": 5, "collected": 5, "deleted": 2, "exported": 2, "checked": 2, "kills": 8}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(SECONDS + SLOWEST + 300)]


class Trial:
    """The processes, and what they have reported."""

    def __init__(self, folder: Path, catalog: str, seed: int) -> None:
        self.folder, self.catalog = folder, catalog
        self.chance = random.Random(seed)
        self.kills = Counter[str]()
        self.alive: dict[str, subprocess.Popen[bytes]] = {}
        self.life: dict[str, int] = {}

    def file(self, worker: str) -> Path:
        return self.folder / f"{worker}.jsonl"

    def start(self, worker: str) -> None:
        arguments = [PLACE, self.catalog, str(self.file(worker)), worker, str(self.chance.getrandbits(60))]
        with (self.folder / f"{worker}.err").open("ab") as errors:
            self.alive[worker] = subprocess.Popen(
                [sys.executable, judged.__file__, *arguments],
                stdin=subprocess.PIPE,
                stderr=errors,
                env=os.environ | {"PYTHONPATH": str(Path.cwd())},
            )
        self.life[worker] = self.lines(worker) + self.chance.randint(2, LIFE[worker[0]])

    def kill(self, worker: str) -> None:
        process = self.alive.pop(worker)
        assert process.poll() is None, f"{worker} ended by itself: {(self.folder / f'{worker}.err').read_text()}"
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdin.close()

    def lines(self, worker: str) -> int:
        return self.file(worker).read_bytes().count(b"\n") if self.file(worker).exists() else 0

    def live(self) -> None:
        """Start all, and kill one after the other whose life is over, until the time is over and enough has happened."""
        for worker in WORKERS:
            self.start(worker)
        end = time.monotonic() + SECONDS
        while (late := time.monotonic() - end) < 0 or (late < SLOWEST and not self.is_enough()):
            time.sleep(self.chance.uniform(*PAUSE_S))
            if old := [worker for worker in WORKERS if self.lines(worker) >= self.life[worker]]:
                worker = self.chance.choice(old)
                self.kill(worker)
                self.kills[worker[0]] += 1
                self.start(worker)

    def end(self) -> None:
        for process in self.alive.values():
            process.kill()
            process.wait()
            process.stdin.close()

    def told(self) -> dict[str, list[dict[str, object]]]:
        return {worker: judged.lines_of(self.file(worker)) for worker in WORKERS}

    def counts(self) -> Counter[str]:
        counts = Counter({"kills": self.kills.total()})
        for each in (line for lines in self.told().values() for line in lines):
            counts[each["op"] if each["op"] != "excused" else f"excused {each['code']}"] += 1
            if each["op"] == "collected":
                counts.update({key: each[key] for key in ("condemned", "deleted", "kept", "failed", "registered")})
        return counts

    def is_enough(self) -> bool:
        counts = self.counts()
        return all(counts[what] >= least for what, least in ENOUGH.items())

    def wrong(self) -> list[object]:
        return [each["what"] for lines in self.told().values() for each in lines if each["op"] == "wrong"]


@contextlib.contextmanager
def trial_of(folder: Path, catalog: str, seed: int):
    trial = Trial(folder, catalog, seed)
    try:
        yield trial
    finally:
        trial.end()


async def unreadable(store: AsyncStore, trial: Trial) -> tuple[int, list[str]]:
    """How many versions have to be there, and which of them are not what was put."""
    count, bad = 0, []
    for worker, told in trial.told().items():
        for ref, parts in judged.kept(told).items():
            count += 1
            artifact = await store.tenant(f"t{int(worker[1:]) % 3}").get(ref)
            read = [await artifact[f"part{n}"].bytes() for n in range(len(parts))]
            if read != [judged.bytes_of(part) for part in parts]:
                bad.append(ref)
    return count, bad


async def assert_whole(store: AsyncStore, trial: Trial) -> int:
    count, bad = await unreadable(store, trial)
    assert bad == []
    await asyncio.sleep((judged.PATIENCE + judged.GRACE).total_seconds())  # leases and claims of the dead end
    for _ in range(2):
        await store.collect(quarantine=judged.GRACE, full=True, orphans=True)
        await asyncio.sleep(judged.GRACE.total_seconds())
    assert await leftovers(store) == []
    assert [defect async for defect in store.fsck()] == []
    assert await audit(store) == []
    await store.export_journal()
    assert (await store.verify_journal()).faults == ()
    assert await unreadable(store, trial) == (count, [])
    return count


def test_the_judge(run, databases, bucket, tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "LEASE", judged.PATIENCE)
    monkeypatch.setattr(limits, "COLLECT_CLAIM", judged.PATIENCE)
    seed = random.randrange(2**32)
    print("seed", seed)
    with databases.fresh() as catalog:
        chaos = Chaos(seed=seed, rate=RATE)

        async def prepare() -> None:
            async with AsyncStore(blobs=PLACE, catalog=catalog):
                bucket.faults.unleash(chaos)

        async def judge() -> int:
            async with AsyncStore(blobs=PLACE, catalog=catalog) as store:
                return await assert_whole(store, trial)

        run(prepare())
        with trial_of(tmp_path, catalog, seed) as trial:
            trial.live()
        bucket.faults.clear()
        print(dict(sorted(trial.counts().items())), dict(trial.kills), f"{chaos.struck} requests struck")
        assert trial.wrong() == []
        print(f"{run(judge())} versions that were acknowledged are there")
        assert trial.is_enough(), trial.counts()
