"""put: stage → commit → (upload → commit). Bytes first, then rows, then the head; one commit point, in the last call.

1. *Stage*: hash every component, in one pass, off the event loop.
2. *Commit*: if the ledger knows every blob as live the version is made at once. Else the others are reserved, and nothing else happens.
   What cannot succeed (name, type, expected version) is refused here, before a byte moves.
3. *Upload* what is missing, in parallel and bounded.
4. *Commit* again with the tickets. A collector may have taken a blob back meanwhile: then it is reserved anew, back to 3.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Literal, TypeAlias

import msgpack

from casstore import grammar, limits
from casstore.catalog import versions
from casstore.catalog.versions import Missing, PutRequest, Upload
from casstore.errors import Code, Conflict, Corrupt, Invalid
from casstore.model import Digest, Manifest, Stored
from casstore.operations import Context
from casstore.operations.ids import uuid7
from casstore.staging import Data, Staged, stage

__all__ = ["OnSame", "put"]

OnSame: TypeAlias = Literal["reuse", "new_version", "error"]


async def put(
    context: Context,
    name: str,
    data: Data,
    *,
    type: str | None,  # noqa: A002 - the field's word
    title: str | None,
    labels: Mapping[str, str] | None,
    expect: int | None,
    idempotency_key: str | None,
    on_same: OnSame,
    media_type: str | None,
) -> Stored:
    """Store one version; see `AsyncTenant.put` for the promise."""
    _check_arguments(name, type, title, labels, expect, idempotency_key, on_same)
    staged = await stage(data, media_type)
    try:
        manifest = Manifest.build({role: part.component(role) for role, part in staged.items()})
        request = PutRequest(
            tenant=context.tenant,
            name=name,
            type=type,
            id=uuid7(),
            manifest=manifest,
            blobs={part.digest: part for part in staged.values()},
            title=title,
            labels=labels,
            expect=expect,
            on_same=on_same,
            idempotency_key=idempotency_key,
            fingerprint=_fingerprint(name, type, manifest, title, labels, expect, on_same),
        )
        return await _commit(context, request)
    finally:
        for part in staged.values():
            part.close()


async def _commit(context: Context, request: PutRequest) -> Stored:
    uploads: dict[Digest, Upload] = {}
    for _ in range(limits.COMMIT_ROUNDS):
        answer = await _shielded(context, request, uploads)
        if isinstance(answer, Stored):
            return answer
        uploads |= await _upload(context, request, answer)
    message = f"other writers and collectors kept taking back the blobs of {request.name!r}"
    raise Conflict(Code.BLOB_CONTENDED, message, hint="Put it again.")


async def _shielded(context: Context, request: PutRequest, uploads: Mapping[Digest, Upload]) -> Stored | list[Missing]:
    """Commit as a task of its own: a caller that goes away leaves a version or nothing, never an aborted connection."""
    task = asyncio.ensure_future(versions.put_version(context.catalog, request, uploads))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


async def _upload(context: Context, request: PutRequest, missing: list[Missing]) -> dict[Digest, Upload]:
    if len(missing) == 1:  # the usual case needs no tasks
        return {missing[0].digest: await _upload_one(context, request.blobs[missing[0].digest], missing[0])}
    slots = asyncio.Semaphore(limits.UPLOADS_AT_ONCE)

    async def bounded(blob: Missing) -> Upload:
        async with slots:
            return await _upload_one(context, request.blobs[blob.digest], blob)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = {blob.digest: group.create_task(bounded(blob)) for blob in missing}
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from failures
    return {digest: task.result() for digest, task in tasks.items()}


async def _upload_one(context: Context, staged: Staged, missing: Missing) -> Upload:
    try:
        placed = await context.blobs.put(staged, dead=missing.dead)
    except Corrupt as error:
        # An object of the wrong size lies under the key. We hold the right bytes: replace exactly that one.
        if error.code is not Code.BLOB_ALTERED:
            raise
        placed = await context.blobs.put(staged, dead=error.fields["generation"])
    return Upload(missing.ticket, placed.generation)


def _check_arguments(  # noqa: PLR0913, PLR0917 - each is one argument of put
    name: str,
    kind: str | None,
    title: str | None,
    labels: Mapping[str, str] | None,
    expect: int | None,
    key: str | None,
    on_same: str,
) -> None:
    grammar.check_name(name)
    if kind is not None:
        grammar.check_type(kind)
    if title is not None:
        grammar.check_title(title)
    if labels is not None:
        grammar.check_labels(labels)
    if key is not None:
        grammar.check_key(key)
    if expect is not None and not (type(expect) is int and 0 <= expect <= limits.VERSION_MAX):
        raise Invalid(Code.BAD_ARGUMENT, f"expect={expect!r} is no version number", hint="0 means: must not exist yet.")
    if on_same not in ("reuse", "new_version", "error"):
        raise Invalid(Code.BAD_ARGUMENT, f"on_same={on_same!r} is unknown", hint="reuse, new_version or error")


def _fingerprint(  # noqa: PLR0913, PLR0917
    name: str,
    kind: str | None,
    manifest: Manifest,
    title: str | None,
    labels: Mapping[str, str] | None,
    expect: int | None,
    on_same: str,
) -> Digest:
    """What an idempotency key stands for: the whole request, and nothing that differs between its repetitions."""
    pairs = sorted(labels.items()) if labels is not None else None
    return Digest.of(msgpack.packb([name, kind, bytes(manifest.digest), title, pairs, expect, on_same]))
