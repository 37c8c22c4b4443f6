"""Bytes of components as answers: validators, ranges, and headers under which no content is ever executed."""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from dataclasses import dataclass
from typing import Final

from fastapi import Response
from starlette.types import Receive, Scope, Send

from casstore import limits
from casstore.formats import media_types
from casstore.model import Component
from casstore.operations.get import AsyncArtifact, AsyncReader

__all__ = ["Span", "answer", "etag", "span_of"]

_RANGE: Final = re.compile(r"bytes=(\d{0,19})-(\d{0,19})", re.ASCII)
# What a browser shows without running anything of it. All else is handed over as a file.
_SHOWN: Final = frozenset({"application/json", "application/pdf", "text/plain", "text/markdown", "text/csv"})
_SHOWN_PICTURES: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_IMMUTABLE: Final = "private, max-age=31536000, immutable"
_ASK_AGAIN: Final = "private, no-cache"
_CONTENT_POLICY: Final = "sandbox; default-src 'none'; frame-ancestors 'self'"


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes from `start` up to and without `end`, of `size`."""

    start: int
    end: int
    size: int

    @property
    def is_empty(self) -> bool:
        """Whether there are no such bytes."""
        return self.start >= self.end

    def __str__(self) -> str:
        """As Content-Range has it."""
        return f"bytes */{self.size}" if self.is_empty else f"bytes {self.start}-{self.end - 1}/{self.size}"


def etag(component: Component) -> str:
    """The validator of a component's bytes: their digest."""
    return f'"{component.digest}"'


def span_of(header: str | None, size: int) -> Span | None:
    """The one range that a header asks for; None where it asks for none, several, or in another way, which means all."""
    match = _RANGE.fullmatch((header or "").strip())
    if not match or not (match[1] or match[2]):
        return None
    if not match[1]:
        return Span(max(0, size - int(match[2])), size, size)
    last = int(match[2]) if match[2] else size - 1
    if int(match[1]) > last and match[2]:
        return None  # RFC 9110, 14.1.1: such a range is invalid, and ignored
    return Span(int(match[1]), min(last + 1, size), size)


async def answer(artifact: AsyncArtifact, asked: str | None, *, is_pinned: bool) -> Response:
    """The bytes of a component, or the part that a Range header asks for; 416 where there is no such part.

    The first bytes are read, and the last ones verified, before they are sent: what is damaged is an error, or a body that
    ends early.
    """
    component = artifact.component
    headers = headers_of(artifact, is_pinned=is_pinned)
    span = span_of(asked, component.size_bytes)
    if span:
        headers["Content-Range"] = str(span)
    if span and span.is_empty:
        return Response(status_code=416, headers=headers)
    start, end = (span.start, span.end) if span else (0, component.size_bytes)
    headers["Content-Length"] = str(end - start)
    reader = await artifact.open(start=start, end=end)
    try:
        first = await reader.read(limits.CHUNK_BYTES)
    except BaseException:
        await reader.aclose()
        raise
    if len(first) == end - start:
        await reader.aclose()
        return Response(first, 206 if span else 200, headers)
    return _Streamed(reader, first, 206 if span else 200, headers)


def headers_of(artifact: AsyncArtifact, *, is_pinned: bool) -> dict[str, str]:
    """What is said of a component beside its bytes. `is_pinned`: it was asked for by its digest, and can never be another."""
    component = artifact.component
    headers = {
        "Content-Type": component.media_type,
        "ETag": etag(component),
        "Accept-Ranges": "bytes",
        "Cache-Control": _IMMUTABLE if is_pinned else _ASK_AGAIN,
        "Content-Disposition": _disposition(artifact),
        "Content-Security-Policy": _CONTENT_POLICY,
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    if not artifact.is_keyed:
        headers["Repr-Digest"] = f"blake3=:{b64encode(component.digest).decode()}:"
    return headers


def _disposition(artifact: AsyncArtifact) -> str:
    """Shown or saved, and under which name: names and roles have no character that needs quoting."""
    version, component = artifact.version, artifact.component
    kind = component.media_type.partition(";")[0].strip().lower()
    how = "inline" if kind in _SHOWN | _SHOWN_PICTURES else "attachment"
    name = f"{version.name.rpartition('/')[2]}-v{version.number}-{component.role}{media_types.suffix_for(kind)}"
    return f'{how}; filename="{name}"'


class _Streamed(Response):
    """Bytes as they are read, one chunk in memory."""

    def __init__(self, reader: AsyncReader, first: bytes, status: int, headers: dict[str, str]) -> None:
        super().__init__(None, status, headers)
        self._reader = reader
        self._first = first

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - as ASGI calls it
        gone = asyncio.ensure_future(_gone(receive))  # what is sent to nobody is dropped without a word: ask
        try:
            async with self._reader as reader:
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                chunk = self._first
                while chunk and not gone.done():
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                    chunk = await reader.read(limits.CHUNK_BYTES)
                await send({"type": "http.response.body", "body": b""})
        finally:
            gone.cancel()


async def _gone(receive: Receive) -> None:
    """Wait until the client is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
