"""Putting, listing and reading over HTTP."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest

from casstore.model import Digest


def test_what_was_put_is_read(client):
    answer = client.put("/v1/artifacts/workflow/x", content=b'{"a": 1}', headers={"Content-Type": "application/json"})
    assert answer.status_code == 201, answer.text
    stored = answer.json()
    assert (stored["ref"], answer.headers["ETag"], stored["size_bytes"]) == ("workflow/x@1", '"1"', 8)
    assert client.get(answer.headers["Location"]).json()["id"] == stored["id"]
    read = client.get("/v1/components/workflow/x@1/main")
    assert (read.status_code, read.content, read.headers["Content-Type"]) == (200, b'{"a": 1}', "application/json")
    assert read.headers["ETag"] == f'"{Digest.of(read.content)}"'
    again = client.put("/v1/artifacts/workflow/x", content=b'{"a": 1}', headers={"Content-Type": "application/json"})
    assert (again.status_code, again.json()["reused"]) == (200, True)
    (listed,) = client.get("/v1/artifacts").json()["items"]
    assert listed["ref"] == "workflow/x@1"


def test_a_version_is_expected(client):
    client.put("/v1/artifacts/x", content=b"1", headers={"If-None-Match": "*"}).raise_for_status()
    lost = client.put("/v1/artifacts/x", content=b"2", headers={"If-None-Match": "*"})
    assert (lost.status_code, lost.json()["code"]) == (412, "head_moved")
    won = client.put("/v1/artifacts/x", content=b"2", headers={"If-Match": '"1"'})
    assert won.json()["number"] == 2


def test_a_put_says_how_long_in_every_form(client):
    part = {"main": {"text": "x"}}
    form = {"data": {"request": json.dumps({"ttl": "30d"})}, "files": {"main": ("f", b"x", "text/plain")}}
    step = {"steps": [{"put": {"name": "d", "components": part, "ttl": "4w"}}]}
    made = [
        client.put("/v1/artifacts/a?ttl=12h", content=b"x").json(),
        client.post("/v1/artifacts/b", json={"components": part, "ttl": 3600}).json(),
        client.post("/v1/artifacts/c", **form).json(),
        *client.post("/v1/transactions", json=step).json()["items"],
    ]
    lives = [datetime.fromisoformat(v["expires_at"]) - datetime.fromisoformat(v["created_at"]) for v in made]
    assert lives == [timedelta(hours=12), timedelta(hours=1), timedelta(days=30), timedelta(days=28)]
    for bad in (0, -1, 1.5, True, "month", "3600", "0s", "5300w", "9999999999w", [1]):
        answers = [
            client.post("/v1/artifacts/z", json={"components": part, "ttl": bad}),
            client.put("/v1/artifacts/z", params={"ttl": str(bad)}, content=b"x"),
        ]
        assert [answer.status_code for answer in answers] == [400, 400], bad
        assert all(answer.json()["code"] == "bad_argument" for answer in answers)
    assert client.get("/v1/artifacts/z").status_code == 404


def test_conditions_and_ranges(client):
    data = bytes(range(256)) * 1000
    client.put("/v1/artifacts/x", content=data).raise_for_status()
    path = "/v1/components/x@1/main"
    whole = client.get(path)
    assert whole.content == data
    assert client.get(path, headers={"If-None-Match": whole.headers["ETag"]}).status_code == 304
    for asked, start, end in (
        ("0-9", 0, 10),
        ("255990-", 255990, 256000),
        ("-5", 255995, 256000),
        ("5-999999", 5, 256000),
    ):
        part = client.get(path, headers={"Range": f"bytes={asked}"})
        assert (part.status_code, part.content) == (206, data[start:end]), asked
        assert part.headers["Content-Range"] == f"bytes {start}-{end - 1}/256000"
    beyond = client.get(path, headers={"Range": "bytes=256000-"})
    assert (beyond.status_code, beyond.headers["Content-Range"]) == (416, "bytes */256000")
    head = client.head(path)
    assert (head.headers["Content-Length"], head.content) == ("256000", b"")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/artifacts/nothing", 404, "artifact_not_found"),
        ("/v1/artifacts/..%2Fx", 400, "bad_name"),
        ("/v1/artifacts?limit=0", 400, "bad_argument"),
        ("/nowhere", 404, "route_not_found"),
    ],
)
def test_errors_are_problems(client, path, status, code):
    answer = client.get(path)
    problem = answer.json()
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_who_has_no_token_has_nothing(served):
    with served.client() as client:
        answer = client.get("/v1/artifacts")
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_scope_is_needed(served, tenant):
    with served.client(f"{tenant}:read") as client:
        assert client.put("/v1/artifacts/x", content=b"1").json()["code"] == "not_permitted"
        assert client.get("/v1/session").json() == {
            "tenant": tenant,
            "actor": f"tester of {tenant}",
            "scopes": ["read"],
        }


def test_a_browser_logs_in_and_is_kept_from_others_pages(served, tenant):
    with httpx.Client(base_url=served.url) as browser:
        answer = browser.post("/login", data={"token": tenant}, headers={"Sec-Fetch-Site": "same-origin"})
        assert answer.status_code == 303, answer.text
        assert "HttpOnly" in answer.headers["Set-Cookie"]
        assert browser.put("/v1/artifacts/x", content=b"1").status_code == 201
        for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://elsewhere.example"}):
            assert browser.put("/v1/artifacts/x", content=b"2", headers=headers).status_code == 403


@pytest.mark.parametrize("size", [1000, 3_000_000])
def test_the_end_of_what_is_damaged_never_comes(served, client, size):
    url = served.store.settings.blobs
    if not url.startswith("file://"):
        pytest.skip("damages a file")
    content = bytes([size % 251]) * size
    client.put("/v1/artifacts/x", content=content).raise_for_status()
    (file,) = Path(url.removeprefix("file://")).rglob(f"*{Digest.of(content).hex()}*")
    file.chmod(0o600)
    file.write_bytes(content[:-1] + b"!")
    if size < 2**20:
        answer = client.get("/v1/components/x/main")
        assert (answer.status_code, answer.json()["code"]) == (500, "blob_altered")
    else:
        with pytest.raises(httpx.RemoteProtocolError):
            client.get("/v1/components/x/main")
    client.put("/v1/artifacts/x", content=content).raise_for_status()
    assert client.get("/v1/components/x/main").content == content
