"""The lifecycle: draft, accepted, obsolete, one way; each state is entered once, and who, when and why is kept."""

from __future__ import annotations

import asyncio
import itertools
import uuid

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casstore import AsyncStore, Conflict, Invalid, NotFound, limits
from casstore.errors import Code
from casstore.testing.audit import audit
from tests.operations.failing import fails

NEXT = {("draft", "accepted"), ("draft", "obsolete"), ("accepted", "obsolete")}


def told(steps):
    return [(step.before, step.state, step.by, step.reason) for step in steps]


# -- any sequence of steps -------------------------------------------------------------------------------------------------

some_step = st.tuples(
    st.sampled_from(["a@1", "a@2", "a", "b@1"]),
    st.sampled_from(["accepted", "obsolete"]),
    st.sampled_from(["Ann", "Bob", "Ж 🚀"]),
    st.sampled_from([None, "", "because"]),
)


class Model:
    def __init__(self):
        self.steps = {"a@1": [], "a@2": [], "b@1": []}

    def state(self, ref):
        return self.steps[ref][-1][1] if self.steps[ref] else "draft"

    def step(self, ref, state, by, reason):
        """What is answered: the step by which the version is in that state; None where it is refused."""
        ref = "a@2" if ref == "a" else ref
        before = self.state(ref)
        if (before, state) in NEXT:
            self.steps[ref].append((before, state, by, reason))
        return self.steps[ref][-1] if self.state(ref) == state else None


@pytest.mark.slow
@settings(max_examples=60)
@given(groups=st.lists(st.lists(some_step, min_size=1, max_size=3), max_size=5), together=st.booleans())
def test_any_sequence_of_steps_is_what_the_model_says(bench, groups, together):
    """One by one, or several in a transaction: then all of them, or none."""

    async def law():
        t, model = bench.tenant(), Model()
        for name, data in (("a", b"1"), ("a", b"2"), ("b", b"1")):
            await t.put(name, data)
        for group in groups:
            await (of_a_transaction if together else one_by_one)(t, model, group)
        for ref, expected in model.steps.items():
            steps = await t.transitions(ref)
            assert told(steps) == expected
            moments = [(await t.resolve(ref)).created_at, *(step.at for step in steps)]
            assert all(a < b for a, b in itertools.pairwise(moments))
            assert (await t.resolve(ref)).state == model.state(ref)
            assert all((step.name, f"{step.name}@{step.number}") == (ref[0], ref) for step in steps)
        for state in ("draft", "accepted", "obsolete"):
            assert {v.ref for v in await t.list(state=state)} == {r for r in ("a@2", "b@1") if model.state(r) == state}

    bench.run(law())


async def one_by_one(t, model, group):
    for ref, state, by, reason in group:
        expected = model.step(ref, state, by, reason)
        try:
            step = await t.transition(ref, state, by=by, reason=reason)
        except Conflict as error:
            answer = error.code
        else:
            answer = told([step])[0]
        assert answer == (expected or Code.BAD_TRANSITION)


async def of_a_transaction(t, model, group):
    before = {ref: list(steps) for ref, steps in model.steps.items()}
    are_right = all(model.step(*each) for each in group)
    try:
        async with t.transaction() as tx:
            for ref, state, by, reason in group:
                tx.transition(ref, state, by=by, reason=reason)
    except Conflict as error:
        answer, model.steps = error.code, before
    else:
        answer = None
    assert answer == (None if are_right else Code.BAD_TRANSITION)


# -- at the same time ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("round_", range(4))
async def test_of_those_who_accept_at_the_same_time_one_is_remembered(t, where, round_):
    await t.put("a", b"1")
    async with AsyncStore(blobs=where.blobs, catalog=where.catalog) as store:
        doors = [t, store.tenant(t.name)]
        calls = [doors[n % 2].transition("a", "accepted", by=f"task {n}") for n in range(12)]
        steps = await asyncio.gather(*calls)
    assert len({(step.by, step.at) for step in steps}) == 1
    assert told(await t.transitions("a")) == told(steps[:1])


