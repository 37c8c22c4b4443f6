"""The line to the server: one request and its answer, time limits, and repeating what may be repeated. The only user of httpx."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, TypeVar

import httpx

from casstore import limits
from casstore.client import Transfer
from casstore.client.problems import error_of, no_casstore, passes
from casstore.errors import CasstoreError, Code, Invalid, Unavailable, UsageError

if TYPE_CHECKING:
    from casstore.client import Progress
    from casstore.client.sending import Body
from casstore.urls import is_loopback

__all__ = ["KEY", "Answer", "Line", "Request"]

T = TypeVar("T")
_SAFE: Final = frozenset({"GET", "HEAD"})
# Nothing of the request had left when these happened. (A connection that was kept is not one of them.)
_UNSENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
KEY: Final = "Idempotency-Key"


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `path` is quoted and follows `/v1`."""

    verb: str
    path: str
    query: Sequence[tuple[str, str]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body | None = None

    def __str__(self) -> str:
        return f"{self.verb} /v1{self.path}"

    @property
    def is_repeatable(self) -> bool:
        """Whether doing it twice is doing it once."""
        return self.verb in _SAFE or KEY in self.headers


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, the body in whole."""

    headers: httpx.Headers
    body: bytes


class _Failed(Exception):
    """One attempt has failed in a way that may pass."""

    def __init__(self, error: CasstoreError, *, may_have_acted: bool, after_s: float = 0) -> None:
        super().__init__(str(error))
        self.error = error
        self.may_have_acted = may_have_acted
        self.after_s = after_s


class Line:
    """Connections to one server, as one caller. Open it in the event loop that uses it, and close it there."""

    def __init__(
        self, url: str, token: str | None, *, time_limit: timedelta, progress: Progress | None, insecure: bool
    ) -> None:
        self.url = _checked(url, has_token=token is not None, insecure=insecure)
        self._headers = {"Accept-Encoding": "identity"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {_printable(token)}"
        self._time_limit_s = time_limit.total_seconds()
        if self._time_limit_s <= 0:
            raise Invalid(Code.BAD_ARGUMENT, f"time_limit={time_limit!r} is no time", hint="A timedelta above zero.")
        self._progress = progress
        self._client: httpx.AsyncClient | None = None

    def open(self) -> None:
        """Get ready; nothing is sent yet."""
        if self._client:
            raise UsageError(
                Code.STORE_OPEN, "the connection is open already", hint="Open it once; tasks may share it."
            )
        # Redirects are not followed: a token goes to no other place than the one it was meant for.
        self._client = httpx.AsyncClient(headers=self._headers, follow_redirects=False, verify=_tls())

    async def aclose(self) -> None:
        """Give back the connections. May be called twice."""
        client, self._client = self._client, None
        if client:
            await client.aclose()

    def told(self, direction: str, about: str, done_bytes: int, size_bytes: int) -> None:
        """Tell how far a component has come, if it is more than one piece."""
        if self._progress and size_bytes > limits.CHUNK_BYTES:
            self._progress(Transfer("up" if direction == "up" else "down", about, done_bytes, size_bytes))

    async def ask(self, request: Request) -> Answer:
        """The answer to a request; raises the error that it tells."""
        return await self._repeated(request, self._asked)

    async def send_elsewhere(self, url: str, headers: Mapping[str, str], body: Body) -> bool:
        """PUT a body to a place that the server has named: whether it was taken. Nothing of ours goes along, above all no token.

        Raises:
            Invalid: The source has changed meanwhile (source_changed).
        """
        if self.url.startswith("https:") and not url.startswith("https:"):
            return False
        limit_s = self._time_limit_s + body.size_bytes / limits.CLIENT_BYTES_S
        told = {**headers, "Content-Length": str(body.size_bytes)}
        times = httpx.Timeout(self._time_limit_s, read=limit_s)
        content = body.pieces(self._told_up)
        try:
            async with httpx.AsyncClient(follow_redirects=False, verify=_tls()) as client, asyncio.timeout(limit_s):
                return (await client.put(url, headers=told, content=content, timeout=times)).is_success
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError):
            return False  # then the bytes go another way
        finally:
            await content.aclose()

    async def open_stream(self, request: Request) -> httpx.Response:
        """An answer whose body is still to be read: whoever asked closes it."""
        return await self._repeated(request, self._opened)

    async def _repeated(self, request: Request, attempt: Callable[[Request], Awaitable[T]]) -> T:
        pause = limits.CLIENT_FIRST_PAUSE_S
        for left in range(limits.CLIENT_ATTEMPTS - 1, -1, -1):
            try:
                return await attempt(request)
            except _Failed as failure:
                is_hopeless = not left or failure.after_s > limits.CLIENT_PAUSE_MAX_S
                if is_hopeless or (failure.may_have_acted and not request.is_repeatable):
                    raise failure.error from failure.__cause__
                await asyncio.sleep(max(failure.after_s, random.random() * pause))  # noqa: S311 - no secret
            pause *= 2
        raise AssertionError(request)  # the last attempt returns or raises

    async def _asked(self, request: Request) -> Answer:
        limit_s = self._limit_s(request)
        with self._translated(request):
            async with asyncio.timeout(limit_s):
                response = await self._sent(request, limit_s)
                try:
                    return Answer(response.headers, await _read(response, str(request)))
                finally:
                    await response.aclose()

    async def _opened(self, request: Request) -> httpx.Response:
        with self._translated(request):
            return await self._sent(request, self._time_limit_s)

    def _limit_s(self, request: Request) -> float:
        """How long a whole request may take: its body as slow as a bad line is."""
        size_bytes = request.body.size_bytes if request.body else 0
        return self._time_limit_s + size_bytes / limits.CLIENT_BYTES_S

    async def _sent(self, request: Request, limit_s: float) -> httpx.Response:
        """The answer of a request, its body unread; raises what another status than success tells."""
        if not self._client:
            raise UsageError(Code.STORE_CLOSED, "the connection is not open", hint="Use it inside its `with` block.")
        headers, content = dict(request.headers), None
        if request.body:
            headers |= {"Content-Type": request.body.content_type, "Content-Length": str(request.body.size_bytes)}
            content = request.body.pieces(self._told_up)
        # The limit of silence after a body is that of the whole: what was sent is still to be stored.
        times = httpx.Timeout(self._time_limit_s, read=limit_s)
        url = f"{self.url}/v1{request.path}"
        made = self._client.build_request(
            request.verb, url, params=list(request.query) or None, headers=headers, content=content, timeout=times
        )
        try:
            response = await self._client.send(made, stream=True)
        finally:
            if content:
                await content.aclose()
        if response.is_success:
            return response
        raise await _refusal(response, request)

    def _told_up(self, about: str, done_bytes: int, size_bytes: int) -> None:
        self.told("up", about, done_bytes, size_bytes)

    @contextlib.contextmanager
    def _translated(self, request: Request) -> Iterator[None]:
        """Tell what goes wrong on the way as what it is for the caller."""
        try:
            yield
        except (httpx.TransportError, TimeoutError) as error:
            slow = isinstance(error, TimeoutError | httpx.TimeoutException)
            message = f"{self.url} {'does not answer in time' if slow else 'cannot be reached'}: {request}"
            if str(error):
                message += f": {error}"
            failure = Unavailable(Code.SERVER_UNAVAILABLE, message, hint="Check the URL, the network and the server.")
            raise _Failed(failure, may_have_acted=not isinstance(error, _UNSENT)) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise no_casstore(f"{request}: {error}") from error

    @contextlib.asynccontextmanager
    async def reading(self, request: Request) -> AsyncIterator[None]:
        """Around reads of a stream: raises Unavailable (server_unavailable) where it breaks."""
        try:
            with self._translated(request):
                yield
        except _Failed as failure:
            raise failure.error from failure.__cause__


@functools.cache
def _tls() -> ssl.SSLContext:
    """The certificates that are trusted: reading them takes longer than a request, so it is done once."""
    return httpx.create_ssl_context()


async def _read(response: httpx.Response, about: str) -> bytes:
    found = bytearray()
    async for piece in response.aiter_bytes():
        found += piece
        if len(found) > limits.CLIENT_ANSWER_BYTES:
            raise no_casstore(f"{about} was answered more than {limits.CLIENT_ANSWER_BYTES} bytes")
    return bytes(found)


async def _refusal(response: httpx.Response, request: Request) -> Exception:
    try:
        body = await _read(response, str(request))
    finally:
        await response.aclose()
    status = response.status_code
    error = error_of(status, body, str(request))
    if not passes(status):
        return error
    told = response.headers.get("Retry-After", "")
    after_s = float(told) if told.isascii() and told.isdigit() else 0
    return _Failed(error, may_have_acted=status != HTTPStatus.TOO_MANY_REQUESTS, after_s=after_s)


def _checked(url: str, *, has_token: bool, insecure: bool) -> str:
    """The URL of a server without a slash at its end; raises Invalid (bad_config)."""
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError) as error:
        raise Invalid(Code.BAD_CONFIG, f"this is no URL of a server: {error}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host or parsed.query or parsed.fragment or parsed.userinfo:
        hint = "Such as https://store.example.com; the token is an argument of its own."
        raise Invalid(Code.BAD_CONFIG, "the URL of a server is http(s)://host[:port][/path]", hint=hint)
    if has_token and parsed.scheme == "http" and not insecure and not _is_here(parsed.host):
        hint = "Use https; or say insecure=True where the network itself is safe."
        raise Invalid(Code.BAD_CONFIG, f"the token would be sent to {parsed.host} without TLS", hint=hint)
    return str(parsed).rstrip("/")


def _is_here(host: str) -> bool:
    return is_loopback(host) or host == "localhost" or host.endswith(".localhost")


def _printable(token: str) -> str:
    if not (token.isascii() and token.isprintable() and token.strip() == token and token):
        raise Invalid(
            Code.BAD_CONFIG, "the token has characters that no token has", hint="Is there a line's end in it?"
        )
    return token
