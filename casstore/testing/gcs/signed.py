"""V4 signed URLs: expiry always, the signature where the key is known. Errors are XML, as this face of the API has them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, unquote
from xml.sax.saxutils import escape

from casstore.testing.gcs import downloads, uploads
from casstore.testing.gcs.calls import Call
from casstore.testing.gcs.objects import parse_hashes
from casstore.testing.gcs.preconditions import Preconditions
from casstore.testing.gcs.refusals import Refusal, bad_request, forbidden, unsupported
from casstore.testing.gcs.storage import Storage
from casstore.testing.gcs.wire import Answer, Request

__all__ = ["CUSTOM", "HEADERS", "PARAMETERS", "download", "is_signed", "upload", "xml_answer"]

_ALGORITHM: Final = "GOOG4-RSA-SHA256"
_SIGNING: Final = frozenset(
    f"X-Goog-{one}" for one in ("Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature")
)
PARAMETERS: Final = _SIGNING | {"generation", "response-content-disposition", "response-content-type"}
CUSTOM: Final = "x-goog-meta-"
_CONDITIONS: Final = {
    "x-goog-if-generation-match": "ifGenerationMatch",
    "x-goog-if-metageneration-match": "ifMetagenerationMatch",
}
_LENGTH: Final = "x-goog-content-length-range"
HEADERS: Final = frozenset({*_CONDITIONS, "x-goog-content-sha256", _LENGTH})
_METADATA: Final = {
    "content-type": "contentType",
    "content-encoding": "contentEncoding",
    "content-disposition": "contentDisposition",
    "content-language": "contentLanguage",
    "cache-control": "cacheControl",
    "content-md5": "md5Hash",
}
_SHA256_DIGEST_INFO: Final = bytes.fromhex("3031300d060960864801650304020105000420")  # RFC 8017, section 9.2
_NAMED: Final = frozenset({"EntityTooLarge", "EntityTooSmall", "ExpiredToken", "MalformedSecurityHeader"})
_CODES: Final = {
    HTTPStatus.FORBIDDEN: "SignatureDoesNotMatch",
    HTTPStatus.NOT_FOUND: "NoSuchKey",
    HTTPStatus.PRECONDITION_FAILED: "PreconditionFailed",
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE: "InvalidRange",
    HTTPStatus.NOT_IMPLEMENTED: "NotImplemented",
}


def is_signed(request: Request) -> bool:
    """Whether the request came by a signed URL."""
    return "X-Goog-Signature" in request.query


def download(storage: Storage, call: Call) -> Answer:
    """GET or HEAD: the bytes of an object."""
    _check(call.request, storage.options.signing_keys)
    query = call.request.query
    stored = storage.bucket(call.bucket).find(call.name, query.get("generation"))
    _conditions(call.request).check(stored, reading=True)
    answer = downloads.media(stored, call.request.headers)
    given = {name.removeprefix("response-"): value for name, value in query.items() if name.startswith("response-")}
    answer.headers |= given
    return answer


def upload(storage: Storage, call: Call) -> Answer:
    """PUT: all the bytes of an object, its metadata in headers."""
    request = call.request
    _check(request, storage.options.signing_keys)
    _check_length(request)
    declared: dict[str, Any] = {name: request.headers[h] for h, name in _METADATA.items() if h in request.headers}
    custom = {h.removeprefix(CUSTOM): unquote(value) for h, value in request.headers.items() if h.startswith(CUSTOM)}
    declared |= {"metadata": custom or None} | parse_hashes(request.headers.get("x-goog-hash", ""))
    stored = uploads.store(storage, (call.bucket, call.name), request.body, declared, _conditions(request))
    names = ("etag", "x-goog-generation", "x-goog-metageneration", "x-goog-hash", "x-goog-stored-content-length")
    headers = stored.headers()
    return Answer(HTTPStatus.OK, {name: headers[name] for name in names})


def _conditions(request: Request) -> Preconditions:
    headers = request.headers
    return Preconditions.of({name: headers[header] for header, name in _CONDITIONS.items() if header in headers})


def _check_length(request: Request) -> None:
    """https://cloud.google.com/storage/docs/xml-api/reference-headers#xgoogcontentlengthrange: the body's, both ends included."""
    if _LENGTH not in request.headers:
        return
    try:
        least, most = map(int, request.headers[_LENGTH].split(","))
    except ValueError:
        raise bad_request(f"InvalidArgument: {_LENGTH}") from None
    if len(request.body) > most:
        raise bad_request("EntityTooLarge: Your proposed upload is larger than the maximum object size specified.")
    if len(request.body) < least:
        raise bad_request("EntityTooSmall: Your proposed upload is smaller than the minimum object size specified.")


