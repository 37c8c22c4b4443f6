"""Routes whose errors are pages, too: what is wrong, what to do about it, and the way back."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute

from casstore.errors import CasstoreError, Code, Corrupt, Invalid
from casstore.http import problems
from casstore.web.rendering import base_of, page

__all__ = ["PageRoute", "go", "pages", "told"]

_LOG: Final = logging.getLogger("casstore.web")


class PageRoute(APIRoute):
    """A route that answers with pages."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        """As FastAPI's documentation has it: the handler, with what it raises told as a page."""
        answer = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                return await answer(request)
            except CasstoreError as error:
                return _refusal(request, error)
            except RequestValidationError as error:
                faults = "; ".join(f"{fault['loc'][-1]}: {fault['msg']}" for fault in error.errors()[:3])
                return _refusal(request, Invalid(Code.BAD_ARGUMENT, faults, hint="Go back and change it."))

        return answered


def pages() -> APIRouter:
    """A router of pages, which OpenAPI says nothing of."""
    return APIRouter(route_class=PageRoute, include_in_schema=False, default_response_class=Response)


def go(request: Request, path: str) -> Response:
    """Go on to another page, with GET."""
    return RedirectResponse(base_of(request) + path, 303, {"Cache-Control": "no-store"})


def told(error: CasstoreError) -> str:
    """What is wrong and what to do about it, in sentences."""
    message = error.message
    if not message.startswith(str(error.fields.get("name", "\0"))):  # a name is what it is
        message = message[:1].upper() + message[1:]
    hint = "" if error.code is Code.VERSION_DELETED else error.hint  # which is for a terminal
    return f"{message.rstrip('.')}. {hint}".strip()


def _refusal(request: Request, error: CasstoreError) -> Response:
    status = problems.status_of(error)
    if status == HTTPStatus.UNAUTHORIZED and request.method == "GET":
        return go(request, "/sign-in")
    hidden = status >= HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(error, Corrupt)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _LOG.error("%s %s: %s [%s]", request.method, request.scope["path"], error.message, error.code)
    values: dict[str, Any] = {
        "heading": HTTPStatus(status).phrase if hidden else _heading(error),
        "message": "Try again in a moment." if hidden else told(error),
        "code": error.code,
        "name": error.fields.get("name") if isinstance(error.fields.get("name"), str) else None,
    }
    answer = page(request, None, "refusal", status=status, **values)
    if error.retryable:
        answer.headers["Retry-After"] = "1"
    return answer


_HEADINGS: Final = {
    Code.VERSION_DELETED: "It is in the trash",
    Code.NOT_AUTHENTICATED: "You are signed out",
    Code.NOT_PERMITTED: "Your token does not allow that",
    Code.STILL_USED: "It is still used",
}


def _heading(error: CasstoreError) -> str:
    if error.code in _HEADINGS:
        return _HEADINGS[error.code]
    return {404: "There is no such thing", 409: "Somebody was first"}.get(
        problems.status_of(error), "That did not work"
    )
