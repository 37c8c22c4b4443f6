"""`casstore gc`, `purge`, `journal export` and `rebuild`, killed at a random moment, again and again: nothing is lost, and the same
command run once more leaves a whole store.

CASSTORE_TEST_SOAK_S: how many seconds for each.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from datetime import timedelta

import pytest

from casstore import AsyncStore, Components, limits
from casstore.testing.audit import audit
from tests.races.test_collector_soak import leftovers

SECONDS = float(os.environ.get("CASSTORE_TEST_SOAK_S", "8"))
SLOWEST = 180  # seconds more, until enough were killed
ENOUGH = 4  # killed in the middle of it
VERSIONS = 12
NOW = timedelta(0)
CALL = "from casstore.cli import main; main()"
COMMANDS = {
    "gc": ("gc", "--full", "--orphans", "--quarantine", "0"),
    "purge": ("purge", "--older-than", "0", "--by", "me"),
    "export": ("journal", "export"),
    "rebuild": ("rebuild",),
}
pytestmark = [pytest.mark.slow, pytest.mark.timeout(4 * SECONDS + SLOWEST + 300)]


def start(what: str, blobs: str, catalog: str) -> subprocess.Popen[bytes]:
    environment = os.environ | {"CASSTORE_BLOBS": blobs, "CASSTORE_CATALOG": catalog}
    return subprocess.Popen(
        [sys.executable, "-c", CALL, *COMMANDS[what]],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def to_its_end(what: str, blobs: str, catalog: str) -> float:
    """How long it took."""
    begin = time.monotonic()
    with start(what, blobs, catalog) as process:
        _, errors = process.communicate()
    assert process.returncode == 0, errors.decode()
    return time.monotonic() - begin


def killed(what: str, blobs: str, catalog: str, moment_s: float) -> bool:
    """Whether it was still at work."""
    with start(what, blobs, catalog) as process:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(moment_s)
        process.send_signal(signal.SIGKILL)
    return process.returncode == -signal.SIGKILL


class Loop:
    """Moments to kill at: later ones after it was dead too early to have done anything, earlier ones after it had ended."""

    def __init__(self, length_s: float) -> None:
        self.chance = random.Random()
        self.length_s = length_s
        self.kills = 0
        self.end = time.monotonic() + SECONDS

    def is_over(self) -> bool:
        late = time.monotonic() - self.end
        return late > SLOWEST or (late > 0 and self.kills >= ENOUGH)

    def kill(self, what: str, blobs: str, catalog: str) -> None:
        moment = self.chance.uniform(0.3, 1.1) * self.length_s
        was_alive = killed(what, blobs, catalog, moment)
        self.kills += was_alive
        self.length_s = self.length_s * 1.02 if was_alive else min(moment, self.length_s * 0.9)


async def fill(store, chance: random.Random) -> dict[str, bytes]:
    """Versions that stay, and as many in the trash or purged, that share some bytes with them. Answers what stays."""
    tenant, stays = store.tenant(), {}
    for n in range(VERSIONS):
        own, both = chance.randbytes(200), b"shared %d" % (n % 5)
        kept = await tenant.put("kept", Components(own=own, both=both), on_same="new_version")
        stays[kept.ref] = own
        gone = await tenant.put("gone", Components(own=chance.randbytes(200), both=both), on_same="new_version")
        await tenant.delete(gone.ref, by="me")
        if n % 2:
            await tenant.purge(gone.ref, by="me")
    return stays


async def assert_whole(store, stays: dict[str, bytes]) -> None:
    for ref, data in stays.items():
        assert await (await store.tenant().get(f"{ref}#own")).bytes() == data
    assert [defect for defect in [d async for d in store.fsck()] if defect.code != "object_orphaned"] == []


@pytest.mark.parametrize("what", ["gc", "purge", "export"])
def test_a_command_that_is_killed_loses_nothing_and_can_be_run_again(run, store_urls, monkeypatch, what):
    monkeypatch.setattr(limits, "COLLECT_CLAIM", NOW)  # the dead are known to be dead

    async def prepare() -> None:
        async with AsyncStore(**store_urls._asdict()) as store:
            stays.update(await fill(store, chance))

    async def look() -> None:
        async with AsyncStore(**store_urls._asdict()) as store:
            await assert_whole(store, stays)

    async def finish() -> None:
        async with AsyncStore(**store_urls._asdict()) as store:
            await store.tenant().empty_trash(NOW, by="me")
            for _ in range(2):
                await store.collect(quarantine=NOW, full=True, orphans=True)
            await store.export_journal()
            await assert_whole(store, stays)
            assert await leftovers(store) == []
            assert await audit(store) == []
            assert (await store.verify_journal()).faults == ()

    stays: dict[str, bytes] = {}
    seed = random.randrange(2**32)
    print("seed", seed)
    chance = random.Random(seed)
    run(prepare())
    loop = Loop(to_its_end(what, *store_urls))
    while not loop.is_over():
        run(prepare())
        loop.kill(what, *store_urls)
        run(look())
    to_its_end(what, *store_urls)
    run(finish())
    assert loop.kills >= ENOUGH, "this was no test"
    print(loop.kills, "killed")


def test_a_rebuild_that_is_killed_leaves_nothing_or_all(run, store_urls, databases):
    async def prepare() -> str:
        async with AsyncStore(**store_urls._asdict()) as store:
            stays.update(await fill(store, random.Random()))
            await store.export_journal()
            return (await store.catalog_digest()).digest

    async def look(catalog: str) -> None:
        async with AsyncStore(blobs=store_urls.blobs, catalog=catalog) as store:
            assert (await store.catalog_digest()).digest == digest
            await assert_whole(store, stays)
            assert await audit(store) == []

    stays: dict[str, bytes] = {}
    digest = run(prepare())
    with databases.fresh() as catalog:
        loop = Loop(to_its_end("rebuild", store_urls.blobs, catalog))
        run(look(catalog))
    while not loop.is_over():
        with databases.fresh() as catalog:
            loop.kill("rebuild", store_urls.blobs, catalog)
            with start("rebuild", store_urls.blobs, catalog) as again:
                _, errors = again.communicate()
            assert again.returncode == 0 or b"catalog is not empty" in errors, (
                errors
            )  # or it had ended before it was killed
            run(look(catalog))
    assert loop.kills >= ENOUGH, "this was no test"
