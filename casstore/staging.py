"""Staging: from whatever a caller has to bytes of known digest and size that can be read again, in bounded memory.

Hashing happens off the event loop, except for pieces so small that the hop would cost more (`limits.INLINE_BYTES`).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import io
import os
import stat
import tempfile
from collections.abc import AsyncIterable, AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, BinaryIO, Protocol, Self, TypeAlias
from uuid import UUID

from casstore import grammar, limits
from casstore.domains import Domain
from casstore.errors import CasstoreError, Code, Invalid, Unavailable
from casstore.formats import json, media_types
from casstore.hashing import Hasher
from casstore.model import MAIN, Component, Digest

__all__ = ["Arrived", "Components", "Data", "Incoming", "Part", "Source", "Staged", "Uploaded", "reading", "stage"]


class Readable(Protocol):
    """A binary file object, as far as staging needs one."""

    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Uploaded:
    """What was uploaded straight to the bucket by an offer (`offer_upload`), as data of a put.

    Args:
        id: The offer's.
        digest: What it has to be; without one, whatever arrived is stored.
    """

    id: UUID
    digest: Digest | None = None


@dataclass(frozen=True, slots=True)
class Incoming:
    """An object of the bucket that holds staged bytes already, under a key of its own: a generation that was read and hashed."""

    key: str
    generation: int


class Arrived(Protocol):
    """A stream of what was uploaded; when it is over, where that is."""

    incoming: Incoming | None
    digest: Digest | None  # that it has to be

    def __aiter__(self) -> AsyncIterator[bytes]: ...


Source: TypeAlias = (
    "bytes | bytearray | memoryview | str | os.PathLike[str] | Readable | AsyncIterable[bytes] | Uploaded"
    " | dict[str, Any] | list[Any]"
)


@dataclass(frozen=True, slots=True)
class Part:
    """One component's data together with its media type, where the type cannot be told from the data."""

    data: Source
    media_type: str | None = None


class Components(dict[str, "Source | Part"]):
    """The parts of a composite artifact by role: `Components(state=…, roadmap=…)` or `Components({"a-b": …})`."""


Data: TypeAlias = "Source | Part | Components"


@dataclass(frozen=True, slots=True)
class Staged:
    """Bytes that were hashed in our own hands and can be read again from the start."""

    digest: Digest
    size_bytes: int
    crc32c: int
    media_type: str
    source: bytes | Path | IO[bytes]  # an open file is ours, anonymous, and read by position only
    domain: Domain | None = None  # that the digest is made in
    incoming: Incoming | None = None  # where the blob store has these bytes already, not yet under their digest

    def open(self) -> BinaryIO:
        """A new blocking reader from the first byte. The bytes may have changed since: who copies them hashes again."""
        if isinstance(self.source, bytes):
            return io.BytesIO(self.source)
        if isinstance(self.source, Path):
            with reading(self.source):
                return self.source.open("rb", buffering=0)
        return _Positioned(self.source.fileno())  # type: ignore[return-value]  # a RawIOBase is what a BinaryIO reads like

    def component(self, role: str) -> Component:
        """The entry of a manifest that describes these bytes."""
        return Component(role=role, digest=self.digest, size_bytes=self.size_bytes, media_type=self.media_type)

    def close(self) -> None:
        """Give back what staging holds (a temporary file)."""
        if not isinstance(self.source, bytes | Path):
            self.source.close()


