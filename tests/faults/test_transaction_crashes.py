"""A transaction dies, or loses a request or an answer, at its n-th effect, for every n: all of it is there or nothing.

Whatever the point, the same transaction under the same key then gives the complete answer, from another process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from casstore import AsyncStore, AsyncTenant, Components, Source, Stored, Unavailable
from casstore.testing.audit import audit
from casstore.testing.faults import Faults, SimulatedCrash, faulty_store
from casstore.testing.proxy import Line
from tests.support.locks import waiting

HEAD = "doc/there"  # a name with one version before the transaction; all others are new
KNOWN = b"known to all"
PLAN = {"current_state": "# Now", "coexistence_state": "# Both", "responsibility_matrix": {"roles": []}}


@dataclass(frozen=True)
class Scenario:
    """An execution of five artifacts, each made from those before it, two pointers and two steps of their lifecycle."""

    data: Callable[[bytes], list[Any]]  # of its artifacts; the salt is new with every run
    effects: int
    plan: str | None = "blueprint"  # the type that is named for the artifact that has one with a kind
    refusals: int = 0  # of the effects, the first ones: their answers are errors, after which nothing dies or gets lost


def new(salt: bytes) -> list[Any]:
    return [b"%d " % n + salt for n in range(4)]


def some_new(salt: bytes) -> list[Any]:
    return [KNOWN, b"1 " + salt, Components(a=b"2 " + salt, b=KNOWN, c=b"1 " + salt), b"1 " + salt]


SCENARIOS = {
    "new bytes": Scenario(new, 7),  # two calls and the uploads between them
    "some new, one of them thrice": Scenario(some_new, 5),
    "known bytes": Scenario(lambda _: [KNOWN] * 4, 3),  # but for the blueprint's own
    "type found out": Scenario(new, 8, plan=None, refusals=1),
}


def blueprint(salt: bytes) -> Components:
    return Components(PLAN | {"roadmap": {"phases": [{"id": salt.decode()}]}})


async def execute(t: AsyncTenant, scenario: Scenario, key: str | None = "execution") -> list[Stored]:
    salt = t.name.encode()
    async with t.transaction(idempotency_key=key) as tx:
        puts = [await tx.put(HEAD, scenario.data(salt)[0], expect=1, metadata={"run": key})]
        for n, data in enumerate(scenario.data(salt)[1:]):
            puts.append(await tx.put(f"new/{n}", data, expect=0, sources=puts))
        plan = [Source(put, f"part-{n}") for n, put in enumerate(puts)]
        puts += [await tx.put("plan/a", blueprint(salt), type=scenario.plan, expect=1, sources=plan)]
        tx.alias(HEAD, "current")
        tx.tag("new/0@1", "final")
        tx.transition("plan/a", "accepted", by="the execution", reason=key)
        tx.transition(f"{HEAD}@1", "obsolete", by="the execution")
    return [put.stored for put in puts]


async def prepare(store: AsyncStore, tenant: str) -> None:
    await store.tenant("elsewhere").put("doc/known", KNOWN)
    await store.tenant(tenant).put(HEAD, b"before")
    await store.tenant(tenant).put("plan/a", blueprint(b"before"), type="blueprint")


async def state(t: AsyncTenant) -> tuple[dict[str, int], set[str], dict[str, str]]:
    """The newest number of each name, where the pointers are, and which versions left their first state.

    Every byte was read and verified before.
    """
    heads = (await t.list()).items
    for version in heads:
        artifact = await t.get(version.ref)
        for role in version.roles:
            assert await artifact[role].bytes()
    pointers = {f"{each.name}@{p.pointer}={p.number}" for each in heads for p in await t.pointers(each.name)}
    versions = [version for each in heads for version in await t.history(each.name)]
    states = {version.ref: version.state for version in versions if version.state != "draft"}
    return {version.name: version.number for version in heads}, pointers, states


NOTHING = {HEAD: 1, "plan/a": 1}, set(), {}
ALL = (
    {HEAD: 2, "plan/a": 2, "new/0": 1, "new/1": 1, "new/2": 1},
    {f"{HEAD}@current=2", "new/0@final=1"},
    {"plan/a@2": "accepted", f"{HEAD}@1": "obsolete"},
)
NUMBERS = [2, 1, 1, 1, 2]


async def assert_complete(t: AsyncTenant, stored: list[Stored]) -> None:
    assert [each.number for each in stored] == NUMBERS
    assert not any(each.reused for each in stored)
    for each in stored:
        version = await t.resolve(each.ref)
        assert (version.id, version.digest, version.components) == (each.id, each.digest, each.components)
        assert (version.relations, version.metadata, version.state) == (each.relations, each.metadata, each.state)
    plan = (await t.lineage("plan/a")).versions[0]
    assert [(link.source, link.role) for link in plan.sources] == [
        (each.id, f"part-{n}") for n, each in enumerate(stored[:-1])
    ]
    assert {node.version.id for node in await t.lineage(HEAD, "down", depth=1)} == {each.id for each in stored}
    assert await state(t) == ALL


# -- crashes -------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_crash_at_any_point_leaves_all_or_nothing_and_the_key_finds_it(run, store_urls, name):
    visited = run(until_it_survives(SCENARIOS[name], store_urls))
    assert len(visited) == points(SCENARIOS[name]), visited


def points(scenario: Scenario) -> int:
    return 2 * scenario.effects - scenario.refusals


async def until_it_survives(scenario, urls) -> list[str]:
    visited: list[str] = []
    async with AsyncStore(blobs=urls.blobs, catalog=urls.catalog) as other:
        while True:
            tenant = f"t{len(visited)}"
            await prepare(other, tenant)
            faults = Faults(crash_at=len(visited) + 1)
            if not await dies(scenario, urls, tenant, faults):
                return visited
            visited.append(faults.points[-1])
            left = await state(other.tenant(tenant))
            is_done = len(visited) == points(scenario)  # that is after the last effect
            assert left == (ALL if is_done else NOTHING), visited
            assert await audit(other) == []
            await assert_repeatable(other.tenant(tenant), scenario, is_done=is_done)
            assert await audit(other) == []


async def dies(scenario, urls, tenant, faults) -> bool:
    async with faulty_store(faults, blobs=urls.blobs, catalog=urls.catalog) as store:
        try:
            await execute(store.tenant(tenant), scenario)
        except SimulatedCrash:
            assert faults.burnt
            return True
        assert not faults.burnt, "the crash was swallowed"
        return False


async def assert_repeatable(t, scenario, *, is_done) -> None:
    first = await execute(t, scenario)
    assert {each.repeated for each in first} == {is_done}
    await assert_complete(t, first)
    again = await execute(t, scenario)
    assert [each.id for each in again] == [each.id for each in first]
    assert all(each.repeated for each in again)
    await assert_complete(t, again)


# -- lost requests and answers -------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("key", [None, "execution"])
@pytest.mark.parametrize("loss", ["answer", "request"])
@pytest.mark.parametrize("name", ["new bytes", "known bytes", "type found out"])
def test_a_transaction_survives_the_loss_of_any_one_of_its_connections(run, store_urls, name, loss, key):
    """Of those to the catalog by itself; a blob store that does not answer is the caller's to retry, and nothing was stored."""
    scenario = SCENARIOS[name]

    async def main() -> None:
        async with AsyncStore(blobs=store_urls.blobs, catalog=store_urls.catalog) as other:
            for n in range(1 + scenario.refusals * (loss == "answer"), scenario.effects + 1):
                faults, tenant = Faults(lose_at=n, loss=loss), f"t{n}"
                await prepare(other, tenant)
                async with faulty_store(faults, blobs=store_urls.blobs, catalog=store_urls.catalog) as store:
                    stored = await until_blobs_answer(store.tenant(tenant), scenario, key)
                assert len(faults.effects) > scenario.effects, "nothing was lost"
                assert not any(each.repeated for each in stored)
                await assert_complete(other.tenant(tenant), stored)
            assert await audit(other) == []

    run(main())


