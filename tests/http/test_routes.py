"""Every route as it is meant to be used, against what the tenant's own door says."""

from __future__ import annotations

import base64
import json

import pytest
from pydantic_core import to_jsonable_python

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGOoBwAAgQCA05RTSgAAAABJRU5ErkJggg=="


@pytest.fixture
def door(served, tenant):
    return served.store.tenant(tenant)


@pytest.fixture
def put(client):
    def putting(name, content=b"1", **headers):
        return ok(client.put(f"/v1/artifacts/{name}", content=content, headers=headers))

    return putting


def ok(answer, status=None):
    assert answer.is_success if status is None else answer.status_code == status, (answer.status_code, answer.text)
    return answer.json()


def refused(answer, status, code):
    assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text


def refs(page):
    return [item["ref"] for item in page["items"]]


# -- what is no Unicode text ----


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/holds", b'{"hold":"h","target":"\\ud800"}'),
        ("/v1/holds", b'{"hold":"\\ud800","target":"x"}'),
        ("/v1/releases", b'{"hold":"h","target":"\\ud800"}'),
        ("/v1/merge", b'{"ours":"a","theirs":"\\ud800"}'),
        ("/v1/apply", b'{"ref":"\\ud800","patch":[]}'),
    ],
)
def test_half_a_character_is_refused_as_what_it_is(client, path, body):
    """Regression: the refusal told it back, which UTF-8 cannot."""
    answer = client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/problem+json"), answer.text
    assert answer.json()["code"]


def test_the_platform_gets_any_document_exactly_or_not(client):
    for document in ('{"a": "\\ud800"}', '{"\\udfff": [1.0, 1, 1e300, 123456789012345678901234567890]}'):
        stored = ok(client.put("/v1/artifacts/odd/x", content=document, headers={"Content-Type": "application/json"}))
        assert client.get(f"/api/artifacts/{stored['id']}").text == document.replace("1e300", "1e+300")
    stored = ok(client.put("/v1/artifacts/odd/x", content='{"a": 1e999}', headers={"Content-Type": "application/json"}))
    refused(client.get(f"/api/artifacts/{stored['id']}"), 400, "bad_json")


# -- creating --------------------------------------------------------------------------------------------------------------


def test_json_brings_components(client, served, door):
    body = {
        "components": {
            "main": {"value": {"a": [1, 2.5, None]}},
            "note": {"text": "ä", "media_type": "text/markdown"},
            "raw": {"base64": base64.b64encode(b"\0\xff").decode()},
        },
        "title": "T",
        "type": "plan",
        "labels": {"team": "a"},
        "metadata": {"n": 1},
    }
    stored = ok(client.post("/v1/artifacts/plan/x", json=body), 201)
    assert (stored["title"], stored["type"], stored["labels"], stored["metadata"]) == (
        "T",
        "plan",
        {"team": "a"},
        {"n": 1},
    )
    assert client.get("/v1/components/plan/x/note").text == "ä"
    assert client.get("/v1/components/plan/x/raw").content == b"\0\xff"
    version = served.call(door.resolve("plan/x@1"))
    assert to_jsonable_python(version).items() <= stored.items()
    listed = ok(client.get("/v1/artifacts", params={"label": "team=a", "metadata": '{"n": 1}', "type": "plan"}))
    assert refs(listed) == ["plan/x@1"]
    assert refs(ok(client.get("/v1/artifacts", params={"label": "team=b"}))) == []


def test_a_form_brings_files(client):
    files = {"main": ("m.json", b"[1]", "application/json"), "note": ("n.md", b"x" * 3_000_000, "text/markdown")}
    stored = ok(client.post("/v1/artifacts/plan/y", files=files, data={"request": '{"title": "T"}'}), 201)
    found = {each["role"]: (each["media_type"], each["size_bytes"]) for each in stored["components"]}
    assert found == {"main": ("application/json", 3), "note": ("text/markdown", 3_000_000)}
    assert client.get("/v1/components/plan/y/note").content == files["note"][1]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"components": {}}, "bad_components"),
        ({"components": {"main": {}}}, "bad_argument"),
        ({"components": {"main": {"text": "a", "base64": "YQ=="}}}, "bad_argument"),
        ({"components": {"main": {"file": "/etc/passwd"}}}, "bad_data"),
        ({"components": {"main": {"base64": "!"}}}, "bad_data"),
        ({"components": {"A": {"text": "a"}}}, "bad_role"),
        ({"components": {"main": {"text": "a"}}, "sources": [{"put": 0}]}, "bad_argument"),
        ({"components": {"main": {"text": "a"}}, "nonsense": 1}, "bad_argument"),
    ],
)
def test_what_cannot_be_stored_is_refused(client, body, code):
    refused(client.post("/v1/artifacts/x", json=body), 400, code)
    assert ok(client.get("/v1/usage"))["versions"] == 0


