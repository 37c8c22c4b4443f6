"""Who calls: what every route asks for as a dependency, which is a tenant's door and the right to go through it."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Final, TypeAlias
from urllib.parse import urlsplit

from fastapi import Depends, Request

from casstore import limits
from casstore.errors import Code, Denied, Invalid
from casstore.http.access import COOKIE, Access, Principal, Scope
from casstore.store import AsyncStore
from casstore.tenant import AsyncTenant
from casstore.urls import is_loopback

__all__ = ["Adds", "Administers", "Alters", "Caller", "Reads", "Writes", "caller_of", "needs"]

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Caller:
    """A request's principal, and the store as its tenant sees it."""

    principal: Principal
    store: AsyncStore

    @property
    def tenant(self) -> AsyncTenant:
        """The tenant's door."""
        return self.store.tenant(self.principal.tenant)

    def by(self, behalf: str | None) -> str:
        """Who it is, to be kept with what is done: the actor of the token, and on whose behalf, if that is told.

        Raises Invalid (bad_argument) where that is too long together.
        """
        if not behalf:
            return self.principal.actor
        actor = f"{self.principal.actor}/{behalf}"
        if len(actor) > limits.ACTOR_MAX_CHARS:
            message = f"`by` has {len(behalf)} characters, and behind the actor of this token"
            raise Invalid(
                Code.BAD_ARGUMENT, f"{message} up to {limits.ACTOR_MAX_CHARS - len(self.principal.actor) - 1} are kept"
            )
        return actor


async def principal(request: Request) -> Principal:
    """Who sent a request: by its Authorization header, else by the cookie of a browser that asks from our own pages."""
    access: Access = request.app.state.access
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return await access.principal(token.strip())
    if request.method not in _SAFE:  # a cookie, and being on this machine, are sent along by pages of others, too
        check_origin(request)
    cookie = request.cookies.get(COOKIE)
    if cookie is None and access.is_open:
        check_host(request)
    return await access.principal(cookie)


def check_host(request: Request) -> None:
    """Raise Denied (not_permitted) for another name than this machine's: a page may let its own name lead here, and read all."""
    if not _is_here(request.headers.get("host", "")):
        hint = "Without a token, ask for 127.0.0.1, [::1] or localhost."
        raise Denied(Code.NOT_PERMITTED, "this request is meant for another host", hint=hint)


@functools.lru_cache(maxsize=64)
def _is_here(header: str) -> bool:
    try:
        host = urlsplit(f"//{header}").hostname or ""
    except ValueError:  # half an IPv6 address
        return False
    return host == "localhost" or is_loopback(host)


def check_origin(request: Request) -> None:
    """Raise Denied (not_permitted) for what a page of another origin makes a browser send."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    is_foreign = site not in (None, "same-origin", "none")
    if not site and origin:
        is_foreign = origin.partition("://")[2] != request.headers.get("host")  # RFC 6454: it ends with its host
    if is_foreign:
        raise Denied(Code.NOT_PERMITTED, "this request comes from a page of another origin")


async def caller_of(request: Request, *scopes: Scope) -> Caller:
    """The caller of a request, who has these scopes: for routes in a hurry, without the machinery of dependencies."""
    who = await principal(request)
    for scope in scopes:
        who.check(scope)
    return Caller(who, request.app.state.store)


def needs(*scopes: Scope) -> Callable[..., Awaitable[Caller]]:
    """A dependency: the caller, who has these scopes."""

    async def caller(request: Request) -> Caller:
        return await caller_of(request, *scopes)

    return caller


Reads: TypeAlias = Annotated[Caller, Depends(needs("read"))]
Adds: TypeAlias = Annotated[Caller, Depends(needs("add"))]
Alters: TypeAlias = Annotated[
    Caller, Depends(needs("read", "add"))
]  # makes of what is there what is new, and tells of it
Writes: TypeAlias = Annotated[Caller, Depends(needs("write"))]
Administers: TypeAlias = Annotated[Caller, Depends(needs("admin"))]
