"""The form for a token, and our own files, which need none."""

from __future__ import annotations

from typing import Annotated

from fastapi import Form, Request, Response

from casstore.errors import Code, Denied, NotFound
from casstore.http.login import login
from casstore.web import assets
from casstore.web.rendering import HEADERS, page
from casstore.web.route import pages, told

__all__ = ["router"]

router = pages()


@router.get("/sign-in")
async def form(request: Request) -> Response:
    """The form."""
    return page(request, None, "sign_in", fault="")


@router.post("/sign-in")
async def sign_in(request: Request, token: Annotated[str, Form()] = "") -> Response:
    """Keep the token in a cookie; one that is not good is told beside the form."""
    try:
        return await login(request, token.strip())
    except Denied as error:
        if error.code is not Code.NOT_AUTHENTICATED:
            raise
        return page(request, None, "sign_in", status=401, fault=told(error))


@router.get("/static/{digest}/{name}")
async def static(digest: str, name: str) -> Response:
    """One of our own files, by the digest of its bytes."""
    found = assets.asset(name)
    if found is None or found.digest != digest:
        raise NotFound(Code.ROUTE_NOT_FOUND, f"there is no file {name[:80]!a} of this version")
    headers = HEADERS | {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(found.content, 200, headers, found.media_type)
