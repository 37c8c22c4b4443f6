"""Move in: find the documents → read what each says of itself → put them in order → store each with its pictures.

Each is put under an idempotency key made of its path, and expects the version before it: what was interrupted is simply run again.
Until its turn comes only what a document says about its place among others is held; then it is read once more.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final, TypeVar

from casstore import grammar, limits
from casstore.blobs.objects import Stranger, open_objects, shown
from casstore.errors import CasstoreError, Code, Conflict, Invalid, NotFound
from casstore.integrations.artifact_storage import put_result
from casstore.integrations.moving_in.layout import MOVED_FROM, Document, Place, metadata_of
from casstore.integrations.moving_in.order import Step, in_order
from casstore.integrations.moving_in.pictures import with_pictures
from casstore.integrations.moving_in.source import Source
from casstore.integrations.registry import entry_of
from casstore.integrations.results import ResultComponents, to_components
from casstore.model import Digest, Stored, Version
from casstore.operations.import_processes import unwrapped
from casstore.operations.importing import Imported, ImportReport, Progress, Status
from casstore.staging import Part
from casstore.store import AsyncStore
from casstore.tenant import AsyncTenant

__all__ = ["move_in"]

Item = TypeVar("Item")

_EDITED: Final = "it was moved in before with other content: restore it, and store the new content as the next version"
_TAKEN: Final = (
    "it would be version {next}, but {name} is at {actual}: by other puts, or this document came after later ones"
)


async def move_in(
    store: AsyncStore,
    source: str | os.PathLike[str],
    *,
    tenant: str | None = None,
    at_once: int = 8,
    progress: Progress | None = None,
) -> ImportReport:
    """Store every document at `<source>/artifacts/<type>/<tenant>/<id>.json` with its pictures, for the tenant of its path.

    Each becomes a version as `ArtifactStorage.store_artifact` makes them, of the name `<type>/<id>`, with its old id and path in
    its metadata; docs/how-to/move-in-from-the-old-layout.md says how a document is read. Nothing is written to the source. Run it
    again after an interruption, or when there are new documents: what was stored stays, the rest is added.

    Args:
        store: Open.
        source: A folder, or `gs://bucket/prefix`. Symbolic links are not followed.
        tenant: Only what is this tenant's; else everybody's.
        at_once: Documents worked on in parallel; each is held in memory with its pictures.
        progress: Called with the number of documents done and of all.

    Returns:
        What became of each document, and what was skipped. A picture is part of the documents that refer to it.

    Raises:
        Invalid: The source cannot be read or has no `artifacts/` (unreadable_source), or an argument; nothing was stored.
        Denied, Unavailable: The source, or the store. What was stored until then stays.
    """
    if not (type(at_once) is int and 1 <= at_once <= limits.IMPORTS_AT_ONCE_MAX):
        hint = f"1 to {limits.IMPORTS_AT_ONCE_MAX} documents at once."
        raise Invalid(Code.BAD_ARGUMENT, f"at_once={at_once!r} is out of range", hint=hint)
    if tenant is not None:
        grammar.check_tenant(tenant)
    objects = await open_objects(source)
    try:
        return await _Move(store, Source(objects, tenant), at_once).run(progress or (lambda _done, _total: None))
    finally:
        await objects.aclose()


class _Move:
    """One run."""

    def __init__(self, store: AsyncStore, source: Source, at_once: int) -> None:
        self._store = store
        self._source = source
        self._at_once = at_once
        self._entries: list[Imported] = []
        self._done: dict[Step, asyncio.Future[Version | CasstoreError]] = {}

    async def run(self, progress: Progress) -> ImportReport:
        """Move everything."""
        steps = in_order(await self._steps())
        self._entries += map(_stranger, self._source.strangers())
        self._done = {step: asyncio.get_running_loop().create_future() for step in steps}
        numbers = itertools.count(1)
        progress(0, len(steps))

        async def move(step: Step) -> None:
            await self._move(step)
            progress(next(numbers), len(steps))

        await self._each(steps, move)  # no step waits for one that nobody has begun: each comes after what it needs
        return ImportReport.of(self._entries)

    async def _steps(self) -> list[Step]:
        found: dict[str, Step] = {}

        async def read(item: tuple[str, Place]) -> None:
            name, place = item
            try:
                place.check()
            except Invalid as error:
                self._refuse(name, error.code, error.message)
            else:
                found[name] = await self._source.read_about(name, place)

        await self._each(await self._source.find(), read)
        return [found[name] for name in sorted(found)]

    async def _each(self, items: Iterable[Item], work: Callable[[Item], Awaitable[None]]) -> None:
        todo = iter(items)

        async def worker() -> None:
            for item in todo:
                await work(item)

        async with unwrapped(), asyncio.TaskGroup() as group:
            for _ in range(self._at_once):
                group.create_task(worker())

    async def _move(self, step: Step) -> None:
        moved = {each: await self._done[each] for each in step.needs}
        before = moved[step.before] if step.before else None
        answer: Version | CasstoreError
        if isinstance(before, CasstoreError) and step.before:
            answer = before
            reason = f"{shown(step.before.path)} was refused, and this version must not take its number"
            self._refuse(step.path, before.code, reason)
        else:
            try:
                answer = await self._stored(step, _versions(step, moved))
            except (Invalid, Conflict, NotFound) as error:
                answer = error
                self._refuse(step.path, error.code, _reason(step, error))
            else:
                self._entries.append(_entry(step, answer))
        self._done[step].set_result(answer)

    async def _stored(self, step: Step, versions: Mapping[Step, Version]) -> Version:
        if step.fault:
            raise step.fault
        tenant = self._store.tenant(step.place.tenant)
        document, pictures = await self._source.read(step)
        entry = entry_of(_metadata(step, document, versions))
        components = await asyncio.to_thread(_components, step, document, pictures)
        try:
            return await put_result(
                tenant,
                step.name,
                components,
                entry,
                type=step.place.type,
                expect=step.number - 1,
                idempotency_key=_key(step),
            )
        except Conflict as error:
            return await _moved_before(tenant, step, components, error)

    def _refuse(self, name: str, code: Code, reason: str) -> None:
        self._entries.append(Imported(path=shown(name), status="refused", code=code, reason=reason))


def _versions(step: Step, moved: Mapping[Step, Version | CasstoreError]) -> dict[Step, Version]:
    """Those of its sources, and its parent, that are in the store; the step is told of the others."""
    for wanted, source in step.sources.items():
        if isinstance(moved[source], CasstoreError):
            step.remarks.append(f"its source {wanted!a:.80} was refused")
    return {each: version for each, version in moved.items() if isinstance(version, Version)}


def _metadata(step: Step, document: Document, versions: Mapping[Step, Version]) -> dict[str, object]:
    return metadata_of(
        document,
        step.place,
        old={"artifact_id": step.told.id, "path": shown(step.path), "digest": str(step.digest)},
        parent=str(versions[step.parent].id) if step.parent else None,
        sources={wanted: str(versions[each].id) for wanted, each in step.sources.items() if each in versions},
    )


def _components(step: Step, document: Document, pictures: Mapping[str, bytes]) -> ResultComponents:
    return to_components(step.place.type, with_pictures(document, pictures))


def _key(step: Step) -> str:
    return f"moved in: {Digest.of(shown(step.path).encode())}"


async def _moved_before(tenant: AsyncTenant, step: Step, components: ResultComponents, error: Conflict) -> Version:
    """The version that an earlier run made of this document when other sources of it were there; else raises the error."""
    try:
        version = await tenant.resolve(f"{step.name}@{step.number}")
    except NotFound:
        raise error from None
    before = version.metadata.get(MOVED_FROM)
    if not isinstance(before, dict) or before.get("path") != shown(step.path):
        raise error
    there = {each.role: each.digest for each in version.components}
    given = {
        role: await tenant.digest_of(part.data)
        for role, part in components.items()
        if isinstance(part, Part) and isinstance(part.data, bytes)
    }
    if before.get("digest") != str(step.digest) or there != given:
        raise Conflict(Code.IDEMPOTENCY_KEY_REUSED, _EDITED) from error
    return version


def _reason(step: Step, error: CasstoreError) -> str:
    if error.code is Code.IDEMPOTENCY_KEY_REUSED:
        return _EDITED
    if error.code is Code.HEAD_MOVED:
        return _TAKEN.format(**error.fields, next=step.number)
    return error.message


def _entry(step: Step, version: Version) -> Imported:
    status: Status = "already there"
    new_bytes = 0
    if isinstance(version, Stored) and not version.repeated:
        new_bytes = version.new_bytes
        status = "stored" if new_bytes else "deduplicated"
    return Imported(
        path=shown(step.path),
        status=status,
        ref=version.ref,
        reason="; ".join(step.remarks),
        size_bytes=version.size_bytes,
        new_bytes=new_bytes,
    )


def _stranger(stranger: Stranger) -> Imported:
    status: Status = "refused" if stranger.code else "skipped"
    return Imported(path=shown(stranger.name), status=status, code=stranger.code, reason=stranger.reason)
