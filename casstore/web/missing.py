"""What there is no page for, told to people as a page. Programs are told a problem, as for every route that there is not."""

from __future__ import annotations

from fastapi import APIRouter, Response
from starlette.routing import Match
from starlette.types import Scope

from casstore.errors import Code, NotFound
from casstore.web.route import PageRoute

__all__ = ["router"]


class _ForBrowsers(PageRoute):
    """A route for whoever asks for a page by name, as browsers do when people go somewhere."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        asks_for_a_page = any(name == b"accept" and b"text/html" in value for name, value in scope.get("headers", ()))
        match, found = super().matches(scope)
        return (match, found) if asks_for_a_page and match is Match.FULL else (Match.NONE, {})


router = APIRouter(route_class=_ForBrowsers, include_in_schema=False, default_response_class=Response)


@router.get("/{path:path}")
async def missing(path: str) -> Response:
    """The last of all routes: nothing else was meant."""
    raise NotFound(Code.ROUTE_NOT_FOUND, f"there is no page /{path}")
