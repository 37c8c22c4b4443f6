"""Hybrid embeddings: two sides, `structured` and `unstructured`, and a map whose references point into them.

A side is an array of rows (.npy, or a JSON array), or JSON `documents` whose `chunks` each name their `row` on the other side.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any, Final, NamedTuple, TypeAlias

from casstore.kinds.kind import Fault, Parts, parsed, pointer
from casstore.kinds.npy import rows_of
from casstore.kinds.pieces import Piece

__all__ = ["CORRELATION_MAP", "SIDES", "STRUCTURED", "UNSTRUCTURED", "faults_of"]

STRUCTURED: Final = "structured"
UNSTRUCTURED: Final = "unstructured"
CORRELATION_MAP: Final = "correlation_map"
SIDES: Final = (STRUCTURED, UNSTRUCTURED)

Place: TypeAlias = "tuple[Place, str | int] | None"  # linked, so that a step deeper costs the same at any depth


class Side(NamedTuple):
    """What can be pointed at on one side; None where that cannot be told."""

    role: str
    rows: range | frozenset[int] | None = None  # counted, or named by chunks
    documents: frozenset[str] | None = None
    chunk_rows: tuple[tuple[str, Any], ...] = ()  # place and value of each reference to the other side


class Reference(NamedTuple):
    """What a place in the map points at: a row of `sides`, a document, or how many rows there are."""

    place: str
    what: str
    value: Any
    sides: tuple[str, ...]


def faults_of(parts: Parts) -> Iterator[Fault]:
    """References of the map, and of one side, that point to nothing in the other parts."""
    sides: dict[str, Side] = {}
    for role in SIDES:
        sides[role] = (yield from _side(parts[role])) if role in parts else Side(role)
    for role, other in (SIDES, SIDES[::-1]):
        for place, row in sides[role].chunk_rows:
            if message := _row_fault(row, sides[other]):
                yield Fault(role, place, message)
    if CORRELATION_MAP in parts:
        content = yield from parsed(parts[CORRELATION_MAP])
        for reference in _references(content):
            for message in _messages(reference, sides):
                yield Fault(CORRELATION_MAP, reference.place, message)


# -- the two sides ---------------------------------------------------------------------------------------------------------


def _side(piece: Piece) -> Generator[Fault, None, Side]:
    if not piece.is_json:
        count = yield from rows_of(piece)
        return Side(piece.role, None if count is None else range(count))
    match (yield from parsed(piece)):
        case list() as rows:
            return Side(piece.role, range(len(rows)))
        case {"documents": list() as documents}:
            return _described(piece.role, documents)
    return Side(piece.role)


def _described(role: str, documents: list[Any]) -> Side:
    ids, chunk_rows = set(), []
    for index, document in enumerate(documents):
        match document:
            case {"id": str() as identity}:
                ids.add(identity)
        match document:
            case {"chunks": list() as chunks}:
                for at, chunk in enumerate(chunks):
                    if isinstance(chunk, dict) and "row" in chunk:
                        chunk_rows.append((pointer("documents", index, "chunks", at, "row"), chunk["row"]))
    rows = frozenset(row for _, row in chunk_rows if _is_row(row))
    return Side(role, rows if chunk_rows else None, frozenset(ids), tuple(chunk_rows))


def _is_row(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


# -- the map ---------------------------------------------------------------------------------------------------------------


def _references(content: Any) -> Iterator[Reference]:
    """Every reference in the map, in its own order; without recursion, so that any depth will do.

    `row` is a row of both sides, and below `structured` or `unstructured` of that side alone; integers there are rows, too.
    """
    todo: list[tuple[Any, Place, tuple[str, ...]]] = [(content, None, SIDES)]
    while todo:
        value, place, sides = todo.pop()
        children = list(
            value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        )
        todo.extend((child, (place, step), (step,) if step in SIDES else sides) for step, child in reversed(children))
        key = _key(place)
        if isinstance(value, dict | list):
            continue
        if key == "row" or (key in SIDES and _is_row(value)):
            yield Reference(_pointer(place), "row", value, sides)
        elif _is_document(place, value):
            yield Reference(_pointer(place), "document", value, SIDES)
        elif place == (None, "rows"):
            yield Reference(_pointer(place), "rows", value, (UNSTRUCTURED,))


def _key(place: Place) -> str | None:
    """The key a value stands under, be it by itself or in a list."""
    while place and isinstance(place[1], int):
        place = place[0]
    return str(place[1]) if place else None


def _is_document(place: Place, value: Any) -> bool:
    """Whether it is the value of `document` anywhere, or of `a` or `b` in a pair of `documents`."""
    if place is None or not isinstance(value, str):
        return False
    pair = place[0] and place[0][0]
    return place[1] == "document" or (place[1] in ("a", "b") and pair == (None, "documents"))


def _pointer(place: Place) -> str:
    steps: list[str | int] = []
    while place:
        place, step = place
        steps.append(step)
    return pointer(*reversed(steps))


def _messages(reference: Reference, sides: dict[str, Side]) -> Iterator[str]:
    aimed = [sides[role] for role in reference.sides]
    if reference.what == "row":
        yield from dict.fromkeys(filter(None, (_row_fault(reference.value, side) for side in aimed)))
    elif reference.what == "document":
        known = [side.documents for side in aimed if side.documents is not None]
        if known and not any(reference.value in documents for documents in known):
            yield f"names the document {reference.value!a:.60}, which is not there"
    elif isinstance(aimed[0].rows, range) and reference.value != len(aimed[0].rows):
        yield f"says {reference.value!a:.60} rows, and {aimed[0].role} has {len(aimed[0].rows)}"


def _row_fault(row: Any, side: Side) -> str | None:
    if not _is_row(row):
        return "is no number of a row"
    if side.rows is None or row in side.rows:
        return None
    has = f"has {len(side.rows)} rows" if isinstance(side.rows, range) else "has no chunk of it"
    return f"points to row {row!a:.60}, and {side.role} {has}"
