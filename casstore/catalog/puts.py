"""Putting versions into the catalog: many callers' puts in one call, or a transaction of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias
from uuid import UUID

from casstore import limits
from casstore.catalog import faults
from casstore.catalog.arrays import Bigints, Byteas, Texts, Uuids
from casstore.catalog.coalescing import Coalescer
from casstore.catalog.connection import Catalog
from casstore.catalog.rows import components_of, relations_of
from casstore.catalog.versions import reference_arguments, selector_arguments
from casstore.errors import CasstoreError
from casstore.formats.meanings import depth_of_parts
from casstore.model import Component, Depth, Digest, Manifest, PutOptions, SourceLink, State, Stored
from casstore.refs import Ref, Selector
from casstore.staging import Staged

__all__ = [
    "Missing",
    "Move",
    "PutRequest",
    "Step",
    "TransactionRequest",
    "Upload",
    "find_answer",
    "put_transaction",
    "put_version",
]


@dataclass(frozen=True, slots=True)
class PutRequest:
    """One put, checked and staged: all that a repeated call needs."""

    tenant: str
    name: str
    type: str | None  # whose kind has looked at the components; None where the caller named none
    kinds: Sequence[str]  # types with a kind: an artifact of one of them takes no put that named no type
    id: UUID
    manifest: Manifest
    blobs: Mapping[Digest, Staged]
    options: PutOptions
    fingerprint: Digest
    domain: Digest | None = None  # the check value of the isolation domain that the digests are made in


@dataclass(frozen=True, slots=True)
class Move:
    """An alias or tag, and the version it is to point at; in a transaction, when all its puts are made."""

    name: str
    target: Selector
    pointer: str
    is_tag: bool
    expect: int | None


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a version in its lifecycle, who takes it and why; in a transaction, when all its puts are made."""

    target: Ref
    state: State
    by: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class TransactionRequest:
    """Puts and moves that are made together or not at all, under one idempotency key."""

    key: str
    fingerprint: Digest
    tenant: str
    kinds: Sequence[str]
    puts: Sequence[PutRequest]
    moves: Sequence[Move | Step]
    by: str | None = None  # of the puts and pointers

    @property
    def domain(self) -> Digest | None:
        """Of the puts, which are all hashed in the same."""
        return next((put.domain for put in self.puts), None)


@dataclass(frozen=True, slots=True)
class Missing:
    """A blob to be uploaded, the ticket it is uploaded under, and a generation that does not count."""

    digest: Digest
    ticket: int
    dead: int | None


@dataclass(frozen=True, slots=True)
class Upload:
    """A blob that was uploaded under a ticket, and the generation it got."""

    ticket: int
    generation: int


_Question: TypeAlias = tuple[PutRequest, Mapping[Digest, Upload]]
_Answer: TypeAlias = "Stored | list[Missing]"


async def put_version(catalog: Catalog, request: PutRequest, uploads: Mapping[Digest, Upload]) -> _Answer:
    """Make the version, or say which of its blobs have to be uploaded first. One round trip; its commit is the commit point.

    Puts of one tenant that are asked for at the same time share the round trip, and nothing else: each has its own answer or error.

    Raises:
        Conflict: head_moved, name_case, type_mismatch, same_content, idempotency_key_reused. Nothing has changed.
    """
    coalescer: Coalescer[_Question, _Answer] = catalog.coalescer(put_versions, _idempotency_key)
    # First calls wait for no disk, second ones do: they go apart.
    return await coalescer.ask((request.tenant, request.domain, bool(uploads)), (request, uploads))


def _idempotency_key(question: _Question) -> str | None:
    return question[0].options.idempotency_key


_PUT: Final = """
select * from casstore.put_versions(%s, %s, %s, %s, %s, %s, %s, %s::jsonb[], %s::jsonb[], %s::jsonb[], %s, %s, %s, %s, %s, %s,
  %s, %s, %s, %s::bytea[], %s::bigint[], %s::bigint[], %s, %s, %s, %s::bigint[], %s::bigint[], %s, %s, %s, false, '{}', %s,
  %s::bytea[], %s::bytea[], %s::bigint[], %s)
"""


async def put_versions(catalog: Catalog, questions: Sequence[_Question]) -> list[_Answer | CasstoreError]:
    """Make versions of one tenant in one database transaction, each on its own: an answer or error for each, in their order."""
    rows = await catalog.call(_PUT, arguments(questions, again=False), lambda: arguments(questions, again=True))
    return [_answer(request, row) for (request, _), row in zip(questions, rows, strict=True)]


