"""Real processes, killed: writers at a random moment of their puts, and the embedded server under an open store."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import pytest

from casstore import AsyncStore, limits
from casstore.testing.audit import audit

PUTTER = Path(__file__).with_name("putter.py")
ROUNDS, AT_ONCE = 5, 3
LIFE_S = (0.0, 0.25)  # after the first answer


@contextlib.contextmanager
def putter(urls, name):
    command = [sys.executable, str(PUTTER), urls.blobs, urls.catalog, name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(Path.cwd())}) as process:
        try:
            yield process
        finally:
            process.kill()


def acknowledged(process, first: bytes) -> list[tuple[str, int, str]]:
    """What the dead process said; its last line may be torn."""
    lines = (first + process.stdout.read()).split(b"\n")[:-1]
    return [tuple(json.loads(line)) for line in lines]


def kill_some(urls, number: int, chance: random.Random) -> list[tuple[str, int, str]]:
    with contextlib.ExitStack() as stack:
        processes = [stack.enter_context(putter(urls, f"w{number}-{k}")) for k in range(AT_ONCE)]
        first = [process.stdout.readline() for process in processes]
        for process in processes:
            time.sleep(chance.uniform(*LIFE_S))
            process.send_signal(signal.SIGKILL)
        return [line for process, begin in zip(processes, first, strict=True) for line in acknowledged(process, begin)]


@pytest.mark.slow
def test_writers_killed_at_random_lose_nothing_they_acknowledged(run, store_urls, monkeypatch):
    seed = random.randrange(2**32)
    print("seed", seed)
    chance = random.Random(seed)
    told = [line for number in range(ROUNDS) for line in kill_some(store_urls, number, chance)]
    assert len(told) >= ROUNDS * AT_ONCE
    assert len(set(told)) == len({line[:2] for line in told}) == len(told), "a number was answered twice"
    run(assert_all_there(store_urls, told))
    monkeypatch.setattr(limits, "STALE_TEMP", timedelta(0))
    run(assert_all_there(store_urls, told))  # and without the temporary files of the dead
    assert store_urls.leftovers() == []


async def assert_all_there(urls, told) -> None:
    async with AsyncStore(blobs=urls.blobs, catalog=urls.catalog) as store:
        tenant = store.tenant()
        assert await audit(store) == []  # numbers without gaps, every byte of every version right
        for name, number, digest in told:
            assert str((await tenant.resolve(f"{name}@{number}")).digest) == digest
        assert (await tenant.put("doc/shared", "the next one")).number == len(await everything(tenant, "doc/shared"))


async def everything(tenant, name) -> list[int]:
    numbers, cursor = [], None
    while True:
        page = await tenant.history(name, cursor=cursor, limit=1000)
        numbers += [version.number for version in page]
        cursor = page.cursor
        if cursor is None:
            return numbers


@pytest.fixture
def embedded():
    folder = Path(tempfile.mkdtemp(prefix="casstore-kill-"))  # short, and other accounts may pass
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def kill_postmaster(folder: Path) -> int:
    """Kill it, and wait until its backends have noticed: until then they may still answer."""
    (pid_file,) = folder.glob("catalog/data*/postmaster.pid")
    number = int(pid_file.read_text().split("\n")[0])
    os.kill(number, signal.SIGKILL)
    with (folder / "catalog/alive").open("rb") as alive:
        fcntl.flock(alive, fcntl.LOCK_EX)
    return number


@pytest.mark.slow
def test_an_open_store_gets_over_the_death_of_its_embedded_server(run, embedded):
    """Between two calls, under eight writers at once, and between the two calls of one put. Nothing is put again by hand."""

    async def main() -> None:
        async with AsyncStore(embedded) as store:
            tenant = store.tenant()
            await tenant.put("doc/quiet", b"before")
            killed = {kill_postmaster(embedded)}
            assert await (await tenant.get("doc/quiet")).bytes() == b"before"

            put = store._blobs.put

            async def and_kill_once(*args, **kwargs):
                store._blobs.put = put
                killed.add(kill_postmaster(embedded))
                return await put(*args, **kwargs)

            # The reservation is not waited for on disk: it is lost, and made again.
            store._blobs.put = and_kill_once
            assert (await tenant.put("doc/quiet", b"between", expect=1)).number == 2

            writers = [asyncio.create_task(write(tenant, n)) for n in range(8)]
            await asyncio.sleep(0.1)
            killed.add(kill_postmaster(embedded))
            counts = await asyncio.gather(*writers)
            assert await audit(store) == []
            assert len(killed) == 3
            assert len(await everything(tenant, "doc/busy")) == sum(counts)

    run(main())
    run(assert_reopens(embedded))


async def write(tenant, n) -> int:
    for k in range(12):
        await tenant.put("doc/busy", f"writer {n} text {k}")
        await asyncio.sleep(0.02)
    return 12


async def assert_reopens(folder) -> None:
    async with AsyncStore(folder) as store:
        assert await audit(store) == []
        assert (await store.tenant().resolve("doc/quiet")).number == 2