async def stage(data: Data, media_type: str | None = None, *, domain: Domain | None = None) -> dict[str, Staged]:
    """Hash every component of `data`, each by its role.

    Args:
        data: One source (its role is "main"), or `Components` of several.
        media_type: Of the single source; without it the kind of data or the file's suffix decides.
        domain: The isolation domain the digests are made in.

    Raises:
        Invalid: A source that cannot be stored (bad_data, bad_json, bad_text, bad_components), that cannot be read
            (unreadable_source) or that is too large (too_large). Nothing is left behind.
        Unavailable: No space for the temporary file of a long source that can be read only once (disk_full).
    """
    parts = data if isinstance(data, Components) else Components({MAIN: data})
    if media_type is not None and isinstance(data, Components | Part):
        raise Invalid(
            Code.BAD_ARGUMENT, "media_type is for a single source", hint="Give each part its own: Part(data, type)."
        )
    _check_components(parts)
    staged: dict[str, Staged] = {}
    try:
        for role, part in parts.items():
            source, declared = (part.data, part.media_type) if isinstance(part, Part) else (part, media_type)
            if declared is not None:
                media_types.check_media_type(declared)
            staged[role] = await _stage_one(source, declared, domain)
    except BaseException:
        for done in staged.values():
            done.close()
        raise
    return staged


def _check_components(parts: Mapping[str, Any]) -> None:
    if not 1 <= len(parts) <= limits.COMPONENTS_MAX:
        message = f"a version has 1 to {limits.COMPONENTS_MAX} components, not {len(parts)}"
        raise Invalid(Code.BAD_COMPONENTS, message, hint="Split it into several artifacts.")
    for role in parts:
        grammar.check_role(role)


async def _stage_one(source: Any, media_type: str | None, domain: Domain | None) -> Staged:
    match source:
        case bytes() | bytearray() | memoryview():
            return await _stage_bytes(bytes(source), media_type or media_types.BINARY, domain)
        case str():
            return await _stage_bytes(_utf8(source), media_type or media_types.TEXT, domain)
        case dict() | list():
            return await _stage_bytes(json.encode(source), media_type or media_types.JSON, domain)
        case os.PathLike():
            path = Path(os.fsdecode(source))
            kind = media_type or media_types.from_suffix(path.suffix)
            return await asyncio.to_thread(_stage_path, path, kind, domain)
        case AsyncIterable():
            staged = await _stage_stream(source, media_type or media_types.BINARY, domain)
            return _arrived(staged, source) if hasattr(source, "incoming") else staged
        # Asked for, not matched by a protocol: from Python 3.12 on that overlooks what NamedTemporaryFile gives.
        case _ if callable(getattr(source, "read", None)):
            return await asyncio.to_thread(_stage_file, source, media_type or media_types.BINARY, domain)
    raise Invalid(
        Code.BAD_DATA,
        f"cannot store a {type(source).__name__}",
        hint="Give bytes, str, a Path, a binary file, an async iterator of bytes, or a dict or list of JSON values.",
    )


async def _stage_bytes(data: bytes, media_type: str, domain: Domain | None) -> Staged:
    hasher = Hasher(domain)
    if len(data) <= limits.INLINE_BYTES:
        hasher.update(data)
    else:
        await asyncio.to_thread(hasher.update, data)
    return _staged(hasher, media_type, data, domain)


def _stage_path(path: Path, media_type: str, domain: Domain | None) -> Staged:
    with reading(path), path.open("rb", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):  # a pipe or terminal can be read only once
            return _stage_file(file, media_type, domain)
        hasher = Hasher(domain)
        while chunk := file.read(limits.HASH_BYTES):
            hasher.update(chunk)
    return _staged(hasher, media_type, path, domain)


def _stage_file(file: Any, media_type: str, domain: Domain | None) -> Staged:
    if isinstance(file, io.TextIOBase):
        raise Invalid(Code.BAD_DATA, "the source is a file in text mode", hint="Open it in binary mode: 'rb'.")
    with _Spool(domain) as spool, reading(getattr(file, "name", None)):
        while spool.feed(file.read(limits.HASH_BYTES)):
            pass
        return spool.finish(media_type)


async def _stage_stream(stream: AsyncIterable[bytes], media_type: str, domain: Domain | None) -> Staged:
    with _Spool(domain) as spool:
        async for chunk in stream:
            if isinstance(chunk, bytes) and len(chunk) <= limits.INLINE_BYTES and spool.in_memory:
                spool.feed(chunk)
            else:
                await asyncio.to_thread(spool.feed, chunk)
        return spool.finish(media_type)


