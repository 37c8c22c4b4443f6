"""repair: make the ledger say what is there, and give blobs their bytes back.

Nothing is trusted that was not read and hashed just now. Bytes come in the way a put brings them: reserved in the ledger, uploaded
over exactly the generation that was found bad, and only then live. So a repair may run while others put and collect.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

from casstore import limits
from casstore.blobs import BlobStore, KeepsHistory, Kept, Object
from casstore.catalog import checking, collecting
from casstore.catalog.checking import Believed
from casstore.catalog.connection import Catalog
from casstore.catalog.puts import Upload
from casstore.domains import Domain, Keyring
from casstore.errors import Code, Corrupt, Invalid
from casstore.hashing import Hasher
from casstore.model import MAIN, Digest
from casstore.operations import Context
from casstore.operations.defects import Defect, Repaired, defect
from casstore.operations.put import contended, upload
from casstore.operations.salvaging import Source, chunks, sources_of
from casstore.staging import Staged, stage

__all__ = ["Mender", "Pace", "Reading", "judge", "read", "repair"]


class Pace:
    """Keeps many readers together to a number of bytes a second; without one it does nothing."""

    def __init__(self, rate: int | None) -> None:
        self._rate = rate
        self._begin = time.monotonic()
        self._spent = 0

    async def spend(self, size_bytes: int) -> None:
        """Wait until so many more bytes are due."""
        if self._rate:
            self._spent += size_bytes
            await asyncio.sleep(self._begin + self._spent / self._rate - time.monotonic())


@dataclass(frozen=True, slots=True)
class Reading:
    """An object, read to its end."""

    thing: Object
    is_good: bool  # whether the bytes are those of the key
    is_proven: (
        bool  # by their digest; else, the key of their isolation domain not being at hand, by size and CRC32C only
    )


async def read(blobs: BlobStore, row: Believed, keys: Keyring, pace: Pace) -> Reading | None:
    """Read what is under the key of a blob; None when nothing is."""
    digest, domain = Digest(row.digest), _domain_of(row, keys)
    try:
        reader = await blobs.open(digest)
    except Corrupt as error:
        if error.code is not Code.BLOB_MISSING:
            raise
        return None
    hasher = Hasher(domain)
    try:
        async for chunk in chunks(reader):
            hasher.update(chunk)
            await pace.spend(len(chunk))
    finally:
        await reader.aclose()
    thing = Object(digest, hasher.size_bytes, reader.generation, hasher.crc32c)
    if _lacks_key(row, domain):
        return Reading(thing, (hasher.size_bytes, hasher.crc32c) == (row.size_bytes, row.crc32c), is_proven=False)
    return Reading(thing, hasher.digest == digest, is_proven=True)


def _domain_of(row: Believed, keys: Keyring) -> Domain | None:
    return keys.checked_by(row.domain) if row.domain else None


def _lacks_key(row: Believed, domain: Domain | None) -> bool:
    return row.domain is not None and domain is None


def judge(row: Believed | None, thing: Object | None) -> str | None:
    """The code of what is wrong between the ledger and what is there, by their looks; None where they agree."""
    if row is None or row.state is None:
        return "blob_unknown" if row and row.needed is not None else "object_orphaned" if thing else None
    if row.needed is None and row.generation is None:  # nobody relies on it
        return None if not row.is_leftover else "upload_expired" if row.state == "p" else "delete_stuck"
    if thing is None:
        return "object_missing"
    wrong = {
        "object_altered": row.state == "p" and thing.generation == row.dead,
        "object_size": thing.size_bytes != row.size_bytes,
        "object_crc32c": thing.crc32c not in (None, row.crc32c),
        "blob_not_live": row.state != "l" and row.needed is not None,
        "object_generation": thing.generation != row.generation,
    }
    return next((code for code, is_so in wrong.items() if is_so), None)


class Mender:
    """Looks at single blobs that are suspected, tells what is wrong, and mends what can be mended with what is there."""

    def __init__(self, catalog: Catalog, blobs: BlobStore, keys: Keyring, *, pace: Pace | None = None) -> None:
        self._catalog = catalog
        self._blobs = blobs
        self.keys = keys
        self._pace = pace or Pace(None)

    async def look(self, digest: Digest, *, deep: bool = False, mend: bool = False) -> Defect | None:
        """What is wrong with a blob; None where nothing is, or where somebody is changing it right now.

        The ledger's row is read before and after the object: what it says in between, it says of that object.

        Args:
            digest: The blob.
            deep: Read its bytes, not only what the store says about them.
            mend: Correct what can be corrected.
        """
        for _ in range(limits.CHECK_LOOKS):
            row = await checking.blob(self._catalog, digest)
            reading = await read(self._blobs, row, self.keys, self._pace) if deep else None
            thing = reading.thing if reading else None if deep else await self._blobs.stat(digest)
            code = judge(row, thing) if not reading or reading.is_good else _judge_bad(row)
            if code is None:
                return None
            if await checking.blob(self._catalog, digest) == row:
                return await self._tell(code, row, thing, await self.mend(digest, code) if mend else None)
        return None

    async def _tell(self, code: str, row: Believed, thing: Object | None, mended: bool | None) -> Defect:  # noqa: FBT001
        digest = Digest(row.digest)
        found = await checking.uses(self._catalog, digest)
        uses = tuple(f"cas://{use.tenant}/{use.name}@{use.number}#{use.role}" for use in found)
        use_count = found[0].total if found else 0
        told = _difference(code, row, thing)
        return defect(code, str(digest), told=told, digest=digest, uses=uses, use_count=use_count, mended=mended)

    async def mend(self, digest: Digest, code: str | None = None) -> bool | None:
        """Make the ledger right about a blob. Whether the blob is all right then; None where that is not for us to say.

        A good object becomes live, one that is bad or missing is doubted, an unknown one becomes the collector's.
        """
        if code in ("upload_expired", "delete_stuck"):
            return None  # the collector's work, in which nobody else is to meddle
        row = await checking.blob(self._catalog, digest)
        if row.state is None:
            thing = await self._blobs.stat(digest)
            size_bytes = thing.size_bytes if thing else row.needed
            if size_bytes is None or not await collecting.register(self._catalog, {digest: size_bytes}):
                return None  # gone again, or somebody was faster
            if row.needed is None:
                return True
            row = await checking.blob(self._catalog, digest)
        reading = await read(self._blobs, row, self.keys, self._pace)
        if reading is None or not reading.is_good:
            await self._doubt(row, reading)
            return row.needed is None
        # Nothing is believed of bytes that were not hashed.
        return await self._believe(row, reading.thing) if reading.is_proven else None

    async def _believe(self, row: Believed, thing: Object) -> bool | None:
        if row.state != "d" and row.dead != thing.generation:
            return (
                await checking.trust(self._catalog, row, thing.size_bytes, thing.crc32c or 0, thing.generation) or None
            )
        # Else it is a collector's, meanwhile.
        return await self._renew(thing.digest, _domain_of(row, self.keys)) if row.needed is not None else None

    async def _doubt(self, row: Believed, reading: Reading | None) -> None:
        bad = reading.thing.generation if reading else None
        if row.generation is not None or (row.state == "p" and bad not in (None, row.dead)):
            await checking.distrust(self._catalog, row, bad)

    async def _renew(self, digest: Digest, domain: Domain | None) -> bool | None:
        """The bytes are good, but somebody may still be deleting this generation of them: write them again, as another."""
        reader = await self._blobs.open(digest)
        try:
            staged = (await stage(chunks(reader), domain=domain))[MAIN]
        finally:
            await reader.aclose()
        try:
            if staged.digest != digest:
                return None
            await self.heal(staged)
        finally:
            staged.close()
        return True

    async def copy(self, kept: Kept, keeper: KeepsHistory, row: Believed) -> bool:
        """Write the bytes of an earlier generation again, if they are right."""
        reader = await keeper.open_kept(kept)
        if reader is None:
            return False
        try:
            staged = (await stage(chunks(reader), domain=_domain_of(row, self.keys)))[MAIN]
        finally:
            await reader.aclose()
        try:
            if staged.digest != kept.digest:
                return False
            await self.heal(staged)
        finally:
            staged.close()
        return True

    async def restore(self, kept: Kept, keeper: KeepsHistory, row: Believed) -> bool:
        """Put an earlier generation, which cannot be read before, in place of the object that was read just now and is bad.

        What is there then is read like any other object: only if its bytes are right it is believed in.
        """
        reading = await read(self._blobs, row, self.keys, self._pace)
        if reading is None or not reading.is_good:
            await keeper.restore(kept, over=reading.thing.generation if reading else None)
        return await self.mend(kept.digest) is True

    async def heal(self, staged: Staged) -> None:
        """Store the bytes as a put does. Raises Conflict (blob_contended) when others keep taking them back."""
        context = Context(self._catalog, self._blobs, "")
        placed: Upload | None = None
        for _ in range(limits.COMMIT_ROUNDS):
            missing = await checking.pin(self._catalog, staged, placed)
            if missing is None:
                return
            placed = (await upload(context, {staged.digest: staged}, [missing]))[staged.digest]
        raise contended(str(staged.digest))


def _judge_bad(row: Believed) -> str | None:
    """What bad bytes mean: nothing, where nobody believes in them."""
    return "object_altered" if row.needed is not None or row.generation is not None else judge(row, None)


def _difference(code: str, row: Believed, thing: Object | None) -> str:
    match code:
        case "object_size" if thing:
            return f"{thing.size_bytes} bytes, not {row.size_bytes}"
        case "object_generation" if thing:
            return f"{thing.generation}, not {row.generation}"
        case "blob_not_live":
            return {"p": "pending", "c": "condemned", "d": "being deleted"}[row.state or "p"]
    return ""


async def repair(
    catalog: Catalog,
    blobs: BlobStore,
    keys: Keyring,
    digests: Iterable[Digest] | None,
    sources: Iterable[str | os.PathLike[str]],
    *,
    history: bool = False,
) -> tuple[Repaired, ...]:
    """Heal blobs; see `AsyncStore.repair` for the promise."""
    mender = Mender(catalog, blobs, keys)
    keeper = _keeper(blobs) if history else None
    async with sources_of(sources) as found:
        wanted = _listed(digests) if digests is not None else _doubted(catalog)
        return tuple([await _repair_one(catalog, mender, digest, found, keeper) async for digest in wanted])


def _keeper(blobs: BlobStore) -> KeepsHistory:
    if isinstance(blobs, KeepsHistory):
        return blobs
    message = f"{blobs.url} keeps nothing of what was deleted or overwritten in it"
    raise Invalid(Code.NO_HISTORY, message, hint="`casstore repair --from` a copy, if there is one.")


async def _listed(digests: Iterable[Digest]) -> AsyncIterator[Digest]:
    for digest in dict.fromkeys(digests):
        yield digest


async def _doubted(catalog: Catalog) -> AsyncIterator[Digest]:
    after = b""
    while page := await checking.doubted(catalog, after):
        after = page[-1]
        for digest in page:
            yield digest


async def _repair_one(
    catalog: Catalog, mender: Mender, digest: Digest, sources: Iterable[Source], keeper: KeepsHistory | None
) -> Repaired:
    row = await checking.blob(catalog, digest)
    if row.needed is None:
        return Repaired(digest=digest, outcome="unknown")
    domain = _domain_of(row, mender.keys)
    if _lacks_key(row, domain):
        return Repaired(digest=digest, outcome="no_key")
    if await mender.look(digest, deep=True) is None:
        return Repaired(digest=digest, outcome="good")
    mended = "its own object" if await mender.mend(digest) else ""
    mended = mended or (await _revive(catalog, mender, digest, keeper) if keeper else "")
    if mended:
        return Repaired(digest=digest, outcome="healed", source=mended)
    for source in sources:
        staged = await source.fetch(digest, row.needed, domain)
        if staged is None:
            continue
        try:
            await mender.heal(staged)
        finally:
            staged.close()
        return Repaired(digest=digest, outcome="healed", source=source.name)
    return Repaired(digest=digest, outcome="no_bytes")


async def _revive(catalog: Catalog, mender: Mender, digest: Digest, keeper: KeepsHistory) -> str:
    """Heal a blob from what its place has kept of it: which generation had its bytes; empty where none has."""
    for kept in await keeper.kept(digest):
        row = await checking.blob(catalog, digest)
        if row.needed is None:
            return ""  # purged meanwhile: nobody is to bring it back
        if kept.size_bytes != row.needed or (row.crc32c and kept.crc32c not in (None, row.crc32c)):
            continue
        if await (mender.restore if kept.must_be_restored else mender.copy)(kept, keeper, row):
            return f"generation {kept.generation} of its own object"
    return ""
