"""The journal in the bucket or folder: the chain of its segments, walked from the first to the last in bounded memory."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

from casstore.blobs import BlobStore, KeepsJournal
from casstore.catalog.journal import LogRow
from casstore.errors import Code, Corrupt, Invalid
from casstore.formats import journal
from casstore.formats.journal import NO_SEGMENT, Segment
from casstore.formats.sealing import Salt
from casstore.model import Digest

__all__ = ["Link", "hash_left", "keeper_of", "keys_after", "walk"]


@dataclass(frozen=True, slots=True)
class Link:
    """An object of the journal: the segment that it is, or what is wrong with it, or both."""

    key: str
    first: int
    last: int
    digest: Digest
    segment: Segment | None
    fault: Corrupt | None


def hash_left(row: LogRow) -> bytes | None:
    """The hash of a row whose tenant was erased: the one it has become, or will become; None where it was to be one, and is not."""
    if row.op == "erased":
        return bytes.fromhex(json.loads(row.record["log"][4])["hash"])
    return None if row.salt is None else Salt(row.salt).of_record(row.record)


def keeper_of(blobs: BlobStore) -> KeepsJournal:
    """The blob store as what keeps the journal; raises Invalid (bad_config) for one that cannot."""
    if not isinstance(blobs, KeepsJournal):
        message = f"the blob store {blobs.url} cannot keep a journal"
        raise Invalid(
            Code.BAD_CONFIG, message, hint="It lacks put_new, get and list_keys: see casstore.blobs.contract."
        )
    return blobs


async def keys_after(keeper: KeepsJournal, after: str = "") -> AsyncIterator[str]:
    """The keys of segments, in their order; strangers are left out."""
    while page := await keeper.list_keys(journal.PREFIX, after=after):
        for key in page:
            if journal.range_of(key):
                yield key
        after = page[-1]


async def walk(keeper: KeepsJournal) -> AsyncIterator[Link]:
    """Every segment in order, each held against the one before it: a gap or a broken chain is the fault of what comes after it."""
    last, previous, store = 0, NO_SEGMENT, None
    async for key in keys_after(keeper):
        first, end = journal.range_of(key) or (0, 0)
        data = await keeper.get(key) or b""
        digest, segment, fault = Digest.of(data), None, None
        try:
            segment = journal.decode(key, data)
        except Corrupt as error:
            fault = error
        if first != last + 1:
            what = (
                f"records {last + 1} to {first - 1} are missing" if first > last else f"record {first} is there twice"
            )
            fault = _broken(key, f"before {key}: {what}")
        elif segment and segment.previous != previous:
            fault = _broken(key, f"{key} does not follow the segment before it: one of the two was altered or replaced")
        elif segment and store not in (None, segment.store):
            fault = _broken(key, f"{key} is of another store")
        yield Link(key, first, end, digest, segment, fault)
        last, previous, store = end, digest, segment.store if segment else store


def _broken(key: str, message: str) -> Corrupt:
    return Corrupt(Code.JOURNAL_BROKEN, message, hint="Restore the journal's objects from a backup.", key=key)
