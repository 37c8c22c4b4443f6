"""erase_content: let go of one content in all of a tenant's versions, for ever. One transaction: it is done, or nothing is."""

from __future__ import annotations

from datetime import timedelta

from casstore import grammar, limits
from casstore.catalog import erasing_content, identity
from casstore.formats.sealing import Salt
from casstore.model import Digest, Impact
from casstore.operations import Context
from casstore.operations.receipts import ContentReceipt, check_backups, gone_at, soft_delete_of

__all__ = ["erase", "explain"]


async def erase(
    context: Context, digest: str | Digest, *, by: str, reason: str | None, backups: timedelta
) -> ContentReceipt:
    """Erase a content; see `AsyncTenant.erase_content` for the promise."""
    meant, why = _digest(digest), grammar.check_why(by, reason)
    check_backups(backups)
    salt = Salt(await erasing_content.salt_of(context.catalog, context.tenant, meant))
    hashed = salt.hash("content", bytes(meant))
    erased = await erasing_content.erase(context.catalog, context.tenant, meant, hashed, why)
    store, _ = await identity.of_store(context.catalog)
    soft_delete, last = await soft_delete_of(context.blobs), max(erased, key=lambda each: each.at)
    return ContentReceipt(
        store=store,
        salt=salt.raw.hex(),
        hash=hashed.hex(),
        erased_at=last.at,
        by=last.by,
        reason=last.reason,
        size_bytes=last.size_bytes,
        versions=tuple(dict.fromkeys(each.ref for each in erased)),
        copies=len(erased),
        may_be_shared=last.is_shared,
        quarantine=limits.QUARANTINE,
        soft_delete=soft_delete,
        backups=backups,
        gone_at=gone_at(last.at, soft_delete, backups),
    )


async def explain(context: Context, digest: str | Digest) -> Impact:
    """What erasing this content would do now."""
    meant = _digest(digest)
    salt = Salt(await erasing_content.salt_of(context.catalog, context.tenant, meant))
    return await erasing_content.explain(context.catalog, context.tenant, meant, salt.hash("content", bytes(meant)))


def _digest(digest: str | Digest) -> Digest:
    return digest if isinstance(digest, Digest) else Digest.parse(digest)