_TRANSACT: Final = """
select * from casstore.put_transaction(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s::jsonb[], %s::jsonb[], %s::jsonb[], %s, %s, %s,
  %s, %s, %s, %s, %s::bytea[], %s::bigint[], %s::bigint[], %s, %s, %s, %s::bigint[], %s::bigint[], %s, %s,
  %s, %s, %s, %s, %s::timestamptz[], %s, %s::boolean[], %s, %s, %s, %s, %s,
  %s::bytea[], %s::bytea[], %s::bigint[], %s)
"""


async def put_transaction(
    catalog: Catalog, request: TransactionRequest, uploads: Mapping[Digest, Upload]
) -> list[Stored] | list[Missing]:
    """Make all versions and moves of a transaction, or say which blobs have to be uploaded first. One round trip.

    Raises:
        Conflict: transaction_refused, with every put that is; alias_moved, tag_frozen, pointer_kind; idempotency_key_reused.
        NotFound: What a move points at. Nothing has changed.
    """
    rows = await catalog.call(_TRANSACT, _transaction_arguments(request, uploads))
    answers = [_answer(put, row) for put, row in zip(request.puts, rows, strict=True)]
    missing = {each.digest: each for answer in answers if isinstance(answer, list) for each in answer}
    return list(missing.values()) or [answer for answer in answers if isinstance(answer, Stored)]


_MADE: Final = 5  # from there on a `casstore.put_answer` tells the version
_ANSWER_TO: Final = "select * from casstore.answer_to(%s, %s, %s)"


async def find_answer(catalog: Catalog, tenant: str, key: str, fingerprint: Digest) -> Stored | None:
    """What was put under an idempotency key; None where nothing was. One round trip.

    Raises:
        Conflict: The key stands for another request (idempotency_key_reused).
    """
    for row in await catalog.call(_ANSWER_TO, (tenant, key, bytes(fingerprint))):
        *_, refused, detail = row[:_MADE]
        if refused is not None:
            raise faults.refusal(refused, detail)
        return _stored(row[_MADE:], ())
    return None


def _answer(request: PutRequest, row: Sequence[Any]) -> _Answer | CasstoreError:
    missing, tickets, dead, refused, detail = row[:_MADE]
    if missing is not None:
        return [Missing(Digest(d), t, g) for d, t, g in zip(missing, tickets, dead, strict=True)]
    if refused is not None:
        return faults.refusal(refused, detail)
    if row[_MADE] is None:  # of a transaction that waits for other puts' bytes
        return []
    return _stored(row[_MADE:], request.manifest.components)


def _stored(made: Sequence[Any], put: Sequence[Component]) -> Stored:
    """The version that answers a put of these components; `()` where it is not known what was put."""
    identity, name, number, kind, title, labels, metadata, manifest, relations, created_at, actor, state, *told = made
    expires_at, reused, new_bytes, repeated, others = told
    components = put if others is None else components_of(others)
    return Stored.model_construct(
        id=identity,
        name=name,
        number=number,
        type=kind,
        title=title,
        labels=labels or {},
        metadata=metadata or {},
        digest=Digest(manifest),
        components=tuple(components),
        relations=relations_of(relations),  # not the request's: an earlier call may have known the type
        created_at=created_at,
        by=actor,
        state=state,
        expires_at=expires_at,
        reused=reused,
        new_bytes=new_bytes,
        repeated=repeated,
        differs=_difference(put, components) if put else "same",
    )


def _difference(put: Sequence[Component], found: Sequence[Component]) -> Depth | None:
    if put is found:
        return "same"
    return depth_of_parts(put, found) if found else None  # what was purged has no components


def arguments(questions: Sequence[_Question], *, again: bool) -> Sequence[Any]:
    """The parameters of `casstore.put_versions`, in its order."""
    requests = [request for request, _ in questions]
    uploads = {digest: upload for _, made in questions for digest, upload in made.items()}
    return (
        requests[0].tenant,
        *_of_versions(requests),
        Texts(request.options.idempotency_key for request in requests),
        Byteas(request.fingerprint for request in requests),
        *_of_contents(requests, uploads),
        Texts(requests[0].kinds),
        again,
        _bytes_of(requests[0].domain),
        *_of_meanings(requests),
        _ttls(requests),
        Texts(request.options.by for request in requests) if any(request.options.by for request in requests) else None,
    )


