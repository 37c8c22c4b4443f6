"""put: stage → commit → (upload → commit). Bytes first, then rows, then the head; one commit point, in the last call.

1. *Stage*: hash every component, in one pass, off the event loop.
2. *Commit*: if the ledger knows every blob as live the version is made at once. Else the others are reserved, and nothing else
   happens. What cannot succeed (name, type, expected version) is refused here, before a byte moves.
3. *Upload* what is missing, in parallel and bounded.
4. *Commit* again with the tickets. A collector may have taken a blob back meanwhile: then it is reserved anew, back to 3.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Literal, TypeAlias, get_args
from uuid import UUID

import msgpack

from casstore import grammar, kinds, limits
from casstore.catalog import puts
from casstore.catalog.puts import Missing, PutRequest, Upload
from casstore.errors import Code, Conflict, Corrupt, Invalid
from casstore.formats import json
from casstore.model import Digest, Manifest, PutOptions, Relation, Stored
from casstore.operations import Context
from casstore.operations.describing import components_of
from casstore.operations.direct import arriving
from casstore.operations.ids import uuid7
from casstore.operations.sources import SourceLike, links
from casstore.retention import check_period
from casstore.staging import Data, Staged, stage

__all__ = ["OnSame", "check_expect", "check_options", "close", "contended", "digest_of", "put", "request_for", "upload"]

OnSame: TypeAlias = Literal["reuse", "semantic", "new_version", "error"]


async def put(
    context: Context,
    name: str,
    data: Data,
    options: PutOptions,
    *,
    sources: Iterable[SourceLike] | None = None,
    media_type: str | None,
) -> Stored:
    """Store one version; see `AsyncTenant.put` for the promise."""
    grammar.check_name(name)
    if sources is not None:
        options = options.model_copy(update={"sources": await links(context, sources)})
    staged = await stage(arriving(context, data), media_type, domain=await context.domain())
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
    context: Context,
    name: str,
    staged: Mapping[str, Staged],
    options: PutOptions,
    artifact_type: str | None,
    *,
    identity: UUID | None = None,
) -> PutRequest:
    """A put of what is staged, after the kind of its type has looked at it; raises Invalid (bad_composition)."""
    components = await components_of(staged)
    content = Manifest.build(components)
    relations: tuple[Relation, ...] = ()
    if artifact_type is not None and kinds.kind_of(artifact_type):
        relations = await asyncio.to_thread(kinds.compose, artifact_type, staged)
    return PutRequest(
        tenant=context.tenant,
        name=name,
        type=artifact_type,
        kinds=kinds.names(),
        id=identity or uuid7(),
        manifest=Manifest.build(components, relations) if relations else content,
        blobs={part.digest: part for part in staged.values()},
        options=options,
        fingerprint=_fingerprint(
            name, content, options
        ),  # without the relations: who repeats a put may not know the type
        domain=next((part.domain.check for part in staged.values() if part.domain), None),
    )


async def digest_of(context: Context, data: bytes) -> Digest:
    """The digest of these bytes in the tenant; see `AsyncTenant.digest_of`."""
    domain = await context.domains.ask(context.catalog, context.tenant)
    return domain.digest(data) if domain else Digest.of(data)


def close(staged: Mapping[str, Staged]) -> None:
    """Give back what staging holds."""
    for part in staged.values():
        part.close()


def check_options(
    *,
    type: str | None,  # noqa: A002 - the field's word
    title: str | None,
    labels: Mapping[str, str] | None,
    metadata: Mapping[str, Any] | None = None,
    expect: int | None,
    idempotency_key: str | None,
    on_same: OnSame,
    ttl: timedelta | None = None,
    by: str | None = None,
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
    if on_same not in get_args(OnSame):
        raise Invalid(
            Code.BAD_ARGUMENT, f"on_same={on_same!r} is unknown", hint="reuse, semantic, new_version or error"
        )
    return PutOptions.model_construct(
        type=type,
        title=title,
        labels=None if labels is None else dict(labels),
        metadata=None if metadata is None else check_metadata(metadata),
        expect=check_expect(expect),
        idempotency_key=idempotency_key,
        on_same=on_same,
        ttl=None if ttl is None else check_period(ttl),
        by=grammar.check_by(by),
    )


def check_metadata(metadata: Mapping[str, Any]) -> str:
    """A JSON object that the catalog can keep as text, its keys sorted; raises Invalid (bad_metadata) for anything else."""
    fault = None if isinstance(metadata, Mapping) else f"it is a {type(metadata).__name__}, not a mapping"
    data = b""
    if fault is None:
        try:
            # In one order, which is not kept: whoever repeats the request may have another.
            data = json.encode(dict(metadata), sort_keys=True)
        except Invalid as error:
            fault = error.message
        if b"\\u0000" in data.replace(b"\\\\", b""):
            fault = "it has a NUL character, which the catalog cannot keep"
        elif len(data) > limits.METADATA_MAX_BYTES:
            fault = f"it has {len(data)} bytes as JSON, and up to {limits.METADATA_MAX_BYTES} are kept"
    if fault:
        hint = "Metadata is what a version is found by: a small JSON object. Store the rest as content."
        raise Invalid(Code.BAD_METADATA, f"the metadata is refused: {fault}", hint=hint)
    return data.decode()


async def _commit(context: Context, request: PutRequest) -> Stored:
    uploads: dict[Digest, Upload] = {}
    for _ in range(limits.COMMIT_ROUNDS):
        async with context.domains.asked_again(context.catalog, context.tenant):
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
    """What an idempotency key stands for: the whole request, and nothing that may differ between repetitions, as who makes them."""
    if options.asked is not None:
        return options.asked
    labels = None if options.labels is None else sorted(options.labels.items())
    sources = None if options.sources is None else [[link.asked, link.role] for link in options.sources]
    asked: list[Any] = [
        name,
        options.type,
        bytes(manifest.digest),
        options.title,
        labels,
        options.expect,
        options.on_same,
    ]
    asked += [options.metadata, sources]
    if options.ttl is not None:
        asked.append(int(options.ttl.total_seconds()))
    return Digest.of(msgpack.packb(asked))
