"""What fsck, scrub and repair ask of the catalog. It takes the role that owns the schema."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, LiteralString, NamedTuple

from casstore import limits
from casstore.catalog.arrays import Bigints, Byteas
from casstore.catalog.connection import Catalog, Row
from casstore.catalog.puts import Missing, Upload
from casstore.catalog.rows import relations_of
from casstore.errors import Denied
from casstore.model import Component, Digest, Manifest
from casstore.staging import Staged

__all__ = [
    "Believed",
    "Law",
    "Part",
    "Rows",
    "Use",
    "artifacts",
    "blob",
    "coverage",
    "distrust",
    "doubted",
    "ledger",
    "log",
    "mark",
    "owner_only",
    "pin",
    "requests",
    "trust",
    "uses",
    "versions",
]


class Believed(NamedTuple):
    """What the ledger says of a blob; `state` is None where it says nothing."""

    digest: bytes
    size_bytes: int
    crc32c: int
    state: str | None
    incarnation: int
    generation: int | None
    dead: int | None
    state_at: datetime
    needed: int | None  # the size a component says; None where there is none, or for a live blob of `ledger`
    is_leftover: bool  # pending or being deleted for so long that whoever did it is gone
    domain: bytes | None  # the check value of the isolation domain that the digest is made in


class Use(NamedTuple):
    """A component that a blob is, and how many there are."""

    tenant: str
    name: str
    number: int
    role: str
    total: int


@dataclass(frozen=True, slots=True)
class Law:
    """A law of the catalog that an artifact (or a request, by its key) breaks."""

    code: str
    tenant: str
    name: str
    number: int | None  # the first version concerned
    count: int = 1


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows of a walk: the laws broken among them, blobs the ledger does not know, and where to go on (None at the end)."""

    seen: int
    laws: Sequence[Law]
    after: tuple[Any, ...] | None
    unknown: Sequence[Digest] = ()


_LEDGER: Final = "select * from casstore.check_ledger(%s, %s::bytea, %s, %s)"


async def ledger(catalog: Catalog, after: bytes, limit: int, before: bytes | None = None) -> list[Believed]:
    """Up to `limit` rows of the ledger in the order of digests."""
    rows = await owner_only(catalog, _LEDGER, (after, before, limit, limits.LEFTOVER))
    return list(map(Believed._make, rows))


_BLOB: Final = "select * from casstore.check_blob(%s, %s)"


async def blob(catalog: Catalog, digest: Digest) -> Believed:
    """What the ledger says of one blob now."""
    (row,) = await owner_only(catalog, _BLOB, (bytes(digest), limits.LEFTOVER))
    return Believed._make(row)


_DOUBTED: Final = "select * from casstore.check_doubted(%s, %s)"


async def doubted(catalog: Catalog, after: bytes) -> list[Digest]:
    """Some blobs, in order, that versions need and that are not known good."""
    return [Digest(row[0]) for row in await owner_only(catalog, _DOUBTED, (after, limits.PAGE_MAX))]


_USES: Final = "select * from casstore.check_uses(%s, %s)"


async def uses(catalog: Catalog, digest: Digest) -> list[Use]:
    """The first components that a blob is, of all tenants."""
    return [Use._make(row) for row in await owner_only(catalog, _USES, (bytes(digest), limits.CHECK_USES))]


_ARTIFACTS: Final = "select * from casstore.check_artifacts(%s, %s)"


async def artifacts(catalog: Catalog, after: tuple[int]) -> Rows:
    """The laws of the artifacts after a key that tables alone can tell."""
    ((seen, last, broken),) = await owner_only(catalog, _ARTIFACTS, (*after, limits.CHECK_ARTIFACTS))
    return Rows(seen, _laws(broken), None if last is None else (last,))


_LOG: Final = "select * from casstore.check_log(%s, %s)"


async def log(catalog: Catalog, after: tuple[int]) -> Rows:
    """Where versions and log disagree, for the artifacts after a key."""
    ((last, broken),) = await owner_only(catalog, _LOG, (*after, limits.CHECK_LOG_ARTIFACTS))
    return Rows(0, _laws(broken), None if last is None else (last,))


_VERSIONS: Final = "select * from casstore.check_versions(%s, %s, %s)"


async def versions(catalog: Catalog, after: tuple[int, int]) -> Rows:
    """Versions after an artifact and number whose components do not hash to their manifest, are none, or of another domain."""
    rows = await owner_only(catalog, _VERSIONS, (*after, limits.CHECK_VERSIONS))
    laws = [Law("manifest_wrong", row[2], row[3], row[1]) for row in rows if not _is_whole(row)]
    laws += [Law("domain_wrong", row[2], row[3], row[1]) for row in rows if row[12]]
    unknown = {Digest(digest): None for row in rows for digest in row[11] or ()}
    return Rows(len(rows), laws, (rows[-1][0], rows[-1][1]) if rows else None, list(unknown))


