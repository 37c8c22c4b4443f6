"""Blobs in a bucket of Google Cloud Storage: one object each, whose generation is Google's own.

Writing is create-only by a precondition (generation 0, or the dead one), in one request up to `limits.GCS_REQUEST_BYTES`
and in pieces above; Google checks CRC32C and shows nothing before the last byte. A refused precondition after an answer
was lost may be our own success: size and checksum of what is there decide. Google's client blocks, so every call is one
hop to a thread of ours.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO, Final, TypeVar
from uuid import UUID

from google.api_core.exceptions import Forbidden, NotFound, PreconditionFailed, RequestRangeNotSatisfiable

from casstore import limits
from casstore.blobs import gcs_direct as direct
from casstore.blobs import gcs_history as history
from casstore.blobs import keys
from casstore.blobs.contract import BlobReader, Kept, Object, Remark, Signed
from casstore.blobs.gcs_attempts import Attempts, Patience
from casstore.blobs.gcs_client import Bucket, Found, UploadBrokenError
from casstore.blobs.gcs_errors import FOREIGN, translated
from casstore.blobs.gcs_reader import Download, Nothing, Reader
from casstore.blobs.gcs_settings import remarks, soft_delete
from casstore.blobs.gcs_url import Location
from casstore.errors import Code, Corrupt, Denied, Invalid, Unavailable, UsageError
from casstore.hashing import Hasher
from casstore.model import Digest
from casstore.staging import Staged, reading

__all__ = ["GcsBlobs"]

_IDENTITY: Final = "artifacts/store-identity"  # the identity of the catalog these blobs belong to, as text
_AFTER_DIGITS: Final = "~"  # sorts after every name that begins with the digits before it and goes on
Result = TypeVar("Result")


class GcsBlobs:
    """A `BlobStore` below a prefix of a bucket that this process, and others at the same time, may write to."""

    def __init__(self, location: Location, patience: Patience) -> None:
        self.url = location.url
        self._location = location
        self._patience = patience
        with translated(location):
            self._bucket = Bucket(location, patience)
        self._threads = ThreadPoolExecutor(limits.GCS_THREADS, thread_name_prefix="casstore-gcs")
        self._closing = threading.Event()

    @classmethod
    async def connect(cls, url: str, patience: Patience | None = None) -> GcsBlobs:
        """Find the credentials, which may take a request to Google; none is made of the bucket.

        Raises:
            Invalid: The URL is wrong, or there are no credentials (bad_config).
        """
        return await asyncio.to_thread(cls, Location.parse(url), patience or Patience())

    async def put(self, staged: Staged, *, dead: int | None = None) -> Object:  # noqa: D102 - the contract has the prose
        abandoned = threading.Event()
        try:
            return await self._run(self._put, staged, dead, self._attempts(abandoned))
        except asyncio.CancelledError:
            abandoned.set()  # the thread goes on until it looks: nobody wants a large upload any more
            raise

    async def open(self, digest: Digest, *, start: int = 0, end: int | None = None) -> BlobReader:  # noqa: D102
        return await self._run(self._open, digest, start, end)

    async def stat(self, digest: Digest) -> Object | None:  # noqa: D102
        return await self._run(self._stat, digest)

    async def delete(self, digest: Digest, *, generation: int) -> bool:  # noqa: D102
        return await self._run(self._delete, digest, generation)

    async def page(self, *, after: Digest | None = None, limit: int = 1000) -> list[Object]:  # noqa: D102
        return await self._run(self._attempts().request, self._page, after, limit)

    async def put_new(self, key: str, data: bytes) -> bool:  # noqa: D102
        return await self._run(self._put_new, key, data)

    async def get(self, key: str) -> bytes | None:  # noqa: D102
        return await self._run(self._get, key)

    async def remove(self, key: str) -> None:  # noqa: D102
        await self._run(self._remove, key)

    async def list_keys(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[str]:  # noqa: D102
        return await self._run(self._attempts().request, self._list_keys, prefix, after, limit)

    async def kept(self, digest: Digest) -> list[Kept]:  # noqa: D102 - the contract has the prose
        return await self._run(history.kept, self._bucket, digest, self._attempts())

    async def open_kept(self, kept: Kept) -> BlobReader | None:  # noqa: D102
        return await self._run(history.opened, self._bucket, kept, self._attempts(), self._submit)

    async def restore(self, kept: Kept, *, over: int | None) -> None:  # noqa: D102
        await self._run(history.restore, self._bucket, kept, over, self._attempts())

    async def offer(self, key: str, size_bytes: int, lifetime: timedelta) -> Signed:  # noqa: D102 - the contract has the prose
        return await self._run(self._attempts().request, direct.offer, self._bucket, key, size_bytes, lifetime)

    async def open_arrived(self, key: str) -> BlobReader | None:  # noqa: D102
        return await self._run(direct.opened, self._bucket, key, self._attempts(), self._submit)

    async def link(self, digest: Digest, media_type: str, disposition: str, lifetime: timedelta) -> str:  # noqa: D102
        asked = (digest, media_type, disposition, lifetime)
        return await self._run(self._attempts().request, direct.link, self._bucket, *asked)

    async def arrivals(self, after: str) -> list[str]:  # noqa: D102
        return await self._run(self._attempts().request, direct.arrivals, self._bucket, after)

    async def discard(self, key: str) -> None:  # noqa: D102
        await self._run(self._remove, key)

    async def examine(self) -> list[Remark]:  # noqa: D102 - the contract has the prose
        return await self._run(self._examine)

    async def soft_delete(self) -> timedelta | None:  # noqa: D102
        return await self._run(self._soft_delete)

    async def identity(self) -> UUID | None:  # noqa: D102
        return await self._run(self._identity)

    async def identify(self, identity: UUID) -> UUID:  # noqa: D102
        return await self._run(self._identify, identity)

    async def aclose(self) -> None:  # noqa: D102
        self._closing.set()
        # What is under way in a thread is waited for, what was to be repeated is not; the event loop does not wait.
        await asyncio.to_thread(self._threads.shutdown)
        self._bucket.close()

    def _attempts(self, abandoned: threading.Event | None = None) -> Attempts:
        return Attempts(self._patience, self._closing, abandoned)

    def _submit(self, work: Callable[..., Result], *arguments: object) -> Future[Result]:
        def in_our_words() -> Result:
            with translated(self._location):
                return work(*arguments)

        if self._closing.is_set():
            raise UsageError(Code.STORE_CLOSED, f"the blob store {self.url} is closed")
        return self._threads.submit(in_our_words)

    async def _run(self, work: Callable[..., Result], *arguments: object) -> Result:
        return await asyncio.wrap_future(self._submit(work, *arguments))

    # -- blocking halves, in a thread --------------------------------------------------------------------------------

    def _put(self, staged: Staged, dead: int | None, attempts: Attempts) -> Object:
        key, match = keys.key_of(staged.digest), dead or 0
        if staged.size_bytes > limits.GCS_REQUEST_BYTES:  # Google refuses a taken name after the last byte only
            existing = attempts.request(self._bucket.look, key)
            if existing and existing.generation != dead:
                return _adopted(existing, staged, attempts)
            match = dead if dead and existing else 0
        for _ in range(limits.GCS_UPLOAD_ROUNDS):
            try:
                return Object(staged.digest, staged.size_bytes, self._upload(key, staged, match, attempts))
            except UploadBrokenError:
                continue
            except PreconditionFailed:
                existing = attempts.request(self._bucket.look, key)
                if existing and existing.generation != dead:
                    return _adopted(existing, staged, attempts)
                match = 0  # a collector was faster than we
            except FOREIGN:
                placed = self._placed_after_all(key, staged, dead) if attempts.lost else None
                if placed is None:
                    raise
                return placed
        message = f"the bytes of {staged.digest} did not get to {self.url} unaltered and unhindered"
        raise Unavailable(Code.BLOBS_UNAVAILABLE, message, hint="Put it again. If that does not help, check the proxy.")

    def _upload(self, key: str, staged: Staged, match: int, attempts: Attempts) -> int:
        """Write the bytes over generation `match`, and answer the new one."""
        if staged.incoming:
            try:
                return attempts.request(self._bucket.copy, staged.incoming, key, match)
            except NotFound as error:  # a collector took it: we have the bytes as well
                attempts.request(self._bucket.check_absent, error)
        size = staged.size_bytes
        with staged.open() as file:
            source = _Source(staged, file, limits.GCS_REQUEST_BYTES)
            piece = source.take()
            if len(piece) == size:
                return attempts.request(self._bucket.create, key, piece, source.crc32c, match)
            session = attempts.request(self._bucket.begin, key, size, match)
            sent = 0
            while True:
                kept, generation = attempts.request(self._bucket.send, session, piece, sent, size, source.crc32c)
                if generation is not None:
                    return generation
                piece = piece[kept - sent :] or source.take()
                sent = kept

    def _placed_after_all(self, key: str, staged: Staged, dead: int | None) -> Object | None:
        """The object that a put made although it was never told so: Unavailable promises that there is none."""
        try:
            found = self._bucket.look(key)
        except FOREIGN:
            return None  # then nobody knows; a later put of these bytes will find it
        if found is None or found.generation == dead or not _is_whole(found, staged):
            return None
        return Object(staged.digest, found.size_bytes, found.generation)

    def _open(self, digest: Digest, start: int, end: int | None) -> Reader | Nothing:
        key, attempts = keys.key_of(digest), self._attempts()
        try:
            if end is None or start < end:
                download = Download(self._bucket, key, start, end, attempts)
                return Reader(download, download.read(), self._submit)
        except RequestRangeNotSatisfiable:
            pass  # the blob ends before `start`
        except NotFound as error:
            attempts.request(self._bucket.check_absent, error)
            raise self._missing(digest) from error
        found = attempts.request(self._bucket.look, key)
        if found is None:
            raise self._missing(digest)
        return Nothing(found.generation)

    def _missing(self, digest: Digest) -> Corrupt:
        message = f"the bytes of {digest} are missing from {self.url}"
        return Corrupt(Code.BLOB_MISSING, message, hint="Put the same bytes again to heal it.", digest=str(digest))

    def _stat(self, digest: Digest) -> Object | None:
        found = self._attempts().request(self._bucket.look, keys.key_of(digest))
        return Object(digest, found.size_bytes, found.generation, found.crc32c) if found else None

    def _delete(self, digest: Digest, generation: int) -> bool:
        attempts = self._attempts()
        try:
            attempts.request(self._bucket.delete, keys.key_of(digest), generation)
        except PreconditionFailed:
            return False
        except NotFound as error:
            done = attempts.lost  # it is gone, and the request whose answer was lost is the likeliest to have done it
            attempts.request(self._bucket.check_absent, error)
            return done
        return True

    def _page(self, after: Digest | None, limit: int) -> list[Object]:
        start = f"{after.hex()}{_AFTER_DIGITS}" if after is not None else ""
        for page in self._bucket.pages(keys.PREFIX, start, limit):
            digests = ((keys.digest_of(name), found) for name, found in page)
            objects = [Object(digest, f.size_bytes, f.generation, f.crc32c) for digest, f in digests if digest]
            if objects:  # an empty page would say that nothing comes after
                return objects
        return []

    def _examine(self) -> list[Remark]:
        try:
            settings = self._attempts().request(self._bucket.settings)
        except Forbidden as error:
            message = (
                f"the settings of the bucket {self._location.bucket} may not be read, so nobody knows if they are good"
            )
            hint = "Give this account the role Storage Bucket Viewer (roles/storage.bucketViewer) on it."
            raise Denied(Code.NOT_PERMITTED, message, hint=hint) from error
        return [*remarks(settings, self._location.prefix), self._signing()]

    def _signing(self) -> Remark:
        """Whether bytes can go straight to and from the bucket; a store where they cannot is as good, unless it was asked for."""
        try:
            account = self._attempts().request(self._bucket.try_signing)
        except Invalid as error:
            asked_for = self._location.signer is not None
            return Remark("signing", ok=not asked_for, detail=error.message, hint=error.hint if asked_for else "")
        return Remark("signing", ok=True, detail=f"requests are signed by {account}")

    def _soft_delete(self) -> timedelta | None:
        try:
            return soft_delete(self._attempts().request(self._bucket.settings))
        except Forbidden:  # an answer too: this account cannot tell
            return None

    def _put_new(self, key: str, data: bytes) -> bool:
        attempts, hasher = self._attempts(), Hasher()
        hasher.update(data)
        for _ in range(limits.GCS_UPLOAD_ROUNDS):
            try:
                attempts.request(self._bucket.create, key, data, hasher.crc32c, 0)
            except UploadBrokenError:
                continue
            except PreconditionFailed:  # somebody's, or ours whose answer was lost
                return False
            return True
        message = f"{key} could not be written to {self.url}"
        raise Unavailable(Code.BLOBS_UNAVAILABLE, message, hint="Try again. If that does not help, check the proxy.")

    def _get(self, key: str) -> bytes | None:
        attempts = self._attempts()
        try:
            download = Download(self._bucket, key, 0, None, attempts)
        except NotFound as error:
            attempts.request(self._bucket.check_absent, error)
            return None
        try:
            return b"".join(iter(download.read, b""))
        finally:
            download.close()

    def _remove(self, key: str) -> None:
        attempts = self._attempts()
        while found := attempts.request(self._bucket.look, key):
            try:
                attempts.request(self._bucket.delete, key, found.generation)
            except (NotFound, PreconditionFailed):
                continue  # gone, or ours whose answer was lost: look again

    def _list_keys(self, prefix: str, after: str, limit: int) -> list[str]:
        for page in self._bucket.pages(prefix, after.removeprefix(prefix), limit):
            found = [f"{prefix}{name}" for name, _ in page if f"{prefix}{name}" > after]
            if found:  # the first page may have nothing but `after` itself
                return found
        return []

    def _identity(self) -> UUID | None:
        data = self._get(_IDENTITY)
        try:
            return None if data is None else UUID(data.decode("ascii").strip())
        except ValueError as error:
            message = f"{self.url}/{_IDENTITY} does not hold an identity"
            raise Corrupt(Code.BLOB_ALTERED, message, hint="Restore it from a backup.") from error

    def _identify(self, identity: UUID) -> UUID:
        for _ in range(limits.GCS_UPLOAD_ROUNDS):
            if self._put_new(_IDENTITY, f"{identity}\n".encode()):
                return identity
            found = self._identity()
            if found is not None:
                return found
        message = f"the identity of the store could not be written to {self.url}"
        raise Unavailable(Code.BLOBS_UNAVAILABLE, message, hint="Try again. If that does not help, check the proxy.")


class _Source:
    """A blob on its way out, hashed again: the last piece is handed over only if all of them are what was staged.

    Args:
        piece_bytes: The longest piece. All share one buffer of this size: fresh memory for each costs as much as hashing it.
    """

    def __init__(self, staged: Staged, file: BinaryIO, piece_bytes: int) -> None:
        self._staged = staged
        self._file = file
        self._hasher = Hasher(staged.domain)
        self._buffer = memoryview(bytearray(min(piece_bytes, staged.size_bytes)))

    @property
    def crc32c(self) -> int:
        """Of everything that was taken."""
        return self._hasher.crc32c

    def take(self) -> memoryview:
        """The next piece, good until the one after it is taken; raises Invalid (source_changed, unreadable_source)."""
        missing = self._staged.size_bytes - self._hasher.size_bytes
        piece = self._buffer[:missing]
        with reading(self._staged.source):
            size = self._fill(piece)
            grown = size == missing and self._file.read(1)
        if size < len(piece) or grown or (size == missing and self._hasher.digest != self._staged.digest):
            name = self._staged.source if isinstance(self._staged.source, Path) else "the source"
            message = f"{name} changed while it was being stored"
            raise Invalid(Code.SOURCE_CHANGED, message, hint="Put it again when nobody writes to it.")
        return piece

    def _fill(self, piece: memoryview) -> int:
        """Read and hash in portions that stay in the processor's cache; how many bytes there were."""
        at = 0
        while data := self._file.read(min(limits.HASH_BYTES, len(piece) - at)):
            self._hasher.update(data)
            piece[at : at + len(data)] = data
            at += len(data)
        return at


def _adopted(existing: Found, staged: Staged, attempts: Attempts) -> Object:
    """What was there before us, or came before us; after a lost answer it may be ours, and then it has to be right."""
    if existing.size_bytes != staged.size_bytes or (attempts.lost and not _is_whole(existing, staged)):
        message = f"the object of {staged.digest} is not what was put: it has {existing.size_bytes} bytes"
        hint = "It was damaged outside casstore: `casstore get` what uses it, then put the same bytes again."
        raise Corrupt(Code.BLOB_ALTERED, message, hint=hint, generation=existing.generation)
    return Object(staged.digest, existing.size_bytes, existing.generation)


def _is_whole(found: Found, staged: Staged) -> bool:
    return (found.size_bytes, found.crc32c) == (staged.size_bytes, staged.crc32c)
