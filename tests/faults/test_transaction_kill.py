"""Real processes killed at a random moment of their transactions: each execution is there whole or not at all."""

from __future__ import annotations

import contextlib
import importlib.util
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
from casstore.testing.audit import audit

TRANSACTOR = Path(__file__).with_name("transactor.py")
ROUNDS, AT_ONCE = 5, 4
LIFE_S = (0.0, 0.2)  # after the first word
PARTS_OF = """
select l.id, (select count(*) from casstore.versions v where v.labels ->> 'execution' = l.id)
  from (select distinct labels ->> 'execution' as id from casstore.versions) l
"""


@pytest.fixture(scope="module")
def execute():
    """The transactor's own: tests are no package, so it is loaded by its path."""
    spec = importlib.util.spec_from_file_location("transactor", TRANSACTOR)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.execute


@contextlib.contextmanager
def transactor(urls, name):
    command = [sys.executable, str(TRANSACTOR), urls.blobs, urls.catalog, name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(Path.cwd())}) as process:
        try:
            yield process
        finally:
            process.kill()


def said(process, first: bytes) -> list[tuple[str, str]]:
    """What the dead process said; its last line may be torn."""
    lines = (first + process.stdout.read()).decode().split("\n")[:-1]
    return [tuple(line.split()) for line in lines]


def kill_some(urls, number: int, chance: random.Random) -> list[tuple[str, str]]:
    with contextlib.ExitStack() as stack:
        processes = [stack.enter_context(transactor(urls, f"w{number}-{k}")) for k in range(AT_ONCE)]
        first = [process.stdout.readline() for process in processes]
        for process in processes:
            time.sleep(chance.uniform(*LIFE_S))
            process.send_signal(signal.SIGKILL)
        return [line for process, begin in zip(processes, first, strict=True) for line in said(process, begin)]


def assert_five_or_none(dsn: str) -> set[str]:
    """The executions that are there, each with all its artifacts."""
    with psycopg.connect(dsn, prepare_threshold=None) as connection:
        found = dict(connection.execute(PARTS_OF).fetchall())
    assert set(found.values()) <= {5}, found
    return set(found)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_executions_killed_at_random_are_whole_or_not_there(run, store_urls, execute):
    seed = random.randrange(2**32)
    print("seed", seed)
    chance = random.Random(seed)
    begun, done = set(), set()
    for number in range(ROUNDS):
        told = kill_some(store_urls, number, chance)
        begun |= {identity for identity, word in told if word == "begun"}
        done |= {identity for identity, word in told if word == "done"}
        assert done <= assert_five_or_none(store_urls.catalog)
    assert len(begun) > len(done) > 0, "none was killed in the middle"
    run(assert_repeatable(store_urls, execute, sorted(begun)))
    assert assert_five_or_none(store_urls.catalog) == begun


async def assert_repeatable(urls, execute, begun: list[str]) -> None:
    """Whoever repeats an execution, done or not, is told its versions; and nothing is stored twice."""
    async with AsyncStore(blobs=urls.blobs, catalog=urls.catalog) as store:
        assert await audit(store) == []
        for identity in begun:
            stored = await execute(store.tenant(), identity)
            assert len({each.repeated for each in stored}) == 1
            for each in stored:
                assert (await store.tenant().resolve(f"id:{each.id}")).labels == {"execution": identity}
        assert await audit(store) == []
