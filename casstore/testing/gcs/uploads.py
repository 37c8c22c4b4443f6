"""Uploads: in one request, with or without metadata, and resumable ones in chunks."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from casstore.testing.gcs.calls import Call
from casstore.testing.gcs.objects import StoredObject, check_hashes, new_object, parse_hashes, writable
from casstore.testing.gcs.preconditions import Preconditions
from casstore.testing.gcs.refusals import CLIENT_CLOSED_REQUEST, Refusal, bad_request
from casstore.testing.gcs.storage import Session, Storage
from casstore.testing.gcs.wire import Answer, Request, json_answer, json_object

__all__ = ["cancel", "content_range", "insert", "name_of", "payload_span", "receive", "start", "store"]

_QUANTUM_BYTES: Final = 256 << 10  # what all chunks but the last are multiples of
_BOUNDARY: Final = re.compile(r'boundary=(?:"([^"]+)"|([^;\s]+))')
_CONTENT_TYPE: Final = re.compile(rb"(?im)^content-type:[ \t]*([^\r\n]+)")
_CONTENT_RANGE: Final = re.compile(r"bytes (?:\*|(\d+)-(\d+))/(\*|\d+)")


# -- in one request ----------------------------------------------------------------------------------------------------


class Multipart(NamedTuple):
    """The two parts of a multipart upload: the resource, and where in the body the bytes of the object are."""

    resource: dict[str, Any]
    start: int
    end: int


def insert(storage: Storage, call: Call) -> Answer:
    """An upload in one request (`uploadType=media` or `multipart`)."""
    request = call.request
    declared, start, end = _payload(request)
    declared = writable(declared) | parse_hashes(request.headers.get("x-goog-hash", ""))
    data = request.body if end - start == len(request.body) else request.body[start:end]
    stored = store(storage, (call.bucket, call.name), data, declared, Preconditions.of(request.query))
    return json_answer(stored.resource(request.origin, storage.bucket(call.bucket).retention))


def store(
    storage: Storage, place: tuple[str, str], data: bytes, declared: dict[str, Any], conditions: Preconditions
) -> StoredObject:
    """Make uploaded bytes an object at `place`: in a bucket, under a name.

    Raises:
        Refusal: 400, a declared checksum is another; 404, 412, 403: see `Bucket.put`.
    """
    bucket, name = place
    target = storage.bucket(bucket)
    stored = new_object(bucket, name, data, declared, generation=storage.next_generation())
    check_hashes(stored, declared)
    target.put(stored, conditions)
    return stored


def name_of(storage: Storage, request: Request) -> str:
    """The name of the object an upload is about: of its session, of the query, or of the metadata sent along."""
    if session := storage.sessions.get(request.query.get("upload_id", "")):
        return session.name
    if "upload_id" in request.query:
        return ""
    if "name" in request.query:
        return request.query["name"]
    resumable = request.query.get("uploadType") == "resumable"
    return str((request.json() if resumable else _payload(request).resource).get("name", ""))


def payload_span(request: Request) -> tuple[int, int]:
    """Where in the body of an upload the object's own bytes are: the first, and the one after the last."""
    if request.query.get("uploadType") == "multipart":
        found = _payload(request)
        return found.start, found.end
    return 0, len(request.body)


def _payload(request: Request) -> Multipart:
    if request.query.get("uploadType") != "multipart":
        return Multipart({"contentType": request.headers.get("content-type")}, 0, len(request.body))
    return _split(request.body, request.headers.get("content-type", ""))


def _split(body: bytes, content_type: str) -> Multipart:
    if not (found := _BOUNDARY.search(content_type)):
        raise bad_request("Missing boundary in the Content-Type of a multipart upload")
    delimiter = b"--" + (found[1] or found[2]).encode()
    first = body.find(delimiter)
    resource_at = body.find(b"\r\n\r\n", first)
    second = body.find(b"\r\n" + delimiter, resource_at)
    media_at = body.find(b"\r\n\r\n", second)
    end = body.rfind(b"\r\n" + delimiter + b"--")
    if -1 in (first, resource_at, second, media_at, end) or end < media_at + 2:
        raise bad_request("Missing end boundary in multipart body.")
    resource = json_object(body[resource_at + 4 : second])
    if content := _CONTENT_TYPE.search(body[second:media_at]):
        resource.setdefault("contentType", content[1].decode("latin-1"))
    return Multipart(resource, media_at + 4, max(end, media_at + 4))


# -- resumable ---------------------------------------------------------------------------------------------------------


