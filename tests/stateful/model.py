"""What a store is, in plain dicts: the promises of `AsyncTenant` made executable, to compare the real one with.

It has no clock and makes no ids: whoever drives it copies `id`, `digest` and `at` from the real answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from casstore.errors import Code


class Refused(Exception):
    """The call must fail with this code; a transaction's puts, by their places, with these."""

    def __init__(self, code: Code, puts: dict[int, Code] | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.puts = puts or {}


@dataclass(slots=True)
class Made:
    """One version."""

    name: str
    number: int
    type: str
    title: str | None
    labels: dict[str, str]
    metadata: dict[str, Any]
    sources: tuple[tuple[str, int, str], ...]  # name, number and role
    parts: dict[str, tuple[bytes, str]]  # role → bytes and media type
    order: int
    by: str | None = None
    steps: tuple[tuple[str, str, str], ...] = ()  # of its lifecycle: before, after, by whom
    id: Any = None
    digest: Any = None
    at: Any = None

    @property
    def state(self) -> str:
        return self.steps[-1][1] if self.steps else "draft"


@dataclass(slots=True)
class Move:
    """One move of an alias, or the one of a tag."""

    number: int | None
    is_tag: bool
    by: str | None = None
    at: Any = None


@dataclass(slots=True)
class Line:
    """A name: its versions, and its pointers with their moves."""

    name: str
    type: str
    versions: list[Made] = field(default_factory=list)
    pointers: dict[str, list[Move]] = field(default_factory=dict)

    def copy(self) -> Line:
        """The same versions and moves, in lists of its own."""
        return Line(self.name, self.type, [*self.versions], {word: [*moves] for word, moves in self.pointers.items()})


@dataclass(slots=True)
class Put:
    """The arguments of one put."""

    name: str
    parts: dict[str, tuple[bytes, str]]
    type: str | None = None
    title: str | None = None
    labels: dict[str, str] | None = None
    metadata: dict[str, Any] | None = None
    sources: tuple[tuple[str, str], ...] | None = None  # a reference, or "put 0" of the same transaction, and the role
    expect: int | None = None
    on_same: str = "reuse"
    by: str | None = None


@dataclass(slots=True)
class Aim:
    """The arguments of one alias or tag of a transaction."""

    name: str
    kind: str  # as those of `Tenant.resolve`
    value: Any
    word: str
    is_tag: bool
    expect: int | None


@dataclass(slots=True)
class Step:
    """The arguments of one step of a transaction."""

    name: str
    kind: str  # as those of `Tenant.resolve`
    value: Any
    state: str
    by: str


@dataclass(slots=True)
class Transaction:
    """Its puts, and its pointers and steps, in their order."""

    puts: list[Put]
    aims: list[Aim | Step]
    by: str | None = None  # of its puts and pointers


class Tenant:
    """Everything one tenant has."""

    def __init__(self) -> None:
        self.lines: dict[str, Line] = {}  # by the name in lower case: names are unique ignoring case
        self.answers: dict[
            str, tuple[Put | Transaction, Any]
        ] = {}  # by idempotency key: what was asked, and the answer
        self.order = 0

    def put(self, asked: Put, key: str | None = None, among: Sequence[Made | None] = ()) -> tuple[Made, bool]:
        """The version, and whether it was there already; `among` are the answers before it in its transaction."""
        put = self.pinned(asked)
        if key in self.answers:
            return self.answered(key, asked)
        sources = _meant(put, among)
        line = self.lines.get(put.name.lower()) or Line(put.name, put.type or "document")
        head = line.versions[-1] if line.versions else None
        _refuse_if(line.name != put.name, Code.NAME_CASE)
        _refuse_if(put.type not in (None, line.type), Code.TYPE_MISMATCH)
        _refuse_if(put.expect not in (None, len(line.versions)), Code.HEAD_MOVED)
        reused = head is not None and put.on_same != "new_version" and _says_the_same(put, sources, head)
        _refuse_if(reused and put.on_same == "error", Code.SAME_CONTENT)
        if not reused:
            self.order += 1
            number, labels, metadata = len(line.versions) + 1, put.labels or {}, put.metadata or {}
            head = Made(put.name, number, line.type, put.title, labels, metadata, sources or (), put.parts, self.order)
            head.by = put.by
            line.versions.append(head)
            self.lines[put.name.lower()] = line
        if key is not None:
            self.answers[key] = replace(asked), (head, reused)
        return head, reused

    def pinned(self, put: Put) -> Put:
        """With the sources that its references mean now."""
        if put.sources is None:
            return put
        pinned = []
        for text, role in put.sources:
            name, _, number = text.partition("@")
            own = text.startswith("put ")
            made = None if own else self.resolve(name, "number" if number else "latest", int(number or 0))
            pinned.append((f"{made.name}@{made.number}" if made else text, role))
        return replace(put, sources=tuple(pinned))

    def transact(self, asked: Transaction, key: str | None = None, *, uploads: bool) -> list[tuple[Made, bool]]:
        """The answers of its puts, which are done one after the other, and then its pointers; after a refusal nothing was done.

        Where it uploads, what can be seen before is told before, and nothing else. One that holds nothing uses up no key.
        """
        if not asked.puts and not asked.aims:
            return []
        puts = [replace(self.pinned(put), by=asked.by) for put in asked.puts]
        if key in self.answers:
            return self.answered(key, asked)
        before = self.order, {folded: line.copy() for folded, line in self.lines.items()}
        steps = [(made, made.steps) for made in self.versions()]
        try:
            answer = self.put_all(puts, uploads=uploads)
            for aim in asked.aims:
                made = self.resolve(aim.name, aim.kind, aim.value)
                if isinstance(aim, Step):
                    self.step(made, aim.state, aim.by)
                else:
                    self.point(aim.name, made.number, aim.word, is_tag=aim.is_tag, expect=aim.expect, by=asked.by)
        except Refused:
            self.order, self.lines = before
            for made, there in steps:
                made.steps = there
            raise
        if key is not None:
            self.answers[key] = asked, answer
        return answer

    def put_all(self, asked: list[Put], *, uploads: bool) -> list[tuple[Made, bool]]:
        """One after the other; at the end it is said which are refused."""
        answer, refused, among = [], {}, []
        for place, put in enumerate(asked):
            among.append(None)
            try:
                answer.append(self.put(put, among=among))
                among[-1] = answer[-1][0]
            except Refused as error:
                refused[place] = error.code
        names = [put.name.lower() for put in asked]
        early = {n: c for n, c in refused.items() if names[n] not in names[:n] and c is not Code.SAME_CONTENT}
        if refused:
            raise Refused(Code.TRANSACTION_REFUSED, early if uploads and early else refused)
        return answer

    def answered(self, key: str, asked: Put | Transaction) -> Any:
        """The answer that the key stands for, whoever asks again."""
        before, answer = self.answers[key]
        _refuse_if(replace(before, by=None) != replace(asked, by=None), Code.IDEMPOTENCY_KEY_REUSED)
        return answer

    def line(self, name: str) -> Line:
        line = self.lines.get(name.lower())
        _refuse_if(line is None or line.name != name, Code.ARTIFACT_NOT_FOUND)
        return line

    def resolve(self, name: str, kind: str, value: Any = None, as_of: Any = None) -> Made:
        """`kind` is latest, number, pointer or digest."""
        line = self.line(name)
        if kind == "pointer":
            moves = [m for m in line.pointers.get(value, []) if as_of is None or m.at <= as_of]
            _refuse_if(not moves or moves[-1].number is None, Code.POINTER_NOT_FOUND)
            return line.versions[moves[-1].number - 1]
        fits = {
            "latest": lambda v: as_of is None or v.at <= as_of,
            "number": lambda v: v.number == value,
            "digest": lambda v: v.digest.hex().startswith(value),
        }[kind]
        found = [v for v in line.versions if fits(v)]
        _refuse_if(not found, Code.VERSION_NOT_FOUND)
        return found[-1]

    def by_id(self, identity: Any) -> Made:
        found = [v for v in self.versions() if v.id == identity]
        _refuse_if(not found, Code.VERSION_NOT_FOUND)
        return found[0]

    def point(
        self, name: str, number: int | None, word: str, *, is_tag: bool, expect: int | None, by: str | None = None
    ) -> tuple[Move, bool]:
        """The move, and whether it is a new one. Without a number the alias is removed."""
        moves = self.line(name).pointers.get(word, [])
        if moves:
            last = moves[-1]
            _refuse_if(last.is_tag != is_tag, Code.POINTER_KIND)
            if last.number == number:
                return last, False
            _refuse_if(is_tag, Code.TAG_FROZEN)
        at_now = (moves[-1].number or 0) if moves else 0
        _refuse_if(expect not in (None, at_now), Code.ALIAS_MOVED)
        _refuse_if(not moves and number is None, Code.POINTER_NOT_FOUND)
        move = Move(number, is_tag, by)
        self.line(name).pointers.setdefault(word, []).append(move)
        return move, True

    def step(self, made: Made, state: str, by: str) -> tuple[str, str, str]:
        """The step by which it is in that state."""
        ways = (("draft", "accepted"), ("draft", "obsolete"), ("accepted", "obsolete"))
        _refuse_if((made.state, state) not in ways and made.state != state, Code.BAD_TRANSITION)
        if made.state != state:
            made.steps += ((made.state, state, by),)
        return made.steps[-1]

    def newer(self, made: Made, name: str, number: int) -> int | None:
        """The newest accepted version after a source of this one; None for a source of the same name."""
        if name == made.name:
            return None
        accepted = [v.number for v in self.line(name).versions[number:] if v.state == "accepted"]
        return accepted[-1] if accepted else None

    def versions(self) -> list[Made]:
        """All of them, newest first."""
        return sorted((v for line in self.lines.values() for v in line.versions), key=lambda v: -v.order)

    def heads(
        self,
        type: str | None = None,  # noqa: A002 - the field's word
        label: dict[str, str] | None = None,
        metadata: dict[str, Any] | None = None,
        state: str | None = None,
        name_prefix: str = "",
    ) -> list[Made]:
        heads = (line.versions[-1] for line in self.lines.values())
        fitting = (v for v in heads if type in (None, v.type) and state in (None, v.state))
        fitting = (v for v in fitting if _contains(v.labels, label or {}) and _contains(v.metadata, metadata or {}))
        return sorted((v for v in fitting if v.name.startswith(name_prefix)), key=lambda v: -v.order)

    def where_used(self, data: bytes) -> list[Made]:
        return [v for v in self.versions() if any(data == stored for stored, _ in v.parts.values())]

    def usage(self) -> dict[str, int]:
        stored = [data for v in self.versions() for data, _ in v.parts.values()]
        return {
            "artifacts": len(self.lines),
            "versions": len(self.versions()),
            "logical_bytes": sum(map(len, stored)),
            "stored_bytes": sum(map(len, set(stored))),
        }


def _says_the_same(put: Put, sources: tuple[tuple[str, int, str], ...] | None, head: Made) -> bool:
    """None is no opinion."""
    same = put.parts == head.parts and put.title in (None, head.title) and put.labels in (None, head.labels)
    return same and put.metadata in (None, head.metadata) and sources in (None, head.sources)


def _meant(put: Put, among: Sequence[Made | None]) -> tuple[tuple[str, int, str], ...] | None:
    """The sources of a pinned put; those that are refused puts of its transaction are left out."""
    if put.sources is None:
        return None
    meant = []
    for text, role in put.sources:
        if text.startswith("put "):
            made = among[int(text[4:])] if int(text[4:]) < len(among) else None
            meant += [(made.name, made.number, role)] if made else []
        else:
            name, number = text.split("@")
            meant.append((name, int(number), role))
    return tuple(meant)


def _contains(whole: Any, part: Any) -> bool:
    """Objects by some of their keys, lists by some of their items."""
    if isinstance(whole, dict) and isinstance(part, dict):
        return all(key in whole and _contains(whole[key], value) for key, value in part.items())
    if isinstance(whole, list) and isinstance(part, list):
        return all(any(_contains(each, item) for each in whole) for item in part)
    return whole == part


def _refuse_if(broken: bool, code: Code) -> None:
    if broken:
        raise Refused(code)
