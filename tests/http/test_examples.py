"""What the document gives as examples was asked, and was answered so: one story, which is told here again to a real server.

CASSTORE_WRITE_EXAMPLES=1 writes down what is answered now.
"""

from __future__ import annotations

import json
import os
import re

import pytest

from casstore.http import examples
from casstore.http.access import SCOPES, Access
from casstore.http.tokens import ServiceTokens, add

WRITES = bool(os.environ.get("CASSTORE_WRITE_EXAMPLES"))
VARYING = {
    "id",
    "store",
    "key",
    "salt",
    "hash",
    "undoes",
    "undone_by",
    "source",
    "version",
}  # by name, where they are scalars
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| UTC|[+-]\d\d:\d\d)")
WITHOUT = {  # routes whose answers have no example: bytes, pages, streams, and the platform's own shapes
    *(
        "GET /v1/components/{ref}/{role}",
        "HEAD /v1/components/{ref}/{role}",
        "GET /v1/same-pixels/{ref}",
        "GET /metrics",
    ),
    *("GET /api/artifacts", "GET /api/artifacts/{artifact_id}", "GET /api/artifacts/visual/{path}"),
}


@pytest.fixture(scope="module")
def teller(serve, tmp_path_factory):
    file = tmp_path_factory.mktemp("tokens") / "tokens.json"
    token = add(file, "orchestrator", "acme", SCOPES)
    with serve(Access([ServiceTokens(file)]), metrics=True) as served, served.client(token) as client:
        yield client


def plain(value, name=""):
    """Without what is another one each time."""
    if isinstance(value, dict):
        return {key: plain(each, key) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each, name) for each in value]
    if value is not None and (name in VARYING or name == "cursor"):
        return type(value).__name__
    return INSTANT.sub("<instant>", UUID.sub("<id>", value)) if isinstance(value, str) else value


def ask(client, step, last):
    method = "DELETE" if step["route"] == "Problem" else step["route"].split()[0]
    path = step["path"].format(last=last) if "{last}" in step["path"] else step["path"]
    body = step.get("body")
    content = {"json": body} if isinstance(body, dict) else {"content": body}
    return client.request(method, path, headers=step.get("headers"), **content)


def test_the_story_is_true(teller):
    last, wrong = None, []
    for step in examples.told():
        answer = ask(teller, step, last)
        assert answer.status_code == step["status"], (step["route"], answer.text)
        found = answer.json()
        if step.get("shown", True) and plain(found) != plain(step.get("answer")):
            if WRITES:
                step["answer"] = found
            else:
                wrong.append((step["route"], found))
        last = found["items"][0]["id"] if step["route"] == "GET /v1/operations" else last
    assert wrong == []
    if WRITES:
        examples.FILE.write_text(json.dumps(examples.told(), indent=1, ensure_ascii=False) + "\n", "utf-8")


def test_every_body_and_every_main_answer_has_an_example(teller):
    document = teller.get("/openapi.json").json()
    routes = {f"{m.upper()} {path}": each for path, item in document["paths"].items() for m, each in item.items()}
    for route, operation in routes.items():
        for kind, content in operation.get("requestBody", {}).get("content", {}).items():
            assert "example" in content, (route, kind)
        answers = {status: each for status, each in operation["responses"].items() if status.startswith("2")}
        shown = [each for each in answers.values() if "example" in each.get("content", {}).get("application/json", {})]
        assert shown or route in WITHOUT or not any("content" in each for each in answers.values()), route
    assert document["components"]["schemas"]["Problem"]["examples"][0]["code"] == "still_used"
