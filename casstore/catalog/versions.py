"""Putting versions into the catalog and finding them again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from casstore import limits
from casstore.catalog.arrays import Bigints, Byteas, Texts
from casstore.catalog.connection import Catalog
from casstore.catalog.rows import cursor_of, parse_cursor, version_of
from casstore.model import Digest, Manifest, Page, PutOptions, Stored, Usage, Version
from casstore.refs import Ref, Selector
from casstore.staging import Staged

__all__ = ["Missing", "PutRequest", "Upload", "heads", "history", "put_version", "resolve", "usage", "where_used"]


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


_PUT: Final = """
select * from casstore.put_version(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s::bigint[], %s::bigint[], %s, %s,
  %s::jsonb, %s::int, %s, %s, %s, %s)
"""


async def put_version(
    catalog: Catalog, request: PutRequest, uploads: Mapping[Digest, Upload]
) -> Stored | list[Missing]:
    """Make the version, or say which of its blobs have to be uploaded first. One round trip; its commit is the commit point.

    Raises:
        Conflict: head_moved, name_case, type_mismatch, same_content, idempotency_key_reused. Nothing has changed.
    """
    row = await catalog.one(_PUT, _arguments(request, uploads, again=False), _arguments(request, uploads, again=True))
    missing, tickets, dead, identity, name, number, kind, title, labels, manifest, created_at, *novelty = row
    if missing is not None:
        return [Missing(Digest(d), t, g) for d, t, g in zip(missing, tickets, dead, strict=True)]
    reused, new_bytes, repeated = novelty
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


def _arguments(request: PutRequest, uploads: Mapping[Digest, Upload], *, again: bool) -> Sequence[Any]:
    options, parts = request.options, request.manifest.components
    blobs = list(request.blobs.values())
    made = [uploads.get(blob.digest) for blob in blobs]
    return (
        request.tenant,
        request.name,
        options.type,
        request.id,
        request.manifest.digest,
        Texts(part.role for part in parts),
        Byteas(part.digest for part in parts),
        Bigints(part.size_bytes for part in parts),
        Texts(part.media_type for part in parts),
        Byteas(blob.digest for blob in blobs),
        Bigints(blob.size_bytes for blob in blobs),
        Bigints(blob.crc32c for blob in blobs),
        Bigints(upload.ticket if upload else None for upload in made) if uploads else None,
        Bigints(upload.generation if upload else None for upload in made) if uploads else None,
        limits.LEASE,
        options.title,
        None if options.labels is None else json.dumps(options.labels),
        options.expect,
        options.on_same,
        options.idempotency_key,
        request.fingerprint,
        again,
    )


_RESOLVE: Final = "select * from casstore.resolve(%s, %s, %s, %s::int, %s, %s)"
_RESOLVE_ID: Final = "select * from casstore.resolve_id(%s, %s)"


async def resolve(catalog: Catalog, tenant: str, ref: Ref) -> Version:
    """The version a reference means. One round trip.

    Raises:
        NotFound: artifact_not_found, version_not_found, pointer_not_found: also for what is another tenant's.
        Conflict: A digest prefix fits several contents (ambiguous_digest).
    """
    if ref.id is not None:
        return version_of(await catalog.one(_RESOLVE_ID, (tenant, ref.id)))
    return version_of(await catalog.one(_RESOLVE, (tenant, ref.name, *selector_arguments(ref.selector))))


def selector_arguments(selector: Selector) -> tuple[Any, ...]:
    """A selector as the catalog's functions take it."""
    return selector.kind, selector.number, selector.text, selector.as_of


_HISTORY: Final = "select * from casstore.history(%s, %s, %s::int, %s::int)"


async def history(catalog: Catalog, tenant: str, name: str, cursor: str | None, limit: int) -> Page[Version]:
    """Versions of a name, newest first."""
    (before,) = parse_cursor("history", cursor, 1)
    rows = await catalog.call(_HISTORY, (tenant, name, before, limit + 1))
    return _page(rows, limit, lambda row: cursor_of("history", row[2]))


_HEADS: Final = (
    "select (h.version).*, h.until from casstore.heads(%s, %s, %s::jsonb, %s, %s::bigint, %s::bigint, %s::int) h"
)


async def heads(
    catalog: Catalog,
    tenant: str,
    *,
    type: str | None,  # noqa: A002 - the field's word
    labels: Mapping[str, str] | None,
    name_prefix: str | None,
    cursor: str | None,
    limit: int,
) -> Page[Version]:
    """The head of each artifact, most recently made first, as it was when the first page was read."""
    before, until = parse_cursor("heads", cursor, 2)
    wanted = json.dumps(dict(labels)) if labels else None
    rows = await catalog.call(_HEADS, (tenant, type, wanted, name_prefix or None, before, until, limit + 1))
    return _page(rows, limit, lambda row: cursor_of("heads", row[12], row[-1]))


_WHERE_USED: Final = "select * from casstore.where_used(%s, %s, %s, %s::bigint, %s::int)"


async def where_used(
    catalog: Catalog, tenant: str, low: bytes, high: bytes, *, cursor: str | None, limit: int
) -> Page[Version]:
    """Versions with a component, or a manifest, whose digest lies between two bounds; newest first."""
    (before,) = parse_cursor("where_used", cursor, 1)
    rows = await catalog.call(_WHERE_USED, (tenant, low, high, before, limit + 1))
    return _page(rows, limit, lambda row: cursor_of("where_used", row[12]))


_USAGE: Final = "select * from casstore.usage(%s)"


async def usage(catalog: Catalog, tenant: str) -> Usage:
    """What the tenant has stored."""
    artifacts, versions, logical_bytes, stored_bytes = await catalog.one(_USAGE, (tenant,))
    return Usage(artifacts=artifacts, versions=versions, logical_bytes=logical_bytes, stored_bytes=stored_bytes)


def _page(rows: list[tuple[Any, ...]], limit: int, cursor: Any) -> Page[Version]:
    items = tuple(version_of(row) for row in rows[:limit])
    return Page[Version](items=items, cursor=cursor(rows[limit - 1]) if len(rows) > limit else None)
