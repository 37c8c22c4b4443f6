"""PAGES: the store in a browser, made on the server. What changes something is a form; nothing that is stored is ever executed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from casstore.errors import needed_for

if TYPE_CHECKING:
    from fastapi import APIRouter

__all__ = ["routers"]


def routers() -> list[APIRouter]:
    """The routes of the pages, as `casstore.http.app(store, access=…, routers=routers())` takes them.

    Raises:
        Invalid: The server's libraries are not installed (bad_config).
    """
    with needed_for("making pages", extra="server"):
        from casstore.web.routes import ROUTERS  # noqa: PLC0415 - here the web framework is imported
    return list(ROUTERS)