def _arrived(staged: Staged, source: Any) -> Staged:
    if source.digest in (None, staged.digest):
        return replace(staged, incoming=source.incoming)
    staged.close()
    message = f"what was uploaded is {staged.digest}, not {source.digest}"
    raise Invalid(Code.UPLOAD_ALTERED, message, hint="Nothing was stored. Ask for a new offer, and upload again.")


class _Spool:
    """A stream on its way in: hashed, kept in memory, past `limits.SPOOL_BYTES` in an anonymous temporary file."""

    def __init__(self, domain: Domain | None) -> None:
        self._domain = domain
        self._hasher = Hasher(domain)
        # Anonymous: a process that dies leaves no file behind.
        self._file = tempfile.SpooledTemporaryFile(max_size=limits.SPOOL_BYTES)  # noqa: SIM115 - closed by __exit__ or its Staged
        self._kept = False

    @property
    def in_memory(self) -> bool:
        return not self._file._rolled  # type: ignore[attr-defined]  # noqa: SLF001 - no public way to ask

    def feed(self, chunk: Any) -> int:
        if not isinstance(chunk, bytes | bytearray | memoryview):  # None: there will be more, but not now
            message = f"the source gave a {type(chunk).__name__}, not bytes"
            raise Invalid(Code.BAD_DATA, message, hint="Open the file in binary mode ('rb') and blocking.")
        data = bytes(chunk)
        self._hasher.update(data)
        if self._hasher.size_bytes > limits.BLOB_MAX_BYTES:
            _too_large(self._hasher.size_bytes)
        with _spooling():
            self._file.write(data)
        return len(data)

    def finish(self, media_type: str) -> Staged:
        if self.in_memory:
            self._file.seek(0)
            return _staged(self._hasher, media_type, self._file.read(), self._domain)
        with _spooling():
            self._file.flush()
        self._kept = True
        return _staged(self._hasher, media_type, self._file, self._domain)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if not self._kept:
            self._file.close()


class _Positioned(io.RawIOBase):
    """Reads an open file by position, so that several readers share it without moving each other."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._position = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = os.preadv(self._descriptor, [buffer], self._position)
        self._position += count
        return count


def _staged(hasher: Hasher, media_type: str, source: bytes | Path | IO[bytes], domain: Domain | None) -> Staged:
    if hasher.size_bytes > limits.BLOB_MAX_BYTES:
        _too_large(hasher.size_bytes)
    return Staged(hasher.digest, hasher.size_bytes, hasher.crc32c, media_type, source, domain)


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        place = error.start
        message = f"the text has a lone surrogate ({text[place]!a}) at character {place}, which is no Unicode text"
        raise Invalid(Code.BAD_TEXT, message, hint="Encode it yourself and store the bytes.") from error


def _too_large(size_bytes: int) -> None:
    message = f"the content has more than {limits.BLOB_MAX_BYTES} bytes, the most a blob may have"
    raise Invalid(Code.TOO_LARGE, message, hint="Split it into components.", size_bytes=size_bytes)


@contextlib.contextmanager
def _spooling() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        message = f"cannot write to the temporary folder {tempfile.gettempdir()}: {error.strerror or error}"
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        code = Code.DISK_FULL if full else Code.BLOBS_UNAVAILABLE
        raise Unavailable(code, message, hint="Free some space there, or set TMPDIR to another folder.") from error


@contextlib.contextmanager
def reading(source: object) -> Iterator[None]:
    """Say that the caller's source cannot be read (unreadable_source), whatever its reader raises."""
    try:
        yield
    except CasstoreError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a closed file, or a path with a zero byte in it
        place = source if isinstance(source, str | Path) else "the source"
        message = f"cannot read {place!s}: {getattr(error, 'strerror', None) or error}"
        hint = "Check the path and its permissions."
        if isinstance(error, IsADirectoryError):
            hint = "Name its files as components, each with its role; `casstore import` takes folders of versions."
        raise Invalid(Code.UNREADABLE_SOURCE, message, hint=hint) from error
