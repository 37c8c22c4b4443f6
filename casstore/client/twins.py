"""Methods that look like those of the tenant's door and go over the line: signature, type and promise are the local one's."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from casstore.client.line import Line
from casstore.client.routes import Parse, Route, not_over_http
from casstore.operations import Asking
from casstore.operations.ids import uuid7

__all__ = ["like", "once_over_http", "over_http", "unsupported"]

P = ParamSpec("P")
R = TypeVar("R")
M = TypeVar("M", bound=Callable[..., Any])


class _Remote(Protocol):
    """What has a line to a server."""

    @property
    def _line(self) -> Line: ...

    @property
    def _asking(self) -> Asking: ...


def like(method: M) -> Callable[[Callable[..., Any]], M]:
    """A method with the signature, the type and the promise of a local one."""

    def dressed(work: Callable[..., Any]) -> M:
        return functools.wraps(method)(work)  # type: ignore[return-value]  # that is the promise

    return dressed


def over_http(
    method: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]], route: str, parse: Parse, *, whole: bool = False
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, R]]:
    """The same method, by its route."""
    by = Route(route, parse, whole=whole)

    @functools.wraps(method)
    async def ask(self: _Remote, /, *arguments: P.args, **keywords: P.kwargs) -> R:
        request = by.request(self._asking, method, arguments, **keywords)
        found: R = by.parse((await self._line.ask(request)).body)
        return found

    return ask


def once_over_http(
    method: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]],
    route: str,
    parse: Parse,
    unrepeated: Callable[[R], R],
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, R]]:
    """As `over_http`; without an idempotency key under one of its own, so that a lost answer can be asked for again.

    Under that nothing is repeated but a lost answer, and `unrepeated` makes of this the first.
    """
    ask = over_http(method, route, parse)

    @functools.wraps(method)
    async def once(self: _Remote, /, *arguments: P.args, **keywords: P.kwargs) -> R:
        if keywords.get("idempotency_key") is not None:
            return await ask(self, *arguments, **keywords)
        keywords["idempotency_key"] = f"{method.__name__} {uuid7()}"
        return unrepeated(await ask(self, *arguments, **keywords))

    return once


def unsupported(method: M, hint: str) -> M:
    """The same method, of which nothing can be had over HTTP: it raises UsageError (not_over_http)."""

    @functools.wraps(method)
    def refuse(*_: object, **__: object) -> Any:
        raise not_over_http(method.__name__, hint)

    return refuse  # type: ignore[return-value]  # it never returns
