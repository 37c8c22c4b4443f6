"""The contract of a blob store. `casstore.testing.conformance` is this page made executable; every backend passes it.

A blob store keeps immutable bytes under their digest and knows nothing else: no names, no tenants, no references. It
does not decide what may be deleted; the ledger in the catalog does, and says *which generation* of an object it means.

Rules for every method
- May be called again after any failure, also while an earlier call is still under way somewhere.
- Raises only casstore's errors: Corrupt for bytes that are wrong, Unavailable for everything that may pass, Denied
  (not_permitted) where a right is lacking, UsageError (store_closed) after `aclose`. Absence is a value, and never said
  of a place that cannot be reached.
- A blob is visible under its key completely or not at all, and what was acknowledged survives a power cut.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol, runtime_checkable
from uuid import UUID

from casstore.model import Digest
from casstore.staging import Staged

__all__ = [
    "BlobReader",
    "BlobStore",
    "CarriesIdentity",
    "Examines",
    "KeepsDeleted",
    "KeepsHistory",
    "KeepsJournal",
    "Kept",
    "Object",
    "Remark",
    "Signed",
    "TakesDirect",
]


@dataclass(frozen=True, slots=True)
class Object:
    """An object as the store sees it. A generation is never given twice to writes of the same key."""

    digest: Digest
    size_bytes: int
    generation: int
    crc32c: int | None = field(
        default=None, compare=False
    )  # of `stat` and `page`, where the store knows it without reading


class BlobReader(Protocol):
    """An open blob. Reads are not verified here: `operations.get` does that, once, for all backends."""

    size_bytes: int  # of the range that was asked for
    generation: int

    async def read(self, max_bytes: int) -> bytes:
        """The next bytes, at most `max_bytes`; b"" at the end. May return fewer."""
        ...

    async def aclose(self) -> None:
        """Give back what the reader holds. May be called twice."""
        ...


class BlobStore(Protocol):
    """Bytes by digest."""

    url: str  # where it is, without credentials

    async def put(self, staged: Staged, *, dead: int | None = None) -> Object:
        """Make sure the blob exists under a generation other than `dead`, and say which.

        Create-only: an object that is there already is a success after its size agrees, and is left alone. With `dead`,
        exactly that generation is replaced, never another. The bytes are hashed again while they are copied.

        Raises:
            Invalid: The source has changed since it was staged (source_changed) or cannot be read any more
                (unreadable_source). Nothing was stored.
            Corrupt: Another object of the wrong size is under the key (blob_altered).
            Unavailable: disk_full, blobs_unavailable. Nothing is visible under the key that was not before.
        """
        ...

    async def open(self, digest: Digest, *, start: int = 0, end: int | None = None) -> BlobReader:
        """Read the blob, or the bytes from `start` up to and without `end` (beyond the end of the blob is the end).

        Raises:
            Corrupt: The object does not exist (blob_missing).
        """
        ...

    async def stat(self, digest: Digest) -> Object | None:
        """What is under the key; None when nothing is."""
        ...

    async def delete(self, digest: Digest, *, generation: int) -> bool:
        """Delete exactly this generation. False when it is not there (any more), whatever else is."""
        ...

    async def page(self, *, after: Digest | None = None, limit: int = 1000) -> list[Object]:
        """Up to `limit` objects in ascending order of digest, from the first one greater than `after`.

        Strangers are left out. A short page is not the end; an empty one is.
        """
        ...

    async def aclose(self) -> None:
        """Give back threads and connections. May be called twice."""
        ...


@runtime_checkable
class CarriesIdentity(Protocol):
    """What a blob store offers besides when it can say whose blobs it holds (docs/decisions/0015)."""

    url: str

    async def identity(self) -> UUID | None:
        """The identity these blobs carry; None if they were never given one."""
        ...

    async def identify(self, identity: UUID) -> UUID:
        """Give the blobs an identity, durably, unless they have one; return the one they have then."""
        ...


@runtime_checkable
class KeepsJournal(Protocol):
    """What a blob store offers besides when it keeps the segments of the journal: small objects by key, written once.

    Keys begin with `artifacts/journal/` or `artifacts/journal-keys/`. The rules of every method of a `BlobStore` hold here too.
    """

    url: str

    async def put_new(self, key: str, data: bytes) -> bool:
        """Write an object where there is none, whole and durably. False when there is one, which is left alone.

        After a lost answer that one may be ours: who wants to know reads it.
        """
        ...

    async def get(self, key: str) -> bytes | None:
        """The bytes under the key; None when nothing is there."""
        ...

    async def remove(self, key: str) -> None:
        """Take the object away, durably; that there is none is a success. Of keys only: segments are never removed."""
        ...

    async def list_keys(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[str]:
        """Up to `limit` keys below `prefix`, which ends with a slash, in ascending order, from the first one greater than `after`.

        A short page is not the end; an empty one is.
        """
        ...


@runtime_checkable
class KeepsDeleted(Protocol):
    """What a blob store offers besides when it knows how long its place keeps what was deleted."""

    async def soft_delete(self) -> timedelta | None:
        """How long, from now on; None where that cannot be told. Raises Unavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Kept:
    """A generation of a blob that was replaced or deleted, and is kept for a while."""

    digest: Digest
    size_bytes: int
    generation: int
    crc32c: int | None
    must_be_restored: bool  # or it cannot be read


