"""Where versions come from and go: history, lineage, uses."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from casstore import limits
from casstore.http.asking import Turning
from casstore.http.callers import Reads
from casstore.http.shapes import LineageShape, Listed, VersionShape, listed
from casstore.operations.tracing import Direction

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["tracing"])


@router.get("/versions/{name:path}")
async def history(caller: Reads, name: str, page: Turning) -> Listed[VersionShape]:
    """The versions of a name, newest first."""
    return listed(await caller.tenant.history(name, cursor=page.cursor, limit=page.limit))


@router.get("/where-used/{digest}")
async def where_used(caller: Reads, digest: str, page: Turning) -> Listed[VersionShape]:
    """Versions that hold these bytes, or whose manifest it is; `b3:` and 12 digits will do."""
    return listed(await caller.tenant.where_used(digest, cursor=page.cursor, limit=page.limit))


@router.get("/same-pixels/{ref:path}")
async def same_pixels(caller: Reads, ref: str, page: Turning) -> Listed[VersionShape]:
    """Versions with a PNG that shows exactly what the one that the reference means shows. A role follows a `%23`."""
    return listed(await caller.tenant.same_pixels_as(ref, cursor=page.cursor, limit=page.limit))


@router.get("/lineage/{ref:path}")
async def lineage(
    caller: Reads,
    ref: str,
    direction: Direction = "up",
    depth: Annotated[int | None, Query(ge=0, le=limits.LINEAGE_DEPTH_MAX)] = None,
    limit: Annotated[int, Query(ge=1, le=limits.LINEAGE_VERSIONS_MAX)] = limits.LINEAGE_VERSIONS_MAX,
) -> LineageShape:
    """What a version was made from ("up"), or what was made from it ("down"), with the version itself at the head."""
    return LineageShape.of(await caller.tenant.lineage(ref, direction, depth=depth, limit=limit))