async def until_blobs_answer(t, scenario, key) -> list[Stored]:
    try:
        return await execute(t, scenario, key)
    except Unavailable as error:
        assert error.code == "blobs_unavailable"  # noqa: PT017 - blobs only
        assert await state(t) == NOTHING
        return await execute(t, scenario, key)


@pytest.mark.parametrize("key", [None, "execution"])
def test_a_repetition_that_overtakes_its_own_first_try_is_one_transaction(run, store_urls, key):
    """The line is cut while the server still waits for a head's lock: the repetition queues up behind the first try."""

    async def main() -> None:
        async with AsyncStore(blobs=store_urls.blobs, catalog=store_urls.catalog) as other:
            await prepare(other, "t")
            await other.tenant("elsewhere").put("plan/b", blueprint(b"t"), type="blueprint")
            async with Line(store_urls.catalog) as line, AsyncStore(blobs=store_urls.blobs, catalog=line.dsn) as store:
                async with await psycopg.AsyncConnection.connect(store_urls.catalog) as holder:
                    await holder.execute("select from casstore.artifacts for update")
                    line.doom("put_transaction", "cut_at_once")
                    work = asyncio.create_task(execute(store.tenant("t"), SCENARIOS["known bytes"], key))
                    await waiting(store_urls.catalog, 2)
                    await holder.rollback()
                stored = await work
            assert not any(each.repeated for each in stored)
            await assert_complete(other.tenant("t"), stored)
            assert await audit(other) == []

    run(main())
