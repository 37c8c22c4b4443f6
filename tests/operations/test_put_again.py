"""What put promises to those who put the same twice, and to those who put at the same time."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from casstore import AsyncStore, Components, Conflict
from casstore.errors import Code
from tests.operations.failing import fails


async def numbers(t, name):
    return [v.number for v in await t.history(name)]


# -- idempotency keys ----


async def test_a_put_repeated_with_its_key_is_one_put(t):
    first = await t.put("a", b"x", title="T", labels={"a": "b"}, idempotency_key="k")
    again = await t.put("a", b"x", title="T", labels={"a": "b"}, idempotency_key="k")
    assert same(first, again)
    assert (first.repeated, again.repeated) == (False, True)
    assert await numbers(t, "a") == [1]


def same(one, two):
    changing = {"new_bytes", "repeated"}
    return one.model_dump(exclude=changing) == two.model_dump(exclude=changing)


async def test_the_answer_stays_after_others_put(t):
    first = await t.put("a", b"x", idempotency_key="k")
    await t.put("a", b"y")
    assert same(await t.put("a", b"x", idempotency_key="k"), first)
    assert await numbers(t, "a") == [2, 1]


async def test_a_repeated_put_is_not_checked_against_what_changed(t):
    first = await t.put("a", b"x", expect=0, idempotency_key="k")
    await t.put("a", b"y", expect=1)
    assert same(await t.put("a", b"x", expect=0, idempotency_key="k"), first)


async def test_a_key_keeps_the_answer_of_a_reuse(t):
    first = await t.put("a", b"x")
    reused = await t.put("a", b"x", idempotency_key="k")
    assert (reused.id, reused.reused) == (first.id, True)
    await t.put("a", b"y")
    assert same(await t.put("a", b"x", idempotency_key="k"), reused)
    assert await numbers(t, "a") == [2, 1]


@pytest.mark.parametrize(
    "changed",
    [
        {"data": b"y"},
        {"name": "b"},
        {"type": "document"},
        {"title": ""},
        {"labels": {}},
        {"expect": 0},
        {"on_same": "new_version"},
        {"media_type": "a/b"},
        {"data": Components(x=b"x")},
    ],
    ids=repr,
)
async def test_a_key_for_another_request_is_a_conflict(t, changed):
    asked = {"name": "a", "data": b"x", "idempotency_key": "k"}
    await t.put(**asked)
    with fails(Conflict, Code.IDEMPOTENCY_KEY_REUSED):
        await t.put(**(asked | changed))
    assert (await t.usage()).versions == 1


async def test_a_refused_put_leaves_its_key_free(t):
    with fails(Conflict, Code.HEAD_MOVED):
        await t.put("a", b"x", expect=1, idempotency_key="k")
    assert (await t.put("a", b"y", idempotency_key="k")).number == 1


async def test_keys_belong_to_a_tenant(t, other):
    await t.put("a", b"x", idempotency_key="k")
    assert not (await other.put("a", b"y", idempotency_key="k")).reused


async def test_the_same_key_at_the_same_time_makes_one_version(t):
    made = await asyncio.gather(*(t.put("a", b"x", on_same="new_version", idempotency_key="k") for _ in range(8)))
    assert {v.id for v in made} == {made[0].id}
    assert await numbers(t, "a") == [1]


async def test_the_same_key_with_expect_at_the_same_time_is_no_conflict(t):
    made = await asyncio.gather(*(t.put("a", b"x", expect=0, idempotency_key="k") for _ in range(8)))
    assert {v.number for v in made} == {1}


PUT = """
import asyncio, sys
from casstore import AsyncStore
async def main(blobs, catalog, tenant):
    async with AsyncStore(blobs=blobs, catalog=catalog) as store:
        version = await store.tenant(tenant).put("a", "x", on_same="new_version", idempotency_key="k")
        print(version.id, version.number)
asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_key_is_known_to_other_processes(t, where):
    first = await t.put("a", "x", on_same="new_version", idempotency_key="k")
    command = [sys.executable, "-c", PUT, where.blobs, where.catalog, t.name]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert done.stdout.split() == [str(first.id), "1"]
    assert await numbers(t, "a") == [1]


# -- many at once, two clients ----


async def test_many_writers_of_one_name_lose_nothing_and_leave_no_gap(t):
    made = await asyncio.gather(*(t.put("a", b"w%d" % n) for n in range(24)))
    assert sorted(v.number for v in made) == list(range(1, 25))
    for version in made:
        assert (await t.resolve(version.ref)).id == version.id


async def test_many_writers_of_the_same_new_bytes(t):
    made = await asyncio.gather(*(t.put(f"n{n}", b"the same new bytes") for n in range(16)))
    assert {v.number for v in made} == {1}
    assert (await t.usage()).stored_bytes == len(b"the same new bytes")


async def test_first_puts_of_a_tenant_at_the_same_time(store):
    t = store.tenant("brand-new")
    made = await asyncio.gather(*(t.put(f"n{n}", b"x") for n in range(8)))
    assert len({v.id for v in made}) == 8


async def test_another_client_sees_it_at_once(t, where):
    await t.put("a", b"x")
    async with AsyncStore(blobs=where.blobs, catalog=where.catalog) as second:
        twin = second.tenant(t.name)
        assert await (await twin.get("a")).bytes() == b"x"
        await twin.put("a", b"y")
    assert await (await t.get("a")).bytes() == b"y"
