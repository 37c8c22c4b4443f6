"""Two clients of a store beside its model, and how the two are compared."""

from __future__ import annotations

import asyncio
import itertools
from datetime import datetime, timedelta

from hypothesis.stateful import RuleBasedStateMachine

from casstore import AsyncStore, CasstoreError, Digest, Ref, Selector
from tests.stateful.model import Line, Made, Move, Put, Refused, Tenant, Transaction

TENANTS = ("one", "two")
BYTES = (b"", b"x", b"y", b"yy", b"never")  # all of them are in the store before a run begins; none of another is


class Clients:
    """Two clients of one store, and the event loop they live on. Runs share them: each has tenants of its own."""

    def __init__(self, blobs: str, catalog: str) -> None:
        self.runner = asyncio.Runner()
        self.urls = {"blobs": blobs, "catalog": catalog}
        self.stores = [self.opened(), self.opened()]
        self.numbers = itertools.count()
        for data in BYTES:
            self.run(self.stores[0].tenant("before").put("doc/bytes", data))

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


class Compared(RuleBasedStateMachine):
    """What every rule needs; the rules are its subclass's."""

    clients: Clients  # set by the test

    def __init__(self) -> None:
        super().__init__()
        self.suffix = f"-{next(self.clients.numbers)}"
        self.tenants = {name: Tenant() for name in TENANTS}
        self.asked: list[tuple[str, Put | Transaction, str]] = []
        self.run = self.clients.run

    def real(self, client: int, tenant: str):
        return self.clients.stores[client].tenant(tenant + self.suffix)

    def both(self, modelled, coroutine):
        """What the model and the store answer: two values, or Nones when both refuse with the same code, and the same puts."""
        refusals = []
        try:
            expected = modelled()
        except Refused as refused:
            expected = refused.code, refused.puts
            refusals.append(expected)
        try:
            got = self.run(coroutine)
        except CasstoreError as error:
            got = error.code, refused_puts(error)
            refusals.append(got)
        if refusals:
            assert got == expected, f"the store: {got!r}; the model: {expected!r}"
            return None, None
        return expected, got

    def everything(self) -> list[Made]:
        return [v for name in TENANTS for v in self.tenants[name].versions()]

    @staticmethod
    def same_all(expected, got) -> None:
        assert [v.ref for v in got] == [f"{v.name}@{v.number}" for v in expected]
        for made, version in zip(expected, got, strict=True):
            Compared.same(made, version)

    @staticmethod
    def same(made: Made, version) -> None:
        assert (version.id, version.digest, version.created_at) == (made.id, made.digest, made.at)
        assert (version.name, version.number, version.type) == (made.name, made.number, made.type)
        assert (version.title, version.labels, version.by) == (made.title, made.labels, made.by)
        assert (version.metadata, version.state) == (made.metadata, made.state)
        assert [(c.role, c.digest, c.size_bytes, c.media_type) for c in version.components] == [
            (role, Digest.of(stored), len(stored), media) for role, (stored, media) in sorted(made.parts.items())
        ]

    @staticmethod
    def same_move(move: Move, pointer) -> None:
        assert (pointer.number, pointer.is_tag, pointer.moved_at, pointer.by) == (
            move.number,
            move.is_tag,
            move.at,
            move.by,
        )

    # -- in the end ----

    def teardown(self):
        for name, model in self.tenants.items():
            for line in model.lines.values():
                self.compare_versions(name, line)
                self.compare_pointers(name, line)
                self.compare_lineage(name, line)
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

    def compare_lineage(self, tenant: str, line: Line) -> None:
        model, real = self.tenants[tenant], self.real(0, tenant)
        for made in line.versions:
            steps = self.run(real.transitions(f"id:{made.id}"))
            assert [(step.before, step.state, step.by) for step in steps] == list(made.steps)
            node = self.run(real.lineage(f"{made.name}@{made.number}", depth=0)).versions[0]
            self.same(made, node.version)
            assert [(link.source, link.role, link.newer) for link in node.sources] == [
                (model.resolve(name, "number", number).id, role, model.newer(made, name, number))
                for name, number, role in made.sources
            ]

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

    def resolved(self, client, tenant, name, kind, value, as_of=None) -> None:
        ref = str(Ref(name=name, selector=selector(kind, value, as_of)))
        expected, got = self.both(
            lambda: self.tenants[tenant].resolve(name, kind, value, as_of), self.real(client, tenant).resolve(ref)
        )
        if expected:
            self.same(expected, got)


def refused_puts(error: CasstoreError) -> dict[int, str]:
    """The codes of a transaction's puts, by their places."""
    return {each["put"]: each["error"] for each in error.fields.get("refused", [])}


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
