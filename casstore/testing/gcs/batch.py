"""Several requests in one: each is done as if it had come alone."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from email.message import Message
from email.parser import BytesParser
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from casstore.testing.gcs.refusals import bad_request
from casstore.testing.gcs.wire import Answer, Request

__all__ = ["perform_batch"]

_MOST_CALLS: Final = 100


def perform_batch(request: Request, respond: Callable[[Request], Answer]) -> Answer:
    """Do what the parts of a multipart/mixed body ask for, one after the other, and answer all answers.

    Raises:
        Refusal: 400, it is no batch, or one of more than 100 calls.
    """
    content_type = request.headers.get("content-type", "").encode("latin-1")
    message = BytesParser().parsebytes(b"content-type: " + content_type + b"\r\n\r\n" + request.body)
    parts = [part for part in message.walk() if part.get_content_type() == "application/http"]
    if not 1 <= len(parts) <= _MOST_CALLS:
        raise bad_request(f"a batch has 1 to {_MOST_CALLS} calls, this one {len(parts)}")
    boundary = f"batch_{uuid.uuid4().hex}"
    answers = b"".join(_part(boundary, part, respond(_inner(part, request))) for part in parts)
    headers = {"content-type": f"multipart/mixed; boundary={boundary}"}
    return Answer(HTTPStatus.OK, headers, answers + f"--{boundary}--".encode())


def _inner(part: Message, outer: Request) -> Request:
    head, _, body = bytes(part.get_payload(decode=True) or b"").replace(b"\r\n", b"\n").partition(b"\n\n")
    line, *fields = head.decode("latin-1").split("\n")
    try:
        method, target, _ = line.split(" ")
    except ValueError:
        raise bad_request(f"a call of a batch begins with {line[:100]!r}") from None
    pairs = (one.partition(":") for one in fields)
    headers = {"host": outer.headers.get("host", ""), **{name.lower(): value.strip() for name, _, value in pairs}}
    url = urlsplit(target)
    query = dict(parse_qsl(url.query, keep_blank_values=True))
    if not url.path.startswith("/storage/") or query.get("alt") == "media":
        raise bad_request(f"only calls about metadata go into a batch, not {method} {target[:100]}")
    return Request(method, url.path, query, headers, body)


def _part(boundary: str, part: Message, answer: Answer) -> bytes:
    head = (
        f"--{boundary}\r\ncontent-type: application/http\r\ncontent-id: response-{part.get('content-id', '')}\r\n\r\n"
        f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}\r\n"
        f"content-type: {answer.headers.get('content-type', 'application/json')}\r\n"
        f"content-length: {len(answer.body)}\r\n\r\n"
    )
    return head.encode("latin-1") + bytes(answer.body) + b"\r\n"
