"""put: stage → commit → (upload → commit). Bytes first, then rows, then the head; one commit point, in the last call.

1. *Stage*: hash every component, in one pass, off the event loop.
2. *Commit*: if the ledger knows every blob as live the version is made at once. Else the others are reserved, and nothing else
   happens. What cannot succeed (name, type, expected version) is refused here, before a byte moves.
3. *Upload* what is missing, in parallel and bounded.
4. *Commit* again with the tickets. A collector may have taken a blob back meanwhile: then it is reserved anew, back to 3.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Literal, TypeAlias

import msgpack

from casstore import grammar, kinds, limits
from casstore.catalog import puts
from casstore.catalog.puts import Missing, PutRequest, Upload
from casstore.errors import Code, Conflict, Corrupt, Invalid
from casstore.model import Digest, Manifest, PutOptions, Relation, Stored
from casstore.operations import Context
from casstore.operations.ids import uuid7
from casstore.staging import Data, Staged, stage

__all__ = ["OnSame", "check_expect", "check_options", "close", "contended", "put", "request_for", "upload"]

OnSame: TypeAlias = Literal["reuse", "new_version", "error"]


async def put(context: Context, name: str, data: Data, options: PutOptions, *, media_type: str | None) -> Stored:
    """Store one version; see `AsyncTenant.put` for the promise."""
    grammar.check_name(name)
    staged = await stage(data, media_type)
    try:
        request = await request_for(context, name, staged, options, options.type)
        try:
            return await _commit(context, request)
        except Conflict as error:
            if error.code is not Code.TYPE_UNCHECKED:
                raise
            request = await request_for(context, name, staged, options, error.fields["type"])
            return await _commit(context, request)
    finally:
        close(staged)


async def request_for(
    context: Context, name: str, staged: Mapping[str, Staged], options: PutOptions, artifact_type: str | None
) -> PutRequest:
    """A put of what is staged, after the kind of its type has looked at it; raises Invalid (bad_composition)."""
    components = {role: part.component(role) for role, part in staged.items()}
    content = Manifest.build(components)
    relations: tuple[Relation, ...] = ()
    if artifact_type is not None and kinds.kind_of(artifact_type):
        relations = await asyncio.to_thread(kinds.compose, artifact_type, staged)
    return PutRequest(
        tenant=context.tenant,
        name=name,
        type=artifact_type,
        kinds=kinds.names(),
        id=uuid7(),
        manifest=Manifest.build(components, relations) if relations else content,
        blobs={part.digest: part for part in staged.values()},
        options=options,
        fingerprint=_fingerprint(
            name, content, options
        ),  # without the relations: who repeats a put may not know the type
    )


def close(staged: Mapping[str, Staged]) -> None:
    """Give back what staging holds."""
    for part in staged.values():
        part.close()


def check_options(
    *,
    type: str | None,  # noqa: A002 - the field's word
    title: str | None,
    labels: Mapping[str, str] | None,
    expect: int | None,
    idempotency_key: str | None,
    on_same: OnSame,
) -> PutOptions:
    """The options of a put, each within its rule; raises Invalid with the code of the first that is not."""
    if type is not None:
        grammar.check_type(type)
    if title is not None:
        grammar.check_title(title)
    if labels is not None:
        grammar.check_labels(labels)
    if idempotency_key is not None:
        grammar.check_key(idempotency_key)
    if on_same not in ("reuse", "new_version", "error"):
        raise Invalid(Code.BAD_ARGUMENT, f"on_same={on_same!r} is unknown", hint="reuse, new_version or error")
    return PutOptions.model_construct(
        type=type,
        title=title,
        labels=None if labels is None else dict(labels),
        expect=check_expect(expect),
        idempotency_key=idempotency_key,
        on_same=on_same,
    )


async def _commit(context: Context, request: PutRequest) -> Stored:
    uploads: dict[Digest, Upload] = {}
    for _ in range(limits.COMMIT_ROUNDS):
        answer = await puts.put_version(context.catalog, request, uploads)
        if isinstance(answer, Stored):
            return answer
        uploads |= await upload(context, request.blobs, answer)
    raise contended(request.name)


def contended(what: str) -> Conflict:
    """The error of a put that gave up."""
    message = f"other writers and collectors kept taking back the blobs of {what!r}"
    return Conflict(Code.BLOB_CONTENDED, message, hint="Put it again.")


async def upload(context: Context, blobs: Mapping[Digest, Staged], missing: list[Missing]) -> dict[Digest, Upload]:
    """Upload what is missing of these blobs, in parallel and bounded."""
    if len(missing) == 1:  # the usual case needs no tasks
        return {missing[0].digest: await _upload_one(context, blobs[missing[0].digest], missing[0])}
    slots = asyncio.Semaphore(limits.UPLOADS_AT_ONCE)

    async def bounded(blob: Missing) -> Upload:
        async with slots:
            return await _upload_one(context, blobs[blob.digest], blob)

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


def check_expect(expect: int | None) -> int | None:
    """Return `expect` if it is a version number, 0 or None; raise Invalid (bad_argument) otherwise."""
    if expect is None or (type(expect) is int and 0 <= expect <= limits.VERSION_MAX):
        return expect
    raise Invalid(Code.BAD_ARGUMENT, f"expect={expect!r} is no version number", hint="0 means: must not exist yet.")


def _fingerprint(name: str, manifest: Manifest, options: PutOptions) -> Digest:
    """What an idempotency key stands for: the whole request, and nothing that differs between its repetitions."""
    labels = None if options.labels is None else sorted(options.labels.items())
    asked = [name, options.type, bytes(manifest.digest), options.title, labels, options.expect, options.on_same]
    return Digest.of(msgpack.packb(asked))
