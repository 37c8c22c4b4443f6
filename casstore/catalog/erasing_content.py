"""Erasing one content from all versions of a tenant."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from casstore import limits
from casstore.catalog.connection import Catalog
from casstore.model import Digest, Impact

__all__ = ["ErasedComponent", "erase", "explain", "salt_of"]


class ErasedComponent(NamedTuple):
    """One component whose content was erased."""

    ref: str  # of its version
    role: str
    size_bytes: int
    at: datetime
    by: str
    reason: str | None
    is_shared: bool  # the tenant is in no isolation domain: others' equal bytes may be the same object


_SALT: Final = "select casstore.erase_salt(%s, %s)"


async def salt_of(catalog: Catalog, tenant: str, digest: Digest) -> bytes:
    """What the digest of this content is hashed with when it is erased: always the same."""
    (salt,) = await catalog.one(_SALT, (tenant, bytes(digest)))
    return bytes(salt)


_ERASE: Final = "select * from casstore.erase_content(%s, %s, %s, %s, %s)"


async def erase(
    catalog: Catalog, tenant: str, digest: Digest, hashed: bytes, why: tuple[str, str | None]
) -> list[ErasedComponent]:
    """Take the content from every version, for ever; all that was erased of it, now or by an earlier call.

    Raises:
        NotFound: No version has it, or had (content_not_found).
        Conflict: One that has it is held (still_used).
    """
    rows: Sequence[Any] = await catalog.call(_ERASE, (tenant, bytes(digest), hashed, *why))
    return [ErasedComponent._make(row) for row in rows]


_EXPLAIN: Final = "select * from casstore.explain_erase(%s, %s, %s)"


async def explain(catalog: Catalog, tenant: str, digest: Digest, hashed: bytes) -> Impact:
    """What `erase` would do now; raises what it would, but for holds."""
    refs, uses, size = await catalog.one(_EXPLAIN, (tenant, bytes(digest), hashed))
    return Impact(
        versions=tuple(refs or ()),
        holds=tuple(uses["holds"]) if uses else (),
        pointers=(),
        dependants=(),
        blockers=uses["count"] if uses else 0,
        frees_blobs=1 if refs else 0,
        frees_bytes=size or 0,
        is_reversible=False,
        kept_for=limits.QUARANTINE,
    )
