"""Blobs in a local folder: one file each, complete or absent, durable before it is acknowledged.

Writing: temporary file in the target folder → bytes → fsync → link to the final name (which fails if it exists:
create-only) → fsync of the folder. The generation of a file is its modification time in nanoseconds, set by us to a
number no earlier write of the key had. Creating needs no lock. Deleting and replacing look at a generation and then
act, so they exclude each other by a lock on the folder; a create cannot come between, because the file is there until
they act.
"""
# ruff: noqa: PTH104, PTH108, PTH116 - plain calls on strings: a Path costs more than the call it is for

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import heapq
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Final, TypeVar
from uuid import UUID

from casstore import limits
from casstore.blobs import keys, local_journal
from casstore.blobs.contract import BlobReader, Object
from casstore.blobs.local_journal import TEMP, sync
from casstore.errors import CasstoreError, Code, Corrupt, Invalid, Unavailable, UsageError
from casstore.hashing import Hasher
from casstore.model import Digest
from casstore.staging import Staged, reading

__all__ = ["LocalBlobs"]

_LOCK: Final = ".lock"
_IDENTITY: Final = ".store"  # the identity of the catalog these blobs belong to, as text
_NO_WAIT: Final = getattr(os, "RWF_NOWAIT", 0)  # Linux: read from the page cache or say EAGAIN
Result = TypeVar("Result")


