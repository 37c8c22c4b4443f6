"""Comparing, patching and merging."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict
from pydantic_core import to_json

from casstore import reports
from casstore.http.bodies import asked, document_of
from casstore.http.callers import Alters, Reads
from casstore.http.routes.versions import tell_stored
from casstore.http.shapes import StoredShape
from casstore.operations.differences import Diff
from casstore.operations.merges import Merge, Resolution
from casstore.operations.put import OnSame
from casstore.refs import Ref

__all__ = ["ApplyAsked", "MergeAsked", "router"]

router = APIRouter(prefix="/v1", tags=["comparing"])

# The page is ours and needs its own script and style; in a sandbox it has no origin, and reaches nothing.
_PAGE_POLICY: Final = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"
)
_FORMS: Final[dict[int | str, dict[str, Any]]] = {
    # A patch is what its format says: of JSON a list (RFC 6902), of text a string; of several components an object of them by role.
    200: {
        "model": Diff | list[dict[str, Any]] | dict[str, Any] | str,
        "content": {"text/html": {"schema": {"type": "string"}}},
    }
}


class Sides(BaseModel):
    """What to compare: references; a role follows a `#` (`%23`)."""

    a: str
    b: str
    component: str | None = None
    format: Literal["json", "html", "patch"] = "json"


class ApplyAsked(BaseModel):
    """A patch, and the version that it was made for."""

    model_config = ConfigDict(extra="forbid")

    ref: str
    patch: Any
    component: str | None = None
    into: str | None = None
    title: str | None = None
    labels: dict[str, str] | None = None
    metadata: dict[str, Any] | None = None
    on_same: OnSame = "reuse"
    by: str | None = None  # on whose behalf: kept behind the actor of the token


class MergeAsked(BaseModel):
    """What to merge, and how conflicts are to end."""

    model_config = ConfigDict(extra="forbid")

    ours: str
    theirs: str
    base: str | None = None
    into: str | None = None
    resolved: list[Resolution] = []
    preview: bool = False
    by: str | None = None  # on whose behalf: kept behind the actor of the token


@router.get("/diff", responses=_FORMS, response_class=Response)
async def diff(caller: Reads, sides: Annotated[Sides, Query()]) -> Response:
    """What has changed from `a` to `b`: as JSON, as one page, or as a patch that makes the new of the old."""
    a, b = Ref.parse(sides.a), Ref.parse(sides.b)
    if sides.format == "json":
        return _json(await caller.tenant.diff(a, b, component=sides.component))
    compared = await caller.tenant.compare(a, b, component=sides.component)
    if sides.format == "patch":
        return _json(reports.patch_of(compared.diff))
    headers = {"Content-Security-Policy": _PAGE_POLICY, "X-Content-Type-Options": "nosniff"}
    return Response(await asyncio.to_thread(reports.page_of, compared), 200, headers, "text/html; charset=utf-8")


def _json(value: object) -> Response:
    return Response(to_json(value, fallback=str), media_type="application/json")


@router.post("/apply", openapi_extra=document_of("ApplyAsked"), responses={201: {"model": StoredShape}})
async def apply(
    caller: Alters, request: Request, response: Response, idempotency_key: Annotated[str | None, Header()] = None
) -> StoredShape:
    """Put what a patch makes of a version as the next one, all or nothing. 201: a version was made; 200: it was there already."""
    async with asked(request, ApplyAsked) as (found, _):
        stored = await caller.tenant.apply(
            found.ref,
            found.patch,
            component=found.component,
            into=found.into,
            title=found.title,
            labels=found.labels,
            metadata=found.metadata,
            on_same=found.on_same,
            idempotency_key=idempotency_key,
            by=caller.by(found.by),
        )
    tell_stored(request, response, stored)
    return StoredShape.of(stored)


@router.post("/merge", openapi_extra=document_of("MergeAsked"))
async def merge(caller: Alters, request: Request, idempotency_key: Annotated[str | None, Header()] = None) -> Merge:
    """Merge two versions that go back to a third, and put the result as a new version. With conflicts nothing is stored."""
    async with asked(request, MergeAsked) as (found, _):
        return await caller.tenant.merge(
            found.ours,
            found.theirs,
            base=found.base,
            into=found.into,
            resolved=found.resolved,
            preview=found.preview,
            idempotency_key=idempotency_key,
            by=caller.by(found.by),
        )
