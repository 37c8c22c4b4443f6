"""Sealed records of the journal, and the keys that seal them. docs/format.md is normative.

A record is sealed with AES-SIV (RFC 5297), which is deterministic: it needs no nonce that could be used twice, and two exporters
that seal the same record write the same bytes.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import msgpack

from casstore.errors import Code, Corrupt

__all__ = ["KEYS", "JournalKey", "Salt", "decode_key", "encode_key", "id_of", "key_object"]

KEYS: Final = "artifacts/journal-keys/"
_HEADER: Final = "casstore/journal-key/1"
_PASSING: Final = ("components", "tenant")  # which may be purged, and loses its name when it is erased


@dataclass(frozen=True, slots=True)
class Salt:
    """What hashes are salted with: with it one can prove what a hash is of, without it nothing."""

    raw: bytes

    def hash(self, kind: str, data: bytes) -> bytes:
        """HMAC-SHA256 of some bytes of a kind."""
        return hmac.digest(self.raw, kind.encode() + b"\0" + data, hashlib.sha256)

    def of_record(self, record: Mapping[str, Any]) -> bytes:
        """Of what stays of a record for ever, whenever it is exported."""
        stable: bytes = msgpack.packb({key: record[key] for key in sorted(record) if key not in _PASSING})
        return self.hash("record", stable)


@dataclass(frozen=True, slots=True)
class JournalKey:
    """The key of one tenant: 32 random bytes, and an id that says nothing."""

    id: UUID
    secret: bytes

    @property
    def salt(self) -> Salt:
        """The salt of this tenant's hashes, from which the key cannot be found."""
        return Salt(hmac.digest(self.secret, b"casstore salt", hashlib.sha256))

    def seal(self, store: UUID, record: Mapping[str, Any]) -> list[Any]:
        """A record as [seq, id of the key, salted hash, sealed bytes]."""
        seq = record["log"][0]
        sealed = self._cipher().encrypt(msgpack.packb(record), self._place(store, seq))
        return [seq, self.id.bytes, self.salt.of_record(record), sealed]

    def open(self, store: UUID, sealed: list[Any]) -> dict[str, Any] | None:
        """The record again; None where it was not sealed with this key, at this place of this store, or was altered."""
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - most programs never open a journal

        seq, _, hashed, data = sealed
        try:
            record: dict[str, Any] = msgpack.unpackb(self._cipher().decrypt(data, self._place(store, seq)))
        except (InvalidTag, ValueError):
            return None
        return record if hmac.compare_digest(hashed, self.salt.of_record(record)) else None

    def _cipher(self) -> Any:
        from cryptography.hazmat.primitives.ciphers.aead import AESSIV  # noqa: PLC0415 - as above

        return AESSIV(hmac.digest(self.secret, b"casstore seal", hashlib.sha512))

    def _place(self, store: UUID, seq: int) -> list[bytes]:
        return [store.bytes, self.id.bytes, seq.to_bytes(8, "big")]


def key_object(key: UUID) -> str:
    """The object's key below the configured prefix."""
    return f"{KEYS}{key}"


def id_of(name: str) -> UUID | None:
    """The id of the key that an object is; None for a stranger."""
    try:
        found = UUID(name.removeprefix(KEYS))
    except ValueError:
        return None
    return found if name == key_object(found) else None


def encode_key(store: UUID, key: JournalKey) -> bytes:
    """The bytes of a key's object."""
    packed: bytes = msgpack.packb([_HEADER, store.bytes, key.id.bytes, key.secret])
    return packed


def decode_key(name: str, data: bytes) -> JournalKey:
    """The key that an object is; raises Corrupt (journal_broken)."""
    try:
        header, _, raw, secret = msgpack.unpackb(data)
        key = JournalKey(UUID(bytes=raw), secret)
        if header == _HEADER and id_of(name) == key.id and len(secret) == 32:  # noqa: PLR2004 - as the format says
            return key
    except (ValueError, TypeError, msgpack.UnpackException):
        pass  # told below with everything else
    message = f"{name} was altered: it is not a key"
    raise Corrupt(Code.JOURNAL_BROKEN, message, hint="Restore it from a backup.", key=name)
