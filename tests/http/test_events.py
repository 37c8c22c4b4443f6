"""Events over HTTP: a stream that goes on where it was, by a real server."""

from __future__ import annotations

import json

import httpx
import pytest

from casstore.http.access import Access
from casstore.http.events import make_router
from tests.http.conftest import Words


@pytest.fixture(scope="module")
def streaming(serve):
    with serve(Access([Words()]), routers=[make_router(most=1, beat_s=0.2)]) as found:
        yield found


def told(lines, count):
    found, event = [], {}
    for line in lines:
        if line.startswith(("id: ", "event: ", "data: ")):
            name, _, value = line.partition(": ")
            event[name] = value
        elif not line and event:
            found.append(event)
            event = {}
            if len(found) == count:
                return found
    raise AssertionError(found)


def test_a_stream_tells_what_comes_goes_on_and_ends_with_its_client(streaming):
    t = streaming.store.tenant("streamed")
    streaming.call(t.put("a", b"1"))
    with streaming.client("streamed") as client:
        with client.stream("GET", "/v1/events?after=start") as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            lines = answer.iter_lines()
            first, *_ = told(lines, 1)
            streaming.call(t.put("a", b"2"))
            second, *_ = told(lines, 1)
            assert next(line for line in lines if line.startswith(": still")) == ": still here"
            assert httpx.get(f"{streaming.url}/v1/events", headers=client.headers).status_code == 503
        assert [json.loads(e["data"])["ref"] for e in (first, second)] == ["a@1", "a@2"]
        while (answer := go_on(client, first["id"])) is None:
            pass  # the server has not seen yet that we went
        assert answer == [second]
        assert client.get("/v1/events", headers={"Last-Event-ID": "nonsense"}).status_code in (400, 503)
    assert httpx.get(f"{streaming.url}/v1/events").status_code == 401


def go_on(client, cursor):
    with client.stream("GET", "/v1/events", headers={"Last-Event-ID": cursor}) as answer:
        return told(answer.iter_lines(), 1) if answer.status_code == 200 else None