def test_a_key_makes_repetitions_one(client, put):
    first = put("x", b"1", **{"Idempotency-Key": "k"})
    assert put("x", b"1", **{"Idempotency-Key": "k"}) == {**first, "repeated": True, "new_bytes": 0}
    refused(
        client.put("/v1/artifacts/x", content=b"2", headers={"Idempotency-Key": "k"}), 409, "idempotency_key_reused"
    )


def test_a_key_makes_repeated_patches_and_merges_one(client):
    def post(path, key, **body):
        return client.post(f"/v1/{path}", json=body, headers={"Idempotency-Key": key})

    def again(stored):
        return {**stored, "repeated": True, "new_bytes": 0}

    for name, value in (("x", {"a": 1, "b": 1}), ("y", {"a": 1, "b": 2}), ("x", {"a": 1, "b": 1, "c": 0})):
        source = {"sources": [{"ref": "x@1"}]} if name == "y" else {}
        ok(client.post(f"/v1/artifacts/{name}", json={"components": {"main": {"value": value}}} | source), 201)
    patch = [{"op": "test", "path": "/a", "value": 1}, {"op": "replace", "path": "/a", "value": 2}]
    first = ok(post("apply", "k", ref="x", patch=patch), 201)
    assert ok(post("apply", "k", ref="x", patch=patch), 200) == again(first)
    refused(post("apply", "k", ref="x", patch=patch[1:]), 409, "idempotency_key_reused")
    merged = ok(post("merge", "m", ours="x", theirs="y"))
    assert ok(post("merge", "m", ours="x", theirs="y")) == merged | {"stored": again(merged["stored"])}
    refused(post("merge", "m", ours="x", theirs="y@1"), 409, "idempotency_key_reused")
    refused(post("merge", "k", ours="x", theirs="y"), 409, "idempotency_key_reused")
    assert refs(ok(client.get("/v1/versions/x"))) == ["x@4", "x@3", "x@2", "x@1"]
    assert ok(post("apply", "k", ref="x", patch=patch), 200) == again(first)


def test_a_transaction_stores_all_or_nothing(client):
    steps = [
        {"put": {"name": "a", "components": {"main": {"text": "1"}}, "expect": 0}},
        {"put": {"name": "b", "components": {"main": {"file": "f"}}, "sources": [{"put": 0, "role": "draft"}]}},
        {"alias": {"ref": "b", "pointer": "prod"}},
        {"tag": {"ref": "a", "pointer": "first"}},
        {"transition": {"ref": "b", "state": "accepted", "reason": "why"}},
    ]
    form = {"data": {"request": json.dumps({"steps": steps})}, "files": {"f": ("f", b"bytes")}}
    key = {"Idempotency-Key": "e-1"}
    made = ok(client.post("/v1/transactions", **form, headers=key))
    assert refs(made) == ["a@1", "b@1"]
    again = ok(client.post("/v1/transactions", **form, headers=key))
    assert [(each["id"], each["repeated"]) for each in again["items"]] == [(each["id"], True) for each in made["items"]]
    assert ok(client.get("/v1/artifacts/b@prod"))["state"] == "accepted"
    (_, source) = ok(client.get("/v1/lineage/b@1"))["versions"]
    assert source["version"]["ref"] == "a@1"
    refused(client.post("/v1/transactions", **form), 409, "transaction_refused")  # a is expected not to be there
    assert refs(ok(client.get("/v1/versions/b"))) == ["b@1"]


def test_adding_is_not_moving(served, tenant):
    with served.client(f"{tenant}:add") as adder:
        put = {"put": {"name": "a", "components": {"main": {"text": "1"}}}}
        ok(adder.post("/v1/transactions", json={"steps": [put, {"tag": {"ref": "a", "pointer": "t"}}]}))
        for step in ({"alias": {"ref": "a", "pointer": "prod"}}, {"transition": {"ref": "a", "state": "accepted"}}):
            refused(adder.post("/v1/transactions", json={"steps": [put, step]}), 403, "not_permitted")


