"""Who did it: kept with what was made or moved and in the log; nobody needs to be named, and nobody else ever is.

Laws, whatever is put and pointed, alone or together:
- A version is by whoever made it, whoever reuses it later; the log names for each put whoever asked for it.
- A move of an alias or tag is by whoever made it; a call that moves nothing changes nothing.
- Who asks is no part of a request: under the same key anybody repeats the same put, and it stays by the first.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from casstore import AsyncStore, Conflict, Invalid, NotFound, Part
from casstore.errors import Code
from casstore.integrations.artifact_storage import ArtifactStorage
from casstore.testing.audit import audit
from tests.operations.conftest import NUMBERS

some_by = st.sampled_from([None, "ann", "bob/on behalf of ü"])
some_name = st.sampled_from(["a", "b"])
puts = st.fixed_dictionaries({"name": some_name, "content": st.sampled_from(["1", "2"])})
points = st.fixed_dictionaries({"verb": st.sampled_from(["alias", "tag", "unalias"]), "name": some_name})
deeds = st.lists(
    st.tuples(st.just("put"), some_by, puts)
    | st.tuples(st.just("again"), some_by, st.none())
    | st.tuples(st.just("point"), some_by, points)
    | st.tuples(st.just("transact"), some_by, st.lists(puts, min_size=1, max_size=3))
    | st.tuples(st.just("undo"), some_by, st.none()),
    max_size=12,
)


class Told:
    """What one tenant has to tell of who did what."""

    def __init__(self, tenant):
        self.t = tenant
        self.heads, self.made, self.moves, self.log = {}, {}, {}, []
        self.silent = []  # places in the log that are no events: transactions, and puts that made nothing

    async def put(self, by, deed):
        self.stored(await self.t.put(deed["name"], deed["content"], by=by), deed, by)

    def stored(self, stored, deed, by):
        number, content = self.heads.get(deed["name"], (0, None))
        if content != deed["content"]:
            self.heads[deed["name"]] = number + 1, deed["content"]
            self.made[f"{deed['name']}@{number + 1}"] = by
        assert stored.by == self.made[stored.ref]
        self.log.append(("put", stored.ref, by))
        if stored.reused:
            self.silent.append(len(self.log) - 1)

    async def again(self, by, _):
        stored = await self.t.put("keyed", "1", idempotency_key="k", by=by)
        if "keyed@1" not in self.made:
            self.made["keyed@1"] = by
            self.log.append(("put", "keyed@1", by))
        assert stored.by == self.made["keyed@1"]

    async def point(self, by, deed):
        name, word = deed["name"], "final" if deed["verb"] == "tag" else "prod"
        with contextlib.suppress(NotFound, Conflict):
            pointer = await getattr(self.t, deed["verb"])(name, word, by=by)
            self.moved(deed["verb"], name, word, pointer.number, by)
            assert pointer.by == self.moves[name, word][-1][1]

    def moved(self, verb, name, word, number, by):
        moves = self.moves.setdefault((name, word), [])
        if not moves or moves[-1][0] != number:
            moves.append((number, by))
            self.log.append((verb, f"{name}@{number}" if number else name, by))

    async def transact(self, by, deeds):
        async with self.t.transaction(by=by) as tx:
            made = [await tx.put(each["name"], each["content"]) for each in deeds]
            tx.alias(deeds[0]["name"], "batch")
        for pending, each in zip(made, deeds, strict=True):
            self.stored(pending.stored, each, by)
        name = deeds[0]["name"]
        self.moved("alias", name, "batch", self.heads[name][0], by)
        self.log.append(("transaction", None, by))
        self.silent.append(len(self.log) - 1)

    async def undo(self, by, _):
        """The last move of an alias that is not undone yet; who does it has to be named."""
        by = by or "somebody"
        for last in [each for each in await self.t.operations(op="alias") if each.undone_by is None][:1]:
            with contextlib.suppress(Conflict):
                await self.t.undo(last.id, by=by)
                verb = "alias" if last.before else "unalias"
                self.moved(verb, last.name, last.pointer, last.before, by)
                self.log.append(("undo", last.ref, by))

    async def check(self):
        for name in {ref.partition("@")[0] for ref in self.made}:
            versions = await self.t.history(name)
            assert {version.ref: version.by for version in versions} == {
                ref: by for ref, by in self.made.items() if ref.startswith(f"{name}@")
            }
        for (name, word), moves in self.moves.items():
            told = [(move.number, move.by) for move in await self.t.pointer_history(name, word)]
            assert told == moves[::-1]
            now = {pointer.pointer: (pointer.number, pointer.by) for pointer in await self.t.pointers(name)}
            assert now.get(word) == (moves[-1] if moves[-1][0] else None)
        assert [(each.op, each.ref, each.by) for each in await self.t.operations(limit=1000)] == self.log[::-1]
        events = [(op, by) for place, (op, _, by) in enumerate(self.log) if place not in self.silent]
        assert [(each.op, each.by) async for each in self.events()] == events

    async def events(self):
        page = await self.t.events()
        while page.items or page.more:
            for each in page.items:
                yield each
            page = await self.t.events(after=page.cursor)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(deeds=deeds)
@example(
    deeds=[
        ("put", "ann", {"name": "a", "content": "1"}),
        ("put", None, {"name": "a", "content": "1"}),
        ("point", None, {"verb": "alias", "name": "a"}),
        ("put", "bob/on behalf of ü", {"name": "a", "content": "2"}),
        ("point", "ann", {"verb": "alias", "name": "a"}),
        ("point", None, {"verb": "alias", "name": "a"}),
        ("undo", None, None),
        ("point", "ann", {"verb": "unalias", "name": "a"}),
        ("point", "ann", {"verb": "tag", "name": "a"}),
    ]
)
@example(deeds=[("again", None, None), ("again", "ann", None)])
@example(
    deeds=[
        ("transact", "ann", [{"name": "a", "content": "1"}, {"name": "a", "content": "1"}]),
        ("transact", None, [{"name": "a", "content": "1"}]),
    ]
)
def test_what_is_told_of_who_did_what(where, deeds):
    async def main():
        async with AsyncStore(blobs=where.blobs, catalog=where.catalog) as store:
            told = Told(store.tenant(f"tenant-{next(NUMBERS)}"))
            for verb, by, deed in deeds:
                await getattr(told, verb)(by, deed)
            await told.check()
            assert await audit(store) == []

    asyncio.run(main())


# -- one by one ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["", "x" * 256, "a\0b", "a\ud800", 7])
async def test_nobody_is_refused_before_anything_is_stored(t, by):
    await t.put("a", "1")
    for call in (
        lambda: t.put("a", "2", by=by),
        lambda: t.alias("a", "prod", by=by),
        lambda: t.tag("a", "final", by=by),
        lambda: t.unalias("a", "prod", by=by),
        lambda: t.apply("a@1", {}, on_same="new_version", by=by),
        lambda: t.merge("a@1", "a@1", preview=True, by=by),
        lambda: in_a_transaction(t, by),
    ):
        with pytest.raises(Invalid) as caught:
            await call()
        assert caught.value.code in (Code.BAD_ARGUMENT, Code.BAD_TEXT)
    assert [each.op for each in await t.operations()] == ["put"]


async def in_a_transaction(t, by):
    async with t.transaction(by=by) as tx:
        await tx.put("a", "2")


async def test_whoever_asks_again_under_a_key_repeats_the_transaction_of_the_first(t):
    for by in ("ann", "bob", None):
        async with t.transaction(idempotency_key="k", by=by) as tx:
            put = await tx.put("a", "1")
        assert put.stored.by == "ann"
    assert [(each.op, each.by) for each in await t.operations()] == [("transaction", "ann"), ("put", "ann")]


async def test_what_is_made_of_versions_is_by_whoever_asked_for_it(t):
    base = await t.put("a", Part("[1]\n", "application/json"), by="ann")
    await t.put("a", Part("[1, 2]\n", "application/json"), by="bob")
    await t.put("b", Part("[1, 3]\n", "application/json"), sources=[base.ref])
    made = await t.apply("b@1", [{"op": "replace", "path": "/1", "value": 1}], by="cleo")
    assert made.by == "cleo"
    merge = await t.merge("a@2", "b@2", base="a@1", resolved=[], by="dan", preview=True)
    assert merge.stored is None
    merged = await t.merge("a@2", "a@1", base="a@1", by="dan")
    assert merged.stored.by == "dan"


@pytest.mark.parametrize("processes", [1, 2])
async def test_an_import_is_by_whoever_asked_for_it(t, tmp_path, processes):
    for name in ("login", "logout"):
        (tmp_path / "sop" / name).mkdir(parents=True)
        for number in (1, 2):
            (tmp_path / f"sop/{name}/v000{number}.md").write_text(f"{number}")
    await t.import_tree(tmp_path, by="mover", processes=processes)
    for name in ("login", "logout"):
        assert [version.by for version in await t.history(f"sop/{name}")] == ["mover", "mover"]


async def test_what_the_platform_stores_is_by_its_execution(store, t):
    storage = ArtifactStorage(store)
    for execution, by in (("run-7", "run-7"), (None, "platform"), ("x" * 256, "platform")):
        told = await storage.store_artifact(
            "note", {"a": [1]}, t.name, {"execution_id": execution} if execution else {}
        )
        assert (await t.resolve(f"id:{told['artifact_id']}")).by == by


async def test_a_put_that_prolongs_a_life_says_who(t, where):
    for by, days in (("ann", 1), ("bob", 2)):
        await t.put("a", "x", ttl=timedelta(days=days), by=by)
    assert [(each.op, each.by) for each in await t.operations()] == [("put", "bob"), ("expire", "bob"), ("put", "ann")]
    with psycopg.connect(where.catalog) as connection:
        found = connection.execute(
            "select e.actor from casstore.expiries e order by e.expires_at desc limit 1"
        ).fetchone()
    assert found == ("bob",)
