"""Errors as they are told over HTTP: `application/problem+json` (RFC 9457), one shape for all. The only place that makes them."""

from __future__ import annotations

import json
import logging
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from casstore.errors import (
    CasstoreError,
    Code,
    Conflict,
    Corrupt,
    Denied,
    Invalid,
    NotFound,
    Unavailable,
    UsageError,
    kind_of,
)

__all__ = ["PROBLEM_TYPE", "RESPONSES", "Problem", "install", "response", "told"]

_LOG: Final = logging.getLogger("casstore.http")

PROBLEM_TYPE: Final = "application/problem+json"

_STATUS_OF_CLASS: Final[dict[type[CasstoreError], int]] = {
    NotFound: 404,
    Conflict: 409,
    Invalid: 400,
    Denied: 403,
    Corrupt: 500,
    Unavailable: 503,
}
_STATUS_OF_CODE: Final = {
    Code.NOT_AUTHENTICATED: 401,
    Code.METHOD_NOT_ALLOWED: 405,
    Code.VERSION_DELETED: 410,
    Code.TENANT_DELETED: 410,
    Code.CONTENT_ERASED: 410,
    Code.HEAD_MOVED: 412,  # what a request expected, in a header or not, is a precondition
    Code.ALIAS_MOVED: 412,
    Code.RETENTION_MOVED: 412,
    Code.REQUEST_TIMEOUT: 408,
    Code.TOO_LARGE: 413,
    Code.TOO_MANY_REQUESTS: 429,
}
_TOLD: Final = (Code.BLOB_MISSING, Code.BLOB_ALTERED)  # of what is wrong here, what is about the caller's own content
_CODE_OF_STATUS: Final = {404: Code.ROUTE_NOT_FOUND, 405: Code.METHOD_NOT_ALLOWED}
_RETRY_AFTER_S: Final = 1  # most troubles of a server pass in about this time


class Problem(BaseModel):
    """An error. `code` is one of those in docs/reference/errors.md, and `kind` its class: what the caller does next."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": False})

    type: str
    title: str  # what is wrong
    status: int
    detail: str  # what to do about it
    code: str
    kind: str
    fields: dict[str, Any] = {}  # values the error is about, such as `name`


_CONTENT: Final = {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    "4XX": {"description": "The request cannot be answered as it is.", "content": _CONTENT},
    "503": {"description": "Try again after `Retry-After` seconds.", "content": _CONTENT},
}


def status_of(error: CasstoreError) -> int:
    """The status an error is told with."""
    if error.code in _STATUS_OF_CODE:
        return _STATUS_OF_CODE[error.code]
    return next((status for kind, status in _STATUS_OF_CLASS.items() if isinstance(error, kind)), 500)


def response(error: CasstoreError, status: int | None = None) -> Response:
    """An error as the answer to a request. What only whoever runs the server should know is not in it."""
    status = status or status_of(error)
    hidden = status >= HTTPStatus.INTERNAL_SERVER_ERROR and error.code not in _TOLD
    problem = Problem(
        type=f"urn:casstore:error:{error.code}",
        title=HTTPStatus(status).phrase if hidden else error.message,
        status=status,
        detail="Try again later." if hidden else error.hint,
        code=error.code,
        kind=kind_of(error),
        fields={} if hidden else error.fields,
    )
    # In ASCII: what was asked for may be told back, and need not be Unicode text.
    told = json.dumps(problem.model_dump(), default=str, separators=(",", ":"))
    return Response(told, status, _headers(error, status), PROBLEM_TYPE)


def _headers(error: CasstoreError, status: int) -> dict[str, str]:
    headers = {"Cache-Control": "no-store"}
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if error.retryable:
        headers["Retry-After"] = str(_RETRY_AFTER_S)
    return headers


async def _told(request: Request, error: Exception) -> Response:
    assert isinstance(error, CasstoreError)  # noqa: S101 - registered for it
    return told(request, error)


async def _left(request: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette's signature
    """While the request was read: nobody hears this, and nothing was done."""
    return response(Invalid(Code.SOURCE_CHANGED, "the body ended before its end"))


def install(app: FastAPI) -> None:
    """Let `app` tell all errors as problems."""
    app.add_exception_handler(CasstoreError, _told)
    app.add_exception_handler(ClientDisconnect, _left)
    app.add_exception_handler(RequestValidationError, _unreadable)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(Exception, _bug)


def told(request: Request, error: CasstoreError) -> Response:
    """The same, and a line in the log where it is the server's."""
    answer = response(error)
    if answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _LOG.error("%s %s: %s [%s]", request.method, request.scope["path"], error.message, error.code)
    return answer


async def _unreadable(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it
    faults = [{"at": ".".join(map(str, fault["loc"])), "message": fault["msg"]} for fault in error.errors()]
    message = "; ".join(f"{fault['at']}: {fault['message']}" for fault in faults[:3])
    return response(Invalid(Code.BAD_ARGUMENT, message, hint="See /openapi.json.", faults=faults))


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
    if isinstance(error.__cause__, CasstoreError):  # while a body was read: FastAPI takes all of that for a bad body
        return told(request, error.__cause__)
    code = _CODE_OF_STATUS.get(error.status_code, Code.BAD_ARGUMENT)
    kind = NotFound if code is Code.ROUTE_NOT_FOUND else Invalid
    shown = f"{request.method} {request.scope['path']}" if code in _CODE_OF_STATUS.values() else str(error.detail)
    answer = response(kind(code, f"{HTTPStatus(error.status_code).phrase}: {shown}"), error.status_code)
    answer.headers.update(error.headers or {})
    return answer


async def _bug(_request: Request, error: Exception) -> Response:
    """A bug. Starlette raises it again after this answer, so that the server logs where it happened."""
    return response(UsageError(Code.INTERNAL_ERROR, type(error).__name__))