# -- finding ---------------------------------------------------------------------------------------------------------------


def test_merging_and_applying_tell_what_is_there_and_so_need_reading_too(client, served, tenant, put):
    """Regression: a token that may only add was told both sides' values."""
    put("plan/x", b'{"secret": 1}', **{"Content-Type": "application/json"})
    put("plan/y", b'{"secret": 2}', **{"Content-Type": "application/json"})
    merge = {"ours": "plan/x", "theirs": "plan/y", "base": "plan/x@1", "preview": True}
    for scope in ("add", "read"):
        with served.client(f"{tenant}:{scope}") as one:
            refused(one.post("/v1/merge", json=merge), 403, "not_permitted")
            refused(one.post("/v1/apply", json={"ref": "plan/x", "patch": {}}), 403, "not_permitted")
    assert ok(client.post("/v1/merge", json=merge))


def test_what_a_body_says_in_vain_is_refused(client, put):
    put("plan/x")
    tag = {"tag": {"ref": "plan/x@1", "pointer": "v1", "expect": 99}}
    refused(client.post("/v1/transactions", json={"steps": [tag]}), 400, "bad_argument")
    rules = {"rules": [{"name": "all", "match": {}, "keep": {"last": 1}}]}
    refused(client.put("/v1/retention", json={"policy": rules, "reason": "why"}), 400, "bad_argument")
    refused(client.post("/v1/retention/apply", json={"reason": "why"}), 400, "bad_argument")


def test_pages_follow_each_other(client, put):
    for number in range(3):
        put("x", b"%d" % number)
    first = ok(client.get("/v1/versions/x", params={"limit": 2}))
    rest = ok(client.get("/v1/versions/x", params={"limit": 2, "cursor": first["cursor"]}))
    assert (refs(first), refs(rest), rest["cursor"]) == (["x@3", "x@2"], ["x@1"], None)


def test_uses_and_lineage(client, put):
    stored = put("x", b"same")
    digest = stored["components"][0]["digest"]
    assert refs(ok(client.get(f"/v1/where-used/{digest}"))) == ["x@1"]
    put("y?source=x@1=template", b"made")
    down = ok(client.get("/v1/lineage/x@1", params={"direction": "down"}))
    assert [node["version"]["ref"] for node in down["versions"]] == ["x@1", "y@1"]
    assert not down["versions"][1]["is_stale"]
    picture = base64.b64decode(PNG)
    put("p", picture, **{"Content-Type": "image/png"})
    assert refs(ok(client.get("/v1/same-pixels/p%23main"))) == ["p@1"]


# -- pointers, lifecycle ---------------------------------------------------------------------------------------------------


def test_aliases_move_as_expected(client, put):
    put("w/x", b"1")
    put("w/x", b"2")
    set_ = ok(client.put("/v1/aliases/w/x@1/prod", headers={"If-None-Match": "*"}))
    assert (set_["pointer"], set_["number"], set_["is_tag"]) == ("prod", 1, False)
    refused(client.put("/v1/aliases/w/x@2/prod", headers={"If-Match": '"2"'}), 412, "alias_moved")
    ok(client.put("/v1/aliases/w/x@2/prod", headers={"If-Match": '"1"'}))
    assert [move["number"] for move in ok(client.get("/v1/moves/w/x/prod"))["items"]] == [2, 1]
    ok(client.put("/v1/tags/w/x@1/first"))
    refused(client.put("/v1/tags/w/x@2/first"), 409, "tag_frozen")
    assert {point["pointer"] for point in ok(client.get("/v1/pointers/w/x"))["items"]} == {"prod", "first"}
    ok(client.delete("/v1/aliases/w/x/prod"))
    refused(client.get("/v1/artifacts/w/x@prod"), 404, "pointer_not_found")


