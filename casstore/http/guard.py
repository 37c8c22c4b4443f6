"""What every request goes through: bounds on bodies, time and how many there are at once; a line of log, a metric, a trace."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import logging
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

from fastapi import Response
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from casstore import limits
from casstore.errors import CasstoreError, Code, Invalid, Unavailable
from casstore.http import problems
from casstore.http.access import COOKIE
from casstore.http.metrics import Metrics

__all__ = ["Bounds", "Guard"]

_LOG: Final = logging.getLogger("casstore.http.access")
_ALWAYS: Final = (
    "/healthz",
    "/readyz",
    "/metrics",
)  # who asks whether a server is well must be answered when it is not
_FORM: Final = "multipart/form-data"


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a server takes."""

    body_bytes: int = limits.HTTP_BODY_BYTES  # of a body that is stored as it is, or of a form with files
    at_once: int = limits.HTTP_AT_ONCE
    at_once_of_one: int = limits.HTTP_AT_ONCE_OF_ONE
    silence_s: float = limits.HTTP_SILENCE.total_seconds()


class Guard:
    """An ASGI application around another."""

    def __init__(self, app: ASGIApp, bounds: Bounds, metrics: Metrics) -> None:
        self._app = app
        self._bounds = bounds
        self._metrics = metrics
        self._callers: Counter[str] = Counter()  # requests under way, of each

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let through what is none."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send, self._bounds)
        with self._told(exchange), _span(exchange):
            try:
                with self._admitted(scope):
                    await self._bounded(exchange)
            except CasstoreError as error:
                await exchange.refuse(problems.response(error))

    async def _bounded(self, exchange: _Exchange) -> None:
        try:
            async with asyncio.timeout(self._bounds.silence_s) as exchange.timer:
                await self._app(exchange.scope, exchange.receive, exchange.send)
        except TimeoutError as error:
            if not exchange.timer or not exchange.timer.expired() or exchange.status:
                raise  # of something within; or the answer has begun: then the connection is closed
            if exchange.is_waiting:
                message = f"nothing came for {self._bounds.silence_s:g} s"
                raise Invalid(Code.REQUEST_TIMEOUT, message, hint="Send faster, or less.") from error
            raise Unavailable(Code.SERVER_BUSY, "no answer in time") from error

    @contextmanager
    def _admitted(self, scope: Scope) -> Iterator[None]:
        """Count a request in, and out in the end; raise Unavailable (server_busy) where there are too many."""
        if scope["path"].removeprefix(scope.get("root_path", "")) in _ALWAYS:
            yield
            return
        caller = _caller(scope)
        if self._callers[caller] >= self._bounds.at_once_of_one:
            raise Unavailable(Code.TOO_MANY_REQUESTS, f"this caller has {self._callers[caller]} requests under way")
        if self._callers.total() >= self._bounds.at_once:
            raise Unavailable(Code.SERVER_BUSY, "there are too many requests under way")
        self._callers[caller] += 1
        try:
            yield
        finally:
            self._callers[caller] -= 1
            if not self._callers[caller]:
                del self._callers[caller]

    @contextmanager
    def _told(self, exchange: _Exchange) -> Iterator[None]:
        """Log and measure a request. Neither names nor tokens are told: the route stands for the path."""
        begin = time.perf_counter()
        self._metrics.under_way.inc()
        try:
            yield
        finally:
            seconds = time.perf_counter() - begin
            self._metrics.under_way.dec()
            method, route, status = exchange.scope["method"], exchange.route, exchange.status or 500
            self._metrics.observe(method, route, status, seconds)
            self._metrics.moved(exchange.received_bytes, exchange.sent_bytes)
            line = {
                "request": exchange.identity,
                "method": method,
                "route": route,
                "status": status,
                "ms": round(1000 * seconds, 1),
                "received_bytes": exchange.received_bytes,
                "sent_bytes": exchange.sent_bytes,
            }
            _LOG.info("%s", json.dumps(line))


