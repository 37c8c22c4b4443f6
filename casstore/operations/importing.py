"""import: a folder of versions → the store. Names in parallel, the versions of a name in order, each put exactly once.

Every version is put under an idempotency key made of its name and label, and expects the version before it. So an
import that was interrupted is simply run again, and the n-th version in the folder is version n of its name, or
refused.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import os
import pickle
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict

from casstore import grammar, kinds, limits
from casstore.config import Settings
from casstore.errors import CasstoreError, Code, Conflict, Invalid
from casstore.kinds import Kind
from casstore.kinds.platform import PLATFORM
from casstore.model import Digest, Stored
from casstore.operations import Context
from casstore.operations.domains import Domains
from casstore.operations.import_layout import Folder, FoundVersion, Line, Stranger, read_folder
from casstore.operations.import_processes import Take, Tell, deal, unwrapped
from casstore.operations.opening import open_halves
from casstore.operations.put import check_options, put
from casstore.staging import Components

__all__ = ["ImportReport", "Imported", "Progress", "Status", "fitted", "import_tree"]

Progress: TypeAlias = Callable[[int, int], None]
Status: TypeAlias = Literal["stored", "deduplicated", "already there", "refused", "skipped"]

_EDITED: Final = "it was imported before with other content: restore it, and add the new content as the next version"
_MOVED: Final = (
    "it would be version {next}, but {name} is at {actual}: by other puts, or this file came after later ones"
)


class Imported(BaseModel):
    """What became of one version, or of a file that is none."""

    model_config = ConfigDict(frozen=True)

    path: str  # in the folder
    status: Status
    ref: str | None = None  # name@n, where there is a version
    code: Code | None = None  # of a refusal
    reason: str = ""  # of a refusal, of skipping, or of a shortened name
    size_bytes: int = 0  # of all components
    new_bytes: int = 0  # of them, what this tenant had not stored before


class ImportReport(BaseModel):
    """What became of everything in the folder, in the order of paths, and the totals."""

    model_config = ConfigDict(frozen=True)

    entries: tuple[Imported, ...]
    stored: int  # versions that brought new bytes
    deduplicated: int  # versions all of whose bytes were there already
    already_there: int  # versions an earlier import stored
    refused: int  # versions that were not stored, with a reason
    skipped: int  # files that are no versions
    bytes_read: int
    bytes_added: int

    @classmethod
    def of(cls, entries: list[Imported]) -> Self:
        """The report on these entries."""
        counts = Counter(entry.status for entry in entries)
        return cls(
            entries=tuple(sorted(entries, key=lambda entry: entry.path)),
            stored=counts["stored"],
            deduplicated=counts["deduplicated"],
            already_there=counts["already there"],
            refused=counts["refused"],
            skipped=counts["skipped"],
            bytes_read=sum(entry.size_bytes for entry in entries),
            bytes_added=sum(entry.new_bytes for entry in entries),
        )


@dataclass(frozen=True, slots=True)
class _How:
    """What an import asks besides the folder."""

    prefix: str
    at_once: int  # by each process
    by: str | None


async def import_tree(
    context: Context,
    settings: Settings,
    folder: str | os.PathLike[str],
    *,
    prefix: str,
    at_once: int,
    processes: int,
    by: str | None,
    progress: Progress | None,
) -> ImportReport:
    """Store every version in `folder`; see `AsyncTenant.import_tree` for the promise."""
    grammar.check_name_prefix(prefix)
    _check_range("at_once", at_once, limits.IMPORTS_AT_ONCE_MAX, "names at once")
    _check_range("processes", processes, limits.IMPORT_PROCESSES_MAX, "processes")
    how = _How(prefix, at_once, grammar.check_by(by))
    found = await asyncio.to_thread(read_folder, Path(folder))
    entries = [_stranger(stranger) for stranger in found.strangers]
    done, lines = _counter(found, progress), iter(found.lines)

    async def take() -> Line | None:
        return next(lines, None)

    def tell(entry: Imported) -> None:
        entries.append(entry)
        done()

    processes = min(processes, len(found.lines))
    if processes <= 1:
        await _import_lines(context, how, take, tell)
    else:
        own = _own_kinds({line.type for line in found.lines})
        work = functools.partial(_import_apart, settings=settings, tenant=context.tenant, own_kinds=own, how=how)
        await deal(lines, work, processes, tell)
    return ImportReport.of(entries)


def _check_range(argument: str, value: int, most: int, what: str) -> None:
    if not (type(value) is int and 1 <= value <= most):
        raise Invalid(Code.BAD_ARGUMENT, f"{argument}={value!r} is out of range", hint=f"1 to {most} {what}.")


async def _import_apart(
    take: Take[Line],
    tell: Tell[Imported],
    *,
    settings: Settings,
    tenant: str,
    own_kinds: Sequence[Kind],
    how: _How,
) -> None:
    """One process of several: with the same kinds, on the same store, through connections of its own."""
    for kind in own_kinds:
        kinds.register(kind, replace=True)
    async with AsyncExitStack() as stack:
        catalog, blobs = await open_halves(settings)
        stack.push_async_callback(catalog.aclose)
        stack.push_async_callback(blobs.aclose)
        await _import_lines(Context(catalog, blobs, tenant, Domains(settings.domains)), how, take, tell)


def _own_kinds(types: set[str]) -> list[Kind]:
    """Those of these types' kinds that the program registered: another process knows the platform's only.

    Raises:
        Invalid: One cannot be sent to another process (bad_argument).
    """
    own = [kind for name in sorted(types) if (kind := kinds.kind_of(name)) and kind not in PLATFORM]
    for kind in own:
        try:
            pickle.dumps(kind)
        except (AttributeError, TypeError, pickle.PicklingError) as error:
            message = f"the kind {kind.name} cannot be sent to another process: {error}"
            hint = "Use one process, or make its checks functions of a module."
            raise Invalid(Code.BAD_ARGUMENT, message, hint=hint) from error
    return own


async def _import_lines(context: Context, how: _How, take: Take[Line], tell: Tell[Imported]) -> None:
    async def work() -> None:
        while line := await take():
            async for entry in _import_line(context, line, how):
                tell(entry)

    async with unwrapped(), asyncio.TaskGroup() as group:
        for _ in range(how.at_once):
            group.create_task(work())


async def _import_line(context: Context, line: Line, how: _How) -> AsyncIterator[Imported]:
    name, before = f"{how.prefix}{line.type}/{fitted(line.name)}", 0
    refusal: Imported | None = None
    for version in line.versions:
        if refusal:
            reason = f"{refusal.path} was refused, and this version must not take its number"
            yield Imported(path=version.path, status="refused", code=refusal.code, reason=reason)
            continue
        try:
            stored = await _put(context, line, name, version, before, how.by)
        except (Invalid, Conflict) as error:
            refusal = Imported(path=version.path, status="refused", code=error.code, reason=_reason(error))
            yield refusal
        else:
            yield _imported(line, version, stored)
            before = stored.number


async def _put(  # noqa: PLR0917 - the parts of one put
    context: Context, line: Line, name: str, version: FoundVersion, before: int, by: str | None
) -> Stored:
    if version.fault:
        raise Invalid(Code.BAD_COMPONENTS, version.fault)
    grammar.check_name(name)
    grammar.check_type(line.type)
    files = version.files
    options = check_options(
        type=line.type,
        title=_title(line.name),
        labels=None,
        expect=before,
        idempotency_key=_key(name, version.label),
        on_same="new_version",
        by=by,
    )
    data = files if isinstance(files, Path) else Components(files)
    return await put(context, name, data, options, media_type=None)


def fitted(name: str) -> str:
    """A folder's name as a segment of a name: one that is too long keeps its beginning and ends in 12 digits of its digest."""
    if len(name) <= limits.SEGMENT_MAX_CHARS:
        return name
    digits = Digest.of(os.fsencode(name)).hex()[: limits.DIGEST_PREFIX_MIN_HEX]
    return f"{name[: limits.SEGMENT_MAX_CHARS - len(digits) - 1]}-{digits}"


