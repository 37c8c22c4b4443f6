"""The straight way: routes in a hurry, answered before the web framework is asked.

Half of what a small read costs is the framework's: it walks its routes, copies the scope and keeps stacks of what might have to be
closed for each request. The routes are declared as all others are, so they are in the document; here is only how they are reached.
"""

from __future__ import annotations

from typing import Final

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from casstore.errors import CasstoreError
from casstore.http import problems
from casstore.http.routes import components

__all__ = ["Straight"]

_PREFIX: Final = "/v1/components/"
_METHODS: Final = ("GET", "HEAD")


class Straight:
    """An ASGI application around another."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for bytes; let all else through."""
        ref, role = _asked(scope)
        if not role:
            await self._app(scope, receive, send)
            return
        scope["route"] = components.ROUTE  # as the framework leaves it behind: what is measured and logged is the route
        request = Request(scope, receive)
        try:
            answer = await components.read(request, ref, role)
        except CasstoreError as error:
            answer = problems.told(request, error)
        await answer(scope, receive, send)


def _asked(scope: Scope) -> tuple[str, str]:
    """The reference and the role that a path asks for; no role where it asks for something else."""
    if scope["type"] != "http" or scope["method"] not in _METHODS:
        return "", ""
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    if not path.startswith(_PREFIX):
        return "", ""
    ref, slash, role = path[len(_PREFIX) :].rpartition("/")
    return (ref, role) if slash else ("", "")
