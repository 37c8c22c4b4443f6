"""Many writers at once: nothing is lost, numbers have no gaps, and of those who expect the same head exactly one wins."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from casstore import AsyncStore, Conflict
from casstore.testing.audit import audit
from tests.support.locks import waiting

PUTTER = Path(__file__).with_name("putter.py")
WRITERS = 16


@pytest.fixture
def with_store(run, store_urls):
    """Run `main(tenant)` on an open store, and audit the store afterwards."""

    def go(main):
        async def outer():
            async with AsyncStore(blobs=store_urls.blobs, catalog=store_urls.catalog) as store:
                answer = await main(store.tenant())
                assert await audit(store) == []
                return answer

        return run(outer())

    return go


def in_processes(urls, orders, tenant="default"):
    """Each order (tasks, each a list of put's arguments) in a process of its own, started at one signal."""
    command = [sys.executable, str(PUTTER)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    environment = os.environ | {"PYTHONPATH": str(Path.cwd())}
    processes = [subprocess.Popen(command, env=environment, **pipes) for _ in orders]
    try:
        for process, tasks in zip(processes, orders, strict=True):
            order = {"blobs": urls.blobs, "catalog": urls.catalog, "tenant": tenant, "tasks": tasks}
            process.stdin.write(json.dumps(order) + "\n")
            process.stdin.flush()
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        return [json.loads(process.stdout.readline()) for process in processes]
    finally:
        for process in processes:
            process.communicate()


async def outcomes(*calls):
    """What each of some simultaneous calls came to: its answer or its Conflict; anything else fails the test."""
    answers = await asyncio.gather(*calls, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException) and not isinstance(answer, Conflict):
            raise answer
    return [a for a in answers if not isinstance(a, Conflict)], [a for a in answers if isinstance(a, Conflict)]


def test_sixteen_tasks_on_one_name_lose_nothing(with_store):
    async def main(tenant):
        async def write(n):
            return [await tenant.put("doc/hot", f"writer {n}, text {k}") for k in range(5)]

        answers = [stored for stored in await asyncio.gather(*(write(n) for n in range(WRITERS))) for stored in stored]
        assert sorted(stored.number for stored in answers) == list(range(1, 5 * WRITERS + 1))
        history = list(await tenant.history("doc/hot", limit=1000))[::-1]
        assert [v.number for v in history] == list(range(1, 5 * WRITERS + 1))
        assert all(a.created_at < b.created_at for a, b in itertools.pairwise(history))
        assert {v.id for v in history} == {stored.id for stored in answers}

    with_store(main)


@pytest.mark.slow
def test_four_processes_of_four_tasks_on_one_name_lose_nothing(run, store_urls, with_store):
    orders = [
        [[{"name": "doc/hot", "data": f"process {p}, task {t}, text {k}"} for k in range(5)] for t in range(4)]
        for p in range(4)
    ]
    answers = [put for process in in_processes(store_urls, orders) for task in process for put in task]
    assert sorted(number for number, _, _ in answers) == list(range(1, 81))

    async def main(tenant):
        history = await tenant.history("doc/hot", limit=1000)
        assert {str(v.id): v.number for v in history} == {identity: number for number, identity, _ in answers}

    with_store(main)


@pytest.mark.slow
@pytest.mark.parametrize("expect", [None, 0])
def test_one_idempotency_key_from_four_processes_is_one_version(store_urls, with_store, expect):
    put = {"name": "doc/once", "data": "x", "idempotency_key": "k", "on_same": "new_version", "expect": expect}
    answers = [put for process in in_processes(store_urls, [[[put]] * 4] * 4) for task in process for put in task]
    assert len(answers) == 16
    assert len({tuple(answer) for answer in answers}) == 1, answers

    async def main(tenant):
        assert len(await tenant.history("doc/once")) == 1

    with_store(main)


def test_one_key_for_different_requests_at_once_is_one_version_and_conflicts(with_store):
    async def main(tenant):
        won, lost = await outcomes(*(tenant.put(f"doc/{n}", "x", idempotency_key="k") for n in range(8)))
        assert len(won) == 1
        assert {conflict.code for conflict in lost} == {"idempotency_key_reused"}
        assert len(await tenant.list()) == 1

    with_store(main)


def test_of_eight_who_expect_the_same_head_one_wins_each_round(with_store):
    async def main(tenant):
        for head in range(6):
            puts = (tenant.put("doc/cas", f"{head} by {n}", expect=head) for n in range(8))
            (winner,), losers = await outcomes(*puts)
            assert winner.number == head + 1
            assert len(losers) == 7
            for conflict in losers:
                assert conflict.code == "head_moved"
                assert (conflict.fields["expected"], conflict.fields["actual"]) == (head, head + 1)

    with_store(main)


def test_sixteen_writers_of_the_same_bytes_make_one_object(with_store, store_urls):
    async def main(tenant):
        stored = await asyncio.gather(*(tenant.put(f"doc/{n}", b"the same bytes") for n in range(WRITERS)))
        assert {s.number for s in stored} == {1}
        (digest,) = {s.components[0].digest for s in stored}
        assert [thing.digest for thing in await tenant._store._blobs.page()] == [digest]

    with_store(main)
    assert store_urls.leftovers() == []


@pytest.mark.parametrize("names", [("doc/new",), ("doc/new", "DOC/NEW")])
def test_the_first_put_of_one_name_by_eight_at_once(with_store, names):
    """Names differ by more than case: whoever comes first decides the spelling."""

    async def main(tenant):
        won, lost = await outcomes(*(tenant.put(names[n % len(names)], f"by {n}") for n in range(8)))
        assert {conflict.code for conflict in lost} == ({"name_case"} if len(names) == 2 else set())
        assert sorted(stored.number for stored in won) == list(range(1, 9 - len(lost)))
        assert len({stored.name for stored in won}) == 1

    with_store(main)


def test_the_first_put_of_one_tenant_by_eight_at_once(run, store_urls):
    async def main():
        async with AsyncStore(blobs=store_urls.blobs, catalog=store_urls.catalog) as store:
            tenant = store.tenant("brand-new")
            stored = await asyncio.gather(*(tenant.put(f"doc/{n}", f"by {n}") for n in range(8)))
            assert [s.number for s in stored] == [1] * 8
            assert (await tenant.usage()).artifacts == 8
            assert await audit(store) == []

    run(main())


def test_of_eight_who_move_an_alias_one_wins_each_round(with_store):
    async def main(tenant):
        for number in range(10):
            await tenant.put("doc/a", f"text {number}")
        at = 0
        for _ in range(5):
            targets = [number for number in range(1, 11) if number != at][:8]
            moves = (tenant.alias(f"doc/a@{number}", "prod", expect=at) for number in targets)
            (winner,), losers = await outcomes(*moves)
            assert {(c.code, c.fields["expected"], c.fields["actual"]) for c in losers} == {
                ("alias_moved", at, winner.number)
            }
            at = winner.number
        assert [p.number for p in await tenant.pointers("doc/a")] == [at]
        assert len(await tenant.pointer_history("doc/a", "prod")) == 5

    with_store(main)


def test_of_eight_who_set_a_tag_one_version_wins(with_store):
    async def main(tenant):
        for number in range(8):
            await tenant.put("doc/a", f"text {number}")
        won, lost = await outcomes(*(tenant.tag(f"doc/a@{number}", "final") for number in range(1, 9)))
        assert len(won) == 1
        assert {(c.code, c.fields["number"]) for c in lost} == {("tag_frozen", won[0].number)}

    with_store(main)


def test_puts_of_crossed_components_at_once_do_not_deadlock(with_store):
    """Blobs are locked in the order of their digests, whatever the order of the roles."""
    from casstore import Components

    async def main(tenant):
        for k in range(10):
            texts = [f"part {k}.{n}" for n in range(6)]
            orders = [random.sample(texts, 6) for _ in range(8)]
            puts = (
                tenant.put(f"bp/{n}", Components(zip("abcdef", order, strict=True))) for n, order in enumerate(orders)
            )
            await asyncio.gather(*puts)

    with_store(main)


@pytest.mark.slow
def test_a_put_cancelled_at_any_moment_leaves_a_version_or_nothing(with_store):
    """The caller goes away: what was acknowledged stays, the store is usable, and no connection is left broken."""
    seed = random.randrange(2**32)
    print("seed", seed)
    chance = random.Random(seed)

    async def main(tenant):
        told = 0
        for n in range(120):
            put = asyncio.create_task(tenant.put("doc/cancelled", f"text {n}" * chance.choice([1, 20_000])))
            await asyncio.sleep(chance.uniform(0, 0.012))
            put.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                told = (await put).number
            head = await head_of(tenant)
            assert head >= told
        assert (await tenant.put("doc/cancelled", "the last")).number == await head_of(tenant)

    with_store(main)


def test_a_put_cancelled_in_its_commit_is_over_when_its_caller_hears_of_it(with_store, store_urls):
    """The commit is shielded: it is not aborted half-way, and nothing of it goes on behind the caller's back."""

    async def main(tenant):
        await tenant.put("doc/cancelled", "one")
        async with await psycopg.AsyncConnection.connect(store_urls.catalog) as holder:
            await holder.execute("select from casstore.artifacts for update")
            put = asyncio.create_task(tenant.put("doc/cancelled", "two"))
            await waiting(store_urls.catalog)
            put.cancel()
            await asyncio.sleep(0.05)
            assert not put.done()
        with pytest.raises(asyncio.CancelledError):
            await put
        assert await head_of(tenant) == 2

    with_store(main)


async def head_of(tenant) -> int:
    page = await tenant.list()
    return page.items[0].number if page.items else 0
