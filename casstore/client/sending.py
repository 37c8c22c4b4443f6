"""Content on its way to the server: staged bytes read again, raw or as a form with a JSON document beside them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any, Final, Protocol
from uuid import uuid4

from pydantic_core import PydanticSerializationError, to_json

from casstore import limits
from casstore.errors import Code, Invalid
from casstore.hashing import Hasher
from casstore.staging import Staged

__all__ = ["Body", "Document", "Form", "Raw", "Told", "document"]

Told = Callable[[str, int, int], None]  # of which component, how many bytes are done, of how many
_JSON: Final = "application/json"


class Body(Protocol):
    """What a request brings. It can be sent again from its beginning."""

    content_type: str
    size_bytes: int

    def pieces(self, told: Told) -> AsyncGenerator[bytes, None]:
        """All bytes, in pieces; raises Invalid (source_changed) before the last ones of a source that was changed meanwhile."""
        ...


def document(value: Mapping[str, Any]) -> bytes:
    """Values as JSON; raises Invalid (bad_text) for text that is no Unicode."""
    try:
        return to_json(value, fallback=str)
    except (PydanticSerializationError, UnicodeEncodeError) as error:
        hint = "It may have a lone surrogate: encode it yourself."
        raise Invalid(Code.BAD_TEXT, f"an argument cannot be sent: {error}", hint=hint) from error


class Document:
    """A JSON document."""

    content_type = _JSON

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size_bytes = len(data)

    async def pieces(self, told: Told) -> AsyncGenerator[bytes, None]:  # noqa: ARG002 - as of every body
        """The document."""
        yield self._data


class Raw:
    """One component, as it is."""

    def __init__(self, about: str, staged: Staged) -> None:
        self.content_type = staged.media_type
        self.size_bytes = staged.size_bytes
        self._about = about
        self._staged = staged

    async def pieces(self, told: Told) -> AsyncGenerator[bytes, None]:
        """The bytes."""
        async for piece in _read(self._about, self._staged, told):
            yield piece


class Form:
    """Components as files of a form (RFC 7578), after the document that says what to do with them.

    Args:
        data: The document, in the field `request`.
        files: The components by their fields, each with what it is for people.
    """

    def __init__(self, data: bytes, files: Mapping[str, tuple[str, Staged]]) -> None:
        self._files = files
        boundary = uuid4().hex
        self.content_type = f"multipart/form-data; boundary={boundary}"
        begin = f'--{boundary}\r\nContent-Disposition: form-data; name="'.encode()
        self._first = begin + b'request"\r\n\r\n' + data
        self._heads = {
            field: b'\r\n%s%b"; filename="f"\r\nContent-Type: application/octet-stream\r\n\r\n'
            % (begin, field.encode())
            for field in files
        }
        self._last = f"\r\n--{boundary}--\r\n".encode()
        written = len(self._first) + sum(map(len, self._heads.values())) + len(self._last)
        self.size_bytes = written + sum(staged.size_bytes for _, staged in files.values())

    async def pieces(self, told: Told) -> AsyncGenerator[bytes, None]:
        """The form."""
        yield self._first
        for field, (about, staged) in self._files.items():
            yield self._heads[field]
            async for piece in _read(about, staged, told):
                yield piece
        yield self._last


async def _read(about: str, staged: Staged, told: Told) -> AsyncGenerator[bytes, None]:
    """Staged bytes, hashed again: the last ones only if they still are what was staged."""
    hasher = Hasher()
    with staged.open() as file:
        while hasher.size_bytes < staged.size_bytes:
            wanted = min(limits.CHUNK_BYTES, staged.size_bytes - hasher.size_bytes)
            piece = (
                await asyncio.to_thread(_next, file, wanted, hasher)
                if wanted > limits.INLINE_BYTES
                else _next(file, wanted, hasher)
            )
            if not piece or (hasher.size_bytes == staged.size_bytes and hasher.digest != staged.digest):
                message = f"{about} has changed while it was being sent"
                raise Invalid(Code.SOURCE_CHANGED, message, hint="Nothing was stored. Put it again.")
            yield piece
            told(about, hasher.size_bytes, staged.size_bytes)


def _next(file: Any, wanted: int, hasher: Hasher) -> bytes:
    piece: bytes = file.read(wanted)
    hasher.update(piece)
    return piece