def test_who_put_and_pointed_is_the_tokens_actor_and_on_whose_behalf(client, tenant):
    me = f"tester of {tenant}"
    part = {"components": {"main": {"text": "1"}}}
    form = {"data": {"request": '{"by": "u-3"}'}, "files": {"main": ("f", b"1", "text/plain")}}
    steps = [{"put": {"name": "d", **part}}, {"alias": {"ref": "d", "pointer": "prod"}}]
    made = [
        ok(client.put("/v1/artifacts/a", content=b"1")),
        ok(client.put("/v1/artifacts/a?by=u-1", content=b"2\n", headers={"Content-Type": "text/plain"})),
        ok(client.post("/v1/artifacts/b", json=part)),
        ok(client.post("/v1/artifacts/b", json=part | {"by": "u-2", "on_same": "new_version"})),
        ok(client.post("/v1/artifacts/c", **form)),
        *ok(client.post("/v1/transactions", json={"steps": steps, "by": "u-4"}))["items"],
        ok(client.post("/v1/apply", json={"ref": "a@2", "patch": [], "on_same": "new_version", "by": "u-5"})),
    ]
    assert [each["by"] for each in made] == [
        me, f"{me}/u-1", me, f"{me}/u-2", f"{me}/u-3", f"{me}/u-4", f"{me}/u-5"
    ]  # fmt: skip
    assert [each["by"] for each in ok(client.get("/v1/versions/a"))["items"]] == [f"{me}/u-5", f"{me}/u-1", me]
    moved = [
        ok(client.put("/v1/aliases/a@1/prod")),
        ok(client.put("/v1/aliases/a@2/prod", json={"by": "u-6"})),
        ok(client.delete("/v1/aliases/a/prod?by=u-7")),
        ok(client.put("/v1/tags/a@1/first", json={})),
        ok(client.put("/v1/tags/a@1/second", json={"by": "u-8"})),
        *ok(client.get("/v1/pointers/d"))["items"],
    ]
    assert [each["by"] for each in moved] == [me, f"{me}/u-6", f"{me}/u-7", me, f"{me}/u-8", f"{me}/u-4"]
    assert all(each["by"].startswith(me) for each in ok(client.get("/v1/operations"))["items"])
    long = "x" * 256
    for refused_ in (
        client.put(f"/v1/artifacts/z?by={long}", content=b"1"),
        client.post("/v1/artifacts/z", json=part | {"by": long}),
        client.put("/v1/tags/a@1/third", json={"by": long}),
        client.put("/v1/tags/a@1/third", json={"on_behalf": "u"}),
        client.put("/v1/tags/a@1/third?by=u"),
        client.put("/v1/aliases/a@1/other?by=u"),
        client.post("/v1/merge", json={"ours": "a@1", "theirs": "a@1", "preview": True, "by": long}),
        client.post("/v1/transactions", json={"steps": [{"put": {"name": "z", "by": "u", **part}}]}),
    ):
        refused(refused_, 400, "bad_argument")
    refused(client.get("/v1/artifacts/z"), 404, "artifact_not_found")
    room = 255 - len(me) - 1
    assert ok(client.put(f"/v1/artifacts/z?by={'x' * room}", content=b"1"))["by"].endswith("x" * room)
    assert (
        f"up to {room} are kept" in client.put(f"/v1/artifacts/z?by={'x' * (room + 1)}", content=b"1").json()["title"]
    )
    steps = [
        {"transition": {"ref": "d", "state": "accepted"}},
        {"transition": {"ref": "d", "state": "obsolete", "by": "u-9"}},
    ]
    ok(client.post("/v1/transactions", json={"steps": steps, "by": "u-4"}))
    assert [each["by"] for each in ok(client.get("/v1/lifecycle/d@1"))["items"]] == [f"{me}/u-4", f"{me}/u-9"]


def test_the_actor_is_the_tokens(client, put, tenant):
    put("x")
    step = ok(client.post("/v1/lifecycle/x@1", json={"state": "accepted", "by": "u-7", "reason": "good"}))
    assert step["by"] == f"tester of {tenant}/u-7"
    assert ok(client.get("/v1/lifecycle/x@1"))["items"] == [step]
    refused(client.post("/v1/lifecycle/x@1", json={"state": "draft"}), 400, "bad_argument")
    ok(client.post("/v1/lifecycle/x@1", json={"state": "obsolete"}))
    refused(client.post("/v1/lifecycle/x@1", json={"state": "accepted"}), 409, "bad_transition")


