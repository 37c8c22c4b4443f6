"""Sealed records of the journal, opened with the keys beside it, where they are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from casstore.blobs import KeepsJournal
from casstore.errors import Code, Corrupt
from casstore.formats.journal import Record
from casstore.formats.sealing import JournalKey, decode_key, key_object

__all__ = ["ErasedLaterError", "Unsealing"]


class ErasedLaterError(Exception):
    """Records were read of a tenant that is erased further on."""

    def __init__(self, key: UUID) -> None:
        super().__init__(key)
        self.key = key


class Unsealing:
    """One walk along a journal.

    Args:
        erased: Keys that must not be used, though they may be there.
    """

    def __init__(self, keeper: KeepsJournal, erased: set[UUID]) -> None:
        self._keeper = keeper
        self._keys: dict[UUID, JournalKey | None] = dict.fromkeys(erased)
        self._new: dict[UUID, str] = {}
        self._lost: set[UUID] = set()

    async def record(self, store: UUID, entry: Record) -> Record:
        """What an entry of a segment says; of one whose key is gone, that it was erased.

        Raises:
            Corrupt: It cannot be opened with its key (journal_broken).
            ErasedLaterError: It says that a tenant was erased whose records have been read.
        """
        if "sealed" not in entry:
            return self._erasing(entry)
        seq, raw, hashed, data = entry["sealed"]
        key_id = UUID(bytes=raw)
        key = await self._key(key_id)
        if key is None or not data:
            self._lost.add(key_id)
            detail = json.dumps({"hash": hashed.hex()})
            return {"log": [seq, 0, "erased", None, detail], "tenant": [f"erased-{key_id}", 0]}
        record = key.open(store, entry["sealed"])
        if record is None:
            message = f"the record of row {seq} of the log cannot be opened with its key {key_id}"
            raise Corrupt(Code.JOURNAL_BROKEN, message, hint="Restore the key or the segment from a backup.")
        self._new.setdefault(key_id, record["tenant"][0])
        return record

    def new_keys(self) -> Iterator[tuple[JournalKey, str]]:
        """The keys that were used so far, each with the name of its tenant."""
        for key_id, tenant in self._new.items():
            key = self._keys[key_id]
            if key:
                yield key, tenant

    def check(self) -> None:
        """Raise Corrupt (journal_broken) for a key that is missing though its tenant was not erased."""
        for key_id in self._lost:
            name = key_object(key_id)
            message = f"{name} is missing, and its tenant was not erased: nobody can read what it seals"
            raise Corrupt(Code.JOURNAL_BROKEN, message, hint="Restore it from a backup.", key=name)

    def _erasing(self, record: Record) -> Record:
        key: Any = UUID(json.loads(record["log"][4])["key"])
        if key in self._new:
            raise ErasedLaterError(key)
        self._lost.discard(key)
        return record

    async def _key(self, key_id: UUID) -> JournalKey | None:
        if key_id not in self._keys:
            name = key_object(key_id)
            data = await self._keeper.get(name)
            self._keys[key_id] = None if data is None else decode_key(name, data)
        return self._keys[key_id]
