"""The store against its model: whatever is done, in whatever order and by whichever client, both answer the same."""

from __future__ import annotations

import contextlib
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule, run_state_machine_as_test

from casstore import Components, Digest, Part, Ref, Source
from tests.stateful.comparing import BYTES, TENANTS, Clients, Compared, instants, pages, selector
from tests.stateful.model import Aim, Line, Made, Put, Refused, Step, Tenant, Transaction

NAMES = ("a", "a", "b/c", "A")  # few, and one more often: steps shall meet each other
WORDS = ("prod", "prod", "v1x")
SINGLE = (
    {"main": (b"", "text/plain")},
    {"main": (b"x", "text/plain")},
    {"main": (b"x", "a/b")},
    {"main": (b"y", "a/b")},
)
SEVERAL = (
    {"p": (b"x", "a/b"), "q": (b"x", "a/b")},
    {"p": (b"x", "a/b"), "q": (b"yy", "a/b")},
    {"q": (b"yy", "a/b"), "p": (b"x", "a/b")},
    {"q": (b"x", "a/b")},
)
ON_SAME = ("reuse", "reuse", "new_version", "error")

some_tenant = st.sampled_from(["one", "one", "two"])
some_client = st.integers(0, 1)
some_name = st.sampled_from(NAMES)
some_word = st.sampled_from(WORDS)
some_parts = st.sampled_from(SINGLE) | st.sampled_from(SEVERAL)
some_labels = st.sampled_from([None, None, {}, {"k": "v"}, {"k": "w", "l": ""}])
some_metadata = st.sampled_from([None, None, None, {}, {"m": 1}, {"m": 2, "n": {"x": ["a", 2]}}])
some_sources = st.sampled_from(
    [None, None, None, None, (), (("a@1", "source"),), (("a", "source"), ("b/c", "t")), (("b/c@2", "t"),)]
)
some_state = st.sampled_from(["accepted", "accepted", "obsolete"])
some_filters = st.fixed_dictionaries(
    {
        "type": st.sampled_from([None, None, "document", "note"]),
        "label": st.sampled_from([{}, {}, {"k": "v"}, {"k": "w"}, {"l": ""}]),
        "metadata": st.sampled_from([None, {}, {"m": 1}, {"m": 2}, {"n": {"x": [2]}}]),
        "state": st.sampled_from([None, None, "draft", "accepted", "obsolete"]),
        "name_prefix": st.sampled_from(["", "", "a", "b/", "A", "x"]),
    }
)
some_by = st.sampled_from([None, None, "Ann", "Bob"])
some_page = st.sampled_from([1, 2, 3, 1000])
some_type = st.sampled_from([None, None, None, "document", "note"])
some_expect = st.sampled_from([None, None, None, "right", 0, 1])
some_put = st.builds(
    Put,
    some_name,
    some_parts,
    some_type,
    st.sampled_from([None, None, "", "T"]),
    some_labels,
    some_metadata,
    some_sources,
    some_expect,
    st.sampled_from([*ON_SAME, "reuse"]),
)
some_aim = st.builds(
    lambda name, word, aim, number, is_tag, expect: Aim(
        name, aim, {"latest": None, "number": number, "pointer": word}[aim], word, is_tag, None if is_tag else expect
    ),
    some_name,
    some_word,
    st.sampled_from(["number", "latest", "latest", "pointer"]),
    st.integers(1, 3),
    st.sampled_from([False, False, False, True]),
    st.sampled_from([None, None, None, 0, 1]),
)
some_step = st.builds(
    lambda name, aim, number, state, by: Step(name, aim, {"latest": None, "number": number}[aim], state, by),
    some_name,
    st.sampled_from(["number", "latest"]),
    st.integers(1, 3),
    some_state,
    st.sampled_from(["Ann", "Bob"]),
)
pick = st.integers(0, 1_000)  # of whatever there is then