def test_other_labels_are_another_version_of_the_same_content(client):
    parts = {"components": {"notes": {"text": "1"}, "data": {"base64": "AP8="}}, "title": "T", "metadata": {"n": 1}}
    first = ok(client.post("/v1/artifacts/x", json=parts | {"labels": {"team": "a"}}))
    second = ok(client.post("/v1/apply", json={"ref": "x", "patch": {}, "labels": {"team": "b"}}), 201)
    assert (second["ref"], second["new_bytes"], second["digest"]) == ("x@2", 0, first["digest"])
    assert (second["labels"], second["title"], second["metadata"]) == ({"team": "b"}, "T", {"n": 1})
    assert ok(client.get("/v1/artifacts/x@1"))["labels"] == {"team": "a"}
    assert [each["ref"] for each in ok(client.get("/v1/artifacts", params={"label": "team=b"}))["items"]] == ["x@2"]
    assert ok(client.post("/v1/apply", json={"ref": "x", "patch": {}, "labels": {"team": "b"}}), 200)["reused"]
    refused(client.post("/v1/apply", json={"ref": "x@1", "patch": {}, "labels": {"team": "c"}}), 412, "head_moved")


# -- comparing -------------------------------------------------------------------------------------------------------------


def test_comparing_and_merging(client):
    def put(name, value, **query):
        text = json.dumps(value).encode()
        return ok(
            client.put(
                f"/v1/artifacts/{name}", content=text, params=query, headers={"Content-Type": "application/json"}
            )
        )

    put("x", {"a": 1, "b": 1})
    put("y", {"a": 1, "b": 2}, source="x@1")
    put("x", {"a": 2, "b": 1}, source="x@1")
    found = ok(client.get("/v1/diff", params={"a": "x@1", "b": "x@2"}))
    assert found["components"][0]["comparison"]["changes"][0]["path"] == "/a"
    page = client.get("/v1/diff", params={"a": "x@1", "b": "x@2", "format": "html"})
    assert page.headers["Content-Type"].startswith("text/html")
    assert page.headers["Content-Security-Policy"].startswith("sandbox allow-scripts;")
    patch = ok(client.get("/v1/diff", params={"a": "x@1", "b": "x@2", "format": "patch"}))
    assert [(step["path"], step["value"]) for step in patch] == [("/a", 2)]
    merged = ok(client.post("/v1/merge", json={"ours": "x", "theirs": "y"}))
    assert merged["stored"]["number"] == 3
    assert client.get("/v1/components/x@3/main").json() == {"a": 2, "b": 2}
    refused(client.get("/v1/diff", params={"a": "/etc/passwd", "b": "x@1"}), 400, "bad_name")


# -- letting go, keeping ---------------------------------------------------------------------------------------------------


def test_what_is_deleted_comes_back(client, put, tenant):
    put("x", b"1")
    put("x", b"2")
    impact = ok(client.get("/v1/explain/delete/x@1"))
    assert impact["versions"] == ["x@1"]
    assert refs(ok(client.delete("/v1/artifacts/x@1", params={"reason": "old"}))) == ["x@1"]
    refused(client.get("/v1/artifacts/x@1"), 410, "version_deleted")
    (gone,) = ok(client.get("/v1/trash"))["items"]
    assert (gone["ref"], gone["by"], gone["reason"]) == ("x@1", f"tester of {tenant}", "old")
    assert refs(ok(client.post("/v1/undelete/x@1"))) == ["x@1"]
    assert refs(ok(client.delete("/v1/artifacts/x"))) == ["x@1", "x@2"]
    assert refs(ok(client.post("/v1/undelete/x", json={"reason": "needed"}))) == ["x@1", "x@2"]
    ok(client.delete("/v1/artifacts/x"))
    assert refs(ok(client.post("/v1/purge/x@1"))) == ["x@1"]
    assert ok(client.post("/v1/empty-trash", json={"older_than": 0})) == {"purged": 1}
    refused(client.post("/v1/undelete/x@1"), 409, "version_purged")


def test_one_content_is_erased(client, put, served, door):
    put("x", b"secret")
    digest = served.call(door.digest_of(b"secret"))
    assert ok(client.get(f"/v1/explain/erase_content/{digest}"))["versions"] == ["x@1"]
    receipt = ok(client.post(f"/v1/erase-content/{digest}", json={"reason": "asked to", "backups": "P30D"}))
    assert (receipt["versions"], receipt["reason"], receipt["backups"]) == (["x@1"], "asked to", "P30D")
    refused(client.get("/v1/components/x/main"), 410, "content_erased")
    refused(client.post(f"/v1/erase-content/{served.call(door.digest_of(b'none'))}"), 404, "content_not_found")


