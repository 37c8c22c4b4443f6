"""Real puts against the collector: each race stepped by hand, then all of them by chance; and the tests bite.

A violation is a version that was acknowledged, is not purged, and cannot be read.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from datetime import timedelta

import psycopg
import pytest

from casstore import AsyncStore, CasstoreError, Conflict, Corrupt, Digest, limits
from casstore.testing.audit import audit
from casstore.testing.faults import SimulatedCrash
from tests.support.locks import waiting

X = b"the contested bytes"
DIGEST_OF_X = Digest.of(X)


class Gate:
    """Blobs whose put stops before or after the upload until it is let through."""

    def __init__(self, inner) -> None:
        self._put = inner.put
        inner.put = self.put
        self.before = self.after = None
        self.uploads = 0

    async def put(self, staged, *, dead=None):
        if self.before:
            await self.before()
        placed = await self._put(staged, dead=dead)
        self.uploads += 1
        if self.after:
            await self.after()
        return placed


class World:
    """A store, a collector, and a hand on both."""

    def __init__(self, store, collector, admin) -> None:
        self.tenant = store.tenant()
        self.collector = collector
        self.admin = admin
        self.blobs = store._blobs
        self.gate = Gate(store._blobs)

    async def state(self) -> str | None:
        rows = await (await self.admin.execute("select state::text from casstore.blobs")).fetchall()
        return rows[0][0] if rows else None

    async def unreferenced(self) -> None:
        """X is live and no version refers to it."""
        await self.purge(await self.tenant.put("doc/gone", X))

    async def purge(self, stored) -> None:
        await self.tenant.delete(stored.ref, by="a test")
        await self.tenant.purge(stored.ref, by="a test")

    async def assert_readable(self, stored) -> None:
        assert await (await self.tenant.get(stored.ref)).bytes() == X
        assert await self.state() == "l"

    async def cycle(self) -> None:
        """A whole collection."""
        await self.collector.mark()
        await self.collector.finish(await self.collector.claim())

    async def waiting(self, count=1) -> None:
        """Until so many of the store's calls wait for a lock."""
        await waiting(self.admin.info.dsn, count)


@contextlib.asynccontextmanager
async def world_of(urls, collector_class):
    async with contextlib.AsyncExitStack() as stack:
        store = await stack.enter_async_context(AsyncStore(blobs=urls.blobs, catalog=urls.catalog))
        collector = await collector_class.connect(urls.catalog, store._blobs)
        stack.push_async_callback(collector.aclose)
        admin = await psycopg.AsyncConnection.connect(urls.catalog, autocommit=True, prepare_threshold=None)
        await stack.enter_async_context(admin)
        yield World(store, collector, admin)


# -- each race, stepped by hand ------------------------------------------------------------------------------------------


async def condemned_bytes_come_back_to_life(world):
    """Marked, then put: live again, and not a byte is uploaded."""
    await world.unreferenced()
    assert await world.collector.mark() == 1
    world.gate.uploads = 0
    stored = await world.tenant.put("doc/a", X)
    assert world.gate.uploads == 0
    assert await world.collector.claim() == []
    await world.assert_readable(stored)


async def a_put_that_has_pinned_is_skipped_by_the_claim(world):
    """Put first: it holds the blob and waits for the head; the collector passes by."""
    await world.tenant.put("doc/a", b"the first")
    await world.unreferenced()
    await world.collector.mark()
    async with await psycopg.AsyncConnection.connect(world.admin.info.dsn) as holder:
        await holder.execute("select from casstore.artifacts for update")
        put = asyncio.create_task(world.tenant.put("doc/a", X))
        await world.waiting()
        await world.collector.finish([c for c in await world.collector.claim() if c.digest == DIGEST_OF_X])
        await holder.rollback()
    stored = await put
    assert await (await world.tenant.get(stored.ref)).bytes() == X


async def a_pin_of_live_bytes_keeps_the_mark_away(world):
    """The same with bytes that are live: between them and the collector stands the lock of the row alone. They stay live."""
    await world.tenant.put("doc/a", b"the first")
    await world.unreferenced()
    async with await psycopg.AsyncConnection.connect(world.admin.info.dsn) as holder:
        await holder.execute("select from casstore.artifacts for update")
        put = asyncio.create_task(world.tenant.put("doc/a", X))
        await world.waiting()
        assert await world.collector.mark() == 0
        await world.collector.finish([c for c in await world.collector.claim() if c.digest == DIGEST_OF_X])
        await holder.rollback()
    stored = await put
    assert await (await world.tenant.get(stored.ref)).bytes() == X


