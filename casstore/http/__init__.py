"""NETWORK: the store over HTTP, as an application of FastAPI. No logic: authenticate, one call of a tenant's door, answer.

Nothing of a web framework is imported before `app` is called: the extra `casstore[server]` brings it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from casstore.errors import needed_for

if TYPE_CHECKING:
    from fastapi import APIRouter, FastAPI

    from casstore.http.access import Access
    from casstore.http.guard import Bounds
    from casstore.store import AsyncStore

__all__ = ["app"]


def app(
    store: AsyncStore,
    *,
    access: Access,
    routers: Iterable[APIRouter] = (),
    platform_prefix: str = "/api",
    metrics: bool = False,
    bounds: Bounds | None = None,
) -> FastAPI:
    """Make the application that serves a store, to be run, or mounted into another with `host.mount(path, …)`.

    Args:
        store: The store. It has to be open while requests are answered; whoever opened it closes it.
        access: Who may come in, and as whom.
        routers: More routes of the same application, such as pages; their errors are told as all others are.
        platform_prefix: Put before the platform's own routes, `/artifacts/…`; "" where the application is mounted at `/api`.
        metrics: Whether `/metrics` tells, without a token, how many requests there are of each route, and how they go.
        bounds: How much is taken at once: `casstore.http.guard.Bounds`.

    Raises:
        Invalid: The server's libraries are not installed (bad_config).
    """
    with needed_for("serving", extra="server"):
        from casstore.http.application import build  # noqa: PLC0415 - here the web framework is imported
    return build(store, access=access, routers=routers, platform_prefix=platform_prefix, metrics=metrics, bounds=bounds)
