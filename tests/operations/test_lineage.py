"""Lineage: of any history of puts, both ways and to any depth, what a tiny model of it says; and no history makes a cycle."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from uuid import UUID

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casstore import Conflict, Invalid, NotFound, Source, limits
from casstore.errors import Code
from casstore.testing.audit import audit
from tests.operations.failing import fails

NAMES = ("a", "b", "c")
ROLES = ("source", "template")


@dataclass
class Made:
    """A version in the model; its sources are places among all versions, with roles."""

    name: str
    number: int
    data: bytes
    sources: tuple[tuple[int, str], ...]
    state: str = "draft"
    id: UUID | None = None


@dataclass
class World:
    """All versions, in the order they were made."""

    made: list[Made] = field(default_factory=list)

    def line(self, name):
        return [place for place, each in enumerate(self.made) if each.name == name]

    def put(self, name, data, sources) -> int:
        """The place of the version that a put answers."""
        line = self.line(name)
        if line and (self.made[line[-1]].data, self.made[line[-1]].sources) == (data, sources):
            return line[-1]
        self.made.append(Made(name, len(line) + 1, data, sources))
        return len(self.made) - 1

    def step(self, place, state) -> bool:
        each = self.made[place]
        follows = (each.state, state) in (("draft", "accepted"), ("draft", "obsolete"), ("accepted", "obsolete"))
        if follows:
            each.state = state
        return follows or each.state == state

    def around(self, place, down) -> list[int]:
        """One step on."""
        if down:
            return [n for n, each in enumerate(self.made) if place in dict(each.sources)]
        return [source for source, _ in self.made[place].sources]

    def reached(self, place, *, down, depth) -> dict[int, int]:
        """The depth of each place."""
        depths, todo = {place: 0}, deque([place])
        while todo:
            at = todo.popleft()
            for each in self.around(at, down) if depths[at] < depth else ():
                if each not in depths:
                    depths[each] = depths[at] + 1
                    todo.append(each)
        return depths

    def newer(self, place, source) -> int | None:
        """The newest accepted version after a source; of one's own name none counts: a revision succeeds what it was made from."""
        each = self.made[source]
        if each.name == self.made[place].name:
            return None
        numbers = [self.made[n].number for n in self.line(each.name) if self.made[n].state == "accepted"]
        return max((number for number in numbers if number > each.number), default=None)

    def node(self, place, depth):
        each = self.made[place]
        links = [(self.made[source].id, role, self.newer(place, source)) for source, role in each.sources]
        return each.id, depth, links, any(newer for *_, newer in links), each.state

    def lineage(self, place, *, down, depth):
        depths = self.reached(place, down=down, depth=depth)
        return [self.node(each, depths[each]) for each in sorted(depths, key=lambda each: (depths[each], each))]


def nodes(lineage):
    return [
        (
            node.version.id,
            node.depth,
            [(link.source, link.role, link.newer) for link in node.sources],
            node.is_stale,
            node.version.state,
        )
        for node in lineage
    ]


# -- any history -----------------------------------------------------------------------------------------------------------

some_sources = st.lists(st.tuples(st.integers(0, 30), st.sampled_from(ROLES)), max_size=3)
some_put = st.tuples(st.sampled_from(NAMES), st.sampled_from([b"1", b"1", b"2"]), some_sources)
some_step = st.one_of(
    st.tuples(st.just("puts"), st.lists(some_put, min_size=1, max_size=4)),
    st.tuples(st.just("puts"), some_put.map(lambda put: [put])),
    st.tuples(st.just("state"), st.tuples(st.integers(0, 30), st.sampled_from(["accepted", "accepted", "obsolete"]))),
    st.tuples(st.just("again"), st.none()),
)


