"""direct: bytes that go straight to and from the bucket, by requests that are signed here.

An upload arrives under a key of its own, never under a digest: whoever has an offer may write anything. A put reads and hashes what
arrived, and then has just that generation copied under its digest, as its upload; so the ledger believes nothing that was not
verified. What arrived stays for a while, so that a put whose answer was lost can be repeated; then a collector takes it. A crash
leaves nothing else.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from blake3 import blake3

from casstore import limits
from casstore.blobs import BlobStore, TakesDirect, keys
from casstore.direct import DirectLink, UploadOffer
from casstore.errors import Code, Invalid, NotFound
from casstore.formats import media_types
from casstore.model import Digest
from casstore.operations import Context
from casstore.operations.get import get
from casstore.operations.ids import uuid7
from casstore.refs import Ref
from casstore.staging import Components, Data, Incoming, Part, Source, Uploaded

__all__ = ["arriving", "link", "offer", "sweep"]

_MILLISECONDS_AT: Final = 80  # of a UUIDv7


async def offer(context: Context, size_bytes: int) -> UploadOffer:
    """A request that uploads so many bytes; see `AsyncTenant.offer_upload` for the promise."""
    if type(size_bytes) is not int or not 0 <= size_bytes <= limits.BLOB_MAX_BYTES:
        message = f"an upload has 0 to {limits.BLOB_MAX_BYTES} bytes, not {size_bytes!r}"
        raise Invalid(Code.TOO_LARGE if type(size_bytes) is int and size_bytes > 0 else Code.BAD_ARGUMENT, message)
    blobs, identity = _direct(context.blobs), uuid7()
    expires_at = datetime.now(UTC) + limits.DIRECT_UPLOAD
    signed = await blobs.offer(_key(context.tenant, identity), size_bytes, limits.DIRECT_UPLOAD)
    return UploadOffer(
        id=identity, url=signed.url, headers=signed.headers, size_bytes=size_bytes, expires_at=expires_at
    )


async def link(context: Context, ref: str | Ref) -> DirectLink:
    """Where the bucket answers a component; see `AsyncTenant.direct_link` for the promise."""
    artifact, blobs = await get(context, ref), _direct(context.blobs)
    version, component = artifact.version, artifact.component
    role = next(each.role for each in version.components if each == component)
    name = f"{version.name.rpartition('/')[2]}-v{version.number}-{role}{media_types.suffix_for(component.media_type)}"
    expires_at = datetime.now(UTC) + limits.DIRECT_LINK
    url = await blobs.link(component.digest, component.media_type, f'attachment; filename="{name}"', limits.DIRECT_LINK)
    return DirectLink(
        url=url,
        digest=component.digest,
        size_bytes=component.size_bytes,
        media_type=component.media_type,
        expires_at=expires_at,
    )


def arriving(context: Context, data: Data) -> Data:
    """The same data of a put, where what was uploaded straight to the bucket is a stream of it."""
    if isinstance(data, Components):
        return Components({role: _stream(context, part) for role, part in data.items()})
    return _stream(context, data)


async def sweep(blobs: BlobStore) -> None:
    """Delete what arrived so long ago that no put of it can be under way or be repeated; also what is none of ours there."""
    after, now = keys.INCOMING, datetime.now(UTC)
    while isinstance(blobs, TakesDirect) and (found := await blobs.arrivals(after)):
        after = found[-1]
        for key in found:
            if now - _offered_at(key) > limits.DIRECT_KEPT:
                await blobs.discard(key)


def _stream(context: Context, part: Source | Part) -> Source | Part:
    if isinstance(part, Part):
        return Part(_stream(context, part.data), part.media_type) if isinstance(part.data, Uploaded) else part  # type: ignore[arg-type]
    return _Arrival(context, part) if isinstance(part, Uploaded) else part


class _Arrival:
    """An `Arrived`."""

    def __init__(self, context: Context, upload: Uploaded) -> None:
        self.incoming: Incoming | None = None
        self.digest: Digest | None = upload.digest
        self._blobs = context.blobs
        self._key = _key(context.tenant, upload.id)
        self._id = upload.id

    async def __aiter__(self) -> AsyncIterator[bytes]:
        reader = await _direct(self._blobs).open_arrived(self._key)
        if reader is None:
            message = f"nothing was uploaded by the offer {self._id}"
            hint = "Upload first. An offer that is a day old is over: ask for a new one."
            raise NotFound(Code.UPLOAD_NOT_FOUND, message, hint=hint, id=str(self._id))
        try:
            while chunk := await reader.read(limits.CHUNK_BYTES):
                yield chunk
        finally:
            await reader.aclose()
        self.incoming = Incoming(self._key, reader.generation)


def _direct(blobs: BlobStore) -> TakesDirect:
    if isinstance(blobs, TakesDirect):
        return blobs
    hint = "Send the bytes through the store. Only a bucket answers others."
    raise Invalid(Code.NOT_DIRECT, f"bytes cannot go straight to {blobs.url}", hint=hint)


def _key(tenant: str, identity: UUID) -> str:
    """Under the tenant: nobody puts what another has uploaded. By a digest: no listing of the bucket has its name."""
    return f"{keys.INCOMING}{blake3(tenant.encode()).hexdigest(16)}/{identity}"


def _offered_at(key: str) -> datetime:
    try:
        milliseconds = UUID(key.rpartition("/")[2]).int >> _MILLISECONDS_AT
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError):
        return datetime.min.replace(tzinfo=UTC)
