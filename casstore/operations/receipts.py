"""Receipts of what was erased: what only their holder can tell any more, and when the last copy is gone."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from casstore import limits
from casstore.blobs import BlobStore, KeepsDeleted, KeepsJournal
from casstore.catalog import erasing
from casstore.catalog.connection import Catalog
from casstore.errors import Code, Invalid
from casstore.formats.sealing import Salt, key_object
from casstore.model import Digest

__all__ = ["ContentReceipt", "ErasedContent", "Receipt", "ReceiptCheck", "gone_at", "soft_delete_of", "verify"]

_DAY: Final = timedelta(days=1)  # between two runs of the collector, at most


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class ErasedContent(_Value):
    """One content that was erased, by the salted hash of its digest."""

    hash: str
    size_bytes: int
    copies: int  # components of the tenant that were it


class Receipt(_Value):
    """What was erased. With the salt its holder can prove what the hashes are of; nobody else can: the store has forgotten it."""

    store: UUID
    key: UUID  # of the tenant's records in the journal: destroyed
    salt: str  # HMAC-SHA256 with it makes the hashes
    name_hash: str  # of the tenant's name
    erased_at: datetime
    by: str
    reason: str | None
    versions: tuple[str, ...]  # hashes of "name@number"
    contents: tuple[ErasedContent, ...]
    quarantine: timedelta  # bytes that nothing else needs are deleted so long after the collector has seen that
    soft_delete: timedelta | None  # so long the bucket keeps what was deleted; None: nobody can tell
    backups: timedelta  # so long backups of the catalog are kept, as the operator says
    gone_at: datetime  # then all of these have run out, if the collector runs daily

    def is_name(self, tenant: str) -> bool:
        """Whether the tenant had this name."""
        return self._hash("name", tenant.encode()) == self.name_hash

    def has_version(self, ref: str) -> bool:
        """Whether this version, such as `sop/login@3`, was erased."""
        return self._hash("version", ref.encode()) in self.versions

    def has_content(self, digest: Digest) -> bool:
        """Whether a content with this digest was erased."""
        return self._hash("content", bytes(digest)) in {each.hash for each in self.contents}

    def _hash(self, kind: str, data: bytes) -> str:
        return Salt(bytes.fromhex(self.salt)).hash(kind, data).hex()


class ContentReceipt(_Value):
    """What was erased of one content. The digest itself is not in it: who has that, or the salt and a guess, can tell."""

    store: UUID
    salt: str  # HMAC-SHA256 with it makes the hash
    hash: str  # of the digest; the log and what is left of the components have it too
    erased_at: datetime  # the last time, if it was put and erased again
    by: str
    reason: str | None
    size_bytes: int
    versions: tuple[str, ...]  # that had it: their numbers, names and history stay
    copies: int  # components that were it
    may_be_shared: bool  # the bytes stay as long as another tenant has them; whether one does, nobody is told
    quarantine: timedelta  # bytes that nothing else needs are deleted so long after the collector has seen that
    soft_delete: timedelta | None  # so long the bucket keeps what was deleted; None: nobody can tell
    backups: timedelta  # so long backups of the catalog are kept, as the caller says
    gone_at: datetime  # then all of these have run out, if the collector runs daily

    def is_of(self, digest: Digest) -> bool:
        """Whether this is the receipt of the content that has this digest."""
        return Salt(bytes.fromhex(self.salt)).hash("content", bytes(digest)).hex() == self.hash


class ReceiptCheck(_Value):
    """What there still is of what a receipt says was erased."""

    rows: dict[str, int]  # of the catalog, by table
    key_is_there: bool  # the object of the key, beside the journal
    gone_at: datetime  # from the receipt: before, copies may be in backups and in what the bucket keeps

    @property
    def ok(self) -> bool:
        """Whether nothing is left that the store itself could remove."""
        return not self.rows and not self.key_is_there


async def verify(catalog: Catalog, blobs: BlobStore, receipt: Receipt) -> ReceiptCheck:
    """What is still there; see `AsyncStore.verify_receipt` for the promise."""
    rows = await erasing.left(catalog, receipt.key)
    there = isinstance(blobs, KeepsJournal) and await blobs.get(key_object(receipt.key)) is not None
    return ReceiptCheck(rows=rows, key_is_there=there, gone_at=receipt.gone_at)


def check_backups(age: timedelta) -> None:
    """Before anything is erased; raises Invalid (bad_argument)."""
    if not isinstance(age, timedelta) or not timedelta() <= age <= limits.PERIOD_MAX:
        raise Invalid(
            Code.BAD_ARGUMENT, f"backups={age!r} is no age", hint="A timedelta of up to 100 years, not below zero."
        )


def gone_at(erased_at: datetime, soft_delete: timedelta | None, backups: timedelta) -> datetime:
    """When the last copy is gone, if the collector runs daily."""
    return erased_at + max(_DAY + limits.QUARANTINE + _DAY + (soft_delete or timedelta()), backups)


async def soft_delete_of(blobs: BlobStore) -> timedelta | None:
    """How long deleted objects are kept; None where the place cannot tell."""
    return await blobs.soft_delete() if isinstance(blobs, KeepsDeleted) else None