class History:
    """Does each step in the store and in the model."""

    def __init__(self, tenant) -> None:
        self.t = tenant
        self.world = World()
        self.calls: list[tuple[str, list]] = []

    async def do(self, verb, what) -> None:
        if verb == "state":
            await self.step(*what)
        elif verb == "puts":
            self.calls.append((f"k{len(self.calls)}", self.meant(what)))
            await self.put(*self.calls[-1])
        elif self.calls:  # under its old key, in another order of things
            key, puts = self.calls[0]
            assert all(stored.repeated for stored in await self.stored(key, puts))

    def meant(self, puts):
        """With sources that are there: places of versions, or of earlier puts of the same call as -1, -2, …"""
        count = len(self.world.made)
        return [
            (name, data, [(pick % (count + n) - n, role) for pick, role in picks if count + n])
            for n, (name, data, picks) in enumerate(puts)
        ]

    async def put(self, key, puts) -> None:
        self.count = len(self.world.made)
        places: list[int] = []
        for name, data, picks in puts:
            sources = tuple((pick if pick >= 0 else places[-pick - 1], role) for pick, role in picks)
            places.append(self.world.put(name, data, sources))
        for place, stored in zip(places, await self.stored(key, puts), strict=True):
            made = self.world.made[place]
            assert (stored.number, stored.reused) == (made.number, made.id is not None)
            made.id = made.id or stored.id

    async def stored(self, key, puts):
        async with self.t.transaction(idempotency_key=key) as tx:
            pendings: list = []
            for name, data, picks in puts:
                likes = [
                    Source(self.world.made[pick].id if pick >= 0 else pendings[-pick - 1], role) for pick, role in picks
                ]
                pendings.append(await tx.put(name, data, sources=likes))
        return [pending.stored for pending in pendings]

    async def step(self, pick, state) -> None:
        if self.world.made:
            place = pick % len(self.world.made)
            try:
                await self.t.transition(f"id:{self.world.made[place].id}", state, by="me")
            except Conflict as error:
                refused = error.code is Code.BAD_TRANSITION
            else:
                refused = False
            assert refused != self.world.step(place, state)

    async def compare(self) -> None:
        for place, made in enumerate(self.world.made):
            for direction in ("up", "down"):
                for depth in (None, 0, 1, 2):
                    found = await self.t.lineage(f"id:{made.id}", direction, depth=depth)
                    down, most = direction == "down", 99 if depth is None else depth
                    assert nodes(found) == self.world.lineage(place, down=down, depth=most)
                    assert found.is_complete


@pytest.mark.slow
@settings(max_examples=60)
@given(steps=st.lists(some_step, min_size=1, max_size=10))
def test_lineage_is_what_the_model_says(bench, steps):
    async def law():
        history = History(bench.tenant())
        for step in steps:
            await history.do(*step)
        await history.compare()
        # A source is there before what is made from it, in the order of all versions: so nothing leads back to itself.
        assert all(source < place for place, each in enumerate(history.world.made) for source, _ in each.sources)

    bench.run(law())


# -- limits ----------------------------------------------------------------------------------------------------------------


async def chain(t, length):
    """a@1 ← a@2 ← …"""
    async with t.transaction() as tx:
        before = []
        for _ in range(length):
            before = [await tx.put("a", b"1", sources=before, on_same="new_version")]


async def test_what_is_longer_than_the_limit_is_said_to_be_incomplete(t, monkeypatch):
    """Regression: a chain past the greatest depth was said to be complete."""
    monkeypatch.setattr(limits, "LINEAGE_DEPTH_MAX", 4)
    await chain(t, 6)
    for ref, direction, depth, count, is_complete in [
        ("a@6", "up", None, 5, False),
        ("a@5", "up", None, 5, True),
        ("a@6", "up", 4, 5, True),
        ("a@6", "up", 2, 3, True),
        ("a@1", "down", None, 5, False),
        ("a@2", "down", None, 5, True),
    ]:
        lineage = await t.lineage(ref, direction, depth=depth)
        assert (len(lineage), lineage.is_complete) == (count, is_complete), ref
        assert [node.depth for node in lineage] == list(range(count))


