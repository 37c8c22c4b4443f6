"""The application: routes, errors and what is known of each request put together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter, FastAPI
from pydantic.json_schema import models_json_schema

from casstore import __version__
from casstore.http import examples, links, login, problems
from casstore.http.access import COOKIE, Access
from casstore.http.bodies import PutAsked
from casstore.http.guard import Bounds, Guard
from casstore.http.metrics import Metrics
from casstore.http.problems import RESPONSES, Problem
from casstore.http.routes import (
    comparing,
    components,
    creating,
    deleting,
    direct,
    health,
    keeping,
    lifecycle,
    platform,
    pointing,
    reporting,
    session,
    tracing,
    versions,
)
from casstore.http.straight import Straight
from casstore.store import AsyncStore

__all__ = ["build"]

_BODIES = (PutAsked, creating.TransactionAsked, comparing.ApplyAsked, comparing.MergeAsked)
_SECURITY = {
    "token": {"type": "http", "scheme": "bearer", "description": "A service token, or a JWT of Supabase."},
    "cookie": {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "Of a browser that has logged in."},
}
_OPEN = ("browsers", "health")  # tags of what asks for no token
_PLACE = "#/components/schemas/{model}"
_SUBJECTS = (  # of /v1, in the order of the document
    session,
    versions,
    creating,
    components,
    direct,
    tracing,
    pointing,
    lifecycle,
    comparing,
    deleting,
    keeping,
    reporting,
)


def build(
    store: AsyncStore,
    *,
    access: Access,
    routers: Iterable[APIRouter],
    platform_prefix: str,
    metrics: bool,
    bounds: Bounds | None,
) -> FastAPI:
    """The application of `casstore.http.app`."""
    app = FastAPI(
        title="casstore",
        version=__version__,
        summary="A content-addressed, versioned artifact store.",
        docs_url=None,  # pages of others' scripts; /openapi.json is for programs
        redoc_url=None,
        # FastAPI's own spans, metrics and log records have paths and messages in them, and so names; ours (in `guard`) have none.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.store, app.state.access = store, access
    app.state.metrics, app.state.tells_metrics = Metrics(), metrics
    app.add_middleware(Straight)
    app.add_middleware(Guard, bounds=bounds or Bounds(), metrics=app.state.metrics)
    problems.install(app)
    for subject in _SUBJECTS:
        app.include_router(subject.router, responses=RESPONSES)
    app.include_router(platform.router, prefix=platform_prefix, responses=RESPONSES)
    app.include_router(login.router, responses=RESPONSES)
    app.include_router(health.router, responses=RESPONSES)
    for router in routers:
        app.include_router(router)
    _document_more(app)
    return app


def _document_more(app: FastAPI) -> None:
    """Put into the document what no route has as its model: problems, bodies that come as JSON or as a form, links, examples."""
    make = app.openapi
    of_bodies = models_json_schema([(model, "validation") for model in _BODIES], ref_template=_PLACE)[1]

    def openapi() -> dict[str, Any]:
        document = make()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        document["components"]["securitySchemes"] = _SECURITY
        for operation in (each for item in document["paths"].values() for each in item.values()):
            if components.TAG in operation.get("tags", ()):
                known = [each["name"] for each in operation["parameters"]]
                operation["parameters"] += [each for each in components.HEADERS if each["name"] not in known]
            if not set(operation.get("tags", ())) & set(_OPEN):
                operation["security"] = [{scheme: []} for scheme in _SECURITY]
        schemas.update({"Problem": Problem.model_json_schema(), **of_bodies["$defs"]})
        links.add(document)
        examples.add(document)
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI's documentation has it
