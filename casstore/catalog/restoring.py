"""Making a catalog again, in one transaction: it is there whole or not at all. For the role that owns the schema."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from casstore.catalog.arrays import Bigints, Byteas
from casstore.catalog.connection import Catalog
from casstore.errors import Code, Conflict
from casstore.model import Digest

__all__ = ["Restore", "restoring"]

_BEGIN: Final = "select casstore.begin_restore()"


@asynccontextmanager
async def restoring(catalog: Catalog) -> AsyncIterator[Restore]:
    """An empty catalog, to be filled; what the block raises leaves it empty. Raises Conflict (catalog_not_empty)."""
    async with catalog.transaction() as connection:
        (is_empty,) = await _one(connection, _BEGIN, ())
        if not is_empty:
            message = "the catalog is not empty, and a rebuild would mix it with another"
            raise Conflict(
                Code.CATALOG_NOT_EMPTY, message, hint="Rebuild into a new database (`casstore init` makes it ready)."
            )
        yield Restore(connection)


_RECORDS: Final = "select casstore.restore_records(%s)"
_SEGMENT: Final = "select casstore.restore_segment(%s::bigint, %s::bigint, %s::bigint, %s)"
_KEY: Final = "select casstore.restore_key(%s, %s, %s)"
_BLOBS: Final = "select casstore.restore_blobs(%s, %s, %s)"
_END: Final = "select records, versions, missing from casstore.end_restore(%s)"


class Restore:
    """A catalog that is being made again. Nobody else sees anything of it before its end."""

    def __init__(self, connection: AsyncConnection[Any]) -> None:
        self._connection = connection

    async def segment(self, records: Sequence[Mapping[str, Any]], first: int, last_seq: int, digest: Digest) -> None:
        """Make the rows of a segment's records, after those of all segments before it."""
        await _one(self._connection, _RECORDS, (Jsonb(records),))
        await _one(self._connection, _SEGMENT, (first, first + len(records) - 1, last_seq, bytes(digest)))

    async def key(self, key: UUID, tenant: str, secret: bytes) -> None:
        """Remember the key that a tenant's records are sealed with, and that its object is there."""
        await _one(self._connection, _KEY, (key, tenant, secret))

    async def blobs(self, digests: Sequence[Digest], sizes: Sequence[int], generations: Sequence[int]) -> int:
        """Believe in these objects, where versions use them; how many that are."""
        (count,) = await _one(self._connection, _BLOBS, (Byteas(digests), Bigints(sizes), Bigints(generations)))
        return int(count)

    async def end(self, identity: UUID) -> tuple[int, int, int]:
        """Take the identity and go on numbering: how many records and versions there are, and blobs without a good object."""
        records, versions, missing = await _one(self._connection, _END, (identity,))
        return records, versions, missing


async def _one(connection: AsyncConnection[Any], sql: Any, arguments: Sequence[Any]) -> tuple[Any, ...]:
    (row,) = await (await connection.execute(sql, arguments)).fetchall()
    return tuple(row)
