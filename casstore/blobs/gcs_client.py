"""One bucket of Google Cloud Storage, request by request.

google-cloud-storage finds the credentials, looks, lists, deletes and begins uploads. Bytes go over its authorized session
in the JSON API (https://cloud.google.com/storage/docs/json_api/v1): the library reads no object in pieces at one request,
deletes whatever is under a name after a damaged resumable upload, and takes a fifth longer for a small one.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from google.api_core import exceptions
from google.auth.exceptions import DefaultCredentialsError
from google.cloud import storage
from requests import Response
from requests.adapters import HTTPAdapter

from casstore import config, limits
from casstore.blobs.gcs_attempts import Patience
from casstore.blobs.gcs_errors import said
from casstore.blobs.gcs_signing import signer_of
from casstore.blobs.gcs_url import Location
from casstore.errors import Code, Invalid
from casstore.staging import Incoming

__all__ = ["Body", "Bucket", "Found", "UploadBrokenError"]

_TYPE: Final = "application/octet-stream"
_MULTIPART: Final = (
    b"--%b\r\ncontent-type: application/json\r\n\r\n%b\r\n"
    b"--%b\r\ncontent-type: application/octet-stream\r\n\r\n%b\r\n--%b--\r\n"
)


@dataclass(frozen=True, slots=True)
class Found:
    """What is under a key."""

    size_bytes: int
    generation: int
    crc32c: int | None  # Google does not tell that of an object under somebody's own encryption key


class UploadBrokenError(Exception):
    """The bytes were altered on their way, or the upload's session is gone: nothing was stored, begin again."""


class Body:
    """The bytes of one answer, as they come over its connection."""

    def __init__(self, response: Response) -> None:
        self._response = response
        try:
            self.generation = int(response.headers["x-goog-generation"])
            self.size_bytes = int(response.headers["content-length"])
            self.crc32c = _told_crc32c(
                response.headers.get("x-goog-hash", "")
            )  # of the whole object, whatever the range
        except (KeyError, ValueError) as error:
            response.close()
            raise exceptions.BadGateway("the answer is not one of Google Cloud Storage") from error

    def read(self, max_bytes: int) -> bytes:
        """The next bytes, as stored; fewer than `max_bytes` at the end only. Raises when the connection breaks before it."""
        data: bytes = self._response.raw.read(max_bytes, decode_content=False)
        return data

    def close(self) -> None:
        """Give the connection back, to others if it was read to its end."""
        self._response.close()