def _title(name: str) -> str | None:
    """The whole of a name that had to be shortened, so that people find it."""
    return name if len(name) > limits.SEGMENT_MAX_CHARS else None


def _key(name: str, label: str) -> str:
    key = f"import:{name}:{label}"
    return key if len(key) <= limits.IDEMPOTENCY_KEY_MAX_CHARS else f"import:{Digest.of(key.encode())}"


def _reason(error: CasstoreError) -> str:
    if error.code is Code.IDEMPOTENCY_KEY_REUSED:
        return _EDITED
    if error.code is Code.HEAD_MOVED:
        return _MOVED.format(**error.fields, next=error.fields["expected"] + 1)
    return error.message


def _imported(line: Line, version: FoundVersion, stored: Stored) -> Imported:
    status: Status = "already there" if stored.repeated else "stored" if stored.new_bytes else "deduplicated"
    return Imported(
        path=version.path,
        status=status,
        ref=stored.ref,
        reason=f"as {stored.ref}, its own name being too long" if _title(line.name) else "",
        size_bytes=stored.size_bytes,
        new_bytes=stored.new_bytes,
    )


def _stranger(stranger: Stranger) -> Imported:
    status: Status = "refused" if stranger.code else "skipped"
    return Imported(path=stranger.path, status=status, code=stranger.code, reason=stranger.reason)


def _counter(found: Folder, progress: Progress | None) -> Callable[[], None]:
    """What to call when one more version is done; it tells `progress`."""
    total = sum(len(line.versions) for line in found.lines)
    tell = progress or (lambda _done, _total: None)
    numbers = itertools.count(1)
    tell(0, total)
    return lambda: tell(next(numbers), total)
