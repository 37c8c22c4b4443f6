"""The platform's own routes: results by their id, pictures by their path, lists for its screens; the shapes are the platform's."""

from __future__ import annotations

import json
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from casstore import limits
from casstore.errors import Code, Invalid, NotFound
from casstore.formats import media_types
from casstore.http.callers import Caller, Reads
from casstore.integrations.artifact_storage import ArtifactStorage
from casstore.model import State

__all__ = ["router"]

router = APIRouter(tags=["the platform"])

_PATH: Final = "cas:/"
_PICTURE: Final = {"content": {media_types.PNG: {"schema": {"type": "string", "format": "binary"}}}}


class Wanted(BaseModel):
    """Which results: of a type, by fields of the platform's registry."""

    artifact_type: str | None = None
    tenant_id: str | None = None
    lifecycle_state: State | None = None
    session_id: str | None = None
    solution_id: str | None = None
    execution_id: str | None = None
    intent_type: str | None = None
    realm: str | None = None
    limit: int = Field(limits.PAGE_DEFAULT, ge=0, le=limits.PAGE_MAX)
    offset: int = Field(0, ge=0, le=limits.VERSION_MAX)


def _is_own(caller: Caller, tenant_id: str | None) -> bool:
    """Whether a request is about its own tenant: the token's always wins, and what is another's does not exist."""
    return tenant_id in (None, caller.principal.tenant)


@router.get("/artifacts")
async def list_artifacts(caller: Reads, wanted: Annotated[Wanted, Query()]) -> list[dict[str, Any]]:
    """The registry's entries, by newest versions, newest first."""
    if not _is_own(caller, wanted.tenant_id):
        return []
    fields = wanted.model_dump(exclude={"artifact_type", "tenant_id", "limit", "offset"}, exclude_none=True)
    storage = ArtifactStorage(caller.store)
    kind, tenant = wanted.artifact_type, caller.principal.tenant
    return await storage.list_artifacts(kind, tenant, wanted.limit, wanted.offset, **fields)


@router.get("/artifacts/visual/{path:path}", response_class=Response, responses={200: _PICTURE})
async def get_visual(caller: Reads, path: str, tenant_id: str | None = None) -> Response:
    """The PNG at a `storage_path` that an answer told; its `#` is sent as `%23`."""
    if path.startswith(_PATH) and not path.startswith(f"{_PATH}/"):
        path = path.replace(_PATH, f"{_PATH}/", 1)  # proxies make one slash of two
    data = None
    if _is_own(caller, tenant_id):
        data = await ArtifactStorage(caller.store).get_visual(path, caller.principal.tenant)
    if data is None:
        raise NotFound(Code.COMPONENT_NOT_FOUND, f"there is no picture {path!r}")
    headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "private, no-cache"}
    return Response(data, 200, headers, media_types.PNG)


@router.get("/artifacts/{artifact_id}", response_model=dict[str, Any])
async def get_artifact(
    caller: Reads, artifact_id: str, *, include_visuals: bool = False, tenant_id: str | None = None
) -> Response:
    """A result as it was stored; without `include_visuals` each picture is told by its `storage_path`."""
    found = None
    if _is_own(caller, tenant_id):
        storage = ArtifactStorage(caller.store)
        found = await storage.get_artifact(artifact_id, caller.principal.tenant, include_visuals)
    if found is None:
        raise NotFound(Code.ARTIFACT_NOT_FOUND, f"there is no artifact {artifact_id!r}")
    return Response(_exactly(found), media_type=media_types.JSON)


def _exactly(result: dict[str, Any]) -> str:
    """A result as JSON; in ASCII, since documents that others wrote may hold what is no Unicode text."""
    try:
        return json.dumps(result, allow_nan=False)
    except ValueError as error:
        message = "the result has a number beyond all that a double can be"
        raise Invalid(Code.BAD_JSON, message, hint="Read its document: GET /v1/components/{ref}/{role}.") from error
