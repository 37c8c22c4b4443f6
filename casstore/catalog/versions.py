"""Finding versions in the catalog."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from casstore.catalog import faults
from casstore.catalog.arrays import Bigints, Texts
from casstore.catalog.companions import Companions
from casstore.catalog.connection import Catalog
from casstore.catalog.rows import SEQ, cursor_of, parse_cursor, version_of
from casstore.errors import CasstoreError
from casstore.model import Digest, Page, Shared, State, Usage, Version
from casstore.refs import Ref, Selector

__all__ = [
    "find",
    "find_many",
    "heads",
    "history",
    "reference_arguments",
    "resolve",
    "same_pixels",
    "selector_arguments",
    "shared",
    "usage",
    "where_used",
]


# The domain is that of the tenant which the function has entered: readers know by it how to verify.
_RESOLVE: Final = (
    "select current_setting('casstore.domain', true), r.* from casstore.resolve(%s, %s, %s, %s::int, %s, %s) r"
)
_RESOLVE_ID: Final = "select current_setting('casstore.domain', true), r.* from casstore.resolve_id(%s, %s) r"


_RESOLVE_MANY: Final = (
    "select r.refused, r.refusal, current_setting('casstore.domain', true), (r.version).*"
    " from casstore.resolve_many(%s, %s, %s, %s, %s, %s::timestamptz[]) r"
)
_Question: TypeAlias = tuple[str, Ref]  # a tenant and its reference
_Found: TypeAlias = tuple[Version, Digest | None]


async def find(catalog: Catalog, tenant: str, ref: Ref) -> _Found:
    """The version a reference means, and the check value of the domain its digests are made in. One round trip at most.

    References of one tenant that are asked for at the same time share it, and nothing else: each has its own answer or error.

    Raises:
        NotFound: artifact_not_found, version_not_found, pointer_not_found: also for what is another tenant's.
        Conflict: A digest prefix fits several contents (ambiguous_digest).
    """
    companions: Companions[_Question, _Found] = catalog.companions(find_many)
    return await companions.ask(tenant, (tenant, ref))


async def find_many(catalog: Catalog, questions: Sequence[_Question]) -> list[_Found | CasstoreError]:
    """What references of one tenant mean: an answer or error for each, in their order. One round trip."""
    tenant, ref = questions[0]
    if len(questions) == 1:
        return [await _find_alone(catalog, tenant, ref)]
    asked = {reference_arguments(ref): None for _, ref in questions}  # equal ones are one question
    names, kinds, numbers, texts, instants = zip(*asked, strict=True)
    arguments = (tenant, Texts(names), Texts(kinds), Bigints(numbers), Texts(texts))
    rows = await catalog.call(_RESOLVE_MANY, (*arguments, list(instants) if any(instants) else None))
    told = dict(zip(asked, (row[:2] if row[0] else _found(row[2:]) for row in rows), strict=True))
    answers = (told[reference_arguments(ref)] for _, ref in questions)
    return [each if isinstance(each[0], Version) else faults.refusal(each[0], dict(each[1])) for each in answers]


async def _find_alone(catalog: Catalog, tenant: str, ref: Ref) -> _Found:
    if ref.id is not None:
        return _found(await catalog.one(_RESOLVE_ID, (tenant, ref.id)))
    return _found(await catalog.one(_RESOLVE, (tenant, ref.name, *selector_arguments(ref.selector))))


def _found(row: Sequence[Any]) -> _Found:
    domain, *version = row
    return version_of(version), Digest(bytes.fromhex(domain)) if domain else None


async def resolve(catalog: Catalog, tenant: str, ref: Ref) -> Version:
    """The version alone."""
    return (await find(catalog, tenant, ref))[0]


def reference_arguments(ref: Ref) -> tuple[Any, ...]:
    """A name and a selector, or an id, as the catalog's functions take them."""
    return (None, "id", None, str(ref.id), None) if ref.id else (ref.name, *selector_arguments(ref.selector))


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
    "select (h.version).*, h.until"
    " from casstore.heads(%s, %s, %s::jsonb, %s::jsonb, %s, %s, %s::bigint, %s::bigint, %s::int) h"
)


async def heads(
    catalog: Catalog,
    tenant: str,
    *,
    type: str | None,  # noqa: A002 - the field's word
    labels: Mapping[str, str] | None,
    metadata: str | None,
    state: State | None,
    name_prefix: str | None,
    cursor: str | None,
    limit: int,
) -> Page[Version]:
    """The head of each artifact, most recently made first, as it was when the first page was read."""
    before, until = parse_cursor("heads", cursor, 2)
    wanted = json.dumps(dict(labels)) if labels else None
    contained = metadata if metadata != "{}" else None  # the empty object is contained in every other, also in none
    asked = (tenant, type, wanted, contained, state, name_prefix or None, before, until, limit + 1)
    rows = await catalog.call(_HEADS, asked)
    return _page(rows, limit, lambda row: cursor_of("heads", row[SEQ], row[-1]))


_WHERE_USED: Final = "select * from casstore.where_used(%s, %s, %s, %s::bigint, %s::int)"


async def where_used(
    catalog: Catalog, tenant: str, low: bytes, high: bytes, *, cursor: str | None, limit: int
) -> Page[Version]:
    """Versions with a component, or a manifest, whose digest lies between two bounds; newest first."""
    (before,) = parse_cursor("where_used", cursor, 1)
    rows = await catalog.call(_WHERE_USED, (tenant, low, high, before, limit + 1))
    return _page(rows, limit, lambda row: cursor_of("where_used", row[SEQ]))


_SAME_PIXELS: Final = "select * from casstore.same_pixels(%s, %s, %s::bigint, %s::int)"


async def same_pixels(
    catalog: Catalog, tenant: str, pixels: Digest, *, cursor: str | None, limit: int
) -> Page[Version]:
    """Versions with a component that shows this picture, however it is encoded; newest first."""
    (before,) = parse_cursor("same_pixels", cursor, 1)
    rows = await catalog.call(_SAME_PIXELS, (tenant, bytes(pixels), before, limit + 1))
    return _page(rows, limit, lambda row: cursor_of("same_pixels", row[SEQ]))


_SHARED: Final = "select * from casstore.shared(%s, %s::int)"


async def shared(catalog: Catalog, tenant: str, limit: int) -> tuple[Shared, ...]:
    """The contents that several components are, those first that save the most bytes."""
    return tuple(
        Shared(
            digest=Digest(digest),
            size_bytes=size,
            media_type=media_type,
            uses=uses,
            saved_bytes=saved,
            pixels=None if pixels is None else Digest(pixels),
            names=tuple(names),
        )
        for digest, size, media_type, uses, saved, pixels, names in await catalog.call(_SHARED, (tenant, limit))
    )


_USAGE: Final = "select * from casstore.usage(%s)"


async def usage(catalog: Catalog, tenant: str) -> Usage:
    """What the tenant has stored."""
    artifacts, versions, logical_bytes, stored_bytes = await catalog.one(_USAGE, (tenant,))
    return Usage(artifacts=artifacts, versions=versions, logical_bytes=logical_bytes, stored_bytes=stored_bytes)


def _page(rows: list[tuple[Any, ...]], limit: int, cursor: Any) -> Page[Version]:
    items = tuple(version_of(row) for row in rows[:limit])
    return Page[Version](items=items, cursor=cursor(rows[limit - 1]) if len(rows) > limit else None)