async def a_put_waits_for_a_claim_and_uploads_anew(world):
    """Claim first: it has locked and not yet looked. The put waits, finds the blob being deleted, and takes it over."""
    await world.unreferenced()
    await world.collector.mark()
    puts = []

    async def start_a_put():
        await world.waiting()  # the claim has its locks, and cannot look yet
        puts.append(asyncio.create_task(world.tenant.put("doc/a", X)))
        await world.waiting(2)

    claims = await world.collector.claim(between=start_a_put)
    assert len(claims) == 1
    stored = await puts[0]
    await world.collector.finish(claims)  # late: its generation is no longer there
    assert world.collector.lost == 1
    await world.assert_readable(stored)


async def a_reference_made_between_mark_and_claim_is_seen(world):
    """The mark was stale: `put` had taken its blob back, and another mark came before the commit was visible."""
    await world.unreferenced()
    await world.collector.mark()
    stored = await world.tenant.put("doc/a", X)
    await world.admin.execute("update casstore.blobs set state = 'c', state_at = now() - interval '1 day'")
    assert await world.collector.claim() == []
    await world.assert_readable(stored)


async def a_reference_made_between_plan_and_mark_is_seen(world):
    """A put of live bytes does not change their row: only looking again finds what it has made."""
    await world.unreferenced()
    plan = await world.collector.plan()
    stored = await world.tenant.put("doc/a", X)
    assert await world.collector.mark(plan) == 0
    await world.assert_readable(stored)


async def what_has_changed_since_it_was_planned_is_left_alone(world):
    """Condemned, taken back, let go of and condemned again: a new quarantine has begun, whatever the old plan says."""
    await world.unreferenced()
    plan = await world.collector.plan()
    await world.collector.mark(plan)
    old = await world.collector.plan()
    await world.purge(await world.tenant.put("doc/a", X))
    assert await world.collector.mark(plan) == 0
    await world.collector.mark()
    assert await world.collector.claim(old) == []
    assert len(await world.collector.claim()) == 1


async def a_claim_is_taken_over_before_the_delete(world):
    await world.unreferenced()
    await world.collector.mark()
    claims = await world.collector.claim()
    assert await world.state() == "d"
    stored = await world.tenant.put("doc/a", X)
    await world.collector.finish(claims)
    assert world.collector.lost == 1
    await world.assert_readable(stored)


async def a_claim_is_taken_over_between_delete_and_done(world):
    await world.unreferenced()
    await world.collector.mark()
    (claim,) = await world.collector.claim()
    assert await world.collector.delete(claim)
    stored = await world.tenant.put("doc/a", X)
    assert not await world.collector.done(claim)
    await world.assert_readable(stored)


async def a_late_done_of_an_old_claim_removes_nothing(world):
    """Two collectors: the first dawdles until the second has claimed the same blob anew, and must not end its claim."""
    await world.unreferenced()
    await world.collector.mark()
    (old,) = await world.collector.claim()
    await world.purge(await world.tenant.put("doc/a", X))
    await world.collector.mark()
    (new,) = await world.collector.claim()
    assert not await world.collector.done(old)
    stored = await world.tenant.put("doc/a", X)
    await world.collector.delete(new)
    await world.assert_readable(stored)


async def a_put_after_done_starts_from_nothing(world):
    await world.unreferenced()
    await world.cycle()
    assert await world.state() is None
    await world.assert_readable(await world.tenant.put("doc/a", X))


async def a_dead_generation_is_replaced_not_adopted(world):
    """The object is still there while it is being deleted: the put writes it anew, and the stalled delete finds nothing."""
    await world.unreferenced()
    before = await world.blobs.stat(DIGEST_OF_X)
    await world.collector.mark()
    (claim,) = await world.collector.claim()
    assert claim.dead == before.generation
    stored = await world.tenant.put("doc/a", X)
    after = await world.blobs.stat(DIGEST_OF_X)
    assert after.generation != claim.dead
    assert not await world.collector.delete(claim)
    await world.assert_readable(stored)


