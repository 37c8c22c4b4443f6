"""A process of tests/faults/test_judge.py: a writer, a collector, an exporter or a checker, until it is killed.

What it was told goes into a file of its own, one line of JSON each, which is on the disk before anything else is done. A writer
that is started again goes on with what the file says is there.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import sys
import threading
from datetime import timedelta
from pathlib import Path

from casstore import AsyncStore, CasstoreError, Components, Conflict, Corrupt, Unavailable, limits
from casstore.errors import Code

PATIENCE = timedelta(seconds=3)  # the dead are known to be dead soon
GRACE = timedelta(seconds=1)
SHARED = 24  # contents that all writers put
LARGE_BYTES = 600_000  # goes up in several requests


class Report:
    """The file of one worker."""

    def __init__(self, path: Path) -> None:
        self.told = lines_of(path)
        self._file = path.open("ab")
        self._file.write(b"\n")  # the last line of the one before may be torn

    def say(self, op: str, **more: object) -> None:
        self._file.write(json.dumps({"op": op} | more).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())


def lines_of(path: Path) -> list[dict[str, object]]:
    """What was reported; lines that a kill has torn are no report."""
    found = []
    for line in path.read_bytes().split(b"\n") if path.exists() else []:
        with contextlib.suppress(ValueError):
            found.append(json.loads(line))
    return found


def kept(told) -> dict[str, list[str]]:
    """The versions that were acknowledged and that nobody has begun to purge, and what they are made of."""
    mine = {each["ref"]: each["parts"] for each in told if each["op"] == "put"}
    for each in told:
        if each["op"] == "purging":
            mine.pop(each["ref"], None)
    return mine


def bytes_of(part: str) -> bytes:
    """The content that a word stands for."""
    size = LARGE_BYTES if part.startswith("large") else 400
    return (part.encode() + b" ") * (size // len(part))


@contextlib.contextmanager
def excused(report: Report):
    """What may go wrong in such times: then the outcome is unknown."""
    try:
        yield
    except (Unavailable, Conflict) as error:
        if not (error.retryable or error.code is Code.BLOB_CONTENDED):
            raise
        report.say("excused", code=str(error.code))


async def write(store, report: Report, chance: random.Random, worker: str) -> None:
    tenant, mine = store.tenant(f"t{int(worker[1:]) % 3}"), kept(report.told)
    while True:
        kind = chance.random()
        parts = chance.sample([f"shared {n}" for n in range(SHARED)], chance.choice([1, 1, 2, 3]))
        if kind < 0.3:
            parts[0] = f"{'large' if kind < 0.03 else 'own'} {worker} {chance.getrandbits(60):x}"
        with excused(report):
            data = Components({f"part{n}": bytes_of(part) for n, part in enumerate(parts)})
            name = chance.choice([f"doc/{worker}", "doc/of-all"])
            made = await tenant.put(name, data, on_same="new_version", idempotency_key=f"{chance.getrandbits(80):x}")
            report.say("put", ref=made.ref, parts=parts)
            mine[made.ref] = parts
        for ref in chance.sample(sorted(mine), min(2, len(mine))):
            await check(tenant, report, ref, mine[ref])
        while len(mine) > 30 or (len(mine) > 3 and chance.random() < 0.4):
            await let_go(tenant, report, chance.choice(sorted(mine)), mine)


async def check(tenant, report: Report, ref: str, parts: list[str]) -> None:
    with excused(report):
        try:
            artifact = await tenant.get(ref)
            same = [await artifact[f"part{n}"].bytes() == bytes_of(part) for n, part in enumerate(parts)]
        except Unavailable:
            raise
        except CasstoreError as error:
            report.say("wrong", what=f"{ref}: {error}")
        else:
            report.say("read" if all(same) else "wrong", what=ref)


async def let_go(tenant, report: Report, ref: str, mine: dict[str, list[str]]) -> None:
    del mine[ref]
    report.say("purging", ref=ref)  # from here on nobody can say
    with excused(report):
        await tenant.delete(ref, by="a writer")
        await tenant.purge(ref, by="a writer")
        report.say("purged", ref=ref)


async def collect(store, report: Report, chance: random.Random, _: str) -> None:
    while True:
        with excused(report):
            try:
                done = await store.collect(quarantine=GRACE, full=chance.random() < 0.2, orphans=chance.random() < 0.2)
            except Corrupt as error:  # the last alarm: a version refers to what was deleted
                report.say("wrong", what=str(error))
                return
            report.say("collected", **done.model_dump(exclude={"failures"}))
        await asyncio.sleep(0.05)


async def export(store, report: Report, _: random.Random, __: str) -> None:
    while True:
        with excused(report):
            done = await store.export_journal()
            report.say("exported", records=done.records)
        await asyncio.sleep(0.2)


async def look(store, report: Report, chance: random.Random, _: str) -> None:
    while True:
        with excused(report):
            check = store.fsck() if chance.random() < 0.5 else store.scrub(share=0.3)
            async for defect in check:
                # An upload of somebody who was killed may arrive when its row has gone.
                report.say(
                    "orphan" if defect.code == "object_orphaned" else "wrong",
                    what=f"{defect.code}: {defect.what} {defect.where}",
                )
            report.say("checked")
        await asyncio.sleep(0.1)


ROLES = {"w": write, "c": collect, "e": export, "k": look}


async def main(blobs: str, catalog: str, path: str, worker: str, seed: str) -> None:
    report = Report(Path(path))
    async with AsyncStore(blobs=blobs, catalog=catalog) as store:
        report.say("begins")
        await ROLES[worker[0]](store, report, random.Random(int(seed)), worker)


def hurry() -> None:
    """Limits of this process alone: the judge, who imports this file, lives with many other tests."""
    limits.LEASE = limits.COLLECT_CLAIM = PATIENCE
    limits.GCS_FIRST_PAUSE, limits.GCS_LONGEST_PAUSE = timedelta(seconds=0.02), timedelta(seconds=0.3)
    limits.GCS_REQUEST_BYTES = 2**18


def end_with_the_judge() -> None:
    """Nobody is to go on when the judge has died."""
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    hurry()
    threading.Thread(target=end_with_the_judge, daemon=True).start()
    asyncio.run(main(*sys.argv[1:]))
