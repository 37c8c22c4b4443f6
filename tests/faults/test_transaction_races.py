"""Transactions at the same time on the same names: of those who expect the same one wins, and nobody is told of deadlocks."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from casstore import AsyncStore, Components, Conflict
from casstore.testing.audit import audit
from tests.support.locks import waiting

RACER = Path(__file__).with_name("racer.py")
NAMES = ("doc/a", "doc/b", "doc/c")
ROUNDS = 12


@contextlib.contextmanager
def racers(urls, count):
    """Processes that race one round for each line that they read; see racer.py."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    environment = os.environ | {"PYTHONPATH": str(Path.cwd())}
    command = [sys.executable, str(RACER), urls.blobs, urls.catalog]
    processes = [subprocess.Popen([*command, str(n)], env=environment, **pipes) for n in range(count)]
    try:
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        yield processes
    finally:
        for process in processes:
            process.communicate()


def raced(processes, head: int) -> list[dict[str, int] | list[str]]:
    """What became of each task's transaction: the numbers it made, or the codes of its puts."""
    for process in processes:
        process.stdin.write(f"{head}\n")
        process.stdin.flush()
    return [answer for process in processes for answer in json.loads(process.stdout.readline())]


@pytest.mark.slow
def test_of_eight_transactions_in_two_processes_one_wins_each_round(run, store_urls):
    with racers(store_urls, 2) as processes:
        for head in range(ROUNDS):
            answers = raced(processes, head)
            winners = [answer for answer in answers if isinstance(answer, dict)]
            assert len(answers) == 8
            assert winners == [dict.fromkeys(NAMES, head + 1)]
            assert all(answer == ["head_moved"] * 3 for answer in answers if answer not in winners), answers

    async def look() -> None:
        async with AsyncStore(blobs=store_urls.blobs, catalog=store_urls.catalog) as store:
            histories = [await store.tenant().history(name) for name in NAMES]
            for versions in zip(*histories, strict=True):  # each round's three are of one winner
                assert len({version.labels["by"] for version in versions}) == 1
            assert [len(history) for history in histories] == [ROUNDS] * 3
            for name in NAMES:
                assert len(await store.tenant().pointer_history(name, "current")) == ROUNDS
            assert await audit(store) == []

    run(look())


@contextlib.asynccontextmanager
async def two_tenants(urls):
    """One tenant as two processes see it."""
    async with (
        AsyncStore(blobs=urls.blobs, catalog=urls.catalog) as one,
        AsyncStore(blobs=urls.blobs, catalog=urls.catalog) as two,
    ):
        yield one.tenant(), two.tenant()
        assert await audit(one) == []


def shuffled(values) -> list:
    return random.sample(values, len(values))


async def put_some_and_point_at_others(tenant, who: str) -> None:
    """The pointers' names are in no order, and other than those of the puts."""
    names = shuffled(NAMES)
    async with tenant.transaction() as tx:
        await tx.put(names[0], Components(own=who, shared=who[:1]))
        for name in shuffled(NAMES):
            tx.alias(f"{name}@1", f"of-{who}")
        for name in shuffled(NAMES):
            tx.alias(name, "last")


@pytest.mark.slow
def test_puts_and_pointers_that_cross_each_other_all_succeed(run, store_urls):
    async def main() -> None:
        async with two_tenants(store_urls) as tenants:
            for name in NAMES:
                await tenants[0].put(name, "first")
            for number in range(8):
                work = (put_some_and_point_at_others(tenants[n % 2], f"{number}.{n}") for n in range(8))
                await asyncio.gather(*work)
            pointers = [await tenants[0].pointers(name) for name in NAMES]
            assert [len(each) for each in pointers] == [65] * 3

    run(main())


@pytest.mark.slow
def test_transactions_among_single_puts_all_succeed(run, store_urls):
    async def single(tenant, who: str) -> None:
        for name in shuffled(NAMES):
            key = f"key {who} {name}" if who.endswith("3") else None
            await tenant.put(name, Components(own=who, shared=who[:1]), on_same="new_version", idempotency_key=key)

    async def together(tenant, who: str) -> None:
        async with tenant.transaction() as tx:
            for name in shuffled(NAMES):
                await tx.put(name, Components(own=f"together {who}", shared=who[:1]), on_same="new_version")

    async def main() -> None:
        async with two_tenants(store_urls) as tenants:
            for number in range(8):
                work = [do(tenants[n % 2], f"{number}.{n}") for n in range(4) for do in (single, together)]
                await asyncio.gather(*work)
            heads = {version.name: version.number for version in await tenants[0].list()}
            assert heads == dict.fromkeys(NAMES, 8 * 8)

    run(main())


def test_a_put_and_a_transaction_of_one_key_are_one_and_a_conflict(run, store_urls):
    """The put has taken the key and waits for the head when the transaction looks for it."""

    async def transact(tenant) -> None:
        async with tenant.transaction(idempotency_key="k") as tx:
            await tx.put("doc/b", "first")

    async def main() -> None:
        async with two_tenants(store_urls) as (one, two):
            for name in NAMES:
                await one.put(name, "first")
            async with await psycopg.AsyncConnection.connect(store_urls.catalog) as holder:
                await holder.execute("select from casstore.artifacts where name = 'doc/a' for update")
                put = asyncio.create_task(one.put("doc/a", "first", on_same="new_version", idempotency_key="k"))
                await waiting(store_urls.catalog, 1)
                transaction = asyncio.create_task(transact(two))
                await waiting(store_urls.catalog, 2)
                await holder.rollback()
            assert (await put).number == 2
            with pytest.raises(Conflict) as conflict:
                await transaction
            assert conflict.value.code == "idempotency_key_reused"

    run(main())
