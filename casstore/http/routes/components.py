"""Components: the bytes of a version, raw."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request, Response

from casstore.errors import Code, Invalid
from casstore.http import content
from casstore.http.callers import caller_of
from casstore.operations.get import AsyncArtifact
from casstore.refs import Ref

__all__ = ["HEADERS", "ROUTE", "TAG", "read", "router"]

TAG: Final = "components"
router = APIRouter(prefix="/v1", tags=[TAG])


_BYTES: Final[dict[str, Any]] = {"content": {"*/*": {"schema": {}}}}  # whatever was put: also JSON, which is no string
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The bytes.", **_BYTES},
    206: {"description": "The range of them that was asked for.", **_BYTES},
    304: {"description": "They are those of `If-None-Match`."},
    416: {"description": "There is no such range."},
}
HEADERS: Final = [
    {"name": name, "in": "header", "required": False, "schema": {"type": "string"}}
    for name in ("Range", "If-Range", "If-None-Match")
]
_DIGEST_HEX: Final = 64


@router.get("/components/{ref:path}/{role}", response_class=Response, responses=_ANSWERS)
@router.head(
    "/components/{ref:path}/{role}", response_class=Response, responses=_ANSWERS, operation_id="head_component"
)
async def read(request: Request, ref: str, role: str) -> Response:
    """The bytes of one component, verified as they are read; `ETag` is their digest. Parts of them are not verified.

    Cached for ever only where `ref` has the whole digest of the manifest: `name@b3:<64 digits>`.
    """
    caller, headers = await caller_of(request, "read"), request.headers
    parsed = Ref.parse(ref)
    if parsed.role:
        raise Invalid(Code.BAD_REFERENCE, "the role is the last part of the path", hint="/v1/components/name@3/role")
    artifact = (await caller.tenant.get(parsed))[role]
    is_pinned = parsed.selector.kind == "digest" and len(parsed.selector.text or "") == _DIGEST_HEX
    validator = content.etag(artifact.component)
    if _names(headers.get("if-none-match"), validator):
        return _unchanged(artifact, is_pinned=is_pinned)
    is_other = headers.get("if-range", validator).strip() != validator
    return await content.answer(artifact, None if is_other else headers.get("range"), is_pinned=is_pinned)


ROUTE: Final = router.routes[-1]


def _names(header: str | None, validator: str) -> bool:
    """Whether an If-None-Match header has the validator, by weak comparison."""
    named = [each.strip().removeprefix("W/") for each in (header or "").split(",")]
    return validator in named or named == ["*"]


def _unchanged(artifact: AsyncArtifact, *, is_pinned: bool) -> Response:
    headers = content.headers_of(artifact, is_pinned=is_pinned)
    kept = ("ETag", "Cache-Control", "Content-Disposition", "Content-Security-Policy")
    return Response(status_code=304, headers={name: headers[name] for name in kept})
