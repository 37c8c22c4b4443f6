"""A comparison as one page that needs nothing else: no server, no network. It is read without scripts, too."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

import casstore
from casstore.operations.differences import ComponentDiff, Diff
from casstore.operations.diffing import Compared
from casstore.reports.views import views_of

__all__ = ["page_of"]

_ENVIRONMENT: Final = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def page_of(compared: Compared) -> str:
    """An HTML page that says at a glance what has changed, and shows it."""
    diff = compared.diff
    views = list(views_of(compared))
    has_diagrams = any(view.diagrams for view in views)
    return _ENVIRONMENT.from_string(_asset("report.html.jinja")).render(
        diff=diff,
        views=views,
        verdict=_verdict(diff),
        sizes=_sizes,
        types=_types,
        css=Markup(_asset("report.css")),  # noqa: S704 - ours
        script=Markup(_asset("report.js")),  # noqa: S704 - ours
        viewer=Markup(_asset("bpmn-viewer.min.js")) if has_diagrams else "",  # noqa: S704 - shipped with us
        has_diagrams=has_diagrams,
        version=casstore.__version__,
    )


def _asset(name: str) -> str:
    return (files("casstore.reports") / "assets" / name).read_text("utf-8")


def _verdict(diff: Diff) -> str:
    if diff.depth == "same":
        return "the same content"
    if diff.depth == "meaning":
        return "differ in meaning"
    return f"differ in {diff.depth} only"


def _sizes(part: ComponentDiff) -> str:
    return " → ".join(dict.fromkeys(f"{each.size_bytes:,}" for each in (part.before, part.after) if each))


def _types(part: ComponentDiff) -> str:
    return " → ".join(dict.fromkeys(each.media_type for each in (part.before, part.after) if each))
