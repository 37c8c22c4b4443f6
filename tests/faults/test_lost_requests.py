"""Each HTTP call of a put to a bucket is lost, or its answer is: once, and then again and again until the put gives up.

A put begins here with the opening of its store. Whatever was lost: it succeeds or is Unavailable, and when it is repeated,
with its idempotency key or without one, there is one version with the right bytes.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple

import pytest

from casstore import AsyncStore, Components, Corrupt, Digest, Unavailable, limits
from casstore.blobs import keys
from casstore.testing.audit import audit
from casstore.testing.gcs import GcsServer, drop_after, drop_before, status
from casstore.testing.harness import sample
from tests.support.points import EVERY

NAME = "doc/under-test"
PIECE_BYTES = 2**18  # the shortest that Google takes: a blob of several goes up as one of more than 8 MiB does
SMALL, LARGE = b"small", sample(2 * PIECE_BYTES + 1)
IN_PIECES = ["stat", "upload_start", *["upload_chunk"] * 3]
FAULTS = {"request": drop_before(), "answer": drop_after(), "503 instead of the answer": status(503, after=True)}


class Place(NamedTuple):
    """An empty store in a bucket, which nobody has opened yet."""

    server: GcsServer
    blobs: str
    catalog: str

    def store(self) -> AsyncStore:
        return AsyncStore(blobs=self.blobs, catalog=self.catalog)

    def object_of(self, data: bytes) -> tuple[str, str]:
        """The bucket and name of the object that these bytes belong in."""
        bucket, _, prefix = self.blobs.removeprefix("gs://").partition("/")
        return bucket, f"{prefix}/{keys.key_of(Digest.of(data))}"


async def never_opened(place) -> None:
    pass


async def opened(place) -> None:
    async with place.store():
        pass


def holding(data, found):
    """Somebody who died left an object where that of `data` belongs."""

    async def prepare(place) -> None:
        await opened(place)
        place.server.write(*place.object_of(data), found)

    return prepare


def damaged(data, *, then_deleted=False):
    """The bytes of a version were altered, and a reader has noticed."""

    async def prepare(place) -> None:
        async with place.store() as store:
            await store.tenant().put("doc/before", data)
            place.server.write(*place.object_of(data), data[::-1])
            with pytest.raises(Corrupt):
                await (await store.tenant().get("doc/before")).bytes()
        if then_deleted:
            place.server.remove(*place.object_of(data))

    return prepare


@dataclass(frozen=True)
class Scenario:
    """One put, and what it asks of the bucket."""

    calls: list[str]
    data: bytes | dict[str, bytes] = SMALL
    prepare: Callable[[Place], Awaitable[None]] = opened

    @property
    def parts(self) -> dict[str, bytes]:
        return self.data if isinstance(self.data, dict) else {"main": self.data}


SCENARIOS = {
    "small": Scenario(["download", "upload"]),
    "small, into a store that is new": Scenario(["upload", "upload"], prepare=never_opened),
    "two components": Scenario(["download", "upload", "upload"], {"one": b"1", "two": b"2"}),
    "large": Scenario(["download", *IN_PIECES], LARGE),
    "small, of which the object is there": Scenario(["download", "upload", "stat"], prepare=holding(SMALL, SMALL)),
    "small, where another object is": Scenario(
        ["download", "upload", "stat", "upload"], prepare=holding(SMALL, b"another")
    ),
    "small, to heal": Scenario(["download", "upload"], prepare=damaged(SMALL)),
    "small, to heal what is gone meanwhile": Scenario(
        ["download", "upload", "stat", "upload"], prepare=damaged(SMALL, then_deleted=True)
    ),
    "large, to heal": Scenario(["download", *IN_PIECES], LARGE, damaged(LARGE)),
}

# With a key and without one by turns; all where every point is asked for.
GIVING_UP = [
    (name, fault, key)
    for place, (name, fault) in enumerate(itertools.product(SCENARIOS, FAULTS))
    for key in (None, "k")
    if EVERY or (key is None) == (place % 2 == 0)
]


@pytest.fixture(autouse=True)
def short_pieces(monkeypatch):
    monkeypatch.setattr(limits, "GCS_REQUEST_BYTES", PIECE_BYTES)


@pytest.fixture
def new_place(databases, bucket):
    """Each `with new_place() as place:` is another one."""
    numbers = itertools.count()

    @contextlib.contextmanager
    def new():
        with databases.fresh() as dsn:
            yield Place(bucket, f"gs://blobs/{next(numbers)}", dsn)

    return new


async def put(place, scenario, key):
    """From the opening of the store on."""
    data = scenario.data if isinstance(scenario.data, bytes) else Components(scenario.data)
    async with place.store() as store:
        on_same = "new_version" if key else "reuse"
        return await store.tenant().put(NAME, data, idempotency_key=key, on_same=on_same)


async def put_in_vain(place, scenario, key) -> None:
    with pytest.raises(Unavailable) as caught:
        await put(place, scenario, key)
    assert caught.value.code == "blobs_unavailable"
    assert caught.value.hint


async def assert_one_version(place, scenario, stored) -> None:
    async with place.store() as store:
        tenant = store.tenant()
        assert [(v.number, v.id) for v in await tenant.history(NAME)] == [(1, stored.id)]
        for version in await tenant.list():  # with the one that was damaged before
            artifact = await tenant.get(version.ref)
            assert {role: await artifact[role].bytes() for role in version.roles} == scenario.parts
        assert await audit(store) == []


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_put_asks_this_of_the_bucket(run, new_place, patience, name):
    """What the others count on."""
    with new_place() as place:
        assert calls_of(run, place, SCENARIOS[name]) == SCENARIOS[name].calls


def calls_of(run, place, scenario) -> list[str]:
    run(scenario.prepare(place))
    place.server.requests.clear()
    run(put(place, scenario, None))
    return [seen.operation for seen in place.server.requests]


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_put_gets_over_the_loss_of_any_one_call(run, new_place, patience, name, fault):
    async def survives(place, nth) -> None:
        await scenario.prepare(place)
        rule = place.server.faults.add(FAULTS[fault], nth=nth)
        stored = await put(place, scenario, "k")
        assert rule.struck
        assert (stored.number, stored.reused, stored.repeated) == (1, False, False)
        for key in ("k", None):
            again = await put(place, scenario, key)
            assert (again.id, again.repeated, again.reused) == (stored.id, bool(key), not key)
        await assert_one_version(place, scenario, stored)

    scenario = SCENARIOS[name]
    for nth in range(1, len(scenario.calls) + 1):
        with new_place() as place:
            run(survives(place, nth))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "fault", "key"), GIVING_UP)
def test_a_put_that_gives_up_at_any_call_can_be_repeated(run, new_place, patience, name, fault, key):
    """As after a crash of who puts: from some call on, nothing is heard of the bucket."""

    async def is_repeated(place, nth) -> None:
        await scenario.prepare(place)
        place.server.faults.add(FAULTS[fault], nth=nth, times=None)
        patience(0.05)
        await put_in_vain(place, scenario, key)
        place.server.faults.clear()
        patience(20)
        stored = await put(place, scenario, key)
        assert (stored.number, stored.reused, stored.repeated) == (1, False, False)
        await assert_one_version(place, scenario, stored)

    scenario = SCENARIOS[name]
    for nth in range(1, len(scenario.calls) + 1):
        with new_place() as place:
            run(is_repeated(place, nth))