@pytest.mark.parametrize("round_", range(4))
async def test_those_who_race_for_different_states_are_told_what_became_of_it(t, where, round_):
    await t.put("a", b"1")
    async with AsyncStore(blobs=where.blobs, catalog=where.catalog) as store:
        doors, states = [t, store.tenant(t.name)], ["accepted", "obsolete", "accepted", "obsolete"]
        calls = [doors[n // 2].transition("a", state, by=f"task {n}") for n, state in enumerate(states)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
    history = await t.transitions("a")
    by_state = {step.state: step for step in history}
    assert [step.state for step in history] in (["accepted", "obsolete"], ["obsolete"])
    for state, outcome in zip(states, outcomes, strict=True):
        if isinstance(outcome, Conflict):  # it was obsolete before
            assert (state, outcome.code) == ("accepted", Code.BAD_TRANSITION)
        else:
            assert outcome == by_state[state]


async def test_the_log_has_each_step_once(t, where):
    await t.put("a", b"1")
    for state in ("accepted", "accepted", "obsolete"):
        await t.transition("a", state, by="me", reason="r")
    with psycopg.connect(where.catalog) as connection:
        rows = connection.execute(
            "select l.op, l.number, l.detail from casstore.log l join casstore.tenants t on t.id = l.tenant_id"
            " where t.name = %s and l.op <> 'put' order by l.seq",
            (t.name,),
        ).fetchall()
    assert rows == [
        ("accepted", 1, {"before": "draft", "actor": "me", "reason": "r"}),
        ("obsolete", 1, {"before": "accepted", "actor": "me", "reason": "r"}),
    ]


# -- the state in every answer ---------------------------------------------------------------------------------------------


async def test_every_read_says_the_state_of_now(t):
    made = await t.put("a", b"1", idempotency_key="k")
    assert made.state == "draft"
    for state in ("accepted", "obsolete"):
        await t.transition(f"id:{made.id}", state, by="me")
        async with t.transaction(idempotency_key=state) as tx:
            reused = await tx.put("a", b"1")
        versions = [
            await t.resolve("a"),
            await t.resolve("a@1"),
            await t.resolve(f"id:{made.id}"),
            (await t.get("a")).version,
            *await t.history("a"),
            *await t.list(),
            *await t.where_used(made.components[0].digest),
            (await t.lineage("a")).versions[0].version,
            await t.put("a", b"1"),
            await t.put("a", b"1", idempotency_key="k"),
            reused.stored,
        ]
        assert {version.state for version in versions} == {state}
        assert {version.id for version in versions} == {made.id}
    assert (await t.put("a", b"2")).state == "draft"


async def test_a_step_is_of_one_version(t):
    for n in range(3):
        await t.put("a", b"%d" % n)
    await t.alias("a@2", "prod")
    step = await t.transition("a@prod", "accepted", by="me")
    assert (step.name, step.number) == ("a", 2)
    assert [v.state for v in await t.history("a")] == ["draft", "accepted", "draft"]
    assert await t.transitions("a") == ()


# -- in a transaction ------------------------------------------------------------------------------------------------------


async def test_steps_alone_are_a_transaction_too(t):
    """Regression: told as an inconsistent catalog."""
    await t.put("a", b"1")
    for _ in range(2):
        async with t.transaction(idempotency_key="k") as tx:
            tx.transition("a", "accepted", by="me")
            tx.transition("a@1", "obsolete", by="me", reason="r")
    assert told(await t.transitions("a")) == [("draft", "accepted", "me", None), ("accepted", "obsolete", "me", "r")]


async def test_a_name_means_what_the_transaction_leaves_as_newest(t):
    await t.put("a", b"1")
    async with t.transaction() as tx:
        tx.transition("a", "accepted", by="me")
        tx.transition("a@1", "obsolete", by="me")
        tx.alias("a@2", "prod")
        tx.transition("a@prod", "obsolete", by="me")
        first = await tx.put("a", b"2")
        last = await tx.put("a", b"3")
        new = await tx.put("new", b"3")
    assert [each.stored.state for each in (first, last, new)] == ["obsolete", "accepted", "draft"]
    assert [v.state for v in await t.history("a")] == ["accepted", "obsolete", "obsolete"]


async def test_a_step_that_is_refused_undoes_all(t, store):
    await t.put("a", b"1")
    await t.transition("a", "obsolete", by="me")

    async def run(ref, state):
        async with t.transaction(idempotency_key="k") as tx:
            await tx.put("b", t.name.encode())
            tx.transition("b", "accepted", by="me")
            tx.transition(ref, state, by="me")

    with fails(Conflict, Code.BAD_TRANSITION):
        await run("a", "accepted")
    with fails(NotFound, Code.VERSION_NOT_FOUND):
        await run("a@7", "obsolete")
    assert [v.ref for v in await t.list()] == ["a@1"]
    await run("a", "obsolete")
    assert {v.ref: v.state for v in await t.list()} == {"a@1": "obsolete", "b@1": "accepted"}
    assert await audit(store) == []


async def test_a_key_stands_for_the_steps_too(t):
    await t.put("a", b"1")

    async def run(**step):
        async with t.transaction(idempotency_key="k") as tx:
            tx.transition(**{"ref": "a", "state": "accepted", "by": "me", "reason": "r"} | step)

    await run()
    await t.transition("a", "obsolete", by="you")
    await run()
    for other in ({"ref": "a@1"}, {"state": "obsolete"}, {"by": "you"}, {"reason": None}):
        with fails(Conflict, Code.IDEMPOTENCY_KEY_REUSED):
            await run(**other)
    assert [step.by for step in await t.transitions("a")] == ["me", "you"]


async def test_a_transaction_goes_by_names(t):
    made = await t.put("a", b"1")
    async with t.transaction() as tx:
        with fails(Invalid, Code.BAD_REFERENCE):
            tx.transition(f"id:{made.id}", "accepted", by="me")


# -- what is refused -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"state": "draft"}, Code.BAD_ARGUMENT),
        ({"state": "Accepted"}, Code.BAD_ARGUMENT),
        ({"state": ""}, Code.BAD_ARGUMENT),
        ({"state": None}, Code.BAD_ARGUMENT),
        ({"by": ""}, Code.BAD_ARGUMENT),
        ({"by": None}, Code.BAD_ARGUMENT),
        ({"by": "x" * (limits.ACTOR_MAX_CHARS + 1)}, Code.BAD_ARGUMENT),
        ({"by": "\0"}, Code.BAD_ARGUMENT),
        ({"by": "\ud800"}, Code.BAD_ARGUMENT),
        ({"reason": 7}, Code.BAD_ARGUMENT),
        ({"reason": "x" * (limits.REASON_MAX_CHARS + 1)}, Code.BAD_ARGUMENT),
        ({"reason": "a\0"}, Code.BAD_ARGUMENT),
        ({"ref": "a#main"}, Code.BAD_REFERENCE),
    ],
    ids=lambda value: f"{value!a:.30}",
)
async def test_bad_arguments_are_refused(t, arguments, code):
    await t.put("a", b"1")
    asked = {"ref": "a", "state": "accepted", "by": "me"} | arguments
    with fails(Invalid, code):
        await t.transition(**asked)
    async with t.transaction() as tx:
        with fails(Invalid, code):
            tx.transition(**asked)
    assert (await t.resolve("a")).state == "draft"


