"""Pieces: the parts of an artifact as a kind reads them, from anything that can be opened from its start."""

from __future__ import annotations

import builtins
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

from casstore import limits
from casstore.errors import Code, Invalid
from casstore.formats import json, media_types

__all__ = ["Piece", "Source"]


class Source(Protocol):
    """What a piece is read from, such as the bytes a put has staged."""

    @property
    def media_type(self) -> str:
        """In which format the bytes are."""

    @property
    def size_bytes(self) -> int:
        """How many there are."""

    def open(self) -> BinaryIO:
        """A new blocking reader from the first byte."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One part of an artifact: read when a kind asks, anew each time, and never more than a bound at once."""

    role: str
    source: Source

    @property
    def media_type(self) -> str:
        """In which format the bytes are said to be."""
        return self.source.media_type

    @property
    def size_bytes(self) -> int:
        """The length of the whole, read or not."""
        return self.source.size_bytes

    @property
    def apart(self) -> builtins.bytes | None:
        """The key under which to remember what was found in the bytes: that of their isolation domain, if they are in one."""
        domain = getattr(self.source, "domain", None)
        return domain.blob_key if domain else None

    def is_of(self, *kinds: str) -> bool:
        """Whether the media type is one of `kinds`, whatever its parameters; `x/y+json` is JSON, too (RFC 6839)."""
        essence = self.media_type.partition(";")[0].strip().lower()
        suffix = essence.rpartition("+")[2]
        return essence in kinds or f"application/{suffix}" in kinds

    def head(self, size_bytes: int) -> builtins.bytes:
        """The first bytes, fewer only where the piece ends; raises Invalid (unreadable_source)."""
        found = bytearray()
        try:
            with self.source.open() as file:
                while len(found) < size_bytes and (more := file.read(size_bytes - len(found))):
                    found += more
        except OSError as error:
            message = f"the component {self.role} cannot be read: {error.strerror or error}"
            raise Invalid(Code.UNREADABLE_SOURCE, message, hint="Check the file and its permissions.") from error
        return bytes(found)

    def bytes(self) -> builtins.bytes:
        """All bytes; raises Invalid (too_large) past `limits.CHECKED_MAX_BYTES`, before any is read."""
        if self.size_bytes > limits.CHECKED_MAX_BYTES:
            message = f"has {self.size_bytes} bytes, and up to {limits.CHECKED_MAX_BYTES} can be checked"
            raise Invalid(Code.TOO_LARGE, message, hint="Split it into components.", role=self.role)
        return self.head(self.size_bytes)

    def json(self) -> Any:
        """The JSON value of the bytes; raises Invalid (too_large, bad_json)."""
        data = self.bytes()
        try:
            return json.decode(data)
        except Invalid as error:
            raise Invalid(error.code, error.message, hint=error.hint, role=self.role) from error

    @property
    def is_json(self) -> bool:
        """Whether it is said to be JSON."""
        return self.is_of(media_types.JSON)
