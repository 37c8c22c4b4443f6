"""The keys of the journal beside it: written before anything is sealed with them, removed when their tenant was erased."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from uuid import UUID

from casstore.blobs import KeepsJournal
from casstore.catalog import journal_keys
from casstore.catalog.connection import Catalog
from casstore.errors import Code, Corrupt
from casstore.formats.sealing import KEYS, JournalKey, decode_key, encode_key, id_of, key_object

__all__ = ["found_keys", "key_faults", "remove_keys", "store_keys"]


async def store_keys(catalog: Catalog, keeper: KeepsJournal, store: UUID) -> None:
    """Write the objects of all keys that have none yet; it may be repeated, and done by many at once."""
    for key in await journal_keys.to_store(catalog):
        await journal_keys.store(catalog, key, partial(_write, keeper, store, key))


async def _write(keeper: KeepsJournal, store: UUID, key: UUID, secret: bytes) -> None:
    name, data = key_object(key), encode_key(store, JournalKey(key, secret))
    if not await keeper.put_new(name, data) and await keeper.get(name) != data:
        message = f"{name} is there already, and is another key"
        raise Corrupt(Code.JOURNAL_BROKEN, message, hint="`casstore audit verify` tells what is wrong.", key=name)


async def remove_keys(catalog: Catalog, keeper: KeepsJournal) -> None:
    """Remove the objects of keys whose tenants were erased; it may be repeated."""
    for key in await journal_keys.to_remove(catalog):
        await keeper.remove(key_object(key))
        await journal_keys.removed(catalog, key)


async def found_keys(keeper: KeepsJournal) -> AsyncIterator[UUID]:
    """The keys whose objects are there; strangers are left out."""
    after = ""
    while page := await keeper.list_keys(KEYS, after=after):
        for name in page:
            if key := id_of(name):
                yield key
        after = page[-1]


async def key_faults(catalog: Catalog, keeper: KeepsJournal) -> list[tuple[str, str]]:
    """What is wrong with the objects of keys: which one, and what."""
    known, told, there = await journal_keys.all_keys(catalog), [], set()
    async for key in found_keys(keeper):
        there.add(key)
        mine = known.get(key)
        if mine is None:
            continue  # made for a tenant of which nothing was ever exported, in a catalog that was lost
        if mine.secret is None and not mine.is_stored:
            told.append((key_object(key), "it is the key of an erased tenant, and should be gone"))
        elif mine.secret and await _secret(keeper, key) != mine.secret:
            told.append((key_object(key), "it is not the key that the catalog has"))
    told += [
        (key_object(key), "it is missing: what it seals could not be rebuilt")
        for key, each in known.items()
        if each.secret and each.is_stored and key not in there
    ]
    return told


async def _secret(keeper: KeepsJournal, key: UUID) -> bytes | None:
    try:
        return decode_key(key_object(key), await keeper.get(key_object(key)) or b"").secret
    except Corrupt:
        return None  # told as what it is not
