"""A line to the server that is cut, alters what passes, or is slow: nothing wrong is handed over, and each put is there once."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

import casstore
from casstore import limits
from casstore.errors import Code, Corrupt, Unavailable
from casstore.http.access import Access
from casstore.http.guard import Bounds
from tests.http.conftest import Words
from tests.http.test_guard import Raw, under_way, wait_until

LARGE = bytes(range(256)) * 12_000


class Between:
    """A proxy that does something to connections: `on_request(data)` and `on_answer(data)` give what passes, or None to cut."""

    def __init__(self, url):
        self._host, self._port = urlsplit(url).hostname, urlsplit(url).port
        self.on_request = self.on_answer = lambda data: data
        self.connections = 0
        self._sessions = set()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *exc):
        self._server.close()
        await asyncio.gather(*self._sessions)

    async def _serve(self, reader, writer):
        self.connections += 1
        self._sessions.add(asyncio.current_task())
        answers, requests = await asyncio.open_connection(self._host, self._port)
        pumps = [  # what is to be done may change while it runs
            asyncio.create_task(self._pump(reader, requests, lambda data: self.on_request(data))),  # noqa: PLW0108
            asyncio.create_task(self._pump(answers, writer, lambda data: self.on_answer(data))),  # noqa: PLW0108
        ]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for each in pumps:
            each.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        requests.transport.abort()
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await asyncio.gather(requests.wait_closed(), writer.wait_closed())

    async def _pump(self, reader, writer, look):
        with contextlib.suppress(OSError):
            while data := await reader.read(2**16):
                passed = look(data)
                if passed is None:
                    return
                writer.write(passed)
                await writer.drain()


def through(run, served, tenant, work, **options):
    async def main():
        async with Between(served.url) as between, casstore.connect_async(between.url, token=tenant, **options) as door:
            return await work(between, door)

    return run(main())


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(limits, "CLIENT_FIRST_PAUSE_S", 0.001)


def once(word, change):
    """Change the first piece that has this word; the others pass."""
    left = [word]

    def look(data):
        if left and left[0] in data:
            left.clear()
            return change(data)
        return data

    look.left = left
    return look


@pytest.mark.parametrize("verb", ["put", "transaction"])
@pytest.mark.parametrize("where", ["request", "answer"])
def test_a_put_whose_line_is_cut_is_there_once(run, served, tenant, verb, where):
    async def work(between, door):
        if where == "request":
            between.on_request = look = once(b"CONTENT", lambda _: None)
        else:
            between.on_answer = look = once(b'"number":', lambda _: None)
        if verb == "put":
            stored = await door.put("a", b"CONTENT", on_same="new_version")
        else:
            async with door.transaction() as tx:
                pending = await tx.put("a", casstore.Part("CONTENT" * 20_000), on_same="new_version")
            stored = pending.stored
        assert not look.left  # it was cut
        assert (stored.ref, stored.repeated) == ("a@1", False)
        assert [each.number for each in await door.history("a")] == [1]

    through(run, served, tenant, work)


@pytest.mark.parametrize("key", [None, "once"])
@pytest.mark.parametrize("verb", ["apply", "merge"])
def test_a_version_made_of_others_whose_answer_is_lost_is_there_once(run, served, tenant, verb, key):
    async def work(between, door):
        first = await door.put("a", {"k": 1, "l": 1})
        await door.put("b", {"k": 1, "l": 2}, sources=[first])
        between.on_answer = look = once(b'"repeated":', lambda _: None)
        if verb == "apply":
            patch = [{"op": "test", "path": "/k", "value": 1}, {"op": "replace", "path": "/k", "value": 2}]
            stored = await door.apply("a", patch, idempotency_key=key)
        else:
            stored = (await door.merge("a", "b", idempotency_key=key)).stored
        assert not look.left  # it was cut
        assert (stored.ref, stored.repeated) == ("a@2", key is not None)
        assert [each.number for each in await door.history("a")] == [2, 1]

    through(run, served, tenant, work)


def test_what_has_no_key_is_not_repeated(run, served, tenant):
    async def work(between, door):
        await door.put("a", b"1")
        between.on_answer = once(b'"pointer":', lambda _: None)
        with pytest.raises(Unavailable) as caught:
            await door.alias("a", "prod")
        assert caught.value.code is Code.SERVER_UNAVAILABLE
        assert (await door.alias("a", "prod")).number == 1

    through(run, served, tenant, work)


@pytest.mark.parametrize(
    "data", [b"the CONTENT", b"the CONTENT" + LARGE, LARGE + b"the CONTENT"], ids=["small", "first", "last"]
)
def test_altered_bytes_are_corrupt(run, served, tenant, data):
    async def work(between, door):
        await door.put("a", data)
        artifact = await door.get("a")
        between.on_answer = look = once(b"CONTENT", lambda piece: piece.replace(b"CONTENT", b"CONTENU"))
        with pytest.raises(Corrupt) as caught:
            await artifact.bytes()
        assert (caught.value.code, look.left) == (Code.BLOB_ALTERED, [])
        assert await artifact.bytes() == data

    through(run, served, tenant, work)


def test_bytes_altered_on_their_way_up_are_corrupt(run, served, tenant):
    async def work(between, door):
        between.on_request = once(b"CONTENT", lambda piece: piece.replace(b"CONTENT", b"CONTENU"))
        with pytest.raises(Corrupt) as caught:
            await door.put("a", b"CONTENT")
        assert caught.value.code is Code.BLOB_ALTERED

    through(run, served, tenant, work)


def test_an_altered_version_is_corrupt(run, served, tenant):
    async def work(between, door):
        digest = str((await door.put("a", b"1")).components[0].digest).encode()
        between.on_answer = once(
            digest, lambda piece: piece.replace(digest, digest[:-1] + (b"0" if digest[-1:] != b"0" else b"1"))
        )
        with pytest.raises(Corrupt):
            await door.get("a")
        assert await (await door.get("a")).bytes() == b"1"

    through(run, served, tenant, work)


def test_a_download_that_breaks_goes_on(run, served, tenant):
    async def work(between, door):
        await door.put("a", LARGE)
        artifact = await door.get("a")
        passed, cuts = [0], [0]

        def cut(data):
            passed[0] += len(data)
            if cuts[0] < 2 and passed[0] > len(LARGE) // 3:
                cuts[0], passed[0] = cuts[0] + 1, 0
                return None
            return data

        between.on_answer, before = cut, between.connections
        assert await artifact.bytes() == LARGE
        assert (cuts[0], between.connections) == (2, before + 2)

    through(run, served, tenant, work)


def test_a_server_that_says_nothing(run, served, tenant):
    async def work(between, door):
        between.on_answer = lambda _: b""
        loop = asyncio.get_running_loop()
        begin = loop.time()
        with pytest.raises(Unavailable, match="in time") as caught:
            await door.put("a", b"1")
        assert caught.value.code is Code.SERVER_UNAVAILABLE
        assert loop.time() - begin < 10

    through(run, served, tenant, work, time_limit=timedelta(seconds=0.4))


@pytest.fixture(scope="module")
def narrow(serve):
    """`narrow[429]`, `narrow[503]`: servers that answer one request of a caller, or of all, at once, and refuse others so."""
    with (
        serve(Access([Words()]), metrics=True, bounds=Bounds(at_once_of_one=1)) as of_one,
        serve(Access([Words()]), metrics=True, bounds=Bounds(at_once=1)) as of_all,
    ):
        yield {429: of_one, 503: of_all}


@pytest.mark.parametrize("status", [429, 503])
def test_who_is_told_to_wait_waits_and_is_served(run, narrow, tenant, status):
    async def work(between, door):
        await door.put("a", b"1")
        with Raw(narrow[status], tenant, "PUT /v1/artifacts/b", **{"Content-Length": 10}) as busy:
            await asyncio.to_thread(wait_until, lambda: under_way(narrow[status]) == 1)
            refusal = b" %d " % status

            def make_way(data):
                if refusal in data:
                    refused.append(data)
                    busy.send(b"0123456789")
                return data

            refused, between.on_answer = [], make_way
            stored = await door.put("a", b"2")
        assert len(refused) == 1
        assert b"\r\nretry-after: 1\r\n" in refused[0]
        assert (stored.number, stored.repeated) == (2, False)

    through(run, narrow[status], tenant, work)


@pytest.mark.parametrize("status", [429, 503])
def test_who_was_told_to_wait_too_often_is_told_why(run, narrow, tenant, status, monkeypatch):
    monkeypatch.setattr(limits, "CLIENT_ATTEMPTS", 2)

    async def work(_between, door):
        with Raw(narrow[status], tenant, "PUT /v1/artifacts/b", **{"Content-Length": 10}):
            await asyncio.to_thread(wait_until, lambda: under_way(narrow[status]) == 1)
            with pytest.raises(Unavailable) as caught:
                await door.put("a", b"1")
        assert caught.value.code == {429: Code.TOO_MANY_REQUESTS, 503: Code.SERVER_BUSY}[status]
        assert caught.value.retryable

    through(run, narrow[status], tenant, work)
