"""What is another tenant's does not exist: every operation of the document is asked about it, and answers as of what nobody has."""

from __future__ import annotations

import re
from uuid import uuid4

import pytest

from casstore.catalog.connection import Catalog

READS = ("get", "head")
BODIES = {
    "/v1/lifecycle/{ref}": {"state": "accepted"},
    "/v1/expiry/{ref}": {"after": 3600},
    "/v1/apply": {"ref": "{ref}", "patch": []},
    "/v1/merge": {"ours": "{ref}", "theirs": "{ref}"},
    "/v1/holds": {"hold": "case", "target": "{ref}"},
    "/v1/releases": {"hold": "case", "target": "{ref}"},
    "/v1/transactions": {"steps": [{"tag": {"ref": "{ref}", "pointer": "mine"}}]},
}
QUERIES = {"/v1/diff": {"a": "{ref}", "b": "{ref}"}, "/v1/operations": {"ref": "{ref}"}}


@pytest.fixture(scope="module")
def furnished(served):
    """A tenant with something secret, by its ids, names and digests."""
    owner = f"owner-{uuid4().hex[:8]}"
    with served.client(owner) as client:
        stored = client.put("/v1/artifacts/secret/plan", content=b"the secret bytes").json()
        client.put("/v1/aliases/secret/plan@1/prod").raise_for_status()
        client.put("/v1/artifacts/secret/gone", content=b"gone").raise_for_status()
        client.delete("/v1/artifacts/secret/gone@1").raise_for_status()
        client.post("/v1/holds", json={"hold": "case", "target": "secret/plan"}).raise_for_status()
    return owner, stored


def operations(served):
    with served.client() as client:
        document = client.get("/openapi.json").json()
    return [
        (method, path)
        for path, item in document["paths"].items()
        for method in item
        if path.startswith(("/v1", "/api")) and "undo/" not in path
    ]


def asked(client, method, path, values):
    """One request about these values, in the path, the query and the body."""

    def filled(value):
        if isinstance(value, dict):
            return {key: filled(each) for key, each in value.items()}
        if isinstance(value, list):
            return [filled(each) for each in value]
        return (
            re.sub(r"\{(\w+)\}", lambda match: values.get(match[1], match[0]), value)
            if isinstance(value, str)
            else value
        )

    body = {"json": filled(BODIES[path])} if path in BODIES else {}
    query = {**QUERIES.get(path, {}), **({"tenant_id": "{tenant}"} if "tenant" in values else {})}
    return client.request(method, filled(path), params=filled(query), **body)


def shown(answer, values):
    """What an answer says, without what was asked for."""
    text = answer.text
    for value in sorted(set(values.values()), key=len, reverse=True):
        text = text.replace(value, "?").replace(value.removeprefix("id:"), "?").replace(value.partition("@")[0], "?")
    return answer.status_code, re.sub(r'"(at|cursor|created_at)":"[^"]*"', "", text)


@pytest.fixture
def statements(monkeypatch):
    """What the server has asked its catalog: how long an answer takes goes by that, and a stopwatch tells little here."""
    found, once = [], Catalog._once

    async def recorded(catalog, sql, arguments):
        found.append(sql)
        return await once(catalog, sql, arguments)

    monkeypatch.setattr(Catalog, "_once", recorded)
    return found


@pytest.mark.parametrize("by", ["name", "id", "deleted"])
def test_anothers_looks_as_nobodys(served, furnished, statements, by):
    """Not in what is answered, and not in what is asked of the catalog for it."""
    owner, stored = furnished
    theirs = {
        "tenant": owner,
        "ref": {"name": "secret/plan@1", "id": f"id:{stored['id']}", "deleted": "secret/gone@1"}[by],
        "name": "secret/gone" if by == "deleted" else "secret/plan",
        "artifact_id": stored["id"],
        "digest": stored["components"][0]["digest"],
        "path": f"cas://{owner}/secret/plan@1%23main",
    }
    nobodys = {
        "tenant": owner,
        "ref": f"id:{uuid4()}" if by == "id" else "secret/nope@1",
        "name": "secret/nope",
        "artifact_id": str(uuid4()),
        "digest": f"b3:{uuid4().hex * 2}",
        "path": f"cas://{owner}/secret/nope@1%23main",
    }
    same = {"role": "main", "alias": "prod", "pointer": "prod", "tag": "t", "verb": "delete"}
    with served.client(f"stranger-{uuid4().hex[:8]}") as client:
        for method, path in operations(served):
            if path in ("/v1/artifacts/{ref}", "/v1/transactions") and method in ("put", "post"):
                continue  # makes one's own
            found, work = [], []
            for values in (theirs, nobodys):
                statements.clear()
                found.append(asked(client, method, path, {**values, **same}))
                work.append(list(statements))
            assert work[0] == work[1], (method, path)
            assert shown(found[0], theirs) == shown(found[1], nobodys), (method, path)
            assert "secret bytes" not in found[0].text
        assert client.get("/v1/usage").json()["versions"] == 0
    with served.client(owner) as client:
        assert client.get("/v1/artifacts/secret/plan@prod").json()["state"] == "draft"


def test_no_operation_answers_without_a_token(served):
    values = {"ref": "x@1", "name": "x", "role": "main", "alias": "a", "pointer": "a", "tag": "t", "verb": "delete"}
    values |= {"digest": "b3:000000000000", "artifact_id": str(uuid4()), "path": "x", "operation_id": "1"}
    with served.client() as client:
        for method, path in operations(served):
            answer = asked(client, method, path, values)
            assert answer.status_code == 401 or (path in BODIES and answer.status_code == 400), (method, path)
