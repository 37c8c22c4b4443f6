"""Logging in with a browser: a token becomes a cookie that no script can read and no other site can use."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from casstore.http.access import COOKIE, Access
from casstore.http.callers import check_origin

__all__ = ["router"]

router = APIRouter(tags=["browsers"])


@router.post("/login", status_code=303, response_class=RedirectResponse)
async def login(request: Request, token: Annotated[str, Form()]) -> Response:
    """Keep a token in a cookie, and go to `/`. One that is not good is refused."""
    check_origin(request)
    access: Access = request.app.state.access
    await access.principal(token)
    answer = RedirectResponse(f"{request.scope.get('root_path', '')}/", 303)
    secure = request.scope["scheme"] == "https"
    answer.set_cookie(COOKIE, token, httponly=True, samesite="strict", secure=secure)
    return answer


@router.post("/logout", status_code=303, response_class=RedirectResponse)
async def logout(request: Request) -> Response:
    """Forget the token, and go to `/`."""
    check_origin(request)
    answer = RedirectResponse(f"{request.scope.get('root_path', '')}/", 303)
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return answer
