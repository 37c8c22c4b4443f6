"""The application: routes, errors and what is known of each request put together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter, FastAPI

from casstore import __version__
from casstore.http import login, problems
from casstore.http.access import Access
from casstore.http.callers import DOCUMENTED
from casstore.http.problems import RESPONSES, Problem
from casstore.http.routes import components, session, versions
from casstore.store import AsyncStore

__all__ = ["build"]

_ROUTERS = (session.router, versions.router, components.router)  # of /v1, in the order of the document


def build(store: AsyncStore, *, access: Access, routers: Iterable[APIRouter], platform_prefix: str) -> FastAPI:
    """The application of `casstore.http.app`."""
    app = FastAPI(
        title="casstore",
        version=__version__,
        summary="A content-addressed, versioned artifact store.",
        docs_url=None,  # pages of others' scripts; /openapi.json is for programs
        redoc_url=None,
    )
    app.state.store, app.state.access, app.state.platform_prefix = store, access, platform_prefix
    problems.install(app)
    for router in _ROUTERS:
        app.include_router(router, prefix="/v1", dependencies=DOCUMENTED, responses=RESPONSES)
    app.include_router(login.router, responses=RESPONSES)
    for router in routers:
        app.include_router(router)
    _document_problems(app)
    return app


def _document_problems(app: FastAPI) -> None:
    make = app.openapi

    def openapi() -> dict[str, Any]:
        document = make()
        document.setdefault("components", {}).setdefault("schemas", {})["Problem"] = Problem.model_json_schema()
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI's documentation has it