async def a_lease_that_ran_out_costs_an_upload_not_a_version(world):
    """The upload is done, the put dawdles, its lease ends, the object is collected with its row: it is uploaded again."""

    async def collect_once():
        world.gate.after = None
        await world.cycle()
        assert await world.state() is None
        assert await world.blobs.stat(DIGEST_OF_X) is None

    world.gate.after = collect_once
    stored = await world.tenant.put("doc/a", X)
    assert world.gate.uploads == 2
    await world.assert_readable(stored)


async def a_lost_ticket_does_not_revive_a_deleted_object(world):
    """As before, and someone else reserved the bytes since, who has not uploaded yet: pending, but under another ticket."""
    reserved, go_on = asyncio.Event(), asyncio.Event()

    async def stop():
        reserved.set()
        await go_on.wait()

    async def collect_and_let_another_reserve():
        world.gate.after = None
        await world.cycle()
        world.gate.before = stop
        others.append(asyncio.create_task(world.tenant.put("doc/b", X)))
        await reserved.wait()
        world.gate.before = None

    others = []
    world.gate.after = collect_and_let_another_reserve
    try:
        stored = await world.tenant.put("doc/a", X)
        await world.assert_readable(stored)
    finally:
        go_on.set()
        other = await others[0]
    await world.assert_readable(other)


async def an_unknown_target_is_looked_up_and_fenced(world):
    """Pending, expired, claimed without a generation: the collector writes down what it will delete, or gives up."""

    async def take_over():
        world.gate.after = None
        await world.collector.mark()
        (claim,) = await world.collector.claim()
        assert claim.dead is None
        others.append(await world.tenant.put("doc/b", X))  # adopts the object that is there
        assert not await world.collector.target(claim)
        assert not await world.collector.done(claim)

    others = []
    world.gate.after = take_over
    stored = await world.tenant.put("doc/a", X)
    await world.assert_readable(stored)
    await world.assert_readable(others[0])


async def a_blob_store_that_adopts_the_dead_is_not_believed(world):
    """A backend answers the very generation that is being deleted: the ledger never calls it live."""
    await world.unreferenced()
    await world.collector.mark()
    (claim,) = await world.collector.claim()
    put = world.gate._put
    world.gate._put = lambda staged, dead=None: put(staged)
    try:
        stored = await world.tenant.put("doc/a", X)
    except Conflict as conflict:
        assert conflict.code == "blob_contended"  # noqa: PT017 - the other outcome is judged below
        return
    await world.collector.delete(claim)
    await world.assert_readable(stored)


RACES = (
    condemned_bytes_come_back_to_life,
    a_put_that_has_pinned_is_skipped_by_the_claim,
    a_pin_of_live_bytes_keeps_the_mark_away,
    a_put_waits_for_a_claim_and_uploads_anew,
    a_reference_made_between_plan_and_mark_is_seen,
    a_reference_made_between_mark_and_claim_is_seen,
    what_has_changed_since_it_was_planned_is_left_alone,
    a_claim_is_taken_over_before_the_delete,
    a_claim_is_taken_over_between_delete_and_done,
    a_late_done_of_an_old_claim_removes_nothing,
    a_put_after_done_starts_from_nothing,
    a_dead_generation_is_replaced_not_adopted,
    a_lease_that_ran_out_costs_an_upload_not_a_version,
    a_lost_ticket_does_not_revive_a_deleted_object,
    an_unknown_target_is_looked_up_and_fenced,
    a_blob_store_that_adopts_the_dead_is_not_believed,
)
SHORT_LEASE = {
    a_lease_that_ran_out_costs_an_upload_not_a_version,
    a_lost_ticket_does_not_revive_a_deleted_object,
    an_unknown_target_is_looked_up_and_fenced,
}

# -- the same, by functions of the catalog that lack one piece ---------------------------------------------------------------

