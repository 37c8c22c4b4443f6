"""`casstore.connect` uploads large contents straight to the bucket, and gets along without."""

from __future__ import annotations

import asyncio
import http.server
import threading
from concurrent.futures import Future
from datetime import timedelta

import pytest

import casstore
from casstore import Components, limits
from casstore.client.line import Line
from casstore.client.sending import Document
from casstore.http.access import Access
from casstore.testing.gcs import status
from tests.http.conftest import Words, _run, serve, served, tenant

__all__ = ["serve", "served", "tenant"]  # fixtures

LARGE, SMALL = b"large" * 60_000, b"small"


@pytest.fixture
def remote(bucket, key_file, databases, monkeypatch):
    """A tenant of a server on that bucket, to whom 100,000 bytes are large."""
    monkeypatch.setattr(limits, "CLIENT_DIRECT_BYTES", 100_000)
    up, halt = Future(), threading.Event()
    with databases.fresh() as dsn:
        blobs = f"gs://blobs/here?credentials={key_file}"
        thread = threading.Thread(target=_run, args=(up, halt, blobs, dsn, Access([Words()]), {}))
        thread.start()
        try:
            with casstore.connect(up.result(60).url, token="t") as tenant:
                yield tenant
        finally:
            halt.set()
            thread.join(30)
            assert not thread.is_alive()


def uploads(bucket):
    """What came to the bucket: how often directly, and in how many requests by the server."""
    to_blobs = [seen for seen in bucket.requests if seen.operation == "upload" and seen.body_bytes >= len(LARGE)]
    return sum("/incoming/" in seen.name for seen in to_blobs), sum("/incoming/" not in seen.name for seen in to_blobs)


def test_what_is_large_goes_straight(remote, bucket, tmp_path):
    stored = remote.put("x", LARGE, labels={"a": "b"}, media_type="text/plain")
    assert (stored.labels, stored.components[0].media_type, uploads(bucket)) == ({"a": "b"}, "text/plain", (1, 0))
    assert remote.get("x").bytes() == LARGE
    (tmp_path / "file").write_bytes(LARGE + b"2")
    remote.put("y", Components(a=tmp_path / "file", b=SMALL), idempotency_key="k")
    assert [remote.get(f"y#{role}").bytes() for role in "ab"] == [LARGE + b"2", SMALL]
    assert uploads(bucket) == (2, 0)
    assert remote.put("y", Components(a=tmp_path / "file", b=SMALL), idempotency_key="k").repeated


def test_where_the_bucket_refuses_it_goes_through_the_server(remote, bucket):
    bucket.faults.add(status(503), operation="upload", times=1)
    remote.put("x", LARGE)
    assert remote.get("x").bytes() == LARGE
    assert uploads(bucket) == (1, 1)


def test_a_folder_is_asked_once_and_takes_it_as_ever(served, tenant, monkeypatch):
    monkeypatch.setattr(limits, "CLIENT_DIRECT_BYTES", 100_000)
    asked = []
    monkeypatch.setattr(Line, "ask", _noted(Line.ask, asked))
    with casstore.connect(served.url, token=tenant) as found:
        for number in range(2):
            found.put("x", LARGE + bytes([number]))
            assert found.get("x").bytes() == LARGE + bytes([number])
    assert asked.count("/uploads") == 1


def _noted(ask, asked):
    async def noted(self, request):
        asked.append(request.path)
        return await ask(self, request)

    return noted


def test_no_token_goes_elsewhere_nor_anything_without_tls():
    seen = []

    class Elsewhere(http.server.BaseHTTPRequestHandler):
        def do_PUT(self):
            seen.append((dict(self.headers), self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(302)
            self.send_header("location", "/other")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    place = f"http://127.0.0.1:{server.server_address[1]}/x"

    async def sent(url):
        line = Line(url, "secret-token", time_limit=timedelta(seconds=5), progress=None, insecure=True)
        return await line.send_elsewhere(place, {"x-signed": "1"}, Document(b"bytes"))

    try:
        assert not asyncio.run(sent("http://server"))  # a redirect is not followed, and nothing was stored
        ((headers, body),) = seen
        assert (headers["x-signed"], body) == ("1", b"bytes")
        assert "secret-token" not in str(headers)
        assert not asyncio.run(sent("https://server"))
        assert len(seen) == 1
    finally:
        server.shutdown()
        server.server_close()
