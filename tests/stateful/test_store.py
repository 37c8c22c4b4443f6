"""The store against its model: whatever is done, in whatever order and by whichever client, both answer the same."""

from __future__ import annotations

import asyncio
import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from casstore import AsyncStore, CasstoreError, Components, Digest, Part, Ref, Selector
from casstore.errors import Code
from tests.stateful.model import Line, Made, Move, Put, Refused, Tenant

NAMES = ("a", "a", "b/c", "A")  # few, and one more often: steps shall meet each other
WORDS = ("prod", "v1x")
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
    {"q": (b"x", "a/b")},
)
ON_SAME = ("reuse", "new_version", "error")
BYTES = (b"", b"x", b"y", b"yy", b"never")

some_tenant = st.sampled_from(["one", "one", "two"])
some_client = st.integers(0, 1)
some_name = st.sampled_from(NAMES)
some_word = st.sampled_from(WORDS)
some_parts = st.sampled_from(SINGLE) | st.sampled_from(SEVERAL)
some_labels = st.sampled_from([None, None, {}, {"k": "v"}, {"k": "w", "l": ""}])
some_page = st.sampled_from([1, 2, 3, 1000])
pick = st.integers(0, 1_000)  # of whatever there is then


class StoreMachine(RuleBasedStateMachine):
    databases = None  # set by the test: where to get a database for each run

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.fresh = self.databases.fresh()
        self.catalog = self.fresh.__enter__()
        self.folder = tempfile.TemporaryDirectory(prefix="casstore-blobs-")
        self.clients = [self.opened(), self.opened()]
        self.tenants = {name: Tenant() for name in TENANTS}
        self.asked: list[tuple[str, Put, str]] = []

    def opened(self) -> AsyncStore:
        return self.run(AsyncStore(blobs=Path(self.folder.name).as_uri(), catalog=self.catalog).open())

    def run(self, coroutine):
        return self.runner.run(coroutine)

    def real(self, client: int, tenant: str):
        return self.clients[client].tenant(tenant)

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

    # -- changes ----

    @rule(
        client=some_client,
        tenant=some_tenant,
        name=some_name,
        parts=some_parts,
        artifact_type=st.sampled_from([None, None, None, "document", "sop"]),
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

    @rule(client=some_client, tenant=some_tenant, which=pick, labels=some_labels, on_same=st.sampled_from(ON_SAME))
    def put_the_head_again(self, client, tenant, which, labels, on_same):
        if lines := list(self.tenants[tenant].lines.values()):
            head = lines[which % len(lines)].versions[-1]
            self.do_put(client, tenant, Put(head.name, head.parts, labels=labels, on_same=on_same), None)

    @rule(client=some_client, which=pick)
    def put_with_an_old_key(self, client, which):
        if self.asked:
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

    @rule(
        client=some_client,
        tenant=some_tenant,
        name=some_name,
        word=some_word,
        kind=st.sampled_from(["alias", "alias", "alias", "tag", "unalias"]),
        aim=st.sampled_from(["latest", "number", "pointer"]),
        number=st.integers(1, 4),
        expect=st.sampled_from([None, None, 0, 1, 2]),
    )
    def point(self, client, tenant, name, word, kind, aim, number, expect):
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
        self.run(self.clients[client].aclose())
        self.clients[client] = self.opened()

    # -- questions ----

    @rule(
        client=some_client,
        tenant=some_tenant,
        name=some_name,
        kind=st.sampled_from(["latest", "number", "pointer"]),
        number=st.integers(1, 5),
        word=some_word,
    )
    def resolve(self, client, tenant, name, kind, number, word):
        value = {"latest": None, "number": number, "pointer": word}[kind]
        self.resolved(client, tenant, name, kind, value)

    @rule(
        client=some_client,
        tenant=some_tenant,
        name=some_name,
        word=st.none() | some_word,
        which=pick,
        shift=st.sampled_from([-1, 0, 1]),
    )
    def resolve_as_of(self, client, tenant, name, word, which, shift):
        if moments := instants(self.tenants[tenant].lines.get(name.lower(), Line(name, ""))):
            moment = moments[which % len(moments)] + timedelta(microseconds=shift)
            self.resolved(client, tenant, name, "pointer" if word else "latest", word, moment)

    @rule(client=some_client, tenant=some_tenant, name=some_name, which=pick, length=st.integers(12, 64))
    def resolve_by_digest(self, client, tenant, name, which, length):
        if versions := self.everything():
            prefix = versions[which % len(versions)].digest.hex()[:length]
            self.resolved(client, tenant, name, "digest", prefix)

    def resolved(self, client, tenant, name, kind, value, as_of=None) -> None:
        ref = str(Ref(name=name, selector=selector(kind, value, as_of)))
        expected, got = self.both(
            lambda: self.tenants[tenant].resolve(name, kind, value, as_of), self.real(client, tenant).resolve(ref)
        )
        if expected:
            self.same(expected, got)

    @rule(client=some_client, tenant=some_tenant, which=pick)
    def resolve_by_id(self, client, tenant, which):
        versions = self.everything()
        identity = versions[which % len(versions)].id if versions else UUID(int=0)
        expected, got = self.both(
            lambda: self.tenants[tenant].by_id(identity), self.real(client, tenant).resolve(f"id:{identity}")
        )
        if expected:
            self.same(expected, got)

    @rule(client=some_client, tenant=some_tenant, which=pick)
    def get(self, client, tenant, which):
        if versions := self.tenants[tenant].versions():
            made = versions[which % len(versions)]
            role = sorted(made.parts)[which % len(made.parts)]
            artifact = self.run(self.real(client, tenant).get(f"{made.name}@{made.number}#{role}"))
            assert self.run(artifact.bytes()) == made.parts[role][0]

    @rule(client=some_client, tenant=some_tenant, name=some_name, limit=some_page)
    def history(self, client, tenant, name, limit):
        real = self.real(client, tenant)
        expected, got = self.both(
            lambda: self.tenants[tenant].line(name).versions,
            pages(lambda cursor: real.history(name, cursor=cursor, limit=limit)),
        )
        if expected:
            self.same_all(expected[::-1], got)

    @rule(
        client=some_client,
        tenant=some_tenant,
        artifact_type=st.sampled_from([None, "document", "sop"]),
        label=st.sampled_from([{}, {"k": "v"}, {"k": "w"}, {"l": ""}]),
        prefix=st.sampled_from(["", "a", "b", "b/", "A", "x"]),
        limit=some_page,
    )
    def list(self, client, tenant, artifact_type, label, prefix, limit):
        real = self.real(client, tenant)
        filters = {"type": artifact_type, "label": label, "name_prefix": prefix}
        call = pages(lambda cursor: real.list(**filters, cursor=cursor, limit=limit))
        self.same_all(self.tenants[tenant].heads(artifact_type, label, prefix), self.run(call))

    @rule(client=some_client, tenant=some_tenant, data=st.sampled_from(BYTES), limit=some_page)
    def where_used(self, client, tenant, data, limit):
        real = self.real(client, tenant)
        call = pages(lambda cursor: real.where_used(Digest.of(data), cursor=cursor, limit=limit))
        self.same_all(self.tenants[tenant].where_used(data), self.run(call))

    # -- always ----

    @invariant()
    def each_tenant_sees_its_own_heads_and_figures(self):
        for number, (name, model) in enumerate(self.tenants.items()):
            real = self.real(number, name)
            assert [v.id for v in self.run(real.list())] == [v.id for v in model.heads(None, {}, "")]
            assert self.run(real.usage()).model_dump() == model.usage()

    def teardown(self):
        try:
            self.reopen(0)
            for name, model in self.tenants.items():
                for line in model.lines.values():
                    self.compare_versions(name, line)
                    self.compare_pointers(name, line)
                    self.compare_the_past(name, line)
            for client in self.clients:
                self.run(client.aclose())
        finally:
            self.runner.close()
            self.fresh.__exit__(None, None, None)
            self.folder.cleanup()

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
def machine(databases):
    return type("StoreMachine", (StoreMachine,), {"databases": databases})


@pytest.mark.slow
def test_the_store_does_as_its_model(machine):
    run_state_machine_as_test(machine, settings=settings(max_examples=40, stateful_step_count=25))