class Bucket:
    """The objects below one prefix. Blocking, from any thread; each method is one request and raises what is in `FOREIGN`."""

    def __init__(self, location: Location, patience: Patience) -> None:
        config.quiet_google_client()
        self._client = _client(location)
        self._bucket = self._client.bucket(location.bucket, user_project=location.user_project)
        self._session = _session(self._client)
        self._prefix = location.prefix
        self._signs_for = location.signer
        self._connect_s = patience.connect.total_seconds()
        self._silence_s = patience.silence.total_seconds()
        of_bucket = f"storage/v1/b/{location.bucket}/o"
        paid_by = f"&userProject={quote(location.user_project)}" if location.user_project else ""
        self._upload_url = f"{self._client.api_endpoint}/upload/{of_bucket}?uploadType=multipart{paid_by}"
        self._media_url = f"{self._client.api_endpoint}/download/{of_bucket}/"
        self._media_query = f"?alt=media{paid_by}"

    def create(self, key: str, data: bytes | memoryview, crc32c: int, match: int) -> int:
        """Write an object, in one request, over generation `match` (0: over nothing); its generation.

        Raises:
            PreconditionFailed: Another generation is there, or none.
            UploadBrokenError: See there.
        """
        boundary = secrets.token_hex(16).encode()
        resource = json.dumps({"name": self._prefix + key, "crc32c": _base64(crc32c), "contentType": _TYPE})
        body = _MULTIPART % (boundary, resource.encode(), boundary, data, boundary)
        headers = {"content-type": f"multipart/related; boundary={boundary.decode()}"}
        url = f"{self._upload_url}&ifGenerationMatch={match}"
        with _telling_broken_uploads():
            return _generation(self._session.post(url, data=body, headers=headers, timeout=self._timeout(len(body))))

    def begin(self, key: str, size_bytes: int, match: int) -> str:
        """Begin to write an object in several requests: the URL of the session. `match` is looked at by the last of them."""
        url: str = self._bucket.blob(self._prefix + key).create_resumable_upload_session(
            _TYPE, size_bytes, checksum=None, if_generation_match=match, retry=None, timeout=self._timeout()
        )
        return url

    def send(self, session: str, piece: memoryview, first: int, size_bytes: int, crc32c: int) -> tuple[int, int | None]:
        """Send the bytes from `first` on: how many Google has by now, which may be fewer, and the generation at the end.

        Args:
            session: What `begin` answered.
            piece: A multiple of 256 KiB, unless it is the last.
            first: The place of its first byte in the object.
            size_bytes: Of the whole object.
            crc32c: Of everything up to the end of `piece`; checked by Google when that is the whole.

        Raises:
            PreconditionFailed: As `create`, at the last piece.
            UploadBrokenError: See there.
        """
        end = first + len(piece)
        headers = {"content-range": f"bytes {first}-{end - 1}/{size_bytes}"}
        if end == size_bytes:
            headers["x-goog-hash"] = f"crc32c={_base64(crc32c)}"
        timeout = self._timeout(len(piece))
        answer = self._session.put(session, data=piece, headers=headers, timeout=timeout, allow_redirects=False)
        if answer.status_code == HTTPStatus.PERMANENT_REDIRECT:  # Google's "Resume Incomplete"
            kept = int(answer.headers.get("range", "bytes=0--1").removeprefix("bytes=0-")) + 1
            if not first < kept <= end:
                raise exceptions.ServiceUnavailable(f"the bucket has {kept} bytes of an upload instead of {end}")
            return kept, None
        with _telling_broken_uploads(HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
            return end, _generation(answer)

    def look(self, key: str) -> Found | None:
        """What is under the key."""
        blob = self._bucket.blob(self._prefix + key)
        try:
            blob.reload(retry=None, timeout=self._timeout())
        except exceptions.NotFound as error:
            self.check_absent(error)
            return None
        return _found(blob)

    def fetch(self, key: str, start: int, end: int | None, generation: int | None = None) -> Body:
        """The bytes from `start` up to and without `end`, of this generation if one is given.

        Raises:
            NotFound: There is no such object, or no such bucket; ask `check_absent`.
            RequestRangeNotSatisfiable: The object has no byte `start`.
        """
        headers = {"accept-encoding": "gzip"}  # whatever is said about the bytes, we want them as they are stored
        if start or end is not None:
            headers["range"] = f"bytes={start}-{'' if end is None else end - 1}"
        url = self._media_url + quote(self._prefix + key, safe="") + self._media_query
        if generation is not None:
            url += f"&generation={generation}"
        answer = self._session.get(url, headers=headers, timeout=self._timeout(), stream=True)
        _raise_for(answer)
        if "range" in headers and answer.status_code != HTTPStatus.PARTIAL_CONTENT:
            answer.close()
            raise exceptions.BadGateway("the answer has not the range that was asked for")
        return Body(answer)

    def look_arrived(self, key: str) -> Found | None:
        """What others wrote under the key; raises Invalid (upload_altered) where it is said to be encoded."""
        blob = self._bucket.get_blob(self._prefix + key, retry=None, timeout=self._timeout())
        if blob is None:
            return None
        if blob.content_encoding:
            message = f"what was uploaded is stored as {blob.content_encoding[:40]!a}, and not as the bytes it is"
            raise Invalid(Code.UPLOAD_ALTERED, message, hint="Upload without a Content-Encoding, by a new offer.")
        return _found(blob)

    def copy(self, source: Incoming, key: str, match: int) -> int:
        """Have the bucket copy exactly that generation over generation `match` of a key (0: over nothing); the new one.

        Raises:
            NotFound: That generation is not there, or no such bucket; ask `check_absent`.
            PreconditionFailed: As `create`.
        """
        origin = self._bucket.blob(self._prefix + source.key, generation=source.generation)
        target, token = self._bucket.blob(self._prefix + key), None
        while True:  # a large object that has to move is copied in several requests
            token, _, _ = target.rewrite(
                origin, token=token, if_generation_match=match, retry=None, timeout=self._timeout()
            )
            if token is None:
                return int(target.generation)

    @cached_property
    def _signer(self) -> Any:
        credentials = self._client._credentials  # noqa: SLF001 - the client signs with them itself, where they have a key
        return signer_of(credentials, self._signs_for, timedelta(seconds=self._silence_s))

    def try_signing(self) -> str:
        """Have something signed, and tell by which account; raises as `sign`."""
        self._signer.sign_bytes(b"")
        return str(self._signer.signer_email)

    def sign(self, key: str, lifetime: timedelta, **request: Any) -> str:
        """A URL by which others make a request about the key; raises Invalid (not_direct) where nobody signs."""
        paid_by = {"userProject": self._bucket.user_project} if self._bucket.user_project else None
        url: str = self._bucket.blob(self._prefix + key).generate_signed_url(
            version="v4",
            expiration=lifetime,
            api_access_endpoint=self._client.api_endpoint,
            query_parameters=paid_by,
            credentials=self._signer,
            **request,
        )
        return url

    def delete(self, key: str, generation: int) -> None:
        """Delete exactly this generation; raises NotFound or PreconditionFailed when it is not there."""
        self._bucket.delete_blob(
            self._prefix + key, if_generation_match=generation, retry=None, timeout=self._timeout()
        )

    def generations(self, key: str, *, soft_deleted: bool) -> list[Found]:
        """The noncurrent generations of a key, or its soft-deleted ones; raises BadRequest for these where the bucket has none."""
        listing = self._client.list_blobs(
            self._bucket,
            prefix=self._prefix + key,
            versions=None if soft_deleted else True,
            soft_deleted=True if soft_deleted else None,
            fields="items(name,size,generation,crc32c,timeDeleted),nextPageToken",
            retry=None,
            timeout=self._timeout(),
        )
        return [
            _found(blob) for blob in listing if blob.name == self._prefix + key and (soft_deleted or blob.time_deleted)
        ]

    def restore(self, key: str, generation: int, match: int) -> None:
        """Make a copy of a soft-deleted generation the live object, over generation `match` (0: over nothing).

        Raises:
            PreconditionFailed: Another generation is there, or none.
            NotFound: It is not kept any more.
        """
        self._bucket.restore_blob(
            self._prefix + key, generation=generation, if_generation_match=match, retry=None, timeout=self._timeout()
        )

    def pages(self, prefix: str, start: str, limit: int) -> Iterator[list[tuple[str, Found]]]:
        """Name (without the prefix) of what is below `prefix`, and what it is, from the name `start` on, by pages.

        Each page is one request.
        """
        below = self._prefix + prefix
        listing = self._client.list_blobs(
            self._bucket,
            prefix=below,
            start_offset=below + start,
            page_size=limit,
            fields="items(name,size,generation,crc32c),nextPageToken",
            retry=None,
            timeout=self._timeout(),
        )
        for page in listing.pages:
            yield [(blob.name.removeprefix(below), _found(blob)) for blob in page]

    def settings(self) -> dict[str, Any]:
        """The bucket as the JSON API shows it: https://cloud.google.com/storage/docs/json_api/v1/buckets#resource."""
        self._bucket.reload(retry=None, timeout=self._timeout())
        shown: dict[str, Any] = self._bucket._properties  # noqa: SLF001 - as it is, not as a dozen properties
        return shown

    def check_absent(self, error: exceptions.NotFound) -> None:
        """Return if it was the object that was not found; raises NotFound when the bucket is not there either."""
        if "No such object" not in str(error):  # only that wording is sure: then ask, or a lost bucket has lost blobs
            next(self.pages("", "", 1), None)

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def _timeout(self, body_bytes: int = 0) -> tuple[float, float]:
        """Of connecting and sending together, which is how urllib3 takes the first number, and of waiting for bytes."""
        return self._connect_s + body_bytes / limits.GCS_SLOWEST_BYTES, self._silence_s


def _found(blob: Any) -> Found:
    crc32c = int.from_bytes(base64.b64decode(blob.crc32c), "big") if blob.crc32c else None
    return Found(blob.size, blob.generation, crc32c)


def _client(location: Location) -> Any:
    if location.credentials:
        return _client_of(location.credentials)
    try:
        return storage.Client(project=None)
    except DefaultCredentialsError as error:
        message = f"there are no credentials for {location.url}: {error}"
        hint = "Run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS."
        raise Invalid(Code.BAD_CONFIG, message, hint=hint) from error


def _client_of(key_file: str) -> Any:
    try:
        return storage.Client.from_service_account_json(key_file)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        message = f"{key_file} holds no key of a service account: {reason}"
        raise Invalid(Code.BAD_CONFIG, message, hint="Check `credentials` in CASSTORE_BLOBS.") from error


def _session(client: Any) -> Any:
    """The client's session, with a connection for each thread, and the environment's proxies looked up once.

    By itself requests reads the environment and `.netrc` before each request, which takes a tenth of it.
    """
    session = client._http  # noqa: SLF001 - there is no public way to the authorized session, nor to widen its pool
    if not session.is_mtls:  # else it has an adapter that holds the client's certificate
        for scheme in ("https://", "http://"):
            session.mount(scheme, HTTPAdapter(pool_maxsize=limits.GCS_THREADS))
    session.hooks["response"].append(_read_refusal)
    found = session.merge_environment_settings(client.api_endpoint, {}, None, None, None)
    session.proxies, session.verify, session.trust_env = found["proxies"], found["verify"], False
    return session


def _raise_for(answer: Response) -> None:
    if answer.status_code >= HTTPStatus.BAD_REQUEST:
        raise exceptions.from_http_response(answer)


def _read_refusal(answer: Response, **_: Any) -> None:
    """Or a refused stream keeps its connection: the authorized session drops a 401 unread, to ask again."""
    if answer.status_code >= HTTPStatus.BAD_REQUEST:
        answer.content  # noqa: B018 - reading it is the point


def _generation(answer: Response) -> int:
    """Of the object that was written; raises what the answer says when none was."""
    _raise_for(answer)
    generation = answer.json().get("generation")
    if generation is None:
        raise exceptions.BadGateway("the answer to an upload names no generation")
    return int(generation)


def _told_crc32c(header: str) -> int | None:
    """The checksum in `x-goog-hash: crc32c=…,md5=…`; raises ValueError where it is none."""
    told = [each.strip().removeprefix("crc32c=") for each in header.split(",") if "crc32c=" in each]
    return int.from_bytes(base64.b64decode(told[0]), "big") if told else None


def _base64(crc32c: int) -> str:
    return base64.b64encode(crc32c.to_bytes(4, "big")).decode()


@contextmanager
def _telling_broken_uploads(*gone: int) -> Iterator[None]:
    try:
        yield
    except exceptions.GoogleAPICallError as error:
        damaged = error.code == HTTPStatus.BAD_REQUEST and "crc32c" in str(error).lower()
        if damaged or error.code in gone:
            raise UploadBrokenError(said(error)) from error
        raise
