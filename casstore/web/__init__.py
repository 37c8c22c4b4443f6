"""PAGES: the store in a browser, made on the server. What changes something is a form; nothing that is stored is ever executed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import APIRouter

__all__ = ["routers"]


def routers() -> list[APIRouter]:
    """The routes of the pages, as `casstore.http.app(store, access=…, routers=routers())` takes them.

    Raises:
        Invalid: The server's libraries are not installed (bad_config).
    """
    from casstore.errors import Code, Invalid  # noqa: PLC0415 - the package itself stays light

    try:
        from casstore.web.routes import ROUTERS  # noqa: PLC0415 - here the web framework is imported
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "casstore":
            raise
        hint = "pip install 'casstore[server]'"
        raise Invalid(Code.BAD_CONFIG, f"pages need {error.name}, which is not installed", hint=hint) from error
    return list(ROUTERS)
