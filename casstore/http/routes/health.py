"""Whether the server is well, for what runs it. No token is asked for."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from casstore.errors import Code, NotFound

__all__ = ["router"]

router = APIRouter(tags=["health"])

_TEXT = "text/plain; version=0.0.4; charset=utf-8"


class Health(BaseModel):
    """That it is well."""

    status: Literal["ok"] = "ok"


@router.get("/healthz")
async def healthz() -> Health:
    """Whether the process answers. It says nothing of the store: restarting would not mend that."""
    return Health()


@router.get("/readyz")
async def readyz(request: Request) -> Health:
    """Whether the catalog and the blobs answer, and belong together; else 503."""
    await request.app.state.store.check()
    return Health()


@router.get(
    "/metrics", response_class=Response, responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}
)
async def metrics(request: Request) -> Response:
    """The metrics, where they are switched on."""
    if not request.app.state.tells_metrics:
        raise NotFound(Code.ROUTE_NOT_FOUND, "metrics are switched off", hint="casstore serve --metrics")
    return Response(request.app.state.metrics.text(), media_type=_TEXT)
