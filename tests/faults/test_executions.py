"""Executions die at every point of being stored, in one process and by SIGKILL: each is there whole or not at all.

Whatever was left, the same execution then gives its references, from another process, and nothing is stored twice.
CASSTORE_TEST_SOAK_S: how many seconds processes are killed at random.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from casstore import AsyncStore
from casstore.integrations.executions import load_execution
from casstore.testing.audit import audit
from casstore.testing.faults import Faults, SimulatedCrash, faulty_store

ORCHESTRATOR = Path(__file__).with_name("orchestrator.py")
SECONDS = float(os.environ.get("CASSTORE_TEST_SOAK_S", "6"))
AT_ONCE = 3
LIFE_S = (0.0, 0.5)  # after the first word
EFFECTS = 2 + 3  # two calls, and between them the blobs that no other execution has: a picture, a workflow, a state
PARTS = 3  # of an execution
PARTS_OF = "select metadata ->> 'execution_id', count(*) from casstore.versions group by 1"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(4 * SECONDS + 180)]


@pytest.fixture(scope="module")
def orchestrator():
    """Its module: tests are no package, so it is loaded by its path."""
    spec = importlib.util.spec_from_file_location("orchestrator", ORCHESTRATOR)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def process(urls, *arguments):
    command = [sys.executable, str(ORCHESTRATOR), urls.blobs, urls.catalog, *arguments]
    path = os.pathsep.join(filter(None, [str(Path.cwd()), os.environ.get("PYTHONPATH")]))
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": path}) as started:
        try:
            yield started
        finally:
            started.kill()


def said(output: bytes) -> list[list[str]]:
    """What a process said; its last line may be torn."""
    return [line.split(" ", 2) for line in output.decode().split("\n")[:-1]]


def whole(dsn: str) -> set[str]:
    """The executions that are there, each with all its artifacts."""
    with psycopg.connect(dsn, prepare_threshold=None) as connection:
        found = dict(connection.execute(PARTS_OF).fetchall())
    assert set(found.values()) <= {PARTS}, {key: count for key, count in found.items() if count != PARTS}
    return set(found)


async def assert_whole(t, references, expected) -> None:
    """Every byte of what was stored."""
    assert await load_execution(t, references, include_visuals=True) == expected
    for path in (value for key, value in references.items() if key.endswith("_storage_path")):
        assert (await t.resolve(path)).number == 1


def persisted(orchestrator, identity):
    result = orchestrator.execution(identity)
    return {key: result[key] for key in orchestrator.KEYS}


# -- at every point --------------------------------------------------------------------------------------------------------


def test_a_crash_at_any_point_leaves_all_or_nothing(run, store_urls, orchestrator):
    visited = run(until_it_survives(store_urls, orchestrator))
    assert len(visited) == 2 * EFFECTS, visited


async def until_it_survives(urls, orchestrator) -> list[str]:
    visited: list[str] = []
    async with AsyncStore(blobs=urls.blobs, catalog=urls.catalog) as other:
        await orchestrator.execute(other.tenant("elsewhere"), "e")
        while True:
            # Another execution each time, for its bytes are to be new.
            identity, faults = f"e{len(visited)}", Faults(crash_at=len(visited) + 1)
            if not await dies(urls, orchestrator, identity, faults):
                return visited
            visited.append(faults.points[-1])
            is_done = len(visited) == 2 * EFFECTS  # that is after the last effect
            t = other.tenant()
            assert (identity in whole(urls.catalog)) == is_done, visited
            assert await audit(other) == []
            references = await orchestrator.execute(t, identity)
            await assert_whole(t, references, persisted(orchestrator, identity))
            assert await orchestrator.execute(t, identity) == references
            assert await audit(other) == []


async def dies(urls, orchestrator, identity, faults) -> bool:
    async with faulty_store(faults, blobs=urls.blobs, catalog=urls.catalog) as store:
        try:
            await orchestrator.execute(store.tenant(), identity)
        except SimulatedCrash:
            return True
        assert not faults.burnt, "the crash was swallowed"
        return False


# -- real processes --------------------------------------------------------------------------------------------------------


def test_killed_between_upload_and_commit_it_is_not_there_and_another_process_stores_it(run, store_urls, orchestrator):
    with process(store_urls, "known", "0") as first:
        assert [line[1] for line in said(first.communicate()[0])] == ["begun", "done"]
    with process(store_urls, "e", str(2 * EFFECTS - 1)) as killed:
        output = killed.communicate()[0]
    assert killed.returncode == -signal.SIGKILL
    assert said(output) == [["e", "begun"], ["dies", "before", "sql put_transaction"]]
    assert whole(store_urls.catalog) == {"known"}
    told = []
    for _ in range(2):
        with process(store_urls, "e", "0") as other:
            told.append(json.loads(said(other.communicate()[0])[-1][2]))
    assert told[0] == told[1]

    async def main() -> None:
        async with AsyncStore(blobs=store_urls.blobs, catalog=store_urls.catalog) as store:
            assert await orchestrator.execute(store.tenant(), "e") == told[0]
            await assert_whole(store.tenant(), told[0], persisted(orchestrator, "e"))
            assert (await store.tenant().usage()).versions == 6
            assert await audit(store) == []

    run(main())


def kill_some(urls, number: int, chance: random.Random) -> list[list[str]]:
    with contextlib.ExitStack() as stack:
        started = [stack.enter_context(process(urls, f"w{number}-{k}")) for k in range(AT_ONCE)]
        first = [each.stdout.readline() for each in started]
        for each in started:
            time.sleep(chance.uniform(*LIFE_S))
            each.send_signal(signal.SIGKILL)
        return [line for each, begin in zip(started, first, strict=True) for line in said(begin + each.stdout.read())]


def test_killing_processes_at_random_leaves_no_partial_execution(run, store_urls, orchestrator):
    seed = random.randrange(2**32)
    print("seed", seed)
    chance, end, kills = random.Random(seed), time.monotonic() + SECONDS, 0
    begun: set[str] = set()
    done: dict[str, dict[str, str]] = {}
    while time.monotonic() < end:
        told = kill_some(store_urls, kills, chance)
        kills += AT_ONCE
        begun |= {line[0] for line in told if line[1] == "begun"}
        done |= {line[0]: json.loads(line[2]) for line in told if line[1] == "done"}
        assert whole(store_urls.catalog) >= done.keys()
    there = whole(store_urls.catalog)
    print(f"{len(begun)} executions, {kills} processes killed, {len(begun) - len(there)} executions lost with them")
    assert begun > there, "none was killed in the middle"
    run(assert_repeatable(store_urls, orchestrator, begun, done))
    assert whole(store_urls.catalog) == begun


async def assert_repeatable(urls, orchestrator, begun, done) -> None:
    async with AsyncStore(blobs=urls.blobs, catalog=urls.catalog) as store:
        t = store.tenant()
        assert await audit(store) == []
        for identity in sorted(begun):
            references = await orchestrator.execute(t, identity)
            assert references == done.get(identity, references)
            await assert_whole(t, references, persisted(orchestrator, identity))
        assert await audit(store) == []