def _is_whole(row: Row) -> bool:
    manifest, relations, is_purged, roles, digests, sizes, media_types = row[4:11]
    erased = row[13]
    if is_purged or not (roles or erased):  # of a purged version nothing but the digest is left
        return bool(is_purged) and not roles
    if erased:  # nobody can tell any more what its digest is of
        return not set(roles) & set(erased)
    parts = {
        role: Component.model_construct(role=role, digest=digest, size_bytes=size, media_type=media_type)
        for role, digest, size, media_type in zip(roles, digests, sizes, media_types, strict=True)
    }
    return Manifest.build(parts, relations_of(relations)).digest == bytes(manifest)


_REQUESTS: Final = "select * from casstore.check_requests(%s, %s, %s)"


async def requests(catalog: Catalog, after: tuple[int, str]) -> Rows:
    """Idempotency keys after one that stand for versions that are not there."""
    rows = await owner_only(catalog, _REQUESTS, (*after, limits.CHECK_VERSIONS))
    laws = [Law("request_dangling", tenant, key, None) for _, key, tenant, is_broken in rows if is_broken]
    return Rows(len(rows), laws, tuple(rows[-1][:2]) if rows else None)


def _laws(broken: list[dict[str, Any]]) -> list[Law]:
    return [Law(**{**each, "tenant": each["tenant"] or "?"}) for each in broken]


_TRUST: Final = "select casstore.trust_blob(%s, %s::bigint, %s, %s::bigint, %s::bigint, %s::bigint)"


async def trust(catalog: Catalog, seen: Believed, size_bytes: int, crc32c: int, generation: int) -> bool:
    """Believe that a blob is good under a generation that was read; False where the row is no longer as it was seen."""
    asked = (seen.digest, seen.incarnation, seen.state_at, size_bytes, crc32c, generation)
    return bool((await owner_only(catalog, _TRUST, asked))[0][0])


_DISTRUST: Final = "select casstore.distrust_blob(%s, %s::bigint, %s, %s::bigint)"


async def distrust(catalog: Catalog, seen: Believed, bad_generation: int | None) -> bool:
    """Take back the belief that a blob is good; False where the row is no longer as it was seen."""
    asked = (seen.digest, seen.incarnation, seen.state_at, bad_generation)
    return bool((await owner_only(catalog, _DISTRUST, asked))[0][0])


_PIN: Final = "select missing, tickets, dead from casstore.pin_blobs(%s, %s, %s, %s::bigint[], %s::bigint[], %s, %s)"


async def pin(catalog: Catalog, staged: Staged, upload: Upload | None) -> Missing | None:
    """As a put does it for one blob: reserve it, or with `upload` settle it. None when it is live."""
    ticket, generation = ([upload.ticket], [upload.generation]) if upload else (None, None)
    known = (Byteas([staged.digest]), Bigints([staged.size_bytes]), Bigints([staged.crc32c]))
    asked = (*known, ticket, generation, limits.LEASE, bytes(staged.domain.check) if staged.domain else None)
    ((missing, tickets, dead),) = await owner_only(catalog, _PIN, asked)
    return Missing(staged.digest, tickets[0], dead[0]) if missing else None


class Part(NamedTuple):
    """A 256th of the store: the digests that begin with one byte, and when they were read."""

    number: int
    began_at: datetime | None
    after: bytes | None
    read_at: datetime | None
    seen_at: datetime


_COVERAGE: Final = "select * from casstore.scrub_coverage()"


async def coverage(catalog: Catalog) -> list[Part]:
    """When each part was read."""
    return [Part._make(row) for row in await owner_only(catalog, _COVERAGE, ())]


_MARK: Final = "select casstore.scrub_mark(%s, %s::bytea, %s)"


async def mark(catalog: Catalog, part: int, after: bytes | None, *, is_done: bool) -> None:
    """Remember how far the reading of a part has come."""
    await owner_only(catalog, _MARK, (part, after, is_done))


async def owner_only(catalog: Catalog, sql: LiteralString, arguments: Sequence[Any]) -> list[Row]:
    """What a function that only the owner may call answers; says so to others."""
    try:
        return await catalog.call(sql, arguments)
    except Denied as error:
        error.hint = (
            "It is about all tenants: connect as the role that owns the schema casstore, not as a service does."
        )
        raise