@pytest.mark.parametrize(("most", "count", "is_complete"), [(1, 1, False), (7, 7, False), (8, 8, True), (9, 8, True)])
async def test_what_is_wider_than_the_limit_is_said_to_be_incomplete(t, most, count, is_complete):
    async with t.transaction() as tx:
        source = await tx.put("a", b"1")
        puts = [await tx.put(f"b{n}", b"1", sources=[source]) for n in range(5)]
        await tx.put("c", b"1", sources=puts)
        await tx.put("d", b"1", sources=[puts[0]])
    lineage = await t.lineage("a", "down", limit=most)
    assert (len(lineage), lineage.is_complete) == (count, is_complete)
    assert [node.depth for node in lineage] == [0, 1, 1, 1, 1, 1, 2, 2][:count], "the nearest"


@pytest.mark.parametrize(
    "arguments",
    [
        {"direction": "sideways"},
        {"direction": None},
        {"depth": -1},
        {"depth": True},
        {"depth": "1"},
        {"depth": limits.LINEAGE_DEPTH_MAX + 1},
        {"limit": 0},
        {"limit": True},
        {"limit": None},
        {"limit": limits.LINEAGE_VERSIONS_MAX + 1},
    ],
    ids=str,
)
async def test_bad_arguments_are_refused(t, arguments):
    await t.put("a", b"1")
    with fails(Invalid, Code.BAD_ARGUMENT):
        await t.lineage("a", **arguments)
    with fails(Invalid, Code.BAD_REFERENCE):
        await t.lineage("a#main")


async def test_what_is_not_there_has_no_lineage(t, other):
    theirs = await other.put("a", b"1")
    for ref in ("a", f"id:{theirs.id}", f"id:{UUID(int=7)}"):
        with pytest.raises(NotFound):
            await t.lineage(ref)


async def test_of_each_tenant_its_own(t, other, store):
    for each in (t, other):
        await chain(each, 3)
    ids = [{node.version.id for node in await each.lineage("a@1", "down")} for each in (t, other)]
    assert [len(each) for each in ids] == [3, 3]
    assert not ids[0] & ids[1]
    assert await audit(store) == []


# -- cost ------------------------------------------------------------------------------------------------------------------

LADDER = 60
COUNT = "select sum(idx_tup_fetch + seq_tup_read) from pg_stat_xact_user_tables where schemaname = 'casstore'"


async def test_each_version_is_looked_at_once_however_many_ways_lead_to_it(t, where, databases):
    """Regression: of a ladder each version came back by each length of a way to it, and its successors were counted one by one."""
    async with t.transaction() as tx:
        before = []
        for _ in range(LADDER):
            before = [await tx.put(name, b"1", sources=before, on_same="new_version") for name in "ab"]
    versions = 2 * LADDER - 1
    with psycopg.connect(databases.direct(where.catalog)) as connection:
        lineage = f"casstore.lineage('{t.name}', 'a', 'number', {LADDER}, null, null, false, 1000, 10001)"
        assert len(connection.execute(f"select * from {lineage}").fetchall()) == versions
        assert connection.execute(COUNT).fetchone()[0] <= 20 * versions


async def test_staleness_follows_the_newest_accepted_version(t):
    async with t.transaction() as tx:
        source = await tx.put("a", b"1")
        await tx.put("b", b"1", sources=[source])
    told = []
    for step in (None, ("a@2", "accepted"), ("a@3", "accepted"), ("a@3", "obsolete"), ("a@2", "obsolete")):
        await t.put("a", b"%d" % len(told))
        if step:
            await t.transition(*step, by="me")
        node = (await t.lineage("b", depth=0)).versions[0]
        told.append((node.sources[0].newer, node.is_stale))
    assert told == [(None, False), (2, True), (3, True), (2, True), (None, False)]


async def test_tasks_that_put_with_the_same_sources_make_no_cycle(t, store):
    """Each takes what is newest of the others' names, while they change."""

    async def task(name, others):
        for n in range(6):
            await t.put(name, b"%d" % n, sources=others)

    for name in NAMES:
        await t.put(name, b"first")
    await asyncio.gather(*(task(name, [each for each in NAMES if each != name]) for name in NAMES))
    for name in NAMES:
        assert (await t.lineage(name)).is_complete
    assert await audit(store) == []
