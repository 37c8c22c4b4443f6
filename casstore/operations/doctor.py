"""doctor: look at everything a store needs, one finding each, whatever else is broken."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable
from datetime import timedelta
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from casstore import __version__, limits
from casstore.blobs import BlobStore, CarriesIdentity, Examines, open_blobs
from casstore.catalog.postgres_binaries import OLDEST_MAJOR, binaries_for
from casstore.catalog.visit import Visit, embedded_folder, visit
from casstore.config import Settings
from casstore.errors import CasstoreError, Code, Corrupt, Invalid, Unavailable
from casstore.model import MAIN
from casstore.staging import stage
from casstore.urls import folder_of

__all__ = ["Finding", "doctor"]

_PROBE_BYTES = 4096


class Finding(BaseModel):
    """What one check found, and what to do where it is not ok."""

    model_config = ConfigDict(frozen=True)

    check: str
    ok: bool
    detail: str
    hint: str = ""


async def doctor(settings: Settings) -> tuple[Finding, ...]:
    """Check a store; see `AsyncStore.doctor` for the promise."""
    shown = settings.redacted()
    detail = f"blobs {shown.blobs} · catalog {shown.catalog} · tenant {shown.tenant}"
    findings = [Finding(check="program", ok=True, detail=f"casstore {__version__}, Python {sys.version.split()[0]}")]
    findings.append(Finding(check="settings", ok=True, detail=detail))
    findings.extend([finding async for finding in _blobs(settings.blobs)])
    findings.extend([finding async for finding in _disks(settings)])
    findings.extend([finding async for finding in _catalog(settings)])
    return tuple(findings)


async def _checked(check: str, work: Awaitable[str]) -> Finding:
    try:
        return Finding(check=check, ok=True, detail=await work)
    except CasstoreError as error:
        return Finding(check=check, ok=False, detail=error.message, hint=error.hint)


async def _blobs(url: str) -> AsyncIterator[Finding]:
    try:
        blobs = await open_blobs(url)
    except CasstoreError as error:
        yield Finding(check="blobs", ok=False, detail=error.message, hint=error.hint)
        return
    try:
        reached = await _checked("blobs", _probe(blobs))
        yield reached
        if reached.ok and isinstance(blobs, Examines):
            for finding in await _settings(blobs):
                yield finding
    finally:
        await blobs.aclose()


async def _probe(blobs: BlobStore) -> str:
    """Through the contract, with bytes nobody else has: so deleting them afterwards takes nothing away."""
    data = os.urandom(_PROBE_BYTES)
    staged = (await stage(data))[MAIN]
    placed = await blobs.put(staged)
    try:
        reader = await blobs.open(staged.digest)
        try:
            found = await reader.read(_PROBE_BYTES)
        finally:
            await reader.aclose()
        if found != data:
            message = "a blob came back different from what was written"
            raise Corrupt(Code.BLOB_ALTERED, message, hint="Do not trust this place for blobs; check it.")
        # What the safety of all blobs rests on: nothing is overwritten, and nothing but what was meant is deleted.
        again = await blobs.put(staged)
        wrongly_deleted = await blobs.delete(staged.digest, generation=placed.generation - 1)
        kept = await blobs.stat(staged.digest)
        if again != placed or wrongly_deleted or kept != placed:
            message = "a precondition on the generation of an object was not heeded"
            hint = "This is no Google Cloud Storage, or a proxy spoils it: blobs are not safe here."
            raise Corrupt(Code.BLOB_ALTERED, message, hint=hint)
    finally:
        await blobs.delete(staged.digest, generation=placed.generation)
    return "a blob was written, read back and deleted, and preconditions hold"


async def _settings(blobs: Examines) -> list[Finding]:
    try:
        remarks = await blobs.examine()
    except CasstoreError as error:
        return [Finding(check="bucket", ok=False, detail=error.message, hint=error.hint)]
    return [Finding(check=f"bucket {each.setting}", ok=each.ok, detail=each.detail, hint=each.hint) for each in remarks]


async def _disks(settings: Settings) -> AsyncIterator[Finding]:
    folders = {"blobs": folder_of(settings.blobs, "file"), "catalog": embedded_folder(settings.catalog)}
    for half, folder in folders.items():
        if folder:
            yield await _checked(f"disk of {half}", asyncio.to_thread(_free_space, folder))


def _free_space(folder: Path) -> str:
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free_bytes = shutil.disk_usage(there).free
    detail = f"{free_bytes / 1e9:.1f} GB free at {folder}"
    if free_bytes < limits.FREE_BYTES_MIN:
        raise Unavailable(Code.DISK_FULL, f"only {detail}", hint="Free some space.")
    return detail


async def _catalog(settings: Settings) -> AsyncIterator[Finding]:
    folder = embedded_folder(settings.catalog)
    if folder:
        yield await _checked("postgres", asyncio.to_thread(_binaries, folder, settings.postgres_binaries))
    try:
        async with visit(settings.catalog, binaries=settings.postgres_binaries, owner=settings.postgres_owner) as there:
            reached = await _checked("catalog", _server(there))
            yield reached
            if reached.ok:
                yield await _checked("migrations", _migrations(there, embedded=folder is not None))
                yield await _checked("role", _role(there, embedded=folder is not None))
                yield await _checked("identity", _identity(there, settings.blobs))
                yield await _checked("clock", _clock(there))
    except CasstoreError as error:
        yield Finding(check="catalog", ok=False, detail=error.message, hint=error.hint)


def _binaries(folder: Path, explicit: Path | None) -> str:
    found = binaries_for(folder, explicit)
    return f"{found.version} from {found.origin} ({found.bindir})"


async def _server(there: Visit) -> str:
    major, version = await there.version()
    if major < OLDEST_MAJOR:
        message = f"the server is Postgres {version}; casstore needs {OLDEST_MAJOR} or newer"
        raise Unavailable(Code.CATALOG_UNAVAILABLE, message, hint="Upgrade the server, or use another.")
    return f"reached, Postgres {version}"


async def _migrations(there: Visit, *, embedded: bool) -> str:
    missing = await (there.migrate() if embedded else there.missing())
    if embedded:  # as every opening does
        return f"complete; {len(missing)} applied just now" if missing else "complete"
    if missing:
        message = f"{len(missing)} of this release are missing: {', '.join(missing)}"
        raise Unavailable(Code.CATALOG_UNAVAILABLE, message, hint="Run `casstore init` once.")
    return "complete"


async def _role(there: Visit, *, embedded: bool) -> str:
    role = await there.role()
    if role.open_tables:
        message = f"row-level security is off on {', '.join(role.open_tables)}"
        hint = "An owner of the tables has switched it off: `alter table … enable row level security`."
        raise Unavailable(Code.CATALOG_UNAVAILABLE, message, hint=hint)
    if not role.is_exempt:
        return f"{role.name} is held to one tenant at a time by row-level security"
    if embedded:
        return f"{role.name}, the embedded server's own"
    return f"{role.name} owns the catalog, so row-level security does not hold it: let services use a login in casstore_app"


async def _identity(there: Visit, url: str) -> str:
    wanted, is_marked = await there.identity()
    blobs = await open_blobs(url)
    try:
        found = await blobs.identity() if isinstance(blobs, CarriesIdentity) else None
    finally:
        await blobs.aclose()
    if found != wanted and (found or is_marked):
        message = f"the blobs are those of {found or 'no catalog'}, the catalog is {wanted}"
        raise Invalid(Code.WRONG_BLOBS, message, hint="Check CASSTORE_BLOBS, and that its disk is mounted.")
    return "the blobs are this catalog's" if found else "not marked yet: the first opening does it"


async def _clock(there: Visit) -> str:
    skew = await there.clock_skew()
    detail = f"{abs(skew) / timedelta(seconds=1):.1f} s {'ahead of' if skew > timedelta() else 'behind'} this machine's"
    if abs(skew) > limits.CLOCK_SKEW_MAX:
        message = f"the database's clock is {detail}; instants such as name@latest~<instant> go by the database's"
        raise Unavailable(Code.CATALOG_UNAVAILABLE, message, hint="Let both machines follow an NTP server.")
    return f"the database's is {detail}"
