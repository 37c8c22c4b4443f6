"""rebuild: make a lost catalog again from the journal and the blobs alone; and the digest by which two catalogs are compared."""

from __future__ import annotations

from uuid import UUID

import msgpack
from pydantic import BaseModel, ConfigDict

from casstore.blobs import BlobStore, CarriesIdentity, open_blobs
from casstore.catalog import content
from casstore.catalog.connection import Catalog
from casstore.catalog.restoring import Restore, restoring
from casstore.config import Settings
from casstore.errors import Code, Invalid, NotFound
from casstore.formats.journal import Segment
from casstore.model import Digest
from casstore.operations.segments import keeper_of, walk
from casstore.operations.unsealing import ErasedLaterError, Unsealing

__all__ = ["CatalogDigest", "Rebuilt", "digest_of", "rebuild"]


class Rebuilt(BaseModel):
    """What a catalog was made again of."""

    model_config = ConfigDict(frozen=True)

    segments: int
    records: int
    versions: int
    blobs: int  # that versions use and are there
    missing: int  # that versions use, and of which there is no object of the right size
    digest: Digest  # of the last segment


class CatalogDigest(BaseModel):
    """What a catalog says, as one digest; and of each table, to see where two differ."""

    model_config = ConfigDict(frozen=True)

    digest: Digest
    rows: dict[str, int]
    tables: dict[str, Digest]


async def rebuild(settings: Settings) -> Rebuilt:
    """Make the catalog again; see `AsyncStore.rebuild` for the promise."""
    catalog = await Catalog.open(settings.catalog, binaries=settings.postgres_binaries, owner=settings.postgres_owner)
    try:
        blobs = await open_blobs(settings.blobs)
        try:
            return await restore(catalog, blobs)
        finally:
            await blobs.aclose()
    finally:
        await catalog.aclose()


async def restore(catalog: Catalog, blobs: BlobStore) -> Rebuilt:
    """The same with both halves open."""
    erased: set[UUID] = set()
    while True:
        try:
            return await _restore(catalog, blobs, Unsealing(keeper_of(blobs), erased))
        except (
            ErasedLaterError
        ) as found:  # its key is still there: an erasing was interrupted, and its records must not be read
            erased.add(found.key)


async def _restore(catalog: Catalog, blobs: BlobStore, unsealing: Unsealing) -> Rebuilt:
    segments, tip, last = 0, Digest(bytes(32)), None
    async with restoring(catalog) as empty:
        async for link in walk(keeper_of(blobs)):
            if link.fault or not link.segment:
                raise link.fault or AssertionError  # without a segment there is a fault
            opened = [await unsealing.record(link.segment.store, each) for each in link.segment.records]
            await empty.segment(opened, link.first, link.segment.last_seq, link.digest)
            for key, tenant in unsealing.new_keys():
                await empty.key(key.id, tenant, key.secret)
            segments, tip, last = segments + 1, link.digest, link.segment
        if last is None:
            message = f"there is no journal at {blobs.url}"
            hint = "Check CASSTORE_BLOBS. A store that never ran `casstore journal export` has none."
            raise NotFound(Code.JOURNAL_NOT_FOUND, message, hint=hint)
        unsealing.check()
        await _check_whose(blobs, last)
        believed = await _believe(empty, blobs)
        records, versions, missing = await empty.end(last.store)
    return Rebuilt(segments=segments, records=records, versions=versions, blobs=believed, missing=missing, digest=tip)


async def _check_whose(blobs: BlobStore, segment: Segment) -> None:
    if isinstance(blobs, CarriesIdentity) and (found := await blobs.identify(segment.store)) != segment.store:
        message = (
            f"the blobs at {blobs.url} are those of {found}, and the journal beside them is that of {segment.store}"
        )
        raise Invalid(
            Code.WRONG_BLOBS, message, hint="Check how they came together, and restore one of them from a backup."
        )


async def _believe(empty: Restore, blobs: BlobStore) -> int:
    """Tell the ledger which objects are there; how many of them versions use."""
    count, after = 0, None
    while page := await blobs.page(after=after):
        digests = [each.digest for each in page]
        count += await empty.blobs(digests, [each.size_bytes for each in page], [each.generation for each in page])
        after = digests[-1]
    return count


async def digest_of(catalog: Catalog) -> CatalogDigest:
    """What the catalog says, as of one instant; see `AsyncStore.catalog_digest` for the promise."""
    found = await content.digests(catalog)
    whole = Digest.of(msgpack.packb([[table, count, bytes(digest)] for table, (count, digest) in found.items()]))
    return CatalogDigest(
        digest=whole,
        rows={table: count for table, (count, _) in found.items()},
        tables={table: digest for table, (_, digest) in found.items()},
    )
