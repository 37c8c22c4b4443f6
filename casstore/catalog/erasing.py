"""Erasing a tenant, step by step. For the role that owns the schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from psycopg.types.json import Jsonb

from casstore import limits
from casstore.catalog.arrays import Bigints, Byteas
from casstore.catalog.connection import Catalog

__all__ = [
    "Part",
    "Unfinished",
    "begin",
    "end",
    "erase_log",
    "erase_rows",
    "key_of",
    "left",
    "parts",
    "records",
    "unfinished",
]


@dataclass(frozen=True, slots=True)
class Unfinished:
    """An erasing under way: the key of the tenant, the salt of its hashes, since when, and the hash of the tenant's name."""

    key: UUID
    salt: bytes
    erased_at: datetime
    name_hash: str


@dataclass(frozen=True, slots=True)
class Part:
    """What a receipt will list: the salted hash of a version, or of a content with its size, and how many components were it."""

    hash: bytes
    size_bytes: int | None
    copies: int


_KEY: Final = "select key, secret from casstore.erase_key(%s)"


async def key_of(catalog: Catalog, tenant: str) -> tuple[UUID, bytes]:
    """The key of a deleted tenant. Raises NotFound (tenant_not_found), Conflict (tenant_not_deleted, held)."""
    key, secret = await catalog.one(_KEY, (tenant,))
    return key, bytes(secret)


_BEGIN: Final = "select erased_at from casstore.erase_begin(%s, %s, %s)"


async def begin(catalog: Catalog, key: UUID, salt: bytes, told: Mapping[str, str]) -> datetime:
    """Destroy the key and the name, for ever; again it answers the same instant. Errors as `key_of`."""
    (erased_at,) = await catalog.one(_BEGIN, (key, salt, Jsonb(dict(told))))
    return erased_at  # type: ignore[no-any-return]


_UNFINISHED: Final = "select key, salt, erased_at, name from casstore.erasures()"


async def unfinished(catalog: Catalog) -> list[Unfinished]:
    """Erasings under way."""
    rows = await catalog.call(_UNFINISHED, ())
    return [Unfinished(key, bytes(salt), erased_at, name) for key, salt, erased_at, name in rows]


_RECORDS: Final = "select seq, record from casstore.erase_records(%s, %s::bigint, %s::int)"


async def records(catalog: Catalog, key: UUID, after: int) -> list[tuple[int, dict[str, Any]]]:
    """Some rows of the log, after one, that still say something of the tenant."""
    return [(seq, record) for seq, record in await catalog.call(_RECORDS, (key, after, limits.ERASE_BATCH))]


_LOG: Final = "select casstore.erase_log(%s, %s, %s, %s, %s, %s)"


async def erase_log(catalog: Catalog, key: UUID, hashes: Mapping[int, bytes], listed: Sequence[Part]) -> None:
    """Put hashes into the place of rows of the log, and what they were about into the receipt; once, whoever repeats it."""
    sizes = [part.size_bytes for part in listed]
    arguments = (
        key,
        Bigints(list(hashes)),
        [each.hex() for each in hashes.values()],
        Byteas([part.hash for part in listed]),
        Bigints(sizes),
        Bigints([part.copies for part in listed]),
    )
    await catalog.call(_LOG, arguments)


_ROWS: Final = "select casstore.erase_rows(%s, %s::int)"


async def erase_rows(catalog: Catalog, key: UUID) -> int:
    """Take some rows of the tenant away; how many. 0: none are left."""
    (count,) = await catalog.one(_ROWS, (key, limits.ERASE_BATCH))
    return int(count)


_PARTS: Final = "select hash, size_bytes, copies from casstore.erase_parts(%s)"


async def parts(catalog: Catalog, key: UUID) -> list[Part]:
    """What the receipt lists."""
    return [Part(bytes(hashed), size, copies) for hashed, size, copies in await catalog.call(_PARTS, (key,))]


_END: Final = "select casstore.erase_end(%s)"


async def end(catalog: Catalog, key: UUID) -> None:
    """Forget the salt."""
    await catalog.call(_END, (key,))


_LEFT: Final = "select table_name, rows from casstore.erase_left(%s)"


async def left(catalog: Catalog, key: UUID) -> dict[str, int]:
    """Rows that there still are of the tenant that had this key, by table."""
    return {table: int(count) for table, count in await catalog.call(_LEFT, (key,))}