UNREFERENCED = "and not exists (select from casstore.components c where c.digest = b.digest)"
AS_PLANNED = "and b.state_at = p_state_ats[array_position(p_digests, b.digest::bytea)]"
CLAIM_HELD = "and b.incarnation = p_claims[array_position(p_digests, b.digest::bytea)]"
WEAKER = {  # one piece less: the function, what is replaced in it, and by what
    "no ticket": ("pin_blobs", "and b.incarnation = p_tickets[array_position(p_digests, b.digest::bytea)]", ""),
    "no dead": (
        "pin_blobs",
        "and b.dead is distinct from p_generations[array_position(p_digests, b.digest::bytea)]",
        "",
    ),
    # Every row that exists counts as present: only the foreign key protects.
    "state unchecked": ("pin_blobs", "filter (where b.state = 'l' and", "filter (where b.state in ('l', 'c', 'd') and"),
    "pin unlocked": ("pin_blobs", " order by x.digest for key share", ""),
    "plan blind": (
        "gc_plan",
        "                 and not exists (select from casstore.components c where c.digest = b.digest)) f",
        ") f",
    ),
    "mark blind": ("gc_mark", UNREFERENCED, ""),
    "mark unplanned": ("gc_mark", AS_PLANNED, ""),
    "mark unlocked": ("gc_mark", "for update skip locked", ""),
    "claim blind": ("gc_claim", UNREFERENCED, ""),
    "claim unplanned": ("gc_claim", AS_PLANNED, ""),
    "claim unlocked": ("gc_claim", "for update skip locked", ""),
    "target unfenced": ("gc_target", "and b.state = 'd' and b.incarnation = p_claim", ""),
    "done unfenced": ("gc_done", CLAIM_HELD, ""),
}
BITES = [
    ("no ticket", a_lost_ticket_does_not_revive_a_deleted_object),
    ("no dead", a_blob_store_that_adopts_the_dead_is_not_believed),
    ("state unchecked", a_claim_is_taken_over_before_the_delete),
    ("state unchecked", a_claim_is_taken_over_between_delete_and_done),
    ("state unchecked", a_put_waits_for_a_claim_and_uploads_anew),
    ("pin unlocked", a_pin_of_live_bytes_keeps_the_mark_away),
    ("mark blind", a_reference_made_between_plan_and_mark_is_seen),
    ("mark unplanned", what_has_changed_since_it_was_planned_is_left_alone),
    ("mark unlocked", a_pin_of_live_bytes_keeps_the_mark_away),
    ("claim blind", a_reference_made_between_mark_and_claim_is_seen),
    ("claim unplanned", what_has_changed_since_it_was_planned_is_left_alone),
    ("claim unlocked", a_put_waits_for_a_claim_and_uploads_anew),
    ("target unfenced", an_unknown_target_is_looked_up_and_fenced),
    ("done unfenced", a_late_done_of_an_old_claim_removes_nothing),
]


def weaken(dsn, how) -> None:
    function, old, new = WEAKER[how]
    with psycopg.connect(dsn, autocommit=True) as admin:
        source = admin.execute(f"select pg_get_functiondef('casstore.{function}'::regproc)").fetchone()[0]
        assert old in source
        admin.execute(source.replace(old, new).encode())


@pytest.fixture
def step(run, store_urls, collector_class, monkeypatch):
    def go(race):
        async def main():
            async with world_of(store_urls, collector_class) as world:
                await race(world)

        if race in SHORT_LEASE:
            monkeypatch.setattr(limits, "LEASE", timedelta(0))
        run(main())

    return go


@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
def test_race(step, race):
    step(race)


@pytest.mark.parametrize(("how", "race"), BITES)
def test_race_bites(step, store_urls, how, race):
    weaken(store_urls.catalog, how)
    with pytest.raises((AssertionError, Corrupt)):
        step(race)


# -- all of them, by chance ------------------------------------------------------------------------------------------------

GRACE = timedelta(milliseconds=5)


class Laggard:
    """Blobs with the latency of a network: mostly little, sometimes more than a lease. Some who delete die of it."""

    def __init__(self, inner, chance) -> None:
        self.url = inner.url
        self._inner = inner
        self._chance = chance

    def __getattr__(self, name):
        call = getattr(self._inner, name)
        if name not in ("put", "delete"):
            return call

        async def late(*args, **kwargs):
            stalled = self._chance.random() < 0.04
            await asyncio.sleep(self._chance.uniform(0.05, 0.2) if stalled else self._chance.uniform(0, 0.004))
            if name == "delete" and self._chance.random() < 0.03:
                raise SimulatedCrash
            answer = await call(*args, **kwargs)
            await asyncio.sleep(self._chance.uniform(0, 0.003))
            if name == "delete" and self._chance.random() < 0.03:
                raise SimulatedCrash
            return answer

        return late


