"""Deleting, purging and collecting by clients that die in the middle of it, and catalogs that are restored: against a model.

The model and its comparison are those of tests/operations/test_deleting.py, where every refusal is told beforehand. Here a step
may also be cut off at any of its effects. Then it was done or not: the model follows what can be seen, and nothing else may have
happened.
"""

from __future__ import annotations

import asyncio
import itertools
from copy import deepcopy
from datetime import timedelta

import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from casstore import AsyncStore, CasstoreError, limits
from casstore.testing.audit import audit
from casstore.testing.faults import Faults, SimulatedCrash, faulty_store
from tests.operations.test_deleting import STEPS, Model, compare, take, text
from tests.races.test_collector_protocol import weaken
from tests.races.test_collector_soak import leftovers

NOW = timedelta(0)
some_client = st.integers(0, 1)
some_fault = st.sampled_from(["crash_at", "lose_at"])


class Clients:
    """Two clients of one store. Runs share them: each has a tenant of its own."""

    def __init__(self, urls) -> None:
        self.runner = asyncio.Runner()
        self.run = self.runner.run
        self.urls = urls
        self.stores = [self.run(AsyncStore(**urls._asdict()).open()) for _ in range(2)]
        self.numbers = itertools.count()

    def close(self) -> None:
        for store in self.stores:
            self.run(store.aclose())
        self.runner.close()


class LettingGo(RuleBasedStateMachine):
    clients: Clients  # set by the test

    def __init__(self) -> None:
        super().__init__()
        self.name = f"t{next(self.clients.numbers)}"
        self.model = Model()
        self.run = self.clients.run

    def tenant(self, client: int):
        return self.clients.stores[client].tenant(self.name)

    @rule(client=some_client, step=STEPS)
    def step(self, client, step):
        self.run(take(self.tenant(client), self.model, step))

    @rule(client=some_client, steps=st.lists(STEPS, min_size=3, max_size=5))
    def several(self, client, steps):
        for step in steps:
            self.step(client, step)

    @rule(client=some_client)
    def empty_the_trash(self, client):
        before = sum(made.purged for made in self.model.all().values())
        self.model.empty_trash(None)
        after = sum(made.purged for made in self.model.all().values())
        assert self.run(self.tenant(client).empty_trash(NOW, by="me")) == after - before

    @rule(client=some_client, full=st.booleans(), orphans=st.booleans())
    def collect(self, client, full, orphans):
        """At any time, by anybody, without a quarantine: nothing changes that can be seen."""
        self.run(self.clients.stores[client].collect(quarantine=NOW, full=full, orphans=orphans))
        self.run(readable(self.tenant(1 - client), self.model))

    @rule(step=STEPS, fault=some_fault, at=st.integers(1, 8), loss=st.sampled_from(["request", "answer"]))
    def cut_off(self, step, fault, at, loss):
        """A client that dies, or whose line breaks, at one of the effects of a step."""
        before, after = self.model, deepcopy(self.model)
        ended = self.run(
            self.struck(Faults(**{fault: at}, loss=loss), lambda store: take(store.tenant(self.name), after, step))
        )
        if not ended:
            advance(after, before, step)
        seen = self.run(shown(self.tenant(0)))
        possible = [after] if ended else [before, after]
        fitting = [model for model in possible if shown_by(model) == seen]
        assert fitting, f"{step}, cut off at {at}: {seen}, and the model says {[shown_by(model) for model in possible]}"
        self.model = fitting[0]

    @rule(fault=some_fault, at=st.integers(1, 12), loss=st.sampled_from(["request", "answer"]))
    def collector_dies(self, fault, at, loss):
        self.run(
            self.struck(Faults(**{fault: at}, loss=loss), lambda store: store.collect(quarantine=NOW, orphans=True))
        )
        self.run(readable(self.tenant(0), self.model))

    async def struck(self, faults, work) -> bool:
        """Whether it came to its end."""
        async with faulty_store(faults, **self.clients.urls._asdict()) as store:
            try:
                await work(store)
            except SimulatedCrash:
                return False
            except CasstoreError as error:
                assert error.retryable, error  # noqa: PT017 - nothing else may come of a broken line
                return False
            return True

    def teardown(self):
        async def whole():
            store = self.clients.stores[0]
            await compare(self.tenant(0), self.model)
            for _ in range(2):
                await store.collect(quarantine=NOW, full=True, orphans=True)
            assert await leftovers(store) == []
            assert [defect async for defect in store.fsck()] == []
            await readable(self.tenant(1), self.model)

        self.run(whole())