def test_a_hold_holds(client, put):
    put("x")
    held = ok(client.post("/v1/holds", json={"hold": "case-1", "target": "x@1"}))
    assert ok(client.get("/v1/holds"))["items"] == [held]
    refused(client.delete("/v1/artifacts/x@1"), 409, "still_used")
    ok(client.post("/v1/releases", json={"hold": "case-1", "target": "x@1"}))
    ok(client.delete("/v1/artifacts/x@1"))
    assert ok(client.get("/v1/holds", params={"released": True}))["items"][0]["hold"] == "case-1"


def test_retention(client, put):
    put("x", b"1")
    put("x", b"2")
    empty = client.get("/v1/retention")
    assert (empty.json(), empty.headers["ETag"]) == (None, '"0"')
    policy = {"policy": {"rules": [{"name": "last", "keep": {"last": 1}}]}}
    made = ok(client.put("/v1/retention", json=policy, headers={"If-None-Match": "*"}))
    assert made["revision"] == int(client.get("/v1/retention").headers["ETag"].strip('"'))
    other = {"policy": {"rules": [{"name": "last", "keep": {"last": 2}}]}}
    refused(client.put("/v1/retention", json=other, headers={"If-None-Match": "*"}), 412, "retention_moved")
    refused(client.put("/v1/retention", json={"policy": {"rules": 1}}), 400, "bad_retention")
    assert ok(client.get("/v1/retention/preview"))["totals"]["drops"] == 1
    ok(client.put("/v1/expiry/x@2", json={"after": 3600}))
    assert ok(client.put("/v1/expiry/x@2", json={}))["at"] is None
    assert ok(client.post("/v1/retention/apply"))["dropped"] == 1


def test_usage_operations_undo(client, put):
    put("x", b"12")
    put("y", b"12")
    assert ok(client.get("/v1/usage")) == {"artifacts": 2, "versions": 2, "logical_bytes": 4, "stored_bytes": 2}
    assert ok(client.get("/v1/shared"))["items"][0]["uses"] == 2
    ok(client.delete("/v1/artifacts/x@1"))
    (done,) = ok(client.get("/v1/operations", params={"op": "delete"}))["items"]
    undone = ok(client.post(f"/v1/undo/{done['id']}", json={"reason": "wrong one"}))
    assert undone["undoes"] == done["id"]
    ok(client.get("/v1/artifacts/x@1"))


# -- the platform ----------------------------------------------------------------------------------------------------------


def test_the_platform_gets_what_it_stored(client, served, tenant):
    from casstore.integrations.artifact_storage import ArtifactStorage

    result = {
        "result_type": "roadmap",
        "semantic_payload": {"phases": [{"id": "plan"}]},
        "renderings": {"roadmap_visual": {"image_base64": PNG}},
    }
    storage = ArtifactStorage(served.store)
    told = served.call(storage.store_artifact("roadmap", result, tenant, {"session_id": "s-1"}))
    path, picture = told["artifact_id"], told["visual_paths"]["roadmap_visual"]["storage_path"]
    assert ok(client.get(f"/api/artifacts/{path}", params={"include_visuals": True})) == result
    assert ok(client.get(f"/api/artifacts/{path}"))["renderings"]["roadmap_visual"]["storage_path"] == picture
    for shown in (picture, picture.replace("//", "/")):
        answer = client.get(f"/api/artifacts/visual/{shown.replace('#', '%23')}")
        assert (answer.content, answer.headers["Content-Type"]) == (base64.b64decode(PNG), "image/png")
    wanted = {"artifact_type": "roadmap", "session_id": "s-1", "limit": 10, "tenant_id": tenant}
    (listed,) = ok(client.get("/api/artifacts", params=wanted))
    assert listed["artifact_id"] == path
    assert ok(client.get("/api/artifacts", params={"session_id": "s-2"})) == []
    for foreign in ({"tenant_id": "somebody"},):
        assert ok(client.get("/api/artifacts", params=foreign)) == []
        refused(client.get(f"/api/artifacts/{path}", params=foreign), 404, "artifact_not_found")
    with served.client("somebody") as other:
        refused(other.get(f"/api/artifacts/{path}"), 404, "artifact_not_found")
        refused(other.get(f"/api/artifacts/visual/{picture.replace('#', '%23')}"), 404, "component_not_found")