async def test_the_longest_words_are_kept(t):
    await t.put("a", b"1")
    by, reason = "🚀" * limits.ACTOR_MAX_CHARS, "\n'" * (limits.REASON_MAX_CHARS // 2)
    await t.transition("a", "accepted", by=by, reason=reason)
    assert told(await t.transitions("a")) == [("draft", "accepted", by, reason)]


async def test_anothers_version_is_not_there(t, other):
    theirs = await other.put("a", b"1")
    for ref in ("a", "a@1", f"id:{theirs.id}", f"id:{uuid.uuid4()}", f"cas://{other.name}/a"):
        with pytest.raises(NotFound):
            await t.transition(ref, "accepted", by="me")
        with pytest.raises(NotFound):
            await t.transitions(ref)
    assert await other.transitions("a") == ()


# -- what the database itself refuses --------------------------------------------------------------------------------------

ROW = (
    "insert into casstore.transitions (artifact_id, number, state, tenant_id, seq, before, actor, at)"
    " select v.artifact_id, v.number, %s, v.tenant_id, v.seq, %s, 'me', now()"
    " from casstore.versions v join casstore.tenants t on t.id = v.tenant_id where t.name = %s"
)


@pytest.mark.parametrize(
    "rows",
    [
        [("accepted", "obsolete")],
        [("draft", "accepted")],
        [("draft", "draft")],
        [("accepted", "accepted")],
        [("accepted", "draft"), ("obsolete", "draft")],
        [("accepted", "draft"), ("accepted", "draft")],
        [("obsolete", "draft"), ("obsolete", "accepted")],
    ],
    ids=str,
)
async def test_the_database_lets_nobody_leave_the_way(t, where, rows):
    await t.put("a", b"1")
    with psycopg.connect(where.catalog) as connection:
        for row in rows[:-1]:
            connection.execute(ROW, (*row, t.name))
        with pytest.raises(psycopg.errors.IntegrityError):
            connection.execute(ROW, (*rows[-1], t.name))


@pytest.mark.parametrize("table", ["transitions", "sources"])
async def test_no_row_is_changed(t, where, table):
    await t.put("a", b"1")
    await t.put("b", b"1", sources=["a"])
    await t.transition("b", "accepted", by="me")
    with psycopg.connect(where.catalog) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(f"update casstore.{table} set tenant_id = tenant_id")