def _transaction_arguments(request: TransactionRequest, uploads: Mapping[Digest, Upload]) -> Sequence[Any]:
    targets = [_target(move) for move in request.moves]
    instants: list[datetime | None] = [as_of for *_, as_of in targets]
    pointers = [move if isinstance(move, Move) else None for move in request.moves]
    steps = [move if isinstance(move, Step) else None for move in request.moves]
    return (
        *(request.tenant, request.key, request.fingerprint),
        *_of_versions(request.puts),
        *_of_contents(request.puts, uploads),
        Texts(request.kinds),
        Texts(name for name, *_ in targets),
        Texts(kind for _, kind, *_ in targets),
        Bigints(number for _, _, number, *_ in targets),
        Texts(text for *_, text, _ in targets),
        instants,
        Texts(move.pointer if move else None for move in pointers),
        [move and move.is_tag for move in pointers],
        Bigints(move.expect if move else None for move in pointers),
        Texts(step.state if step else None for step in steps),
        Texts(step.by if step else None for step in steps),
        Texts(step.reason if step else None for step in steps),
        _bytes_of(request.domain),
        *_of_meanings(request.puts),
        _ttls(request.puts),
        request.by,
    )


def _bytes_of(digest: Digest | None) -> bytes | None:
    return None if digest is None else bytes(digest)


def _target(move: Move | Step) -> tuple[Any, ...]:
    return (move.name, *selector_arguments(move.target)) if isinstance(move, Move) else reference_arguments(move.target)


def _of_versions(requests: Sequence[PutRequest]) -> tuple[Any, ...]:
    """What there is one of for each put: its name and what follows it, up to on_same."""
    labels = (request.options.labels for request in requests)
    return (
        Texts(request.name for request in requests),
        Texts(request.type for request in requests),
        Uuids(request.id for request in requests),
        Byteas(request.manifest.digest for request in requests),
        Texts("\n".join(map(str, request.manifest.relations)) or None for request in requests),
        Texts(request.options.title for request in requests),
        Texts(None if each is None else json.dumps(each) for each in labels),
        Texts(request.options.metadata for request in requests),
        Texts(_sources(request.options.sources) for request in requests),
        Bigints(request.options.expect for request in requests),
        Texts(request.options.on_same for request in requests),
    )


def _sources(links: Sequence[SourceLink] | None) -> str | None:
    return None if links is None else json.dumps([[str(link.id), link.role] for link in links])


def _of_contents(requests: Sequence[PutRequest], uploads: Mapping[Digest, Upload]) -> tuple[Any, ...]:
    """What there is one of for each component, and then for each blob, with the lease of those that are to be uploaded."""
    parts = [(place, part) for place, request in enumerate(requests, 1) for part in request.manifest.components]
    blobs = {digest: blob for request in requests for digest, blob in request.blobs.items()}
    made = [uploads.get(digest) for digest in blobs]
    return (
        Bigints(place for place, _ in parts),
        Texts(part.role for _, part in parts),
        Byteas(part.digest for _, part in parts),
        Bigints(part.size_bytes for _, part in parts),
        Texts(part.media_type for _, part in parts),
        *_of_pictures([part for _, part in parts]),
        Byteas(blobs),
        Bigints(blob.size_bytes for blob in blobs.values()),
        Bigints(blob.crc32c for blob in blobs.values()),
        Bigints(upload.ticket if upload else None for upload in made) if uploads else None,
        Bigints(upload.generation if upload else None for upload in made) if uploads else None,
        limits.LEASE,
    )


def _of_pictures(parts: Sequence[Component]) -> tuple[Any, ...]:
    if not any(part.pixels for part in parts):
        return None, None, None
    return (
        Byteas(part.pixels for part in parts),
        Bigints(part.width for part in parts),
        Bigints(part.height for part in parts),
    )


def _of_meanings(requests: Sequence[PutRequest]) -> tuple[Byteas | None, Byteas | None]:
    parts = [part for request in requests for part in request.manifest.components]
    if not any(part.meaning for part in parts):
        return None, None
    return Byteas(part.meaning for part in parts), Byteas(part.layout for part in parts)


def _ttls(requests: Sequence[PutRequest]) -> Bigints | None:
    """In seconds."""
    if not any(request.options.ttl for request in requests):
        return None
    return Bigints(int(ttl.total_seconds()) if (ttl := request.options.ttl) else None for request in requests)