def advance(after, before, step) -> None:
    """What the model would be if the step had been done: the call may have been cut off before `take` came to tell it."""
    if shown_by(after) != shown_by(before):
        return
    verb, *arguments = step
    if type(arguments[-1]) is int:
        arguments[-1] = after.which(arguments[-1])
    getattr(after, verb)(*arguments)


async def readable(tenant, model) -> None:
    """Everything that is not in the trash."""
    for ref, made in model.all().items():
        if not made.gone:
            assert await (await tenant.get(text(ref))).text() == str(made.content) * made.content


async def shown(tenant):
    """Everything that can be seen of a tenant: its versions, which of them are in the trash, where aliases point, what is held."""
    live = {}
    for head in await tenant.list(limit=100):
        live |= {v.ref: "live" for v in await tenant.history(head.name, limit=100)}
    gone = {d.ref: "gone" for d in await tenant.trash(limit=100)} | {
        d.ref: "purged" for d in await tenant.trash(purged=True, limit=100)
    }
    aliases = {}
    for name in {ref.split("@")[0] for ref in live | gone}:
        for pointer in await tenant.pointers(name):
            aliases[name] = pointer.number
    holds = {(hold.name, hold.number) for hold in await tenant.holds(limit=100)}
    return live | gone, aliases, holds


def shown_by(model):
    state = {
        text(ref): "purged" if made.purged else "gone" if made.gone else "live" for ref, made in model.all().items()
    }
    aliases = {name: number for name, number in model.aliases.items() if number}
    return state, aliases, {target for target, holds in model.holds.items() if holds}


@pytest.fixture
def machine(store_urls, monkeypatch):
    monkeypatch.setattr(limits, "LEASE", NOW)  # who was cut off is known to be dead
    monkeypatch.setattr(limits, "COLLECT_CLAIM", NOW)
    clients = Clients(store_urls)
    yield type("LettingGo", (LettingGo,), {"clients": clients})
    clients.close()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_letting_go_as_the_model_says(machine):
    run_state_machine_as_test(machine, settings=settings(max_examples=20, stateful_step_count=15))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_letting_go_bites(machine, store_urls):
    """A collector that never looks for references takes bytes from living versions."""
    for how in ("plan blind", "mark blind", "claim blind"):
        weaken(store_urls.catalog, how)
    generated = settings(max_examples=30, stateful_step_count=15, phases=[Phase.generate])
    with pytest.raises((AssertionError, CasstoreError, ExceptionGroup, Flaky)):  # flaky: what is lost stays lost
        run_state_machine_as_test(machine, settings=generated)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_catalog_that_is_restored_goes_on_where_it_was(run, databases, new_blobs):
    """Export, go on, lose the database, rebuild from what was exported: the store is as it was then, and goes on."""
    steps = st.lists(STEPS, min_size=6, max_size=15)

    async def main(before, lost, then, blobs, old, new):
        model = Model()
        async with AsyncStore(blobs=blobs, catalog=old) as store:
            for step in before:
                await take(store.tenant("t"), model, step)
            assume(model.all())  # where nothing was ever done there is no journal
            await store.collect(quarantine=NOW, full=True)
            await store.export_journal()
            digest, forgotten = await store.catalog_digest(), deepcopy(model)
            for step in lost:
                await take(store.tenant("t"), forgotten, step)
            await store.collect(full=True)  # with a quarantine: what it condemns is still there
            await store.collect(full=True)
        restored = AsyncStore(blobs=blobs, catalog=new)
        await restored.rebuild()
        async with restored as store:
            assert await store.catalog_digest() == digest
            await compare(store.tenant("t"), model)
            await readable(store.tenant("t"), model)
            for step in then:
                await take(store.tenant("t"), model, step)
            await compare(store.tenant("t"), model)
            for _ in range(2):
                await store.collect(quarantine=NOW, full=True, orphans=True)
            assert await leftovers(store) == []
            assert [defect async for defect in store.fsck()] == []
            assert await audit(store) == []
            await readable(store.tenant("t"), model)

    @settings(max_examples=6)
    @given(steps, steps, steps)
    def go(before, lost, then):
        with databases.fresh() as old, databases.fresh() as new:
            run(main(before, lost, then, new_blobs(), old, new))

    go()
