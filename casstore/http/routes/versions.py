"""Versions: listing artifacts, telling one version, putting the next."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field
from starlette.requests import ClientDisconnect

from casstore.errors import Code, Invalid
from casstore.http.asking import Expecting, Paging, expected, json_object, pairs
from casstore.http.callers import Adds, Reads
from casstore.http.shapes import Listed, StoredShape, VersionShape, listed
from casstore.model import Source, State, Stored
from casstore.operations.put import OnSame
from casstore.retention import Period

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["versions"])

_UNTOLD: Final = "application/x-www-form-urlencoded"  # what some clients say of bytes when nobody told them
_RAW_BODY: Final = {
    "requestBody": {
        "required": True,
        "description": "The bytes, whatever they are; `Content-Type` is their media type.",
        "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}},
    }
}


class Filters(Paging):
    """Which artifacts to list, by their newest versions."""

    type: str | None = None
    state: State | None = None
    name_prefix: str | None = None
    label: list[str] = Field([], description="KEY=VALUE, repeatable")
    metadata: str | None = Field(None, description="A JSON object that the metadata contain")


class Asked(BaseModel):
    """What a put asks besides its name and data."""

    type: str | None = None
    title: str | None = None
    label: list[str] = Field([], description="KEY=VALUE, repeatable")
    metadata: str | None = Field(None, description="A JSON object")
    source: list[str] = Field([], description="REF or REF=ROLE, repeatable")
    on_same: OnSame = "reuse"
    ttl: Period | None = Field(None, description="How long the version is wanted, such as 90s, 12h or 30d")
    by: str | None = Field(None, description="On whose behalf: kept behind the actor of the token")


@router.get("/artifacts")
async def list_artifacts(caller: Reads, filters: Annotated[Filters, Query()]) -> Listed[VersionShape]:
    """The newest version of each artifact, most recently made first."""
    page = await caller.tenant.list(
        type=filters.type,
        state=filters.state,
        name_prefix=filters.name_prefix,
        label=pairs("label", filters.label),
        metadata=json_object("metadata", filters.metadata),
        cursor=filters.cursor,
        limit=filters.limit,
    )
    return listed(page)


@router.get("/artifacts/{ref:path}")
async def show(caller: Reads, ref: str, response: Response) -> VersionShape:
    """The version that a reference means: `name`, `name@3`, `name@prod`, `name@b3:…`, `name@latest~<instant>`, `id:<uuid>`.

    Its `ETag` is its number, for `If-Match`.
    """
    version = await caller.tenant.resolve(ref)
    response.headers["ETag"] = f'"{version.number}"'
    response.headers["Cache-Control"] = "private, no-store"  # the state may change
    return VersionShape.of(version)


@router.put("/artifacts/{ref:path}", openapi_extra=_RAW_BODY, responses={201: {"model": StoredShape}})
async def put(  # noqa: PLR0917 - each is injected by name
    caller: Adds,
    request: Request,
    response: Response,
    ref: str,
    asked: Annotated[Asked, Query()],
    expects: Expecting,
) -> StoredShape:
    """Store the body as the next version of a name (`ref`). 201: a version was made; 200: it was there already."""
    stored = await caller.tenant.put(
        ref,
        _body(request),
        type=asked.type,
        title=asked.title,
        labels=pairs("label", asked.label),
        metadata=json_object("metadata", asked.metadata),
        sources=_sources(asked.source),
        expect=expected(expects),
        idempotency_key=expects.idempotency_key,
        on_same=asked.on_same,
        ttl=asked.ttl,
        by=caller.by(asked.by),
        media_type=_media_type(request),
    )
    tell_stored(request, response, stored)
    return StoredShape.of(stored)


def tell_stored(request: Request, response: Response, stored: Stored) -> None:
    """Say in status and headers what became of a put."""
    response.status_code = 200 if stored.reused or stored.repeated else 201
    response.headers["Location"] = f"{request.scope.get('root_path', '')}/v1/artifacts/{stored.ref}"
    response.headers["ETag"] = f'"{stored.number}"'


async def _body(request: Request) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect as error:  # nobody hears this; nothing was stored
        raise Invalid(Code.SOURCE_CHANGED, "the body ended before its end") from error


def _media_type(request: Request) -> str | None:
    told = request.headers.get("content-type", "")
    return None if told in ("", _UNTOLD) else told


def _sources(given: list[str]) -> list[Source] | None:
    parts = [text.partition("=") for text in given]  # neither a reference nor a role has an "="
    return [Source(ref, role) if equals else Source(ref) for ref, equals, role in parts] or None
