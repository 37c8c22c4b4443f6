"""erase: let go of all of a tenant, for ever, also in what is never changed.

The first step cannot be undone, and is one transaction: the key that opens the tenant's records in the journal goes, and the name.
All that follows may be interrupted anywhere and is finished by the next call.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from casstore import grammar, limits
from casstore.blobs import BlobStore, KeepsJournal
from casstore.catalog import erasing, identity
from casstore.catalog import journal as log
from casstore.catalog.connection import Catalog
from casstore.catalog.erasing import Part, Unfinished
from casstore.errors import NotFound
from casstore.formats.journal import Record
from casstore.formats.sealing import JournalKey, Salt
from casstore.model import Digest
from casstore.operations import journaling
from casstore.operations.keyring import remove_keys
from casstore.operations.receipts import ErasedContent, Receipt, check_backups, gone_at, soft_delete_of

__all__ = ["erase"]


async def erase(
    catalog: Catalog, blobs: BlobStore, name: str, *, by: str, reason: str | None, backups: timedelta
) -> Receipt:
    """Erase a deleted tenant; see `AsyncStore.erase_tenant` for the promise."""
    grammar.check_tenant(name)
    grammar.check_why(by, reason)
    check_backups(backups)
    begun = await _begun(catalog, name, by, reason)
    await _let_the_journal_know(catalog, blobs)
    await _hash_the_log(catalog, begun)
    while await erasing.erase_rows(catalog, begun.key):
        pass
    receipt = await _receipt(catalog, blobs, begun, by=by, reason=reason, backups=backups)
    await erasing.end(catalog, begun.key)
    return receipt


async def _begun(catalog: Catalog, name: str, by: str, reason: str | None) -> Unfinished:
    """The erasing of this tenant: begun now, or earlier and interrupted."""
    try:
        key, secret = await erasing.key_of(catalog, name)
    except NotFound:
        for each in await erasing.unfinished(catalog):
            if _text_hash(Salt(each.salt), "name", name) == each.name_hash:
                return each
        raise
    salt = JournalKey(key, secret).salt
    told = {"name": name, "by": by} | ({} if reason is None else {"why": reason})
    hashes = {what: _text_hash(salt, what, text) for what, text in told.items()}
    return Unfinished(key, salt.raw, await erasing.begin(catalog, key, salt.raw, hashes), hashes["name"])


async def _let_the_journal_know(catalog: Catalog, blobs: BlobStore) -> None:
    """Write that the tenant was erased before its key is removed: a rebuild must not take that for a loss."""
    if not isinstance(blobs, KeepsJournal):
        return
    if await log.newest(catalog):
        await journaling.export(catalog, blobs)
    await remove_keys(catalog, blobs)


async def _hash_the_log(catalog: Catalog, begun: Unfinished) -> None:
    salt, after = Salt(begun.salt), 0
    while page := await erasing.records(catalog, begun.key, after):
        hashes = {seq: salt.of_record(record) for seq, record in page}
        await erasing.erase_log(catalog, begun.key, hashes, _listed(salt, [record for _, record in page]))
        after = page[-1][0]


def _listed(salt: Salt, records: list[Record]) -> list[Part]:
    """Versions and contents that these records are about."""
    made = [record for record in records if "version" in record]
    refs = [f"{record['artifact'][0]}@{record['log'][3]}" for record in made]
    contents = Counter[tuple[bytes, int]]()
    for record in made:
        for _, digest, size, *_ in record.get("components", ()):
            contents[bytes(Digest.parse(digest)), size] += 1
    versions = [Part(salt.hash("version", ref.encode()), None, 1) for ref in refs]
    return versions + [Part(salt.hash("content", raw), size, count) for (raw, size), count in contents.items()]


async def _receipt(
    catalog: Catalog, blobs: BlobStore, begun: Unfinished, *, by: str, reason: str | None, backups: timedelta
) -> Receipt:
    store, _ = await identity.of_store(catalog)
    parts = await erasing.parts(catalog, begun.key)
    soft_delete = await soft_delete_of(blobs)
    contents: list[dict[str, Any]] = [
        {"hash": part.hash.hex(), "size_bytes": part.size_bytes, "copies": part.copies}
        for part in parts
        if part.size_bytes is not None
    ]
    return Receipt(
        store=store,
        key=begun.key,
        salt=begun.salt.hex(),
        name_hash=begun.name_hash,
        erased_at=begun.erased_at,
        by=by,
        reason=reason,
        versions=tuple(part.hash.hex() for part in parts if part.size_bytes is None),
        contents=tuple(ErasedContent(**each) for each in contents),
        quarantine=limits.QUARANTINE,
        soft_delete=soft_delete,
        backups=backups,
        gone_at=gone_at(begun.erased_at, soft_delete, backups),
    )


def _text_hash(salt: Salt, kind: str, text: str) -> str:
    return salt.hash(kind, text.encode()).hex()
