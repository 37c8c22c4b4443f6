"""What every request goes through: bounds on bodies, time and how many there are at once; a line of log, a metric, a trace."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from dataclasses import dataclass
from typing import Final

from fastapi import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from casstore import limits
from casstore.errors import CasstoreError, Code, Invalid, Unavailable
from casstore.http import problems, traces
from casstore.http.access import COOKIE
from casstore.http.metrics import Metrics

__all__ = ["Bounds", "Guard"]

_LOG: Final = logging.getLogger("casstore.http.access")
_ALWAYS: Final = (
    "/healthz",
    "/readyz",
    "/metrics",
)  # who asks whether a server is well must be answered when it is not
_COOKIE: Final = f"{COOKIE}=".encode()
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
        self._callers: dict[bytes, int] = {}  # requests under way, of each
        self._admitted_now = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let through what is none."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange, begin = _Exchange(scope, receive, send, self._bounds), time.perf_counter()
        self._metrics.under_way.inc()
        try:
            with traces.span(exchange):
                try:
                    await self._admitted(exchange)
                except CasstoreError as error:
                    await exchange.refuse(problems.response(error))
        finally:
            self._metrics.under_way.dec()
            self._tell(exchange, time.perf_counter() - begin)

    async def _admitted(self, exchange: _Exchange) -> None:
        """Count a request in, and out in the end; raise Unavailable (server_busy) where there are too many."""
        if exchange.path in _ALWAYS:
            await self._bounded(exchange)
            return
        caller = _caller(exchange.scope)
        if self._callers.get(caller, 0) >= self._bounds.at_once_of_one:
            raise Unavailable(Code.TOO_MANY_REQUESTS, f"this caller has {self._callers[caller]} requests under way")
        if self._admitted_now >= self._bounds.at_once:
            raise Unavailable(Code.SERVER_BUSY, "there are too many requests under way")
        self._callers[caller] = self._callers.get(caller, 0) + 1
        self._admitted_now += 1
        try:
            await self._bounded(exchange)
        finally:
            self._admitted_now -= 1
            self._callers[caller] -= 1
            if not self._callers[caller]:
                del self._callers[caller]

    async def _bounded(self, exchange: _Exchange) -> None:
        try:
            async with asyncio.timeout(exchange.silence_s) as exchange.timer:
                await self._app(exchange.scope, exchange.receive, exchange.send)
        except TimeoutError as error:
            if not exchange.timer or not exchange.timer.expired() or exchange.status:
                raise  # of something within; or the answer has begun: then the connection is closed
            if exchange.is_waiting:
                message = f"nothing came for {self._bounds.silence_s:g} s"
                raise Invalid(Code.REQUEST_TIMEOUT, message, hint="Send faster, or less.") from error
            raise Unavailable(Code.SERVER_BUSY, "no answer in time") from error

    def _tell(self, exchange: _Exchange, seconds: float) -> None:
        """Log and measure a request. Neither names nor tokens are told: the route stands for the path."""
        method, route, status = exchange.scope["method"], exchange.route, exchange.status or 500
        self._metrics.observe(method, route, status, seconds)
        self._metrics.moved(exchange.received_bytes, exchange.sent_bytes)
        if not _LOG.isEnabledFor(logging.INFO):
            return
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
        self.identity = f"{random.getrandbits(128):032x}"  # a name, no secret
        self.status = 0  # until the answer has begun
        self.received_bytes = self.sent_bytes = 0
        self.is_waiting = False  # for the client to send
        self.timer: asyncio.Timeout | None = None
        self._receive = receive
        self._send = send
        self._bounds = bounds
        self._most = -1  # until something of a body is asked for
        self._alive_at = time.monotonic()

    @property
    def path(self) -> str:
        """The path below where the application is mounted."""
        return _path(self.scope)

    @property
    def silence_s(self) -> float:
        """How long nothing may move, or up to a tenth longer: the timer is not set anew at each move."""
        return self._bounds.silence_s * 1.1

    @property
    def route(self) -> str:
        """The route as it is declared, with its parameters' names for their values."""
        return str(getattr(self.scope.get("route"), "path", "-"))

    async def receive(self) -> Message:
        """The next of the request; raises Invalid (too_large)."""
        if self._most < 0:
            self._most = _most_bytes(self.scope, self._bounds)
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
        now = time.monotonic()
        if now - self._alive_at > self._bounds.silence_s / 10 and self.timer and not self.timer.expired():
            self.timer.reschedule(asyncio.get_running_loop().time() + self.silence_s)
            self._alive_at = now

    def _too_large(self) -> Invalid:
        hint = "Content goes by PUT, or as files of a form."
        return Invalid(Code.TOO_LARGE, f"a body here has at most {self._most} bytes", hint=hint, most_bytes=self._most)


def _most_bytes(scope: Scope, bounds: Bounds) -> int:
    """How long a body may be: of what is parsed before anybody was asked for a token, little."""
    path = _path(scope)
    if not path.startswith(("/v1/artifacts/", "/v1/transactions", "/v1/apply", "/v1/merge")):
        is_form = path != "/login" and _header(scope, b"content-type").startswith(_FORM.encode())
        return bounds.body_bytes if is_form else limits.HTTP_SMALL_BYTES
    is_content = scope["method"] == "PUT" or _header(scope, b"content-type").startswith(_FORM.encode())
    return bounds.body_bytes if is_content else limits.HTTP_JSON_BYTES


def _header(scope: Scope, name: bytes) -> bytes:
    return next((value for key, value in scope["headers"] if key == name), b"")


def _path(scope: Scope) -> str:
    return str(scope["path"]).removeprefix(scope.get("root_path", ""))


def _caller(scope: Scope) -> bytes:
    """Whose a request is, before its token is looked at: of who has none, where it comes from."""
    client = scope.get("client")
    named = _header(scope, b"authorization") or _cookie(_header(scope, b"cookie"))
    return named or (client[0].encode() if client else b"")


def _cookie(header: bytes) -> bytes:
    return next((part.strip() for part in header.split(b";") if part.strip().startswith(_COOKIE)), b"")