class StoreMachine(Compared):
    def somewhere(self, where: int) -> tuple[str, str]:
        """A tenant and a name that it has; one time in eight, a name that it may not have."""
        if where % 8 == 7:
            return TENANTS[where % 2], NAMES[where % len(NAMES)]
        places = [(tenant, line.name) for tenant in TENANTS for line in self.tenants[tenant].lines.values()]
        return places[where // 8 % len(places)]

    # -- changes ----

    @rule(
        client=some_client,
        tenant=some_tenant,
        name=some_name,
        parts=some_parts,
        artifact_type=some_type,
        title=st.sampled_from([None, None, "", "T"]),
        labels=some_labels,
        metadata=some_metadata,
        sources=some_sources,
        expect=some_expect,
        on_same=st.sampled_from(ON_SAME),
        key=st.sampled_from([None, None, None, "k1", "k2"]),
        by=some_by,
    )
    def put(
        self, client, tenant, name, parts, artifact_type, title, labels, metadata, sources, expect, on_same, key, by
    ):
        put = Put(name, parts, artifact_type, title, labels, metadata, sources, expect, on_same, by)
        self.do_put(client, tenant, with_right_numbers(self.tenants[tenant], [put])[0], key)

    @rule(client=some_client, tenant=some_tenant, name=some_name, parts=some_parts)
    def put_without_opinions(self, client, tenant, name, parts):
        self.do_put(client, tenant, Put(name, parts), None)

    @precondition(lambda self: self.everything())
    @rule(
        client=some_client,
        where=pick,
        title=st.sampled_from([None, None, None, "", "T"]),
        labels=some_labels,
        metadata=some_metadata,
        has_sources=st.booleans(),
        on_same=st.sampled_from(ON_SAME),
        key=st.sampled_from([None, None, "k3", "k4", "k5"]),
        by=some_by,
    )
    def put_the_head_again(self, client, where, title, labels, metadata, has_sources, on_same, key, by):
        tenant, name = self.somewhere(where)
        if line := self.tenants[tenant].lines.get(name.lower()):
            head = line.versions[-1]
            sources = tuple((f"{name}@{number}", role) for name, number, role in head.sources) if has_sources else None
            put = Put(line.name, head.parts, None, title, labels, metadata, sources, on_same=on_same, by=by)
            self.do_put(client, tenant, put, key)

    @precondition(lambda self: self.asked)
    @rule(client=some_client, which=pick, by=some_by)
    def put_with_an_old_key(self, client, which, by):
        """Whoever does it: it is the same put."""
        tenant, asked, key = self.asked[which % len(self.asked)]
        do = self.do_put if isinstance(asked, Put) else self.do_transact
        do(client, tenant, replace(asked, by=by), key)

    @rule(
        client=some_client,
        tenant=some_tenant,
        puts=st.lists(some_put, max_size=5),
        news=st.lists(st.booleans(), min_size=5, max_size=5),
        links=st.lists(st.tuples(st.integers(1, 4), st.integers(0, 3)), max_size=3),
        aims=st.lists(some_aim | some_step, max_size=3),
        key=st.sampled_from([None, None, "k1", "k2", "k6"]),
        by=some_by,
    )
    def transact(self, client, tenant, puts, news, links, aims, key, by):
        for made, source in links:
            if source < made < len(puts):
                before = puts[made].sources or ()
                puts[made] = replace(puts[made], sources=(*before, (f"put {source}", "own")))
        puts = [self.of_new_bytes(put) if new else put for put, new in zip(puts, news, strict=False)]
        asked = Transaction(with_right_numbers(self.tenants[tenant], puts), aims, by)
        self.do_transact(client, tenant, asked, key)

    @precondition(lambda self: self.everything())
    @rule(
        client=some_client,
        where=pick,
        changes=st.lists(st.tuples(some_parts, st.booleans()), min_size=1, max_size=4),
        word=some_word,
        key=st.sampled_from([None, "k7", "k8"]),
    )
    def transact_as_expected(self, client, where, changes, word, key):
        """What goes well more often than by chance: a name's next versions, and an alias at each of them."""
        tenant, name = self.somewhere(where)
        puts = [Put(name, parts, expect="right", on_same="new_version") for parts, _ in changes]
        puts = [self.of_new_bytes(put) if new else put for put, (_, new) in zip(puts, changes, strict=True)]
        puts = with_right_numbers(self.tenants[tenant], puts)
        aims = [Aim(name, "number", put.expect + 1, word, is_tag=False, expect=None) for put in puts]
        self.do_transact(client, tenant, Transaction(puts, aims), key)

    def of_new_bytes(self, put: Put) -> Put:
        """With one component that nobody has stored before."""
        role, (_, media) = next(iter(put.parts.items()))
        return replace(put, parts=put.parts | {role: (b"new %d" % next(self.clients.numbers), media)})

    def do_transact(self, client: int, tenant: str, asked: Transaction, key: str | None) -> None:
        model, real = self.tenants[tenant], self.real(client, tenant)
        known, is_old = held(model), key in model.answers
        there = known.union(BYTES, *(held(each) for each in self.tenants.values()))
        uploads = not there.issuperset(stored for put in asked.puts for stored in bytes_of(put))
        expected, got = self.both(lambda: model.transact(asked, key, uploads=uploads), transacted(real, asked, key))
        if expected is None:
            return
        if key:
            self.asked.append((tenant, asked, key))
        for (made, reused), stored in zip(expected, got, strict=True):
            assert (stored.reused, stored.repeated, stored.number) == (reused, is_old, made.number)
            if made.id is None:
                made.id, made.digest, made.at = stored.id, stored.digest, stored.created_at
                assert stored.new_bytes == sum(map(len, set(bytes_of(made)) - known))
                known.update(bytes_of(made))
            self.same(made, stored)
        for aim in asked.aims:
            if isinstance(aim, Aim):
                self.date_moves(real, model.line(aim.name), aim.word)

    def date_moves(self, real, line: Line, word: str) -> None:
        """Copy into the model when each move was made: a transaction does not answer that."""
        told = self.run(real.pointer_history(line.name, word, limit=1000))
        for move, pointer in zip(reversed(line.pointers[word]), told, strict=True):
            move.at = move.at or pointer.moved_at

    def do_put(self, client: int, tenant: str, put: Put, key: str | None) -> None:
        known = held(self.tenants[tenant])
        expected, got = self.both(
            lambda: self.tenants[tenant].put(put, key),
            self.real(client, tenant).put(put.name, data_of(put), **arguments_of(put), idempotency_key=key, by=put.by),
        )
        if expected is None:
            return
        if key:
            self.asked.append((tenant, put, key))
        made, reused = expected
        assert (got.reused, got.number) == (reused, made.number)
        if made.id is None:
            made.id, made.digest, made.at = got.id, got.digest, got.created_at
            assert got.new_bytes == sum(map(len, {stored for stored, _ in put.parts.values()} - known))
        self.same(made, got)

    @precondition(lambda self: self.everything())
    @rule(
        client=some_client,
        where=pick,
        word=some_word,
        kind=st.sampled_from(["alias", "alias", "tag", "tag", "unalias"]),
        aim=st.sampled_from(["number", "number", "latest", "pointer"]),
        number=st.integers(1, 3),
        expect=st.sampled_from([None, None, None, 0, 1, 2]),
        by=some_by,
    )
    def point(self, client, where, word, kind, aim, number, expect, by):
        tenant, name = self.somewhere(where)
        model, real = self.tenants[tenant], self.real(client, tenant)
        expect = None if kind == "tag" else expect
        value = {"latest": None, "number": number, "pointer": word}[aim]
        ref = Ref(name=name, selector=selector(aim, value))

        def modelled():
            aimed = None if kind == "unalias" else model.resolve(name, aim, value).number
            return model.point(name, aimed, word, is_tag=kind == "tag", expect=expect, by=by)

        calls = {
            "alias": lambda: real.alias(ref, word, expect=expect, by=by),
            "tag": lambda: real.tag(ref, word, by=by),
            "unalias": lambda: real.unalias(name, word, expect=expect, by=by),
        }
        expected, got = self.both(modelled, calls[kind]())
        if expected:
            move, is_new = expected
            if is_new:
                move.at = got.moved_at
            self.same_move(move, got)

    @precondition(lambda self: self.everything())
    @rule(client=some_client, where=pick, step=some_step)
    def step(self, client, where, step):
        tenant, name = self.somewhere(where)
        model, ref = self.tenants[tenant], Ref(name=name, selector=selector(step.kind, step.value))
        expected, got = self.both(
            lambda: model.step(model.resolve(name, step.kind, step.value), step.state, step.by),
            self.real(client, tenant).transition(ref, step.state, by=step.by),
        )
        if expected:
            assert (got.before, got.state, got.by) == expected

    @rule(client=some_client)
    def reopen(self, client):
        self.clients.reopen(client)

    # -- questions ----

    @precondition(lambda self: self.everything())
    @rule(
        client=some_client,
        where=pick,
        kind=st.sampled_from(["latest", "number", "pointer", "digest", "as of", "id"]),
        number=st.integers(1, 4),
        word=st.none() | some_word,
        which=pick,
        shift=st.sampled_from([-1, 0, 1]),
    )
    def resolve(self, client, where, kind, number, word, which, shift):
        tenant, name = self.somewhere(where)
        a_version = self.everything()[which % len(self.everything())]
        if kind == "id":
            self.resolved_by_id(client, tenant, a_version.id)
        elif kind == "as of":
            moments = instants(self.tenants[tenant].lines.get(name.lower(), Line(name, ""))) or [a_version.at]
            moment = moments[which % len(moments)] + timedelta(microseconds=shift)
            self.resolved(client, tenant, name, "pointer" if word else "latest", word, moment)
        else:
            digest = a_version.digest.hex()[: 12 + which % 53]
            value = {"latest": None, "number": number, "pointer": word or "prod", "digest": digest}[kind]
            self.resolved(client, tenant, name, kind, value)

    @precondition(lambda self: self.everything())
    @rule(
        client=some_client,
        where=pick,
        what=st.sampled_from(["history", "list", "where_used", "bytes"]),
        which=pick,
        filters=some_filters,
        limit=some_page,
    )
    def look(self, client, where, what, which, filters, limit):
        tenant, name = self.somewhere(where)
        real, model = self.real(client, tenant), self.tenants[tenant]
        if what == "history":
            self.history(real, model, name, limit)
        elif what == "list":
            call = pages(lambda cursor: real.list(**filters, cursor=cursor, limit=limit))
            self.same_all(model.heads(**filters), self.run(call))
        elif what == "where_used":
            data = BYTES[which % len(BYTES)]
            call = pages(lambda cursor: real.where_used(Digest.of(data), cursor=cursor, limit=limit))
            self.same_all(model.where_used(data), self.run(call))
        elif versions := model.versions():
            made = versions[which % len(versions)]
            role = sorted(made.parts)[which % len(made.parts)]
            artifact = self.run(real.get(f"{made.name}@{made.number}#{role}"))
            assert self.run(artifact.bytes()) == made.parts[role][0]

    def history(self, real, model, name, limit) -> None:
        expected, got = self.both(
            lambda: model.line(name).versions, pages(lambda cursor: real.history(name, cursor=cursor, limit=limit))
        )
        if expected:
            self.same_all(expected[::-1], got)

    def resolved_by_id(self, client, tenant, identity) -> None:
        expected, got = self.both(
            lambda: self.tenants[tenant].by_id(identity), self.real(client, tenant).resolve(f"id:{identity}")
        )
        if expected:
            self.same(expected, got)

    # -- always ----

    @invariant()
    def each_tenant_sees_its_own_heads_and_figures(self):
        for number, (name, model) in enumerate(self.tenants.items()):
            real = self.real(number, name)
            assert [v.id for v in self.run(real.list())] == [v.id for v in model.heads()]
            assert self.run(real.usage()).model_dump() == model.usage()


def bytes_of(made: Made | Put) -> list[bytes]:
    return [stored for stored, _ in made.parts.values()]


def held(model: Tenant) -> set[bytes]:
    """The bytes of all versions."""
    return {stored for version in model.versions() for stored in bytes_of(version)}


def with_right_numbers(model: Tenant, puts: list[Put]) -> list[Put]:
    """The puts, those with a number where "right" is said instead: that of the head when all before have been tried."""
    trial, known = deepcopy(model), []
    for put in puts:
        line = trial.lines.get(put.name.lower(), Line(put.name, ""))
        known.append(replace(put, expect=len(line.versions)) if put.expect == "right" else put)
        with contextlib.suppress(Refused):
            trial.put(known[-1])
    return known


async def transacted(real, asked: Transaction, key: str | None):
    """What its puts have stored."""
    async with real.transaction(idempotency_key=key, by=asked.by) as tx:
        puts = []
        for put in asked.puts:
            puts.append(await tx.put(put.name, data_of(put), **arguments_of(put, puts)))
        for aim in asked.aims:
            ref = Ref(name=aim.name, selector=selector(aim.kind, aim.value))
            if isinstance(aim, Step):
                tx.transition(ref, aim.state, by=aim.by)
            elif aim.is_tag:
                tx.tag(ref, aim.word)
            else:
                tx.alias(ref, aim.word, expect=aim.expect)
    return [put.stored for put in puts]


def data_of(put: Put):
    """A put of `main` alone is of a part, not of components."""
    data = Components({role: Part(stored, media) for role, (stored, media) in put.parts.items()})
    return data["main"] if list(put.parts) == ["main"] else data


def arguments_of(put: Put, among=()) -> dict[str, object]:
    given = {name: getattr(put, name) for name in ("type", "title", "labels", "metadata", "expect", "on_same")}
    sources = [
        Source(among[int(text[4:])] if text.startswith("put ") else text, role) for text, role in put.sources or ()
    ]
    return given | {"sources": None if put.sources is None else sources}


@pytest.fixture
def machine(store_urls):
    clients = Clients(*store_urls)
    yield type("StoreMachine", (StoreMachine,), {"clients": clients})
    clients.close()


@pytest.mark.slow
@pytest.mark.timeout(600)  # when it fails, hypothesis looks for a shorter story
def test_the_store_does_as_its_model(machine):
    run_state_machine_as_test(machine, settings=settings(max_examples=40, stateful_step_count=25))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_store_does_as_its_model_at_length(machine):
    run_state_machine_as_test(machine, settings=settings(max_examples=40, stateful_step_count=50))
