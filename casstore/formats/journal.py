"""Segments of the journal: records of the log, each segment with the digest of the one before. docs/format.md is normative."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from uuid import UUID

import msgpack

from casstore.errors import Code, Corrupt, Invalid
from casstore.model import Digest

__all__ = ["NO_SEGMENT", "PREFIX", "Record", "Segment", "decode", "encode", "key_of", "pack", "range_of", "seq_of"]

Record: TypeAlias = dict[str, Any]  # by table, the row or rows of it; or under `sealed` what a key hides

PREFIX: Final = "artifacts/journal/"
NO_SEGMENT: Final = Digest(bytes(32))  # before the first segment
_HEADER: Final = "casstore/journal/2"
_KEY: Final = re.compile(re.escape(PREFIX) + r"(\d{16})-(\d{16})\.msgpack", re.ASCII)


@dataclass(frozen=True, slots=True)
class Segment:
    """Records in their order, from the place `first` on."""

    store: UUID
    first: int
    previous: Digest
    records: Sequence[Record]

    @property
    def last(self) -> int:
        """The place of the last record."""
        return self.first + len(self.records) - 1

    @property
    def last_seq(self) -> int:
        """The row of the log that the last record is about."""
        return seq_of(self.records[-1])


def seq_of(record: Record) -> int:
    """The row of the log that a record is about, sealed or not."""
    seq: int = record["sealed" if "sealed" in record else "log"][0]
    return seq


def key_of(first: int, last: int) -> str:
    """The object's key below the configured prefix. Keys sort as their segments follow each other."""
    return f"{PREFIX}{first:016}-{last:016}.msgpack"


def range_of(key: str) -> tuple[int, int] | None:
    """The places of the first and the last record by a segment's key; None for a stranger."""
    match = _KEY.fullmatch(key)
    return (int(match[1]), int(match[2])) if match else None


def pack(record: Record) -> bytes:
    """A record as it stands in a segment."""
    packed: bytes = msgpack.packb(record)
    return packed


def encode(store: UUID, first: int, previous: Digest, packed: Sequence[bytes]) -> bytes:
    """The bytes of a segment of these packed records."""
    packer = msgpack.Packer(autoreset=False)
    packer.pack_array_header(5)
    for value in (_HEADER, store.bytes, first, bytes(previous)):
        packer.pack(value)
    packer.pack_array_header(len(packed))
    head: bytes = packer.bytes()
    return head + b"".join(packed)


def decode(key: str, data: bytes) -> Segment:
    """The segment under a key; raises Corrupt (journal_broken) where the bytes are not one with the range of the key."""
    fault = "it is not a segment"
    try:
        header, store, first, previous, records = msgpack.unpackb(data, strict_map_key=True)
        if header != _HEADER:
            fault = f"its header is {header!a:.80}, which this release does not know"
        else:
            segment = Segment(UUID(bytes=store), first, Digest(previous), records)
            if range_of(key) == (segment.first, segment.last) and _ascend(records) and all(map(_is_whole, records)):
                return segment
            fault = "its records are not those of its name"
    except (ValueError, TypeError, KeyError, IndexError, Invalid, msgpack.UnpackException):
        pass  # told below with everything else
    raise Corrupt(Code.JOURNAL_BROKEN, f"{key} was altered: {fault}", hint="Restore it from a backup.", key=key)


def _is_whole(record: Record) -> bool:
    """Whether what is sealed has all that it takes to open it, or to see that nobody can."""
    if "sealed" not in record:
        return True
    _, key, hashed, data = record["sealed"]
    return [type(key), type(hashed), type(data)] == [bytes] * 3 and (len(key), len(hashed)) == (16, 32)


def _ascend(records: Sequence[Record]) -> bool:
    seqs = [seq_of(record) for record in records]
    return bool(seqs) and all(type(seq) is int for seq in seqs) and seqs == sorted(set(seqs))
