"""journal export: write what is final of the operation log beside the blobs, in segments that are never changed.

The range of a segment is written into the catalog before its object is written, and its digest after. So whoever comes next, after
a crash or at the same time, makes the same object, and that is there once.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from casstore import limits
from casstore.blobs import BlobStore, KeepsJournal
from casstore.catalog import identity
from casstore.catalog import journal as log
from casstore.catalog.connection import Catalog
from casstore.errors import Code, Corrupt, Unavailable
from casstore.formats import journal
from casstore.formats.journal import NO_SEGMENT, Record
from casstore.formats.sealing import JournalKey
from casstore.model import Digest
from casstore.operations.keyring import remove_keys, store_keys
from casstore.operations.segments import hash_left, keeper_of, keys_after

__all__ = ["JournalExport", "export"]

_PAUSE_S: Final = 0.01


class JournalExport(BaseModel):
    """What one export has written, and where the journal ends now."""

    model_config = ConfigDict(frozen=True)

    segments: int
    records: int
    last: int  # the place of the last record; 0 where there is none
    digest: Digest | None  # of the last segment: it stands for the whole journal, as each names the one before


@dataclass(frozen=True, slots=True)
class _Tip:
    """Where the journal ends: the last segment that is known to be there, and the range of the next, if that is planned."""

    last: int
    last_seq: int
    digest: Digest
    key: str
    planned: log.Exported | None


async def export(catalog: Catalog, blobs: BlobStore) -> JournalExport:
    """Export everything that was committed before; see `AsyncStore.export_journal` for the promise."""
    keeper = keeper_of(blobs)
    store, _ = await identity.of_store(catalog)
    until = await _horizon(catalog)
    segments = count = 0
    while True:
        tip = await _tip(catalog)
        if tip.planned is None:
            await _check_alone(catalog, keeper, tip)
            rows = await _rows(catalog, tip.last_seq, until, limits.SEGMENT_BYTES)
            if not rows:
                await remove_keys(catalog, keeper)  # of whom the journal says now that they were erased
                digest = tip.digest if tip.last else None
                return JournalExport(segments=segments, records=count, last=tip.last, digest=digest)
            await log.plan(catalog, tip.last + 1, tip.last + len(rows), rows[-1].seq)
        else:
            count += await _write(catalog, keeper, store, tip, tip.planned)
            segments += 1


async def _horizon(catalog: Catalog) -> int:
    """Up to where the log is final: waits for those who are at work on it."""
    seq, until = await log.horizon(catalog)
    end = time.monotonic() + limits.SETTLE_TIMEOUT.total_seconds()
    while not await log.has_settled(catalog, until):
        if time.monotonic() > end:
            message = (
                f"a transaction on the catalog's server has been open for {limits.SETTLE_TIMEOUT.total_seconds():g} s"
            )
            hint = "Look for it in pg_stat_activity, then export again: what it may still write would be left out."
            raise Unavailable(Code.CATALOG_BUSY, message, hint=hint)
        await asyncio.sleep(_PAUSE_S)
    return seq


async def _tip(catalog: Catalog) -> _Tip:
    newest = await log.newest(catalog)
    planned = newest.pop(0) if newest and newest[0].digest is None else None
    if not newest:
        return _Tip(0, 0, NO_SEGMENT, "", planned)
    there = newest[0]
    return _Tip(
        there.last, there.last_seq, there.digest or NO_SEGMENT, journal.key_of(there.first, there.last), planned
    )


async def _check_alone(catalog: Catalog, keeper: KeepsJournal, tip: _Tip) -> None:
    """A segment that the catalog does not know of is one of its own future: it was restored from a backup, and went another way."""
    async for key in keys_after(keeper, tip.key):
        if await _tip(catalog) == tip:  # else another exporter has written it just now
            raise _ahead(key)
        return


def _ahead(key: str) -> Corrupt:
    message = f"the journal has {key}, of which the catalog knows nothing: the catalog is older, or another"
    hint = "Was it restored from a backup? Rebuild it from the journal (`casstore rebuild`): that is newer."
    return Corrupt(Code.JOURNAL_AHEAD, message, hint=hint, key=key)


async def _rows(catalog: Catalog, after: int, until: int, size_bytes: float) -> list[log.LogRow]:
    """Rows of the log after one, until their records have this size together, or up to a row."""
    found: list[log.LogRow] = []
    size = 0
    while size < size_bytes and (page := await log.records(catalog, after, until, limits.RECORDS_AT_ONCE)):
        for row in page:
            found.append(row)
            after, size = row.seq, size + len(journal.pack(row.record))
            if size >= size_bytes:
                break
    return found


async def _write(catalog: Catalog, keeper: KeepsJournal, store: UUID, tip: _Tip, planned: log.Exported) -> int:
    """Write the planned segment, or find it written; how many records it has."""
    await store_keys(catalog, keeper, store)
    rows = await _rows(catalog, tip.last_seq, planned.last_seq, float("inf"))
    if len(rows) != planned.last - planned.first + 1:
        message = f"the log has not the rows of the journal's records {planned.first} to {planned.last} any more"
        raise Corrupt(Code.CATALOG_INCONSISTENT, message, hint="`casstore audit verify` tells what is wrong.")
    key = journal.key_of(planned.first, planned.last)
    data = journal.encode(store, planned.first, tip.digest, [journal.pack(_sealed(store, row)) for row in rows])
    if not await keeper.put_new(key, data):
        data = await _found(keeper, key, data)
    await log.confirm(catalog, planned.first, Digest.of(data))
    return len(rows)


def _sealed(store: UUID, row: log.LogRow) -> Record:
    """A row as it stands in the journal: sealed with its tenant's key; or, where that is gone, its hash."""
    if row.op == "erase_tenant":
        return row.record
    if row.key is None:
        message = f"row {row.seq} of the log is of a tenant without a key"
        raise Corrupt(Code.CATALOG_INCONSISTENT, message, hint="Please report this.")
    if row.secret is not None:
        return {"sealed": JournalKey(row.key, row.secret).seal(store, row.record)}
    return {"sealed": [row.seq, row.key.bytes, hash_left(row), b""]}


def _lasting(record: Record) -> Any:
    """What two exporters say of the same row, whatever became of it between them."""
    return record["sealed"][:3] if "sealed" in record else record["log"]


async def _found(keeper: KeepsJournal, key: str, data: bytes) -> bytes:
    """What is there already: another exporter's, or ours whose answer was lost, or of another history of this store.

    It need not be the same to the last byte: what was purged or erased meanwhile is in the earlier only. The hashes are the same.
    """
    raw = await keeper.get(key) or b""
    there, ours = journal.decode(key, raw), journal.decode(key, data)
    same = list(map(_lasting, there.records)) == list(map(_lasting, ours.records))
    if not same or (there.store, there.previous) != (ours.store, ours.previous):
        raise _ahead(key)
    return raw