def _check(request: Request, keys: Mapping[str, tuple[int, int]]) -> None:
    """Whether the URL is still good, and was signed by one of the keys if there are any.

    Raises:
        Refusal: 400, it has expired or is none, or a header is not signed; 403, the signature is not that of the key.
    """
    query = request.query
    try:
        signed_at = datetime.strptime(query["X-Goog-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        until = signed_at + timedelta(seconds=int(query["X-Goog-Expires"]))
        signature = int(query["X-Goog-Signature"], 16)
        algorithm, names = query["X-Goog-Algorithm"], query["X-Goog-SignedHeaders"].split(";")
        account, _, scope = query["X-Goog-Credential"].partition("/")
    except (KeyError, ValueError):
        raise bad_request("a parameter of the signed URL is missing or malformed") from None
    if datetime.now(UTC) > until:
        raise bad_request("ExpiredToken: The provided token has expired.")
    if algorithm != _ALGORITHM:
        raise unsupported(f"URLs signed by {algorithm}")
    if unsigned := {name for name in request.headers if name.startswith("x-goog-")} - set(names):
        raise bad_request(f"MalformedSecurityHeader: Header was not included in signedheaders: {min(unsigned)}")
    if unsent := set(names) - request.headers.keys():
        raise bad_request(f"MalformedSecurityHeader: Header was included in signedheaders only: {min(unsent)}")
    if keys:
        text = "\n".join((algorithm, query["X-Goog-Date"], scope, _digest(_canonical(request, names))))
        if account not in keys or not _verifies(keys[account], signature, text.encode()):
            raise forbidden("The request signature we calculated does not match the signature you provided.")


def _canonical(request: Request, names: list[str]) -> str:
    pairs = sorted(
        (quote(k, safe="-_.~"), quote(v, safe="-_.~")) for k, v in request.query.items() if k != "X-Goog-Signature"
    )
    query = "&".join(f"{name}={value}" for name, value in pairs)
    headers = "".join(f"{name}:{' '.join(request.headers.get(name, '').split())}\n" for name in names)
    payload = request.headers.get("x-goog-content-sha256", "UNSIGNED-PAYLOAD")
    return "\n".join((request.method, request.path, query, headers, ";".join(names), payload))


def _verifies(key: tuple[int, int], signature: int, text: bytes) -> bool:
    """RSASSA-PKCS1-v1_5 (RFC 8017, section 8.2.2)."""
    modulus, exponent = key
    size_bytes = (modulus.bit_length() + 7) // 8
    info = _SHA256_DIGEST_INFO + hashlib.sha256(text).digest()
    padding = b"\xff" * (size_bytes - len(info) - 3)
    return pow(signature, exponent, modulus) == int.from_bytes(b"\x00\x01" + padding + b"\x00" + info, "big")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def xml_answer(refusal: Refusal) -> Answer:
    """A refusal as the XML API words it."""
    if refusal.status == HTTPStatus.NOT_MODIFIED:
        return Answer(refusal.status)
    named, _, _ = refusal.message.partition(": ")
    code = named if named in _NAMED else _CODES.get(HTTPStatus(refusal.status), "InvalidArgument")
    text = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{escape(refusal.message)}</Message></Error>"
    headers = {"content-type": "application/xml; charset=UTF-8", **refusal.headers}
    return Answer(refusal.status, headers, text.encode())
