"""The store against its model: whatever is done, in whatever order and by whichever client, both answer the same."""

from __future__ import annotations

import asyncio
import itertools
from datetime import datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from casstore import AsyncStore, CasstoreError, Components, Digest, Part, Ref, Selector
from casstore.errors import Code
from tests.stateful.model import Line, Made, Move, Put, Refused, Tenant

NAMES = ("a", "a", "b/c", "A")  # few, and one more often: steps shall meet each other
WORDS = ("prod", "prod", "v1x")
TENANTS = ("one", "two")
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
BYTES = (b"", b"x", b"y", b"yy", b"never")

some_tenant = st.sampled_from(["one", "one", "two"])
some_client = st.integers(0, 1)
some_name = st.sampled_from(NAMES)
some_word = st.sampled_from(WORDS)
some_parts = st.sampled_from(SINGLE) | st.sampled_from(SEVERAL)
some_labels = st.sampled_from([None, None, {}, {"k": "v"}, {"k": "w", "l": ""}])
some_page = st.sampled_from([1, 2, 3, 1000])
pick = st.integers(0, 1_000)  # of whatever there is then


class Clients:
    """Two clients of one store, and the event loop they live on. Runs share them: each has tenants of its own."""

    def __init__(self, blobs: str, catalog: str) -> None:
        self.runner = asyncio.Runner()
        self.urls = {"blobs": blobs, "catalog": catalog}
        self.stores = [self.opened(), self.opened()]
        self.numbers = itertools.count()

    def run(self, coroutine):
        return self.runner.run(coroutine)

    def opened(self) -> AsyncStore:
        return self.run(AsyncStore(**self.urls).open())

    def reopen(self, client: int) -> None:
        self.run(self.stores[client].aclose())
        self.stores[client] = self.opened()

    def close(self) -> None:
        for store in self.stores:
            self.run(store.aclose())
        self.runner.close()


