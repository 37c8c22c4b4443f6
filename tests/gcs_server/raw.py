"""Requests that Google's client does not make: plain HTTP on one connection, and a resumable upload by hand."""

from __future__ import annotations

import base64
import http.client
import json
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

import google_crc32c

BUCKET = "bucket"
QUANTUM = 256 << 10


class Response(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> dict[str, Any]:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        return self.json()["error"]["message"]


class Raw:
    """`raw("GET", path, alt="media")` → Response. One connection, kept alive."""

    def __init__(self, url: str) -> None:
        self.connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)

    def __call__(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, **query: Any):
        if isinstance(body, dict):
            body = json.dumps(body).encode()
        target = f"{path}{'&' if '?' in path else '?'}{urlencode(query)}" if query else path
        self.connection.request(method, target, body, headers or {})
        with self.connection.getresponse() as response:
            return Response(response.status, response.headers, response.read())

    def put(self, name: str, data: bytes, headers: dict[str, str] | None = None, **query: Any) -> Response:
        return self("POST", f"/upload/storage/v1/b/{BUCKET}/o", data, headers, uploadType="media", name=name, **query)

    def multipart(self, resource: dict[str, Any], data: bytes, **query: Any) -> Response:
        body = b"--zz\r\ncontent-type: application/json\r\n\r\n" + json.dumps(resource).encode()
        body += b"\r\n--zz\r\ncontent-type: text/plain\r\n\r\n" + data + b"\r\n--zz--"
        headers = {"content-type": "multipart/related; boundary=zz"}
        return self("POST", f"/upload/storage/v1/b/{BUCKET}/o", body, headers, uploadType="multipart", **query)

    def get(self, name: str, headers: dict[str, str] | None = None, **query: Any) -> Response:
        return self("GET", f"/download{object_path(name)}", None, headers, alt="media", **query)

    def start(
        self, name: str, resource: dict[str, Any] | None = None, headers: dict[str, str] | None = None, **query: Any
    ) -> Session:
        path = f"/upload/storage/v1/b/{BUCKET}/o"
        response = self("POST", path, resource or {}, headers, uploadType="resumable", name=name, **query)
        return Session(self, response)


class Session:
    """A resumable upload."""

    def __init__(self, raw: Raw, started: Response) -> None:
        self.raw = raw
        self.started = started

    def put(self, content_range: str | None, data: bytes = b"", **headers: str) -> Response:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if content_range:
            given["content-range"] = f"bytes {content_range}"
        return self.raw("PUT", self._target, data, given)

    def cancel(self) -> Response:
        return self.raw("DELETE", self._target)

    @property
    def _target(self) -> str:
        parts = urlsplit(self.started.headers["location"])
        return f"{parts.path}?{parts.query}"


def object_path(name: str, bucket: str = BUCKET) -> str:
    return f"/storage/v1/b/{bucket}/o/{quote(name, safe='')}"


def crc32c(data: bytes) -> str:
    return base64.b64encode(google_crc32c.value(data).to_bytes(4, "big")).decode()