class _Exchange:
    """A request and its answer, watched."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, bounds: Bounds) -> None:
        self.scope = scope
        self.identity = uuid4().hex
        self.status = 0  # until the answer has begun
        self.received_bytes = self.sent_bytes = 0
        self.is_waiting = False  # for the client to send
        self.timer: asyncio.Timeout | None = None
        self._receive = receive
        self._send = send
        self._silence_s = bounds.silence_s
        self._most = _most_bytes(scope, bounds)

    @property
    def route(self) -> str:
        """The route as it is declared, with its parameters' names for their values."""
        return str(getattr(self.scope.get("route"), "path", "-"))

    async def receive(self) -> Message:
        """The next of the request; raises Invalid (too_large)."""
        if self.received_bytes == 0 and int(_header(self.scope, b"content-length") or 0) > self._most:
            raise self._too_large()
        self.is_waiting = True
        message = await self._receive()
        self.is_waiting = False
        self._alive()
        self.received_bytes += len(message.get("body", b""))
        if self.received_bytes > self._most:
            raise self._too_large()
        return message

    async def send(self, message: Message) -> None:
        """The next of the answer."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", self.identity.encode())]
        await self._send(message)
        self._alive()
        self.sent_bytes += len(message.get("body", b""))

    async def refuse(self, answer: Response) -> None:
        """Answer instead of the application."""
        if self.status:
            raise ConnectionAbortedError("the answer had begun")
        await answer(self.scope, self._receive, self.send)

    def _alive(self) -> None:
        if self.timer and not self.timer.expired():
            self.timer.reschedule(asyncio.get_running_loop().time() + self._silence_s)

    def _too_large(self) -> Invalid:
        hint = "Content goes by PUT, or as files of a form."
        return Invalid(Code.TOO_LARGE, f"a body here has at most {self._most} bytes", hint=hint, most_bytes=self._most)


def _most_bytes(scope: Scope, bounds: Bounds) -> int:
    """How long a body may be: of what is parsed before anybody was asked for a token, little."""
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    if not path.startswith(("/v1/artifacts/", "/v1/transactions", "/v1/merge")):
        is_form = path != "/login" and _header(scope, b"content-type").startswith(_FORM.encode())
        return bounds.body_bytes if is_form else limits.HTTP_SMALL_BYTES
    is_content = scope["method"] == "PUT" or _header(scope, b"content-type").startswith(_FORM.encode())
    return bounds.body_bytes if is_content else limits.HTTP_JSON_BYTES


def _header(scope: Scope, name: bytes) -> bytes:
    return next((value for key, value in scope["headers"] if key == name), b"")


def _caller(scope: Scope) -> str:
    """Whose a request is, before its token is looked at: of who has none, where it comes from."""
    headers = Headers(scope=scope)
    client = scope.get("client")
    return headers.get("authorization") or _cookie(headers.get("cookie", "")) or (client[0] if client else "")


def _cookie(header: str) -> str:
    return next((part.strip() for part in header.split(";") if part.strip().startswith(f"{COOKIE}=")), "")


@contextmanager
def _span(exchange: _Exchange) -> Iterator[None]:
    """A span of OpenTelemetry, where its API is installed; whoever runs the server says where it goes."""
    tracer = _tracer()
    if tracer is None:
        yield
        return
    with tracer.start_as_current_span(exchange.scope["method"]) as span, contextlib.ExitStack() as stack:
        stack.callback(lambda: span.update_name(f"{exchange.scope['method']} {exchange.route}"))
        stack.callback(lambda: span.set_attribute("http.response.status_code", exchange.status))
        yield


@functools.cache  # Python looks on the disk for what is not there, each time it is asked
def _tracer() -> Any:
    try:
        from opentelemetry import trace  # noqa: PLC0415 - it need not be there
    except ImportError:
        return None
    return trace.get_tracer("casstore.http")
