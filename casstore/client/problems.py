"""Errors as the server tells them, `application/problem+json`, back as the errors they were. The only place that reads them."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from casstore.errors import KINDS, CasstoreError, Code, Denied, Invalid, Unavailable, UsageError

__all__ = ["error_of", "no_casstore", "passes"]

# What may pass without anybody doing something: the server is busy, or what stands before it has lost it.
_PASSES: Final = frozenset({429, 502, 503, 504})


class _Problem(BaseModel):
    title: str
    detail: str = ""
    code: str
    kind: str
    fields: dict[str, Any] = {}


def passes(status: int) -> bool:
    """Whether the same request may be answered later."""
    return status in _PASSES


def error_of(status: int, body: bytes, about: str) -> CasstoreError:
    """The error that an answer tells; where it is none of ours, what its status means.

    Args:
        status: Of the answer, 300 or above.
        body: What came with it.
        about: The request, for people.
    """
    try:
        problem = _Problem.model_validate_json(body)
    except ValidationError:  # a proxy's page, or another server's
        return _foreign(status, about)
    kind, fields = KINDS.get(problem.kind, UsageError), problem.fields
    try:
        code = Code(problem.code)
    except ValueError:  # of a release after this one: the class says what to do, the field what happened
        code, fields = Code.INTERNAL_ERROR, fields | {"code": problem.code}
    if code is Code.ROUTE_NOT_FOUND:  # never to be taken for an artifact that is not there
        return no_casstore(f"{about} has no route")
    return _made(kind, code, problem.title, problem.detail, fields)


def _made(kind: type[CasstoreError], code: Code, title: str, hint: str, fields: Mapping[str, Any]) -> CasstoreError:
    error = kind(code, title, hint=hint)
    error.fields.update(fields)  # not as arguments: who sends them chooses their names
    return error


def _foreign(status: int, about: str) -> CasstoreError:
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.PROXY_AUTHENTICATION_REQUIRED):
        message = f"{about} was answered {status} by something before the server"
        return Denied(Code.NOT_PERMITTED, message, hint="A proxy may want to know who you are.", status=status)
    if passes(status) or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        message = f"{about} was answered {status}, by something that is no casstore"
        return Unavailable(Code.SERVER_UNAVAILABLE, message, hint="Is the server up?", status=status)
    return no_casstore(f"{about} was answered {status}")


def no_casstore(message: str) -> Invalid:
    """What is at the URL does not answer as this release does."""
    hint = "Check the URL: it ends before /v1, and leads to a server that `casstore serve` has started."
    return Invalid(Code.BAD_CONFIG, f"{message}: that is no casstore of this release", hint=hint)