async def torture(urls, collector_class, seconds, chance):
    """What went wrong, and how often the interesting things happened."""
    stop = time.monotonic() + seconds
    contents = [
        chance.randbytes(500) for _ in range(12)
    ]  # new ones: what an earlier torture left alive is never collected
    async with world_of(urls, collector_class) as world:
        store = world.tenant._store
        store._blobs = Laggard(store._blobs, chance)
        reports = []
        collectors = [collects(store, stop, chance, reports) for _ in range(2)]
        wrong = await asyncio.gather(*(writes(world, n, contents, stop, chance) for n in range(4)), *collectors)
        violations = [text for found in wrong for text in found or ()]
        counts = {key: sum(getattr(report, key) for report in reports) for key in ("condemned", "deleted", "kept")}
        return violations or await audit(store), counts | {"uploads": world.gate.uploads}


async def writes(world, n, contents, stop, chance):
    """Put, check what is mine, purge some of it. Answers the violations."""
    mine, wrong = [], []
    name = f"doc/{n}"
    while time.monotonic() < stop:
        data = chance.choice(contents)
        try:
            mine.append((await world.tenant.put(name, data, on_same="new_version"), data))
        except Conflict as conflict:
            assert conflict.code == "blob_contended"  # noqa: PT017 - the only one there may be
        for stored, data in chance.sample(mine, min(2, len(mine))):
            try:
                assert await (await world.tenant.get(stored.ref)).bytes() == data
            except CasstoreError as error:
                wrong.append(f"{stored.ref}: {error}")
        while len(mine) > 1 or (mine and chance.random() < 0.5):
            await world.purge(mine.pop(chance.randrange(len(mine)))[0])
    for stored, data in mine:
        try:
            assert await (await world.tenant.get(stored.ref)).bytes() == data
        except CasstoreError as error:
            wrong.append(f"{stored.ref}: {error}")
    return wrong


async def collects(store, stop, chance, reports):
    """One collection after the other; some die or are given up before they are done. Answers what is wrong with them."""
    while time.monotonic() < stop:
        patience_s = None if chance.random() < 0.7 else chance.uniform(0, 0.1)
        try:
            async with asyncio.timeout(patience_s):
                reports.append(await store.collect(quarantine=GRACE))
        except (SimulatedCrash, TimeoutError):
            continue
        except Corrupt as error:  # the last alarm: a version refers to what was deleted
            return [str(error)]
        await asyncio.sleep(0.002)  # room for the writers
    return []


@pytest.fixture
def tortured(run, store_urls, collector_class, monkeypatch):
    def go(seconds):
        seed = random.randrange(2**32)
        print("seed", seed)
        monkeypatch.setattr(limits, "LEASE", timedelta(milliseconds=20))
        monkeypatch.setattr(limits, "COLLECT_CLAIM", timedelta(milliseconds=300))
        violations, counts = run(torture(store_urls, collector_class, seconds, random.Random(seed)))
        print(counts)
        return violations, counts

    return go


@pytest.mark.slow
def test_torture(tortured):
    happened, enough = Counter(), {"condemned": 20, "deleted": 10, "kept": 0, "uploads": 20}
    for _ in range(10):  # as often as a busy machine needs
        violations, counts = tortured(5)
        assert violations == []
        happened.update(counts)
        if all(happened[what] > least for what, least in enough.items()):
            return
    pytest.fail(f"this was no torture: {happened}")


@pytest.mark.slow
@pytest.mark.parametrize("hows", [["state unchecked"], ["mark blind", "claim blind"]], ids=" and ".join)
def test_torture_bites(tortured, store_urls, hows):
    """Of the two looks for references either is enough."""
    for how in hows:
        weaken(store_urls.catalog, how)
    assert any(tortured(2)[0] for _ in range(30))  # as often as a busy machine needs
