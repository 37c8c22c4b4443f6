"""Putting versions into the catalog: many callers' puts in one call."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from uuid import UUID

from casstore import limits
from casstore.catalog import faults
from casstore.catalog.arrays import Bigints, Byteas, Texts, Uuids
from casstore.catalog.coalescing import Coalescer
from casstore.catalog.connection import Catalog
from casstore.errors import CasstoreError
from casstore.model import Digest, Manifest, PutOptions, Stored
from casstore.staging import Staged

__all__ = ["Missing", "PutRequest", "Upload", "put_version"]


@dataclass(frozen=True, slots=True)
class PutRequest:
    """One put, checked and staged: all that a repeated call needs."""

    tenant: str
    name: str
    id: UUID
    manifest: Manifest
    blobs: Mapping[Digest, Staged]
    options: PutOptions
    fingerprint: Digest


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
    return await coalescer.ask((request.tenant, bool(uploads)), (request, uploads))


def _idempotency_key(question: _Question) -> str | None:
    return question[0].options.idempotency_key


_PUT: Final = """
select * from casstore.put_versions(%s, %s, %s, %s, %s, %s, %s::jsonb[], %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s,
  %s::bigint[], %s::bigint[], %s, %s)
"""


async def put_versions(catalog: Catalog, questions: Sequence[_Question]) -> list[_Answer | CasstoreError]:
    """Make versions of one tenant in one transaction, each on its own: an answer or error for each, in their order."""
    rows = await catalog.call(_PUT, arguments(questions, again=False), lambda: arguments(questions, again=True))
    return [_answer(request, row) for (request, _), row in zip(questions, rows, strict=True)]


def _answer(request: PutRequest, row: Sequence[Any]) -> _Answer | CasstoreError:
    missing, tickets, dead, refused, detail, *made = row
    if missing is not None:
        return [Missing(Digest(d), t, g) for d, t, g in zip(missing, tickets, dead, strict=True)]
    if refused is not None:
        return faults.refusal(refused, detail)
    identity, name, number, kind, title, labels, manifest, created_at, reused, new_bytes, repeated = made
    return Stored.model_construct(
        id=identity,
        name=name,
        number=number,
        type=kind,
        title=title,
        labels=labels or {},
        digest=Digest(manifest),
        components=request.manifest.components,
        created_at=created_at,
        reused=reused,
        new_bytes=new_bytes,
        repeated=repeated,
    )


def arguments(questions: Sequence[_Question], *, again: bool) -> Sequence[Any]:
    """The parameters of `casstore.put_versions`, in its order."""
    requests = [request for request, _ in questions]
    parts = [(place, part) for place, request in enumerate(requests, 1) for part in request.manifest.components]
    blobs = {digest: blob for request in requests for digest, blob in request.blobs.items()}
    uploads = {digest: upload for _, made in questions for digest, upload in made.items()}
    made = [uploads.get(digest) for digest in blobs]
    return (
        requests[0].tenant,
        Texts(request.name for request in requests),
        Texts(request.options.type for request in requests),
        Uuids(request.id for request in requests),
        Byteas(request.manifest.digest for request in requests),
        Texts(request.options.title for request in requests),
        Texts(None if request.options.labels is None else json.dumps(request.options.labels) for request in requests),
        Bigints(request.options.expect for request in requests),
        Texts(request.options.on_same for request in requests),
        Texts(request.options.idempotency_key for request in requests),
        Byteas(request.fingerprint for request in requests),
        Bigints(place for place, _ in parts),
        Texts(part.role for _, part in parts),
        Byteas(part.digest for _, part in parts),
        Bigints(part.size_bytes for _, part in parts),
        Texts(part.media_type for _, part in parts),
        Byteas(blobs),
        Bigints(blob.size_bytes for blob in blobs.values()),
        Bigints(blob.crc32c for blob in blobs.values()),
        Bigints(upload.ticket if upload else None for upload in made) if uploads else None,
        Bigints(upload.generation if upload else None for upload in made) if uploads else None,
        limits.LEASE,
        again,
    )
