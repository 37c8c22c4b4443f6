"""How much is stored, and what is stored once though it is used more often."""

from __future__ import annotations

from fastapi import Request, Response

from casstore.http.callers import Reads
from casstore.web.rendering import page
from casstore.web.route import pages

__all__ = ["router"]

router = pages()


@router.get("/usage")
async def usage(request: Request, caller: Reads) -> Response:
    """The figures of the tenant."""
    return page(request, caller, "usage", usage=await caller.tenant.usage(), shared=await caller.tenant.shared())
