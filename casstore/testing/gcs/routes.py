"""Which request means which operation: the JSON API, and the face of the XML API that signed URLs show."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from casstore.testing.gcs import json_api, listing, signed, uploads
from casstore.testing.gcs.batch import perform_batch
from casstore.testing.gcs.calls import Call, Handler
from casstore.testing.gcs.preconditions import NAMES, SOURCE_NAMES
from casstore.testing.gcs.refusals import Refusal, unsupported
from casstore.testing.gcs.storage import Storage
from casstore.testing.gcs.wire import Answer, Request, refusal_answer

__all__ = ["perform", "recognise"]

_COMMON: Final = frozenset({"alt", "fields", "key", "prettyPrint", "projection", "quotaUser", "userProject"})
_HARMLESS: Final = frozenset(
    {"x-goog-api-client", "x-goog-gcs-idempotency-token", "x-goog-hash", "x-goog-request-params", "x-goog-user-project"}
)
_CONDITIONAL: Final = frozenset({"if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range"})


@dataclass(frozen=True, slots=True)
class _Route:
    """Requests of one method and shape of path, and the parameters they may have."""

    operation: str
    method: str
    path: re.Pattern[str]
    handler: Handler
    parameters: frozenset[str]
    when: Callable[[Request], bool]

    def match(self, request: Request) -> re.Match[str] | None:
        """The parts of the path, if the request is of this route."""
        found = self.path.fullmatch(request.path) if request.method == self.method else None
        return found if found and self.when(request) else None


def recognise(storage: Storage, request: Request) -> Call:
    """What a request means. Looks, but changes nothing.

    Raises:
        Refusal: 501, it means nothing here; 400, it is malformed.
    """
    for route in _ROUTES:
        if found := route.match(request):
            parts = {part: unquote(value) for part, value in found.groupdict().items()}
            _check_known(request, route)
            if "name" not in parts and route.operation.startswith("upload"):
                parts["name"] = uploads.name_of(storage, request)
            return Call(request, route.operation, route.handler, **parts)
    raise unsupported(f"{request.method} {request.path}")


def _check_known(request: Request, route: _Route) -> None:
    """Nothing a client asks for is left undone without a word."""
    if unknown := request.query.keys() - route.parameters:
        raise unsupported(f"the parameter {min(unknown)!r} of {route.operation}")
    headers = {name for name in request.headers if name.startswith("x-goog-")} - _HARMLESS
    if signed.is_signed(request):
        headers -= signed.HEADERS | {name for name in headers if name.startswith(signed.CUSTOM)}
    if unknown := headers | (_CONDITIONAL & request.headers.keys()):
        raise unsupported(f"the header {min(unknown)!r} of {route.operation}")


def perform(storage: Storage, call: Call) -> Answer:
    """Do it. What is refused is an answer too."""
    try:
        return call.handler(storage, call)
    except Refusal as refusal:
        return signed.xml_answer(refusal) if signed.is_signed(call.request) else refusal_answer(refusal)


def _respond(storage: Storage, request: Request) -> Answer:
    try:
        return perform(storage, recognise(storage, request))
    except Refusal as refusal:
        return refusal_answer(refusal)


def _batch(storage: Storage, call: Call) -> Answer:
    return perform_batch(call.request, lambda inner: _respond(storage, inner))


# -- the table -----------------------------------------------------------------------------------------------------------

_BUCKETS: Final = "/storage/v1/b"
_BUCKET: Final = f"{_BUCKETS}/(?P<bucket>[^/]+)"
_OBJECTS: Final = f"{_BUCKET}/o"
_OBJECT: Final = f"{_OBJECTS}/(?P<name>[^/]+)"
_TARGET: Final = "/b/(?P<target_bucket>[^/]+)/o/(?P<target_name>[^/]+)"
_UPLOADS: Final = f"/upload{_OBJECTS}"
_SIGNED: Final = "/(?P<bucket>[^/]+)/(?P<name>.+)"
_BUCKET_CONDITIONS: Final = frozenset({"ifMetagenerationMatch", "ifMetagenerationNotMatch"})
_UPLOADING: Final = NAMES | {"uploadType", "name"}
_SESSION: Final = frozenset({"uploadType", "name", "upload_id"})
_COPYING: Final = NAMES | SOURCE_NAMES | {"sourceGeneration"}


def _route(
    operation: str,
    method: str,
    path: str,
    handler: Handler,
    parameters: Iterable[str] = (),
    *,
    when: Callable[[Request], bool] = lambda _: True,
) -> _Route:
    return _Route(operation, method, re.compile(path), handler, _COMMON.union(parameters), when)


def _of_type(kind: str) -> Callable[[Request], bool]:
    return lambda request: request.query.get("uploadType") == kind


def _is_media(request: Request) -> bool:
    return request.query.get("alt") == "media"


def _is_status(request: Request) -> bool:
    return not request.body and request.headers.get("content-range", "").startswith("bytes */")


_ROUTES: Final = (  # the first that matches is it
    _route("upload", "POST", _UPLOADS, uploads.insert, _UPLOADING, when=_of_type("multipart")),
    _route("upload", "POST", _UPLOADS, uploads.insert, _UPLOADING, when=_of_type("media")),
    _route("upload_start", "POST", _UPLOADS, uploads.start, _UPLOADING, when=_of_type("resumable")),
    _route("upload_status", "PUT", _UPLOADS, uploads.receive, _SESSION, when=_is_status),
    _route("upload_chunk", "PUT", _UPLOADS, uploads.receive, _SESSION),
    _route("upload_cancel", "DELETE", _UPLOADS, uploads.cancel, _SESSION),
    _route("download", "GET", f"(?:/download)?{_OBJECT}", json_api.download, {*NAMES, "generation"}, when=_is_media),
    _route("stat", "GET", _OBJECT, json_api.stat, {*NAMES, "generation", "softDeleted"}),
    _route("list", "GET", _OBJECTS, json_api.list_objects, listing.PARAMETERS),
    _route("delete", "DELETE", _OBJECT, json_api.delete, {*NAMES, "generation"}),
    _route("patch", "PATCH", _OBJECT, json_api.patch, {*NAMES, "generation"}),
    _route("patch", "PUT", _OBJECT, json_api.patch, {*NAMES, "generation"}),
    _route("compose", "POST", f"{_OBJECT}/compose", json_api.compose, NAMES),
    _route("rewrite", "POST", f"{_OBJECT}/rewriteTo{_TARGET}", json_api.rewrite, _COPYING),
    _route("copy", "POST", f"{_OBJECT}/copyTo{_TARGET}", json_api.copy, _COPYING),
    _route("move", "POST", f"{_OBJECT}/moveTo/o/(?P<target_name>[^/]+)", json_api.move, _COPYING),
    _route("restore", "POST", f"{_OBJECT}/restore", json_api.restore, {*NAMES, "generation"}),
    _route("batch", "POST", "/batch/storage/v1", _batch),
    _route("bucket_list", "GET", _BUCKETS, json_api.list_buckets, {"project", "prefix"}),
    _route("bucket_create", "POST", _BUCKETS, json_api.create_bucket, {"project"}),
    _route("bucket_stat", "GET", _BUCKET, json_api.stat_bucket, _BUCKET_CONDITIONS),
    _route("bucket_patch", "PATCH", _BUCKET, json_api.patch_bucket, _BUCKET_CONDITIONS),
    _route("bucket_patch", "PUT", _BUCKET, json_api.patch_bucket, _BUCKET_CONDITIONS),
    _route("bucket_delete", "DELETE", _BUCKET, json_api.delete_bucket, _BUCKET_CONDITIONS),
    _route("download", "GET", _SIGNED, signed.download, signed.PARAMETERS, when=signed.is_signed),
    _route("stat", "HEAD", _SIGNED, signed.download, signed.PARAMETERS, when=signed.is_signed),
    _route("upload", "PUT", _SIGNED, signed.upload, signed.PARAMETERS, when=signed.is_signed),
)