def start(storage: Storage, call: Call) -> Answer:
    """Open a session. Its conditions are checked when it ends; also now, if the server is told so."""
    request, conditions = call.request, Preconditions.of(call.request.query)
    bucket = storage.bucket(call.bucket)
    if storage.options.conditions_at_start:
        conditions.check(bucket.live.get(call.name))
    declared = writable({"contentType": request.headers.get("x-upload-content-type"), **request.json()})
    total = request.headers.get("x-upload-content-length")
    if total and not total.isdecimal():
        raise bad_request(f"Invalid X-Upload-Content-Length: {total!r}")
    total_bytes = int(total) if total else None
    session = storage.start_session(call.bucket, call.name, declared, conditions, total_bytes)
    query = f"uploadType=resumable&name={quote(call.name, safe='')}&upload_id={session.id}"
    location = f"{request.origin}/upload/storage/v1/b/{call.bucket}/o?{query}"
    return Answer(HTTPStatus.OK, {"location": location, "x-guploader-uploadid": session.id})


def cancel(storage: Storage, call: Call) -> Answer:
    """Forget a session and what it has received."""
    session = storage.session(call.request.query.get("upload_id", ""))
    del storage.sessions[session.id]
    return Answer(CLIENT_CLOSED_REQUEST)


def receive(storage: Storage, call: Call) -> Answer:
    """Keep a chunk, answer how far the upload is, make the object when it is whole.

    Bytes that were kept before are not looked at again; a chunk that is sent again after the end gets the answer
    of the end again.
    """
    request = call.request
    session = storage.session(request.query.get("upload_id", ""))
    if not session.done and not _keep(session, request):
        headers = {"range": f"bytes=0-{session.size_bytes - 1}"} if session.size_bytes else {}
        return Answer(HTTPStatus.PERMANENT_REDIRECT, headers)
    return json_answer(session.done or _finish(storage, session, request))


def _keep(session: Session, request: Request) -> bool:
    """Whether the upload is whole now."""
    if "content-range" not in request.headers:
        _append(session, 0, request.body)
        return True
    first, last, total_bytes = content_range(request)
    if None not in (total_bytes, session.total_bytes) and total_bytes != session.total_bytes:
        raise bad_request(f"the upload was to have {session.total_bytes} bytes, and now {total_bytes}")
    total_bytes = total_bytes if session.total_bytes is None else session.total_bytes
    if first is not None and last is not None:
        _check_chunk(len(request.body), first, last + 1, total_bytes)
        _append(session, first, request.body)
    session.total_bytes = total_bytes
    return session.size_bytes == total_bytes


def content_range(request: Request) -> tuple[int | None, int | None, int | None]:
    """The first and the last byte that a chunk declares, and how many there will be; None for each it does not say.

    Raises:
        Refusal: 400.
    """
    header = request.headers.get("content-range", "")
    if not (found := _CONTENT_RANGE.fullmatch(header)):
        raise bad_request(f"Failed to parse Content-Range: {header!r}")
    first, last, total = (None if one in (None, "*") else int(one) for one in found.groups())
    return first, last, total


def _check_chunk(size_bytes: int, start: int, end: int, total_bytes: int | None) -> None:
    if size_bytes != end - start:
        raise bad_request(f"Content-Range declares {end - start} bytes, the body has {size_bytes}")
    if total_bytes is not None and end > total_bytes:
        raise bad_request(f"Content-Range ends at byte {end} of {total_bytes}")
    if end != total_bytes and size_bytes % _QUANTUM_BYTES:
        raise bad_request(
            f"Invalid request. The number of bytes uploaded is required to be a multiple of {_QUANTUM_BYTES}, except"
            f" for the final request. The received request contained {size_bytes} bytes."
        )


def _append(session: Session, first: int, data: bytes) -> None:
    known = session.size_bytes - first
    if known < 0:
        raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, f"the chunk begins behind byte {session.size_bytes}")
    if fresh := data[known:] if known else data:
        session.pieces.append(fresh)
        session.size_bytes += len(fresh)


def _finish(storage: Storage, session: Session, request: Request) -> dict[str, Any]:
    """Make the object. When that is refused the session stays as it is, and its end can be asked for again."""
    declared = session.declared | parse_hashes(request.headers.get("x-goog-hash", ""))
    session.pieces = [b"".join(session.pieces)]
    stored = store(storage, (session.bucket, session.name), session.pieces[0], declared, session.conditions)
    session.pieces = []
    session.done = stored.resource(request.origin, storage.bucket(session.bucket).retention)
    return session.done
