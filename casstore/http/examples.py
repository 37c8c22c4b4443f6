"""Examples of requests and answers, for the document: one story, told in order.

`tests/http/test_examples.py` tells it to a server, and writes it down anew.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

__all__ = ["FILE", "add", "told"]

FILE: Final = Path(__file__).with_name("examples.json")
_JSON: Final = "application/json"
_FORM: Final = "multipart/form-data"
_LOGIN: Final = ("POST /login", {"token": "cst_…"})


@lru_cache(maxsize=1)
def told() -> list[dict[str, Any]]:
    """The story: what is asked (`route`, `path`, `headers`, `body`), and what is answered (`status`, `answer`)."""
    found: list[dict[str, Any]] = json.loads(FILE.read_text("utf-8"))
    return found


def add(document: dict[str, Any]) -> None:
    """Put the examples into an OpenAPI document."""
    routes = {f"{m.upper()} {path}": each for path, item in document["paths"].items() for m, each in item.items()}
    for step in told():
        if step["route"] == "Problem":
            document["components"]["schemas"]["Problem"]["examples"] = [step["answer"]]
        elif step.get("shown", True):
            _ask(routes[step["route"]], step.get("body"))
            _answer(routes[step["route"]], str(step["status"]), step["answer"])
    route, login = _LOGIN
    _ask(routes[route], login)


def _ask(route: dict[str, Any], body: Any) -> None:
    for kind, content in route.get("requestBody", {}).get("content", {}).items():
        if body is not None:
            content["example"] = {"request": body} if kind == _FORM else body


def _answer(route: dict[str, Any], status: str, answer: Any) -> None:
    content = route["responses"][status]["content"]
    content.get(_JSON, {})["example"] = answer