class LocalBlobs:
    """A `BlobStore` on a folder that this process, and others at the same time, may write to."""

    def __init__(self, root: Path) -> None:
        self.url = root.absolute().as_uri()
        self._root = root.absolute()
        self._folder = self._root / keys.PREFIX
        self._threads = ThreadPoolExecutor(limits.BLOB_THREADS, thread_name_prefix="casstore-blobs")
        self._closed = False

    @classmethod
    async def connect(cls, root: Path) -> LocalBlobs:
        """Open the folder, made if it is not there, and sweep what dead writers left in it."""
        store = cls(root)
        await store._run(store._prepare)
        return store

    async def put(self, staged: Staged, *, dead: int | None = None) -> Object:  # noqa: D102 - the contract has the prose
        abandoned = threading.Event()
        try:
            return await self._run(self._put, staged, dead, abandoned)
        except asyncio.CancelledError:
            abandoned.set()  # the thread goes on until it looks: nobody wants a large copy any more
            raise

    async def open(self, digest: Digest, *, start: int = 0, end: int | None = None) -> BlobReader:  # noqa: D102
        self._check_open()
        with _translated(self._folder):
            try:  # on the event loop: opening is a look-up in memory, a hop to a thread costs ten of them
                descriptor = os.open(self._path(digest), os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                self._check_place()
                message = f"the bytes of {digest} are missing from {self.url}"
                raise Corrupt(
                    Code.BLOB_MISSING, message, hint="Put the same bytes again to heal it.", digest=str(digest)
                ) from None
            status = os.fstat(descriptor)
            end = status.st_size if end is None else min(end, status.st_size)
            return _Reader(self, descriptor, start, max(start, end), status.st_mtime_ns)

    async def stat(self, digest: Digest) -> Object | None:  # noqa: D102
        return await self._run(self._stat, digest)

    async def delete(self, digest: Digest, *, generation: int) -> bool:  # noqa: D102
        return await self._run(self._delete, digest, generation)

    async def page(self, *, after: Digest | None = None, limit: int = 1000) -> list[Object]:  # noqa: D102
        return await self._run(self._page, after, limit)

    async def soft_delete(self) -> timedelta | None:
        """Nothing: a file that was deleted is gone. Snapshots of the file system are backups."""
        return timedelta()

    async def identity(self) -> UUID | None:  # noqa: D102
        return await self._run(self._identity)

    async def identify(self, identity: UUID) -> UUID:  # noqa: D102
        return await self._run(self._identify, identity)

    async def put_new(self, key: str, data: bytes) -> bool:  # noqa: D102
        return await self._run(local_journal.put_new, self._root, self._folder, key, data)

    async def get(self, key: str) -> bytes | None:  # noqa: D102
        return await self._run(self._get, key)

    async def remove(self, key: str) -> None:  # noqa: D102
        await self._run(local_journal.remove, self._root, key)

    async def list_keys(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[str]:  # noqa: D102
        return await self._run(self._list_keys, prefix, after, limit)

    async def aclose(self) -> None:  # noqa: D102
        self._closed = True
        # A cancelled put may still be writing in its thread: we wait for it, the event loop does not.
        await asyncio.to_thread(self._threads.shutdown)

    def _check_open(self) -> None:
        if self._closed:
            raise UsageError(Code.STORE_CLOSED, f"the blob store {self.url} is closed")

    async def _run(self, work: Callable[..., Result], *arguments: object) -> Result:
        def translated() -> Result:
            with _translated(self._folder):
                return work(*arguments)

        self._check_open()
        return await asyncio.get_running_loop().run_in_executor(self._threads, translated)

    # -- blocking halves, in a thread --------------------------------------------------------------------------------

    def _path(self, digest: Digest) -> str:
        return f"{self._folder}/{digest.hex()}"

    def _check_place(self) -> None:
        """A file that is not there was deleted only if its folder is there: an unmounted disk has lost nothing."""
        self._folder.stat()

    def _prepare(self) -> None:
        made = [folder for folder in (self._folder, *self._folder.parents) if not folder.exists()]
        self._folder.mkdir(parents=True, exist_ok=True)
        # Ours are synced in any case: who made them may have died before it came to this.
        for folder in {self._folder.parent, self._folder.parent.parent} | {folder.parent for folder in made}:
            sync(folder)
        with os.scandir(self._folder) as entries:
            leftovers = [Path(entry.path) for entry in entries if entry.name.startswith(TEMP)]
        for path in leftovers:
            _sweep(path)

    def _get(self, key: str) -> bytes | None:
        self._check_place()
        return local_journal.get(self._root, key)

    def _list_keys(self, prefix: str, after: str, limit: int) -> list[str]:
        self._check_place()
        return local_journal.list_keys(self._root, prefix, after, limit)

    def _identity(self) -> UUID | None:
        try:
            return UUID((self._folder / _IDENTITY).read_text("ascii").strip())
        except FileNotFoundError:
            self._check_place()
            return None
        except ValueError as error:
            message = f"{self._folder / _IDENTITY} does not hold an identity"
            raise Corrupt(Code.BLOB_ALTERED, message, hint="Restore it from a backup.") from error

    def _identify(self, identity: UUID) -> UUID:
        with self._exclusive():
            found = self._identity()
            if found is None:
                temp = self._folder / f"{TEMP}{os.getpid()}-{secrets.token_hex(8)}"
                with temp.open("x", encoding="ascii") as file:
                    file.write(f"{identity}\n")
                    file.flush()
                    os.fsync(file.fileno())
                temp.rename(self._folder / _IDENTITY)
                self._sync_folder()
            return found or identity

    def _put(self, staged: Staged, dead: int | None, abandoned: threading.Event) -> Object:
        existing = self._stat(staged.digest)
        if existing is not None and existing.generation != dead:
            return self._adopt(existing, staged)
        temp = f"{self._folder}/{TEMP}{os.getpid()}-{secrets.token_hex(8)}"
        descriptor = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            # Held while we live: the kernel lets go of it when we die, and a sweeper may take the file.
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            _copy(staged, descriptor, abandoned)
            generation = _stamp(descriptor)
            os.fsync(descriptor)
            placed = self._place(temp, staged, generation, dead)
        finally:
            os.close(descriptor)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temp)
        return placed

    def _place(self, temp: str, staged: Staged, generation: int, dead: int | None) -> Object:
        path = self._path(staged.digest)
        if dead is not None:
            with self._exclusive():
                existing = self._stat(staged.digest)
                if existing is not None and existing.generation == dead:
                    os.rename(temp, path)
                    self._sync_folder()
                    return Object(staged.digest, staged.size_bytes, generation)
        try:
            os.link(temp, path)
        except FileExistsError:
            existing = self._stat(staged.digest)
            if (
                existing is None or existing.generation == dead
            ):  # a collector was faster, or another writer's object is dead too
                return self._place(temp, staged, generation, dead)
            return self._adopt(existing, staged)
        self._sync_folder()
        return Object(staged.digest, staged.size_bytes, generation)

    def _adopt(self, existing: Object, staged: Staged) -> Object:
        if existing.size_bytes != staged.size_bytes:
            message = f"the object of {staged.digest} has {existing.size_bytes} bytes instead of {staged.size_bytes}"
            hint = "It was damaged outside casstore: `casstore get` what uses it, then put the same bytes again."
            raise Corrupt(Code.BLOB_ALTERED, message, hint=hint, generation=existing.generation)
        self._sync_folder()  # its writer may not have come to this yet, and we are about to acknowledge its file
        return existing

    def _stat(self, digest: Digest) -> Object | None:
        try:
            status = os.stat(self._path(digest))
        except FileNotFoundError:
            self._check_place()
            return None
        return Object(digest, status.st_size, status.st_mtime_ns)

    def _delete(self, digest: Digest, generation: int) -> bool:
        with self._exclusive():
            existing = self._stat(digest)
            if existing is None or existing.generation != generation:
                return False
            os.unlink(self._path(digest))
            self._sync_folder()
            return True

    def _page(self, after: Digest | None, limit: int) -> list[Object]:
        floor = after.hex() if after is not None else ""
        while True:
            with os.scandir(self._folder) as entries:
                names = heapq.nsmallest(limit, (e.name for e in entries if e.name > floor and keys.digest_of(e.name)))
            objects = (self._stat(Digest(bytes.fromhex(name))) for name in names)
            page = [found for found in objects if found]  # one that was deleted meanwhile is left out
            if page or not names:  # an empty page would say that nothing comes after
                return page
            floor = names[-1]

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[None]:
        descriptor = os.open(self._folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _sync_folder(self) -> None:
        sync(self._folder)


class _Reader:
    """Reads a file by position; small reads that the page cache can answer stay on the event loop."""

    def __init__(self, store: LocalBlobs, descriptor: int, start: int, end: int, generation: int) -> None:
        self._store = store
        self._descriptor = descriptor
        self._position = start
        self._end = end
        self.size_bytes = end - start
        self.generation = generation

    async def read(self, max_bytes: int) -> bytes:
        wanted = min(max_bytes, self._end - self._position)
        data = self._cached(wanted) if _NO_WAIT and wanted <= limits.INLINE_BYTES else None
        if data is None:
            data = await self._store._run(os.pread, self._descriptor, wanted, self._position)  # noqa: SLF001 - its reader
        self._position += len(data)
        return data

    def _cached(self, wanted: int) -> bytes | None:
        buffer = bytearray(wanted)
        try:
            count = os.preadv(self._descriptor, [buffer], self._position, _NO_WAIT)
        except OSError:  # EAGAIN: not in memory. Anything else comes again, and is told, in the thread
            return None
        return bytes(buffer) if count == wanted else None

    async def aclose(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _copy(staged: Staged, descriptor: int, abandoned: threading.Event) -> None:
    hasher = Hasher(staged.domain)
    with staged.open() as source:
        while hasher.size_bytes <= staged.size_bytes:  # one that grows without end is not followed
            if abandoned.is_set():
                raise Unavailable(Code.BLOBS_UNAVAILABLE, "the put was cancelled while its bytes were being written")
            with reading(staged.source):
                chunk = source.read(limits.HASH_BYTES)
            if not chunk:
                break
            hasher.update(chunk)
            view = memoryview(chunk)
            while view:
                view = view[os.write(descriptor, view) :]
    if hasher.digest != staged.digest:
        message = (
            f"{staged.source if isinstance(staged.source, Path) else 'the source'} changed while it was being stored"
        )
        raise Invalid(Code.SOURCE_CHANGED, message, hint="Put it again when nobody writes to it.")


def _stamp(descriptor: int) -> int:
    """Give the file its generation. The random low digits tell two writers of the same instant apart."""
    generation = time.time_ns() // 1000 * 1000 + secrets.randbelow(1000)
    os.utime(descriptor, ns=(generation, generation))
    return os.fstat(descriptor).st_mtime_ns  # as the file system keeps it


def _sweep(path: Path) -> None:
    """Remove a temporary file whose writer is dead. A young one may belong to a writer that has not locked it yet.

    One that we may not remove is left to those who may: it takes space, and does no harm.
    """
    with contextlib.suppress(FileNotFoundError, PermissionError):
        if time.time() - path.stat().st_mtime < limits.STALE_TEMP.total_seconds():
            return
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
        except BlockingIOError:
            pass  # its writer lives
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def _translated(place: object) -> Iterator[None]:
    try:
        yield
    except CasstoreError:  # Denied and Invalid are OSError and ValueError too
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            message = f"no space left for blobs in {place}"
            raise Unavailable(Code.DISK_FULL, message, hint="Free some space, then put again.") from error
        message = f"blobs in {place} cannot be read or written: {error.strerror or error}"
        raise Unavailable(
            Code.BLOBS_UNAVAILABLE, message, hint="Check the folder, its permissions and its disk."
        ) from error
