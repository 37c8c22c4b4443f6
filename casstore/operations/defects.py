"""Defects: what a check of the whole store may find, how bad each is, and what to do about it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Final, Generic, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict

from casstore.model import Digest

__all__ = ["CODES", "AsyncCheck", "Checked", "Defect", "Repaired", "Scrubbed", "Severity", "Summary", "defect"]

Severity: TypeAlias = Literal["loss", "wrong", "waste"]
Summary = TypeVar("Summary", bound="_Value")

_PUT: Final = "Put the same bytes again, or `casstore repair` them from a copy."
_CORRECT: Final = "`casstore fsck --repair` reads the bytes and corrects the ledger."
_EITHER: Final = f"{_CORRECT} If they are wrong: put the same bytes again, or `casstore repair` them from a copy."
_COLLECT: Final = "`casstore gc` takes it."
_RESTORE: Final = "No release writes such rows. Find out who did; restore the catalog from a backup if need be."
# Append-only: a code is never renamed, reused or removed.
CODES: Final[dict[str, tuple[Severity, str, str]]] = {
    # Bytes and ledger.
    "object_missing": ("loss", "the object is missing", _PUT),
    "object_altered": ("loss", "the stored bytes are not those of the digest", _PUT),
    "object_size": ("loss", "the object has another size than the ledger says", _EITHER),
    "object_crc32c": ("loss", "the object has another CRC32C than the ledger says", _EITHER),
    "object_generation": ("wrong", "the object is of another generation than the ledger says", _EITHER),
    "blob_not_live": ("wrong", "versions need it, and the ledger does not hold it for good", _EITHER),
    "blob_unknown": ("loss", "versions need it, and the ledger does not know it", _EITHER),
    "object_orphaned": (
        "waste",
        "the ledger does not know this object",
        "`casstore fsck --repair` hands it to the collector.",
    ),
    "upload_expired": ("waste", "an upload was reserved and never finished", _COLLECT),
    "delete_stuck": ("waste", "a collector began to delete it and did not finish", _COLLECT),
    # The catalog by itself.
    "manifest_wrong": ("loss", "the components are not those of the version's manifest", _RESTORE),
    "domain_wrong": ("wrong", "a blob is in another isolation domain than its tenant", _RESTORE),
    "number_gap": ("wrong", "a number is missing among the versions", _RESTORE),
    "head_wrong": ("wrong", "the head is not the newest version", _RESTORE),
    "latest_wrong": ("wrong", "the latest version is not the newest outside the trash", _RESTORE),
    "version_order": ("wrong", "versions are not in the order of their numbers", _RESTORE),
    "tenant_wrong": ("wrong", "rows of a version are another tenant's", _RESTORE),
    "pointer_gap": ("wrong", "the moves of an alias or tag have a gap or are out of order", _RESTORE),
    "source_deleted": ("wrong", "a version was made from what is in the trash, and is not there itself", _RESTORE),
    "source_wrong": ("wrong", "a version's sources have a gap, are newer than it, or another tenant's", _RESTORE),
    "lifecycle_broken": ("wrong", "the states of a version do not follow each other", _RESTORE),
    "log_disagrees": ("wrong", "the log does not have the making of each version exactly once", _RESTORE),
    "request_dangling": ("wrong", "an idempotency key stands for a version that is not there", _RESTORE),
}


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class Defect(_Value):
    """Something that is not as it must be. `code` is stable; docs/reference/defects.md has them all."""

    code: str
    severity: Severity  # loss: bytes of a version; wrong: something is believed that is not so; waste: space only
    where: str  # a blob by its digest, a version by its reference
    what: str
    hint: str
    digest: Digest | None = None  # of the blob
    uses: tuple[str, ...] = ()  # the first of the components that are this blob, of all tenants
    use_count: int = 0  # of all of them
    mended: bool = False  # the check has repaired it


def defect(
    code: str,
    where: str,
    *,
    told: str = "",
    digest: Digest | None = None,
    uses: tuple[str, ...] = (),
    use_count: int = 0,
    mended: bool | None = None,
) -> Defect:
    """A defect of a known code. What no version needs is no loss; what was read for a repair and stays unmended is one."""
    severity, what, hint = CODES[code]
    if digest and severity != "waste":
        severity = "wrong" if not use_count else "loss" if mended is False else severity
    return Defect(
        code=code,
        severity=severity,
        where=where,
        what=f"{what} ({told})" if told else what,
        hint="" if mended else _PUT if mended is False else hint,
        digest=digest,
        uses=uses,
        use_count=use_count,
        mended=bool(mended),
    )


class Checked(_Value):
    """What a check has looked at so far."""

    objects: int = 0
    blobs: int = 0  # rows of the ledger
    artifacts: int = 0
    versions: int = 0
    requests: int = 0
    defects: int = 0
    mended: int = 0  # of them
    cursor: str | None = None  # asks for the rest; None before the first part and after the last


class Scrubbed(_Value):
    """What a scrub has read so far, and what is known of the whole store."""

    blobs: int = 0
    bytes: int = 0
    unverified: int = 0  # of the blobs: only their size and CRC32C, the key of their isolation domain not being at hand
    defects: int = 0
    mended: int = 0  # of them: the ledger was corrected by what was read
    oldest: datetime | None = None  # every blob was read since, or is newer; None while some part was never read
    unread: float = 1.0  # share of the store that was never read


class Repaired(_Value):
    """What became of one blob that was to be repaired."""

    digest: Digest
    outcome: Literal[
        "good", "healed", "no_bytes", "unknown", "no_key"
    ]  # was good; is now; nobody has its bytes; no version needs it; its domain's key is not at hand, so nobody can tell
    source: str = ""  # where its bytes came from


class AsyncCheck(ABC, Generic[Summary]):
    """A check under way. Iterate over it, once, for its defects; it goes on as far as they are asked for."""

    summary: Summary

    @abstractmethod
    def __aiter__(self) -> AsyncIterator[Defect]:
        """The defects, as they are found."""
