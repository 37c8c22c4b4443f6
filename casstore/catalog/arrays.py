"""Arrays as parameters, in Postgres' binary format. psycopg's own lists are general: nine of them cost 70 µs a call, these five.

Format: src/backend/utils/adt/arrayfuncs.c, array_send. One dimension, or none when empty.
"""

from __future__ import annotations

import struct
from typing import Any, ClassVar, Final
from uuid import UUID

import psycopg
from psycopg.adapt import Buffer, Dumper
from psycopg.pq import Format

__all__ = ["Bigints", "Byteas", "Texts", "Uuids"]


_NULL: Final = struct.pack("!i", -1)


class Byteas(list[bytes | None]):
    """A `bytea[]` parameter."""


class Bigints(list[int | None]):
    """A `bigint[]` parameter."""


class Texts(list[str | None]):
    """A `text[]` parameter."""


class Uuids(list[UUID]):
    """A `uuid[]` parameter."""


class _ArrayDumper(Dumper):
    format = Format.BINARY
    element_oid: ClassVar[int]

    def dump(self, obj: list[Any]) -> Buffer:
        if not obj:
            return struct.pack("!iiI", 0, 0, self.element_oid)
        head = struct.pack("!iiIii", 1, None in obj, self.element_oid, len(obj), 1)
        return head + b"".join(_NULL if item is None else self.element(item) for item in obj)

    def element(self, item: Any) -> bytes:
        """The length and the bytes of one element."""
        data: bytes = item
        return struct.pack("!i", len(data)) + data


class _ByteasDumper(_ArrayDumper):
    oid, element_oid = 1001, 17


class _BigintsDumper(_ArrayDumper):
    oid, element_oid = 1016, 20

    def element(self, item: Any) -> bytes:
        return struct.pack("!iq", 8, item)


class _TextsDumper(_ArrayDumper):
    oid, element_oid = 1009, 25

    def element(self, item: Any) -> bytes:
        return super().element(item.encode())


class _UuidsDumper(_ArrayDumper):
    oid, element_oid = 2951, 2950

    def element(self, item: Any) -> bytes:
        return super().element(item.bytes)


_DUMPERS: Final = ((Byteas, _ByteasDumper), (Bigints, _BigintsDumper), (Texts, _TextsDumper), (Uuids, _UuidsDumper))
for _kind, _dumper in _DUMPERS:
    psycopg.adapters.register_dumper(_kind, _dumper)  # of our own classes: nobody else's parameters change
