"""audit verify: prove that the journal is whole and that the catalog agrees with it, row by row.

The log leads: its rows are compared with the journal's records, each with the rows of other tables that were written with it. What
the log does not account for at all is looked for in the catalog itself.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from casstore import limits
from casstore.blobs import BlobStore, KeepsJournal
from casstore.catalog import identity, journal_keys
from casstore.catalog import journal as log
from casstore.catalog.connection import Catalog
from casstore.catalog.journal_keys import KnownKey
from casstore.formats.journal import Record, Segment, seq_of
from casstore.formats.sealing import JournalKey
from casstore.model import Digest
from casstore.operations.keyring import key_faults
from casstore.operations.segments import Link, hash_left, keeper_of, walk

__all__ = ["JournalAudit", "JournalFault", "verify"]

_TABLES: Final = {  # by the key of a record
    "log": "log",
    "tenant": "tenants",
    "artifact": "artifacts",
    "version": "versions",
    "components": "components",
    "sources": "sources",
    "transition": "transitions",
    "pointer": "pointers",
    "request": "requests",
}
_JOURNAL: Final = "journal"


class JournalFault(BaseModel):
    """Something that is not as it was written."""

    model_config = ConfigDict(frozen=True)

    table: str  # of the catalog; "journal" for the journal itself
    place: str
    what: str


class JournalAudit(BaseModel):
    """What a verification has looked at, and what it found."""

    model_config = ConfigDict(frozen=True)

    segments: int
    records: int
    erased: int  # of these: records of erased tenants, of which only a hash is left to compare
    digest: Digest | None  # of the last segment
    faults: tuple[JournalFault, ...]  # the first `limits.JOURNAL_FAULTS_MAX`
    count: int  # of all faults that were found

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.count


async def verify(catalog: Catalog, blobs: BlobStore) -> JournalAudit:
    """Verify the journal and the catalog; see `AsyncStore.verify_journal` for the promise."""
    audit = _Audit(catalog, keeper_of(blobs))
    await audit.begin()
    async for link in walk(keeper_of(blobs)):
        await audit.look(link)
    await audit.end()
    return JournalAudit(
        segments=audit.segments,
        records=audit.records,
        erased=audit.erased,
        digest=audit.digest,
        faults=tuple(audit.faults),
        count=audit.count,
    )


class _Audit:
    """One verification: what it has counted and found so far."""

    def __init__(self, catalog: Catalog, keeper: KeepsJournal) -> None:
        self._catalog = catalog
        self._keeper = keeper
        self._store: Any = None
        self._keys: dict[UUID, KnownKey] = {}
        self._known_to = 1  # the place up to which the catalog's own list of segments was looked at
        self._seq = 0
        self.segments = self.records = self.erased = self.count = 0
        self.digest: Digest | None = None
        self.faults: list[JournalFault] = []

    async def begin(self) -> None:
        self._store, _ = await identity.of_store(self._catalog)
        self._keys = await journal_keys.all_keys(self._catalog)

    async def look(self, link: Link) -> None:
        self.segments += 1
        self.records += link.last - link.first + 1
        self.digest = link.digest
        if link.fault:
            self._tell(_JOURNAL, link.key, link.fault.message)
        await self._look_up(link)
        if link.segment:
            if link.segment.store != self._store:
                self._tell(_JOURNAL, link.key, f"it is of the store {link.segment.store}, the catalog is {self._store}")
                self._seq = link.segment.last_seq
            else:
                await self._compare(link.segment)

    async def end(self) -> None:
        """What the catalog has beyond the journal, and what its log does not account for."""
        await self._missing(2**62)
        for place, what in await key_faults(self._catalog, self._keeper):
            self._tell("journal_keys", place, what)
        for stray in await log.strays(self._catalog, limits.JOURNAL_FAULTS_MAX + 1):
            self._tell(stray.table, stray.place, stray.what)

    async def _look_up(self, link: Link) -> None:
        """Hold a segment against what the catalog has written down when it was exported."""
        await self._missing(link.first)
        known = await log.exported_at(self._catalog, link.first)
        self._known_to = link.last + 1
        if known and not link.segment:
            self._seq = known.last_seq
        if known is None or known.last != link.last:
            self._tell(_JOURNAL, link.key, "the catalog has not exported it")
        elif known.digest not in (None, link.digest):  # None: its exporter has not come to this yet
            self._tell(_JOURNAL, link.key, f"it is {link.digest}, and was {known.digest} when it was written")

    async def _missing(self, until: int) -> None:
        """Segments that were exported, and are not there, up to a place."""
        while gone := [
            each for each in await log.exported_from(self._catalog, self._known_to, 100) if each.first < until
        ]:
            for each in gone:
                if each.digest:
                    self._tell(_JOURNAL, f"records {each.first} to {each.last}", "their segment is missing")
            self._known_to, self._seq = gone[-1].last + 1, gone[-1].last_seq

    async def _compare(self, segment: Segment) -> None:
        """Hold the records of a segment against the rows of the catalog, a page at a time."""
        wanted = {seq_of(record): record for record in segment.records}
        while rows := await log.records(self._catalog, self._seq, segment.last_seq, limits.RECORDS_AT_ONCE):
            for row in rows:
                self._seq = row.seq
                record = wanted.pop(row.seq, None)
                if record and "sealed" in record:
                    record = self._opened(record["sealed"], row)
                    if record is None:
                        continue
                self._hold(record and _without_gone(record, row), row.record)
        self._seq = segment.last_seq
        for record in wanted.values():
            opened = self._by_its_key(record["sealed"]) if "sealed" in record else None
            self._tell("log", _place(opened or record), "the row is gone")

    def _by_its_key(self, sealed: list[Any]) -> Record | None:
        """What a sealed record says, whoever's the row in its place is; None where its key is not known any more."""
        key = UUID(bytes=sealed[1])
        known = self._keys.get(key)
        return JournalKey(key, known.secret).open(self._store, sealed) if known and known.secret else None

    def _opened(self, sealed: list[Any], row: log.LogRow) -> Record | None:
        """What a sealed record says; None where nobody can tell any more, and all that is left to compare is its hash."""
        seq, key, hashed, data = sealed
        if row.key is None or row.key.bytes != key:
            if record := self._by_its_key(sealed):
                return record
            self._tell("log", f"log {seq}", "the journal has it of another tenant")
        elif row.secret is None:
            self.erased += 1
            if hash_left(row) != hashed:
                self._tell("log", _place(row.record), "altered: it is of an erased tenant, and its hash is another")
        elif not data:
            self._tell("log", _place(row.record), "the journal has it as erased")
        elif (record := JournalKey(row.key, row.secret).open(self._store, sealed)) is None:
            self._tell(_JOURNAL, f"log {seq}", "it cannot be opened with the key of its tenant")
        else:
            return record
        return None

    def _hold(self, wanted: Record | None, found: Record) -> None:
        if wanted is None:
            self._tell("log", _place(found), "the journal does not have this row")
            return
        for key, table in _TABLES.items():
            if wanted.get(key) != found.get(key):
                what = "gone" if key not in found else "not in the journal" if key not in wanted else "altered"
                self._tell(table, _place(wanted), what)

    def _tell(self, table: str, place: str, what: str) -> None:
        self.count += 1
        if len(self.faults) < limits.JOURNAL_FAULTS_MAX:
            self.faults.append(JournalFault(table=table, place=place, what=what))


def _without_gone(record: Record, row: log.LogRow) -> Record:
    """The record without components that were purged or erased since it was written."""
    if not row.purged and not row.erased:
        return record
    left = [] if row.purged else [each for each in record.get("components", ()) if each[0] not in (row.erased or ())]
    kept = {key: each for key, each in record.items() if key != "components"}
    return kept | {"components": left} if left else kept


def _place(record: Record) -> str:
    """Which row of the log, and what it is about: `log 17: put acme sop/login@3`."""
    if "sealed" in record:
        return f"log {record['sealed'][0]}"
    seq, _, op, number, *_ = record["log"]
    name = f" {record['artifact'][0]}" if "artifact" in record else ""
    key = f" key {record['request'][0]}" if "request" in record else ""
    return f"log {seq}: {op} {record['tenant'][0]}{name}{'' if number is None else f'@{number}'}{key}"
