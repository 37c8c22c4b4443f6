"""What a store is, in plain dicts: the promises of `AsyncTenant` made executable, to compare the real one with.

It has no clock and makes no ids: whoever drives it copies `id`, `digest` and `at` from the real answers.
"""

from __future__ import annotations

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
    parts: dict[str, tuple[bytes, str]]  # role → bytes and media type
    order: int
    id: Any = None
    digest: Any = None
    at: Any = None


@dataclass(slots=True)
class Move:
    """One move of an alias, or the one of a tag."""

    number: int | None
    is_tag: bool
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
    expect: int | None = None
    on_same: str = "reuse"


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
class Transaction:
    """Its puts and pointers, in their order."""

    puts: list[Put]
    aims: list[Aim]


class Tenant:
    """Everything one tenant has."""

    def __init__(self) -> None:
        self.lines: dict[str, Line] = {}  # by the name in lower case: names are unique ignoring case
        self.answers: dict[
            str, tuple[Put | Transaction, Any]
        ] = {}  # by idempotency key: what was asked, and the answer
        self.order = 0

    def put(self, put: Put, key: str | None = None) -> tuple[Made, bool]:
        """The version, and whether it was there already."""
        if key in self.answers:
            return self.answered(key, put)
        line = self.lines.get(put.name.lower()) or Line(put.name, put.type or "document")
        head = line.versions[-1] if line.versions else None
        _refuse_if(line.name != put.name, Code.NAME_CASE)
        _refuse_if(put.type not in (None, line.type), Code.TYPE_MISMATCH)
        _refuse_if(put.expect not in (None, len(line.versions)), Code.HEAD_MOVED)
        reused = head is not None and put.on_same != "new_version" and _says_the_same(put, head)
        _refuse_if(reused and put.on_same == "error", Code.SAME_CONTENT)
        if not reused:
            self.order += 1
            number, labels = len(line.versions) + 1, put.labels or {}
            head = Made(put.name, number, line.type, put.title, labels, put.parts, self.order)
            line.versions.append(head)
            self.lines[put.name.lower()] = line
        if key is not None:
            self.answers[key] = replace(put), (head, reused)
        return head, reused

    def transact(self, asked: Transaction, key: str | None = None, *, uploads: bool) -> list[tuple[Made, bool]]:
        """The answers of its puts, which are done one after the other, and then its pointers; after a refusal nothing was done.

        Where it uploads, what can be seen before is told before, and nothing else. One that holds nothing uses up no key.
        """
        if not asked.puts and not asked.aims:
            return []
        if key in self.answers:
            return self.answered(key, asked)
        before = self.order, {folded: line.copy() for folded, line in self.lines.items()}
        try:
            answer = self.put_all(asked.puts, uploads=uploads)
            for aim in asked.aims:
                number = self.resolve(aim.name, aim.kind, aim.value).number
                self.point(aim.name, number, aim.word, is_tag=aim.is_tag, expect=aim.expect)
        except Refused:
            self.order, self.lines = before
            raise
        if key is not None:
            self.answers[key] = asked, answer
        return answer

    def put_all(self, asked: list[Put], *, uploads: bool) -> list[tuple[Made, bool]]:
        """One after the other; at the end it is said which are refused."""
        answer, refused = [], {}
        for place, put in enumerate(asked):
            try:
                answer.append(self.put(put))
            except Refused as error:
                refused[place] = error.code
        names = [put.name.lower() for put in asked]
        early = {n: c for n, c in refused.items() if names[n] not in names[:n] and c is not Code.SAME_CONTENT}
        if refused:
            raise Refused(Code.TRANSACTION_REFUSED, early if uploads and early else refused)
        return answer

    def answered(self, key: str, asked: Put | Transaction) -> Any:
        """The answer that the key stands for."""
        before, answer = self.answers[key]
        _refuse_if(before != asked, Code.IDEMPOTENCY_KEY_REUSED)
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

    def point(self, name: str, number: int | None, word: str, *, is_tag: bool, expect: int | None) -> tuple[Move, bool]:
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
        move = Move(number, is_tag)
        self.line(name).pointers.setdefault(word, []).append(move)
        return move, True

    def versions(self) -> list[Made]:
        """All of them, newest first."""
        return sorted((v for line in self.lines.values() for v in line.versions), key=lambda v: -v.order)

    def heads(self, artifact_type: str | None, label: dict[str, str], prefix: str) -> list[Made]:
        heads = (line.versions[-1] for line in self.lines.values())
        fitting = (v for v in heads if artifact_type in (None, v.type) and label.items() <= v.labels.items())
        return sorted((v for v in fitting if v.name.startswith(prefix)), key=lambda v: -v.order)

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


def _says_the_same(put: Put, head: Made) -> bool:
    """None is no opinion."""
    return put.parts == head.parts and put.title in (None, head.title) and put.labels in (None, head.labels)


def _refuse_if(broken: bool, code: Code) -> None:
    if broken:
        raise Refused(code)
