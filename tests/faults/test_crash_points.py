"""Die at the n-th effect, for n = 1, 2, 3 … until a run survives; then look at what is left, and do it again.

Whatever the point: what was acknowledged before is there and verified, nothing half-made is visible, and the same call succeeds.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from casstore import AsyncStore, AsyncTenant, Components, Conflict
from casstore.testing.audit import audit
from casstore.testing.faults import Faults, SimulatedCrash, faulty_store

NAME = "doc/under-test"
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Scenario:
    """One call of the store, and what it comes to."""

    act: Callable[[AsyncTenant, bytes], Awaitable[Any]]  # the bytes are new with every run
    points: int  # at which it can die: two for each effect
    before: int = 1  # versions of NAME that are there before
    after: int = 2  # and after, however often it was tried
    pointer: tuple[str, ...] = ()  # what points at a version in the end
    repeatable: bool = True  # else a retry after the commit is a conflict
    expires: bool = False  # what is made has a time to live


def parts(salt: bytes) -> Components:
    return Components(main=b"known", second=b"2" + salt, third=b"3" + salt, fourth=b"4" + salt)


SCENARIOS = {
    "new bytes": Scenario(lambda t, salt: t.put(NAME, b"new" + salt), 6),
    "known bytes": Scenario(lambda t, _: t.put(NAME, b"known"), 2),
    "first put of a tenant": Scenario(lambda t, salt: t.put(NAME, b"new" + salt), 6, before=0, after=1),
    "four components, one known": Scenario(lambda t, salt: t.put(NAME, parts(salt)), 10),
    "idempotency key": Scenario(
        lambda t, salt: t.put(NAME, b"new" + salt, idempotency_key="k", on_same="new_version"), 6
    ),
    "idempotency key and expect": Scenario(
        lambda t, salt: t.put(NAME, b"new" + salt, idempotency_key="k", expect=1), 6
    ),
    "a time to live": Scenario(lambda t, salt: t.put(NAME, b"new" + salt, ttl=DAY), 6, expires=True),
    "expect": Scenario(lambda t, salt: t.put(NAME, b"new" + salt, expect=1), 6, repeatable=False),
    "alias": Scenario(lambda t, _: t.alias(f"{NAME}@1", "prod"), 2, after=1, pointer=("prod",)),
    "tag": Scenario(lambda t, _: t.tag(f"{NAME}@1", "v1-final"), 2, after=1, pointer=("v1-final",)),
}


async def versions_of(tenant: AsyncTenant) -> list[int]:
    """The numbers of NAME's versions, every byte of which was read and verified."""
    page = await tenant.list(name_prefix=NAME)
    if not page.items:
        return []
    history = await tenant.history(NAME)
    for version in history:
        artifact = await tenant.get(version.ref)
        for role in version.roles:
            assert await artifact[role].bytes()
    return [version.number for version in history]


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_crash_at_any_point_leaves_all_or_nothing_and_can_be_tried_again(run, store_urls, name):
    visited = run(until_it_survives(SCENARIOS[name], store_urls))
    assert len(visited) == SCENARIOS[name].points, visited


async def until_it_survives(scenario, urls) -> list[str]:
    visited: list[str] = []
    async with AsyncStore(blobs=urls.blobs, catalog=urls.catalog) as healthy:
        await healthy.tenant("elsewhere").put("doc/known", b"known")
    while True:
        faults = Faults(crash_at=len(visited) + 1)
        tenant = f"t{len(visited)}"
        await prepare(scenario, urls, tenant)
        if not await dies(scenario, urls, tenant, faults):
            return visited
        visited.append(faults.points[-1])
        await assert_whole_and_repeatable(scenario, urls, tenant)


async def prepare(scenario, urls, tenant) -> None:
    async with AsyncStore(blobs=urls.blobs, catalog=urls.catalog) as healthy:
        for number in range(scenario.before):
            await healthy.tenant(tenant).put(NAME, b"version %d" % number)


async def dies(scenario, urls, tenant, faults) -> bool:
    async with faulty_store(faults, blobs=urls.blobs, catalog=urls.catalog) as store:
        try:
            await scenario.act(store.tenant(tenant), tenant.encode())
        except SimulatedCrash:
            assert faults.burnt
            return True
        assert not faults.burnt, "the crash was swallowed"
        return False


async def assert_whole_and_repeatable(scenario, urls, tenant) -> None:
    async with AsyncStore(blobs=urls.blobs, catalog=urls.catalog) as fresh:
        mine = fresh.tenant(tenant)
        left = await versions_of(mine)
        assert left in (numbers(scenario.before), numbers(scenario.after))
        assert expiring(urls, tenant) == (left[:1] if scenario.expires and left == numbers(scenario.after) else [])
        assert not left or len(await mine.pointers(NAME)) <= bool(scenario.pointer)
        assert await audit(fresh) == []
        try:
            answer = await scenario.act(mine, tenant.encode())
            assert answer.number == scenario.after
        except Conflict as conflict:
            assert not scenario.repeatable
            assert left == numbers(scenario.after)
            assert conflict.fields["actual"] == scenario.after  # noqa: PT017 - the other outcome is as good
        assert await versions_of(mine) == numbers(scenario.after)
        assert [p.pointer for p in await mine.pointers(NAME)] == [*scenario.pointer]
        assert await audit(fresh) == []


def expiring(urls, tenant) -> list[int]:
    """The versions that have a time to live."""
    with psycopg.connect(urls.catalog) as connection:
        query = (
            "select e.number from casstore.expiries e join casstore.tenants t on t.id = e.tenant_id where t.name = %s"
        )
        return [number for (number,) in connection.execute(query, (tenant,))]


def numbers(newest: int) -> list[int]:
    return list(range(newest, 0, -1))


def test_a_dead_process_does_nothing_more(run, store_urls):
    """The fuse stays burnt: the test is no kinder than a power cut."""

    async def main() -> None:
        faults = Faults(crash_at=1)
        async with faulty_store(faults, blobs=store_urls.blobs, catalog=store_urls.catalog) as store:
            for _ in range(2):
                with pytest.raises(SimulatedCrash):
                    await store.tenant().put(NAME, b"x")
            assert faults.effects == []

    run(main())
