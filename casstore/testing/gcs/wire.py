"""HTTP/1.1 as far as clients of a bucket speak it: requests read whole, answers written, some of them badly on purpose."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qsl

from casstore.testing.gcs.refusals import CLIENT_CLOSED_REQUEST, Refusal, bad_request

__all__ = [
    "HEAD_BYTES",
    "Answer",
    "Hitch",
    "Request",
    "json_answer",
    "json_object",
    "refusal_answer",
    "reset",
    "serve",
]

HEAD_BYTES: Final = 1 << 20  # the longest head, and how much of a body may wait in the reader
_PIECE_BYTES: Final = 1 << 20
_SLICE_BYTES: Final = 1 << 18
_BODILESS: Final = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)


@dataclass(slots=True)
class Request:
    """One request, with all of its body. Names of headers are in lower case; the path is still percent-encoded."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes = b""

    @property
    def origin(self) -> str:
        """Where the client believes this server is."""
        return f"http://{self.headers.get('host', '')}"

    def json(self) -> dict[str, Any]:
        """The body as a JSON object; nothing is an empty one."""
        return json_object(self.body or b"{}")


@dataclass(frozen=True, slots=True)
class Hitch:
    """Where an answer stops: after so many bytes of its body (None: before its head), for a while or for ever."""

    after_bytes: int | None
    wait_s: float = 0
    reset: bool = False


@dataclass(slots=True)
class Answer:
    """One answer, and the hitch in its delivery if there is to be one."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | memoryview = b""
    hitch: Hitch | None = None

    @property
    def arrives(self) -> bool:
        """Whether any of it reaches the client."""
        return not (self.hitch and self.hitch.reset and self.hitch.after_bytes is None)


Responder: TypeAlias = Callable[[Request], Awaitable[Answer]]


def json_object(data: bytes) -> dict[str, Any]:
    """What a client sent as a JSON object.

    Raises:
        Refusal: 400, it is none.
    """
    try:
        value = json.loads(data)
    except ValueError:
        raise bad_request("Parse Error") from None
    if not isinstance(value, dict):
        raise bad_request("Parse Error: a JSON object is expected")
    return value


def json_answer(value: dict[str, Any], status: int = HTTPStatus.OK) -> Answer:
    """An answer with a JSON body."""
    return Answer(status, {"content-type": "application/json; charset=UTF-8"}, json.dumps(value).encode())


def refusal_answer(refusal: Refusal) -> Answer:
    """A refusal as the JSON API words it."""
    if refusal.status == HTTPStatus.NOT_MODIFIED:
        return Answer(refusal.status)
    answer = json_answer(refusal.as_json(), refusal.status)
    answer.headers |= refusal.headers
    return answer


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, respond: Responder) -> None:
    """Answer the requests of one connection, one after the other, until the client closes it.

    Raises:
        ConnectionError: The client went away, or a hitch reset the connection.
    """
    while True:
        try:
            request = await _read(reader, writer)
        except Refusal as refusal:
            await _send(writer, refusal_answer(refusal), bodiless=False)
            writer.write_eof()
            while await reader.read(_PIECE_BYTES):  # closing with bytes unread is a reset, which overtakes the answer
                pass
            return
        if request is None:
            return
        await _send(writer, await respond(request), bodiless=request.method == "HEAD")
        if request.headers.get("connection", "").lower() == "close":
            return


async def _read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request | None:
    """The next request; None when the client has closed the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    except asyncio.LimitOverrunError:
        raise Refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the head of the request is too long") from None
    request = _parse_head(head)
    if request.headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    try:
        if request.headers.get("transfer-encoding", "").lower() == "chunked":
            request.body = await _read_chunked(reader)
        else:
            request.body = b"".join(await _read_pieces(reader, int(request.headers.get("content-length", 0))))
    except (ValueError, asyncio.LimitOverrunError):
        raise bad_request("the length of the body is not a number") from None
    except asyncio.IncompleteReadError:
        return None
    return request


def _parse_head(head: bytes) -> Request:
    line, *fields = head[:-4].decode("latin-1").split("\r\n")
    try:
        method, target, _ = line.split(" ")
        headers: dict[str, str] = {}
        for name, value in (one.split(":", 1) for one in fields):
            key = name.lower()
            headers[key] = f"{headers[key]},{value.strip()}" if key in headers else value.strip()
    except ValueError:
        raise bad_request("this is not an HTTP/1.1 request") from None
    path, _, query = target.partition("?")
    return Request(method, path, dict(parse_qsl(query, keep_blank_values=True)), headers)


async def _read_pieces(reader: asyncio.StreamReader, size_bytes: int) -> list[bytes]:
    pieces = []
    while size_bytes:
        piece = await reader.read(min(size_bytes, _PIECE_BYTES))
        if not piece:
            raise asyncio.IncompleteReadError(b"", size_bytes)
        pieces.append(piece)
        size_bytes -= len(piece)
    return pieces


async def _read_chunked(reader: asyncio.StreamReader) -> bytes:
    pieces: list[bytes] = []
    while size_bytes := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
        pieces += await _read_pieces(reader, size_bytes)
        await reader.readexactly(2)
    while await reader.readuntil(b"\r\n") != b"\r\n":  # trailers: nobody of ours sends any that matter
        pass
    return b"".join(pieces)


async def _send(writer: asyncio.StreamWriter, answer: Answer, *, bodiless: bool) -> None:
    head, body = _head(answer), memoryview(b"" if bodiless else answer.body)
    if hitch := answer.hitch:
        sent = 0
        if hitch.after_bytes is not None:
            sent = min(hitch.after_bytes, len(body))
            await _write(writer, head, body[:sent])
            head = b""
        await asyncio.sleep(hitch.wait_s)
        if hitch.reset:
            reset(writer)
            raise ConnectionResetError
        body = body[sent:]
    await _write(writer, head, body)


async def _write(writer: asyncio.StreamWriter, head: bytes, body: memoryview) -> None:
    if len(body) <= _SLICE_BYTES:
        writer.write(b"".join((head, body)))
    else:  # in slices: what the socket does not take at once is copied, and that is not to be all of it
        writer.write(head)
        for at in range(0, len(body), _SLICE_BYTES):
            writer.write(body[at : at + _SLICE_BYTES])
            await writer.drain()
    await writer.drain()


def _head(answer: Answer) -> bytes:
    phrase = "" if answer.status == CLIENT_CLOSED_REQUEST else HTTPStatus(answer.status).phrase
    lines = [f"HTTP/1.1 {answer.status} {phrase}", *(f"{name}: {value}" for name, value in answer.headers.items())]
    if answer.status not in _BODILESS:
        lines.append(f"content-length: {len(answer.body)}")
    return "\r\n".join([*lines, "", ""]).encode()


def reset(writer: asyncio.StreamWriter) -> None:
    """End the connection so that the other side hears of a reset, not of an end."""
    if not writer.is_closing():
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
