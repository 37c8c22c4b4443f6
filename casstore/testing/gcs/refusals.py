"""What the server refuses, in the shape Google's JSON API gives its errors."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

__all__ = ["Refusal", "bad_request", "forbidden", "not_found", "precondition_failed", "unsupported"]

CLIENT_CLOSED_REQUEST: Final = 499
_REASONS: Final = {
    HTTPStatus.BAD_REQUEST: "invalid",
    HTTPStatus.FORBIDDEN: "forbidden",
    HTTPStatus.NOT_FOUND: "notFound",
    HTTPStatus.REQUEST_TIMEOUT: "requestTimeout",
    HTTPStatus.CONFLICT: "conflict",
    HTTPStatus.PRECONDITION_FAILED: "conditionNotMet",
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE: "requestedRangeNotSatisfiable",
    HTTPStatus.TOO_MANY_REQUESTS: "rateLimitExceeded",
    HTTPStatus.NOT_IMPLEMENTED: "notImplemented",
}


class Refusal(Exception):
    """A request that is answered with an error status and has no effect."""

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers or {}

    def as_json(self) -> dict[str, Any]:
        """The body of the answer."""
        reason = _REASONS.get(HTTPStatus(self.status), "backendError")
        detail = {"message": self.message, "domain": "global", "reason": reason}
        return {"error": {"code": self.status, "message": self.message, "errors": [detail]}}


def bad_request(message: str) -> Refusal:
    """400: the request can never succeed as it is; checksums that do not match belong here."""
    return Refusal(HTTPStatus.BAD_REQUEST, message)


def forbidden(message: str) -> Refusal:
    """403: held, retained, or signed wrongly."""
    return Refusal(HTTPStatus.FORBIDDEN, message)


def not_found(what: str) -> Refusal:
    """404."""
    return Refusal(HTTPStatus.NOT_FOUND, what)


def precondition_failed() -> Refusal:
    """412, in Google's words."""
    return Refusal(HTTPStatus.PRECONDITION_FAILED, "At least one of the pre-conditions you specified did not hold.")


def unsupported(what: str) -> Refusal:
    """501: Google's server may well do it, this one does not, and a test must not take it for done."""
    return Refusal(HTTPStatus.NOT_IMPLEMENTED, f"this test server does not support {what}")