class StoreMachine(RuleBasedStateMachine):
    clients: Clients  # set by the test

    def __init__(self) -> None:
        super().__init__()
        self.suffix = f"-{next(self.clients.numbers)}"
        self.tenants = {name: Tenant() for name in TENANTS}
        self.asked: list[tuple[str, Put, str]] = []
        self.run = self.clients.run

    def real(self, client: int, tenant: str):
        return self.clients.stores[client].tenant(tenant + self.suffix)

    def both(self, modelled, coroutine):
        """What the model and the store answer: two values, or Nones when both refuse with the same code."""
        try:
            expected = modelled()
        except Refused as refused:
            expected = refused.code
        try:
            got = self.run(coroutine)
        except CasstoreError as error:
            got = error.code
        if isinstance(got, Code) or isinstance(expected, Code):
            assert got == expected
            return None, None
        return expected, got

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
        artifact_type=st.sampled_from([None, None, None, "document", "note"]),
        title=st.sampled_from([None, None, "", "T"]),
        labels=some_labels,
        expect=st.sampled_from([None, None, None, "right", 0, 1]),
        on_same=st.sampled_from(ON_SAME),
        key=st.sampled_from([None, None, None, "k1", "k2"]),
    )
    def put(self, client, tenant, name, parts, artifact_type, title, labels, expect, on_same, key):
        if expect == "right":
            line = self.tenants[tenant].lines.get(name.lower(), Line(name, ""))
            expect = len(line.versions)
        self.do_put(client, tenant, Put(name, parts, artifact_type, title, labels, expect, on_same), key)

    @rule(client=some_client, tenant=some_tenant, name=some_name, parts=some_parts)
    def put_without_opinions(self, client, tenant, name, parts):
        self.do_put(client, tenant, Put(name, parts), None)

    @precondition(lambda self: self.everything())
    @rule(
        client=some_client,
        where=pick,
        title=st.sampled_from([None, None, None, "", "T"]),
        labels=some_labels,
        on_same=st.sampled_from(ON_SAME),
        key=st.sampled_from([None, None, "k3", "k4", "k5"]),
    )
    def put_the_head_again(self, client, where, title, labels, on_same, key):
        tenant, name = self.somewhere(where)
        if line := self.tenants[tenant].lines.get(name.lower()):
            put = Put(line.name, line.versions[-1].parts, title=title, labels=labels, on_same=on_same)
            self.do_put(client, tenant, put, key)

    @precondition(lambda self: self.asked)
    @rule(client=some_client, which=pick)
    def put_with_an_old_key(self, client, which):
        self.do_put(client, *self.asked[which % len(self.asked)])

    def do_put(self, client: int, tenant: str, put: Put, key: str | None) -> None:
        data = Components({role: Part(stored, media) for role, (stored, media) in put.parts.items()})
        if list(put.parts) == ["main"]:
            data = data["main"]
        known = {stored for v in self.tenants[tenant].versions() for stored, _ in v.parts.values()}
        expected, got = self.both(
            lambda: self.tenants[tenant].put(put, key),
            self.real(client, tenant).put(
                put.name,
                data,
                type=put.type,
                title=put.title,
                labels=put.labels,
                expect=put.expect,
                on_same=put.on_same,
                idempotency_key=key,
            ),
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
    )
    def point(self, client, where, word, kind, aim, number, expect):
        tenant, name = self.somewhere(where)
        model, real = self.tenants[tenant], self.real(client, tenant)
        expect = None if kind == "tag" else expect
        value = {"latest": None, "number": number, "pointer": word}[aim]
        ref = Ref(name=name, selector=selector(aim, value))

        def modelled():
            aimed = None if kind == "unalias" else model.resolve(name, aim, value).number
            return model.point(name, aimed, word, is_tag=kind == "tag", expect=expect)

        calls = {
            "alias": lambda: real.alias(ref, word, expect=expect),
            "tag": lambda: real.tag(ref, word),
            "unalias": lambda: real.unalias(name, word, expect=expect),
        }
        expected, got = self.both(modelled, calls[kind]())
        if expected:
            move, is_new = expected
            if is_new:
                move.at = got.moved_at
            self.same_move(move, got)

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
        artifact_type=st.sampled_from([None, None, "document", "note"]),
        label=st.sampled_from([{}, {"k": "v"}, {"k": "w"}, {"l": ""}]),
        prefix=st.sampled_from(["", "", "a", "b/", "A", "x"]),
        limit=some_page,
    )
    def look(self, client, where, what, which, artifact_type, label, prefix, limit):
        tenant, name = self.somewhere(where)
        real, model = self.real(client, tenant), self.tenants[tenant]
        if what == "history":
            self.history(real, model, name, limit)
        elif what == "list":
            filters = {"type": artifact_type, "label": label, "name_prefix": prefix}
            call = pages(lambda cursor: real.list(**filters, cursor=cursor, limit=limit))
            self.same_all(model.heads(artifact_type, label, prefix), self.run(call))
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

    def resolved(self, client, tenant, name, kind, value, as_of=None) -> None:
        ref = str(Ref(name=name, selector=selector(kind, value, as_of)))
        expected, got = self.both(
            lambda: self.tenants[tenant].resolve(name, kind, value, as_of), self.real(client, tenant).resolve(ref)
        )
        if expected:
            self.same(expected, got)

    # -- always ----

    @invariant()
    def each_tenant_sees_its_own_heads_and_figures(self):
        for number, (name, model) in enumerate(self.tenants.items()):
            real = self.real(number, name)
            assert [v.id for v in self.run(real.list())] == [v.id for v in model.heads(None, {}, "")]
            assert self.run(real.usage()).model_dump() == model.usage()

    def teardown(self):
        for name, model in self.tenants.items():
            for line in model.lines.values():
                self.compare_versions(name, line)
                self.compare_pointers(name, line)
                self.compare_the_past(name, line)

    def compare_versions(self, tenant: str, line: Line) -> None:
        real = self.real(0, tenant)
        history = self.run(pages(lambda cursor: real.history(line.name, cursor=cursor, limit=2)))
        self.same_all(line.versions[::-1], history)
        for made in line.versions:
            artifact = self.run(real.get(f"id:{made.id}"))
            for role, (stored, _) in made.parts.items():
                assert self.run(artifact[role].bytes()) == stored
            self.resolved(1, tenant, line.name, "digest", made.digest.hex())
            twins = [v.id for v in self.tenants[tenant].versions() if v.digest == made.digest]
            assert [v.id for v in self.run(real.where_used(made.digest, limit=1000))] == twins

    def compare_pointers(self, tenant: str, line: Line) -> None:
        real = self.real(0, tenant)
        now = {word: moves[-1].number for word, moves in line.pointers.items() if moves[-1].number}
        assert {p.pointer: p.number for p in self.run(real.pointers(line.name))} == now
        for word, moves in line.pointers.items():
            told = self.run(real.pointer_history(line.name, word))
            for move, pointer in zip(reversed(moves), told, strict=True):
                self.same_move(move, pointer)

    def compare_the_past(self, tenant: str, line: Line) -> None:
        for moment in instants(line):
            for just in (moment, moment - timedelta(microseconds=1)):
                self.resolved(0, tenant, line.name, "latest", None, just)
                for word in line.pointers:
                    self.resolved(1, tenant, line.name, "pointer", word, just)

    # -- comparing ----

    def everything(self) -> list[Made]:
        return [v for name in TENANTS for v in self.tenants[name].versions()]

    @staticmethod
    def same_all(expected, got) -> None:
        assert [v.ref for v in got] == [f"{v.name}@{v.number}" for v in expected]
        for made, version in zip(expected, got, strict=True):
            StoreMachine.same(made, version)

    @staticmethod
    def same(made: Made, version) -> None:
        assert (version.id, version.digest, version.created_at) == (made.id, made.digest, made.at)
        assert (version.name, version.number, version.type) == (made.name, made.number, made.type)
        assert (version.title, version.labels) == (made.title, made.labels)
        assert [(c.role, c.digest, c.size_bytes, c.media_type) for c in version.components] == [
            (role, Digest.of(stored), len(stored), media) for role, (stored, media) in sorted(made.parts.items())
        ]

    @staticmethod
    def same_move(move: Move, pointer) -> None:
        assert (pointer.number, pointer.is_tag, pointer.moved_at) == (move.number, move.is_tag, move.at)


def selector(kind: str, value, as_of=None) -> Selector:
    number, text = (value, None) if kind == "number" else (None, value)
    return Selector(kind=kind, number=number, text=text, as_of=as_of)


def instants(line: Line) -> list[datetime]:
    """When it changed."""
    moves = [move for moves in line.pointers.values() for move in moves]
    return sorted(change.at for change in (*line.versions, *moves))


async def pages(call):
    found, cursor = [], None
    while True:
        page = await call(cursor)
        found += page
        cursor = page.cursor
        if cursor is None:
            return found


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
    run_state_machine_as_test(machine, settings=settings(max_examples=100, stateful_step_count=50))