@runtime_checkable
class KeepsHistory(Protocol):
    """What a blob store offers besides when its place may keep what was replaced or deleted in it."""

    url: str

    async def kept(self, digest: Digest) -> list[Kept]:
        """What is kept of a blob besides the object that is there, the newest first; nothing where the place is not set to keep."""
        ...

    async def open_kept(self, kept: Kept) -> BlobReader | None:
        """Read one that need not be restored; None when it is not kept any more."""
        ...

    async def restore(self, kept: Kept, *, over: int | None) -> None:
        """Make a copy of one the object that is there, in place of generation `over` (None: of nothing), and never of another.

        Does nothing when something else is there by now, or it is not kept any more: who restores looks at what is there then.
        """
        ...


@dataclass(frozen=True, slots=True)
class Signed:
    """A request that the place of the blobs answers to whoever makes it as it is said here."""

    url: str
    headers: dict[str, str]


@runtime_checkable
class TakesDirect(Protocol):
    """What a blob store offers besides when its place can be written to and read from by others, by requests it signs.

    What others write is never under a digest's key: they may write anything, and a put would take an object there for its own.
    It is read and hashed first, and then `put` copies that generation (`Staged.incoming`).
    """

    async def offer(self, key: str, size_bytes: int, lifetime: timedelta) -> Signed:
        """A request that writes so many bytes under a key that is no digest's, once.

        Raises:
            Invalid: Nothing can be signed (not_direct).
        """
        ...

    async def open_arrived(self, key: str) -> BlobReader | None:
        """Read what was written under such a key; None when nothing was. Raises Invalid (upload_altered) for encoded bytes."""
        ...

    async def link(self, digest: Digest, media_type: str, disposition: str, lifetime: timedelta) -> str:
        """A URL under which the place answers a blob, with these headers; errors as `offer`."""
        ...

    async def arrivals(self, after: str) -> list[str]:
        """Keys of what was written so, in ascending order, the first ones greater than `after`; none at the end."""
        ...

    async def discard(self, key: str) -> None:
        """Delete what was written under such a key; that there is nothing is a success."""
        ...


@dataclass(frozen=True, slots=True)
class Remark:
    """What is worth knowing of one setting of the place where blobs are, and what to do where it is not ok."""

    setting: str
    ok: bool
    detail: str
    hint: str = ""


@runtime_checkable
class Examines(Protocol):
    """What a blob store offers besides when its place has settings that can cost blobs."""

    async def examine(self) -> list[Remark]:
        """Look at each of them. Raises Denied (not_permitted) where that is not allowed."""
        ...
