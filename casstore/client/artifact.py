"""Content on its way from the server: verified here, by whoever asked, against the digest that names it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Final, Self

import httpx

from casstore import limits
from casstore.client.line import Line, Request
from casstore.client.problems import no_casstore
from casstore.client.routes import place
from casstore.errors import Code, Corrupt, Denied, Unavailable, UsageError
from casstore.hashing import Hasher
from casstore.model import Component, Manifest, Version
from casstore.operations.get import AsyncArtifact, AsyncReader
from casstore.refs import Ref

__all__ = ["RemoteArtifact", "checked", "is_keyed"]

DIGEST: Final = "Repr-Digest"


def checked(version: Version, ref: Ref | None = None) -> Version:
    """Return the version if its digest is that of what it says it consists of, and of what was asked for.

    Raises Corrupt (blob_altered).
    """
    manifest = Manifest.build({part.role: part for part in version.components}, version.relations)
    wanted = ref.selector.text if ref and ref.selector.kind == "digest" else None
    if manifest.digest == version.digest and version.digest.hex().startswith(wanted or ""):
        return version
    message = f"{version.ref} came as something else than {version.digest}"
    raise Corrupt(
        Code.BLOB_ALTERED, message, hint="The server, or what stands before it, is at fault.", ref=version.ref
    )


async def is_keyed(line: Line, version: Version) -> bool:
    """Whether the digests of a version are made with the key of an isolation domain: then the server tells none of its bytes."""
    return DIGEST not in (await line.ask(Request("HEAD", _path(version, version.components[0])))).headers


def _path(version: Version, component: Component) -> str:
    return f"/components/id:{version.id}/{place(component.role)}"


class RemoteArtifact(AsyncArtifact):
    """A version and its bytes on a server, with the promise of `AsyncArtifact`."""

    def __init__(
        self, line: Line, version: Version, component: Component | None = None, *, is_verified: bool = True
    ) -> None:
        self._line = line
        self.version = version
        self._component = component
        self._is_verified = is_verified

    def _like(self, component: Component | None, *, is_verified: bool) -> RemoteArtifact:
        return RemoteArtifact(self._line, self.version, component, is_verified=is_verified)

    @property
    def is_keyed(self) -> bool:
        """Not known before the server was asked: raises UsageError (not_over_http)."""
        message = "whether the digests are keyed is known only when the bytes are opened"
        raise UsageError(Code.NOT_OVER_HTTP, message, hint="`open` raises Denied where they are.")

    async def open(self, *, start: int = 0, end: int | None = None) -> AsyncReader:
        """As of `AsyncArtifact`. Where the connection breaks, reading goes on behind what was read, and all of it is verified.

        Raises:
            Denied: The digests are made with the key of an isolation domain, which a client has not (domain_key_missing).
            Corrupt: The bytes are gone, or the server found them damaged (blob_missing, blob_altered).
            Unavailable: The server (server_unavailable), also while reading.
        """
        size = self.component.size_bytes
        start, end = min(start, size), size if end is None else min(end, size)
        blob = await _RemoteBlob.open(self._line, self.version, self.component, start, end)
        hasher = Hasher() if self._is_verified and (start, end) == (0, size) else None
        if hasher and blob.is_keyed:
            await blob.aclose()
            message = f"the bytes of {self!r} cannot be verified without the key of the isolation domain they are in"
            hint = "Read it `unverified()`: the server has verified it. Or read it where the key is."
            raise Denied(Code.DOMAIN_KEY_MISSING, message, hint=hint)
        return AsyncReader(self, blob, hasher, max(0, end - start))

    async def _doubt(self, error: Corrupt, generation: int | None) -> None:  # noqa: ARG002 - the server has its own ledger
        error.fields["ref"] = f"{self.version.ref}#{self.component.role}"
        error.hint = "They were altered on the way, or by the server, which verifies what it reads."


class _RemoteBlob:
    """The bytes of an answer, and after a broken connection those of the next: what `BlobReader` promises."""

    generation = 0

    def __init__(self, line: Line, version: Version, component: Component, start: int, end: int) -> None:
        self._line = line
        self._path = _path(version, component)
        self._etag = f'"{component.digest}"'
        self._about = f"{version.ref}#{component.role}"
        self._position, self._start, self._end, self._whole = start, start, end, component.size_bytes
        self._response: httpx.Response | None = None
        self._pieces: AsyncIterator[bytes] | None = None
        self._left = b""
        self.size_bytes = max(0, end - start)
        self.is_keyed = False

    @classmethod
    async def open(cls, line: Line, version: Version, component: Component, start: int, end: int) -> Self:
        blob = cls(line, version, component, start, end)
        await blob._ask()
        return blob

    async def read(self, max_bytes: int) -> bytes:
        attempts = limits.CLIENT_ATTEMPTS
        while not self._left and self._position < self._end:
            attempts -= 1
            try:
                self._left = await self._next()
            except Unavailable:
                if not attempts:
                    raise
                await self._ask()
        piece, self._left = self._left[:max_bytes], self._left[max_bytes:]
        return piece

    async def aclose(self) -> None:
        response, self._response, self._pieces = self._response, None, None
        if response:
            await response.aclose()

    async def _next(self) -> bytes:
        """The next bytes as they came; raises Unavailable (server_unavailable) where the answer ends before them."""
        piece = b""
        async with self._line.reading(Request("GET", self._path)):
            if self._pieces:
                piece = await anext(self._pieces, b"")
        if not piece:
            message = f"the answer with {self._about} ended early, after {self._position} bytes"
            raise Unavailable(Code.SERVER_UNAVAILABLE, message, hint="Read it again.")
        self._position += len(piece)
        self._line.told("down", self._about, self._position - self._start, self.size_bytes)
        return piece

    async def _ask(self) -> None:
        """Ask for the bytes behind those that were read. A part is never asked for where all are: all are verified there."""
        await self.aclose()
        if self._position >= self._end and self._whole:
            return
        is_part = (self._position, self._end) != (0, self._whole)
        headers = {"Range": f"bytes={self._position}-{self._end - 1}", "If-Range": self._etag} if is_part else {}
        response = await self._line.open_stream(Request("GET", self._path, (), headers))
        self._response = response
        told = response.headers.get("Content-Length", "")
        length = int(told) if told.isascii() and told.isdigit() else None
        if response.status_code == HTTPStatus.PARTIAL_CONTENT or not is_part:
            self.is_keyed = DIGEST not in response.headers
            self._pieces = response.aiter_raw(limits.CHUNK_BYTES)
            if length is not None and length != self._end - self._position:
                self.size_bytes = length  # which the reader refuses
            return
        with contextlib.suppress(Unavailable):
            await self.aclose()
        raise no_casstore(f"a part of {self._about} was answered {response.status_code}")
