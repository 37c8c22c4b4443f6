"""From values to a page: escaped, and under headers that let a browser run our own script and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote, urlencode

from fastapi import Request, Response
from jinja2 import Environment, FunctionLoader, StrictUndefined

import casstore
from casstore.http.access import COOKIE
from casstore.http.callers import Caller
from casstore.web import assets

__all__ = ["HEADERS", "base_of", "page", "size", "url"]

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; frame-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",  # what is shown belongs to whoever has logged in
}
_UNIT: Final = 1000
_UNITS: Final = ("bytes", "kB", "MB", "GB", "TB", "PB")


def size(count: int) -> str:
    """So many bytes, for people."""
    value, place = float(count), 0
    while value >= _UNIT - 0.5 and place < len(_UNITS) - 1:
        value, place = value / _UNIT, place + 1
    if place == 0:
        return f"{count} byte{'' if count == 1 else 's'}"
    return f"{value:.3g} {_UNITS[place]}"


def _when(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def url(path: str, **query: str | Sequence[str] | None) -> str:
    """A path, quoted, with the parameters that have a value, or several."""
    asked = urlencode({key: value for key, value in query.items() if value}, doseq=True)
    return quote(path, safe="/@:~") + (f"?{asked}" if asked else "")


def base_of(request: Request) -> str:
    """Where the application is mounted; "" at the root."""
    return quote(str(request.scope.get("root_path", "")), safe="/")


def _make() -> Environment:
    made = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FunctionLoader(assets.template),
    )
    made.filters.update(size=size, when=_when)
    made.globals.update(url=url, label_words=_label_words, asset=assets.asset, version_of_casstore=casstore.__version__)
    return made


def _label_words(labels: Mapping[str, str]) -> list[str]:
    """Labels as they are typed."""
    return [f"{key}={value}" for key, value in sorted(labels.items())]


_ENVIRONMENT: Final = _make()


def page(request: Request, caller: Caller | None, template: str, *, status: int = 200, **values: Any) -> Response:
    """A page. `caller`: who looks at it; None before there is one."""
    text = _ENVIRONMENT.get_template(f"{template}.html.jinja").render(
        base=base_of(request),
        scopes=caller.principal.scopes if caller else (),
        caller=caller,
        can_sign_out=COOKIE in request.cookies,
        path=request.scope["path"],
        **values,
    )
    content = text.encode("utf-8", "backslashreplace")  # JSON may have half a pair of surrogates
    return Response(content, status, HEADERS, "text/html; charset=utf-8")
