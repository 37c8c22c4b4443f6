"""The server as a process of its own, and inside the application of somebody else."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from casstore.cli.root import run as run_command
from casstore.errors import Code, Denied
from casstore.http import app
from casstore.http.access import Access
from casstore.http.server import listen, serve
from casstore.store import AsyncStore
from tests.http.conftest import Words
from tests.operations.test_webhooks import hang, receiving

PIECE = os.urandom(2**20)


def casstore(*arguments, **variables):
    command = [sys.executable, "-c", "from casstore.cli import main; main()", *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **variables}
    )


def told(*arguments, **variables):
    process = casstore(*arguments, **variables)
    out, error = process.communicate(timeout=60)
    return process.returncode, out, error


@pytest.fixture
def server(store_urls, tmp_path):
    """A process that serves, its URL and a token."""
    file = tmp_path / "tokens.json"
    code, token, error = told("token", "svc", "--tenant", "acme", "--scope", "read", "--scope", "add", "--tokens", file)
    assert code == 0, error
    where = ["--blobs", store_urls.blobs, "--catalog", store_urls.catalog]
    process = casstore("serve", "--port", 0, "--json", *where, CASSTORE_TOKENS=str(file))
    try:
        lines = [process.stdout.readline() for _ in range(3)]
        yield process, json.loads("".join(lines))["url"], token.strip()
    finally:
        process.kill()
        process.communicate()


def peak_bytes(process):
    text = Path(f"/proc/{process.pid}/status").read_text("ascii")
    return 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", text)[1])


def test_it_tells_events_and_ends_with_their_streams_open(server):
    process, url, token = server
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}) as client:
        assert client.put("/v1/artifacts/a", content=b"first").status_code == 201
        with client.stream("GET", "/v1/events?after=start", timeout=20) as answer:
            assert answer.status_code == 200, answer.read()
            assert "event: put" in answer.iter_lines()
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0


def test_it_sends_webhooks_beside_and_ends_while_one_hangs(run, store_urls):
    async def hook(url):
        async with AsyncStore(blobs=store_urls.blobs, catalog=store_urls.catalog) as store:
            await store.tenant("acme").add_webhook(url, by="ops", allow_private=True, allow_http=True)

    where = ["--blobs", store_urls.blobs, "--catalog", store_urls.catalog]
    guard = ["--webhooks", "--allow-private", "--allow-http"]
    with receiving() as receiver:
        run(hook(receiver.url))
        process = casstore("serve", "--port", 0, "--json", "--insecure-dev-tenant", "acme", *where, *guard)
        try:
            url = json.loads("".join(process.stdout.readline() for _ in range(3)))["url"]
            httpx.put(f"{url}/v1/artifacts/a", content=b"1").raise_for_status()
            receiver.wait_taken(1)
            assert receiver.told == [("put", "a@1")]
            receiver.then = [hang]
            httpx.put(f"{url}/v1/artifacts/a", content=b"2").raise_for_status()
            receiver.wait(2)
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        finally:
            process.kill()
            process.communicate()


def test_what_is_there_before_the_first_request_is_no_garbage_while_it_serves(run):
    frozen = []

    async def ends():
        await asyncio.sleep(0)  # the server is up, and what runs beside it over at once

    run(
        asyncio.wait_for(
            serve(FastAPI(), "127.0.0.1", 0, ready=lambda _: frozen.append(gc.get_freeze_count()), beside=ends), 20
        )
    )
    assert frozen[0] > 10_000
    assert gc.get_freeze_count() == 0  # whoever called it goes on as before


def test_what_runs_beside_ends_the_server_when_it_fails(run):
    async def fails():
        await asyncio.sleep(0.1)  # not at once: the server is up
        raise Denied(Code.NOT_PERMITTED, "not you")

    urls = []
    with pytest.raises(Denied, match="not you"):
        run(asyncio.wait_for(serve(FastAPI(), "127.0.0.1", 0, ready=urls.append, beside=fails), 20))
    assert urls


def test_addresses_are_allowed_to_webhooks_alone(capsys):
    assert run_command(["serve", "--allow-http"]) == 2
    assert "--webhooks" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_large_content_passes_in_little_memory(server):
    process, url, token = server
    pieces = 96
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=60) as client:
        client.put("/v1/artifacts/small", content=PIECE).raise_for_status()
        assert client.get("/v1/components/small/main").content == PIECE
        before = peak_bytes(process)
        client.put("/v1/artifacts/large", content=(PIECE for _ in range(pieces))).raise_for_status()
        client.post(
            "/v1/artifacts/form", files={"main": ("f", _Pieces(pieces), "application/octet-stream")}
        ).raise_for_status()
        with client.stream("GET", "/v1/components/large/main") as answer:
            assert sum(map(len, answer.iter_bytes())) == pieces * len(PIECE)
        assert peak_bytes(process) - before < 64 * 2**20
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


class _Pieces:
    """A file of many equal pieces, as httpx reads one."""

    def __init__(self, count):
        self._left = count * len(PIECE)

    def read(self, size=-1):
        part = PIECE[: min(len(PIECE), self._left, size if size > 0 else self._left)]
        self._left -= len(part)
        return part


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "localhost", "192.0.2.1"])
def test_anybody_is_let_in_on_this_machine_alone(host, capsys):
    assert run_command(["serve", "--host", host, "--insecure-dev-tenant", "acme"]) == 2
    assert "[bad_config]" in capsys.readouterr().err


def test_without_a_token_this_machine_is_asked_by_its_own_name(store_urls):
    """A page whose name leads to this machine could else read all there is: to a browser it asks its own origin."""
    where = ["--blobs", store_urls.blobs, "--catalog", store_urls.catalog]
    process = casstore("serve", "--port", 0, "--json", "--insecure-dev-tenant", "acme", *where)
    try:
        url = json.loads("".join(process.stdout.readline() for _ in range(3)))["url"]
        port = url.rpartition(":")[2]
        for path in ("/v1/session", "/"):
            for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}"):
                assert httpx.get(url + path, headers={"Host": host}).status_code == 200, host
            for host in (f"evil.example:{port}", "127.0.0.1.evil.example", "localhost.evil.example", "192.0.2.1"):
                assert httpx.get(url + path, headers={"Host": host}).status_code == 403, host
    finally:
        process.kill()
        process.communicate()


def test_an_answer_does_not_wait_for_its_head_to_be_acknowledged():
    """Each answer on a connection that was kept took 44 ms: asyncio had left Nagle's algorithm on."""
    with listen("127.0.0.1", 0) as server, socket.create_connection(server.getsockname()):
        connection, _ = server.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_server_that_would_let_nobody_in_does_not_start(capsys):
    assert run_command(["serve"]) == 2
    assert "nobody may come in" in capsys.readouterr().err


def test_it_may_be_mounted(run, store_urls):
    """Under the path of the platform's interface its own routes have no prefix, and answers say where what was made is."""

    async def main():
        async with AsyncStore(blobs=store_urls.blobs, catalog=store_urls.catalog) as store:
            host = FastAPI()
            host.mount("/api", app(store, access=Access([Words()]), platform_prefix=""))
            transport = httpx.ASGITransport(host)
            headers = {"Authorization": "Bearer acme"}
            async with httpx.AsyncClient(transport=transport, base_url="http://host", headers=headers) as client:
                made = await client.put("/api/v1/artifacts/x", content=b"1")
                assert made.headers["Location"] == "/api/v1/artifacts/x@1"
                assert (await client.get(made.headers["Location"])).json()["ref"] == "x@1"
                assert [each["version"] for each in (await client.get("/api/artifacts")).json()] == [1]
                assert (await client.get("/api/nowhere")).json()["code"] == "route_not_found"
                large = await client.post("/api/v1/holds", content=b" " * (2**20 + 1))
                assert large.status_code == 413

    run(main())
