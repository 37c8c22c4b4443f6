"""The straight way answers what the framework's way answers: to the byte, whatever is asked."""

from __future__ import annotations

import asyncio
from itertools import product

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from casstore import AsyncStore
from casstore.http import app
from casstore.http.access import Access
from casstore.http.straight import Straight
from tests.http.conftest import Words

DIGITS = b"0123456789"


def by_framework(application):
    """The same application without the straight way."""
    application.user_middleware = [each for each in application.user_middleware if each.cls is not Straight]
    return application


@pytest.fixture(scope="module")
def ways(databases, new_blobs):
    """Ask an application both ways: `ask(method, path, headers)` answers the two answers."""
    with databases.fresh() as dsn, asyncio.Runner() as runner:
        store = AsyncStore(blobs=new_blobs(), catalog=dsn)
        runner.run(store.open())

        async def prepare():
            tenant = store.tenant("t")
            for name in ("x", "a/b", "gone"):
                await tenant.put(name, DIGITS)
            await tenant.put("x", b"<html></html>", media_type="text/html")
            await tenant.delete("gone@1", by="me")

        runner.run(prepare())

        def made():
            return app(store, access=Access([Words()]))

        straight, framework = made(), by_framework(made())
        mounted = []
        for inner in (straight, framework):
            host = FastAPI()
            host.mount("/store", inner)
            mounted.append(host)

        async def answer(application, method, path, headers):
            transport = httpx.ASGITransport(application)
            async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
                found = await client.request(method, path, headers=headers)
            told = {name: value for name, value in found.headers.items() if name != "x-request-id"}
            return found.status_code, told, found.content

        def ask(method, path, headers, *, is_mounted=False):
            pair = mounted if is_mounted else (straight, framework)
            prefix = "/store" if is_mounted else ""
            return [runner.run(answer(each, method, prefix + path, headers)) for each in pair]

        yield ask
        runner.run(store.aclose())


TOKENS = ({}, {"Authorization": "Bearer t"}, {"Authorization": "Bearer other"}, {"Authorization": "Bearer t:add"})
PATHS = [f"/v1/components/{ref}" for ref in ("x/main", "x@1/main", "a/b/main", "gone/main", "none/main", "x@9/main")]
PATHS += [
    f"/v1/components/{ref}" for ref in ("x/none", "x//main", "/main", "x/", "x", "", "x%23main/main", "x@1/main/")
]
ASKED = (
    {},
    {"Range": "bytes=2-4"},
    {"Range": "bytes=99-"},
    {"If-None-Match": "*"},
    {"Range": "bytes=1-", "If-Range": "z"},
)


@pytest.mark.parametrize("path", PATHS)
def test_both_ways_answer_the_same(ways, path):
    for method, token, asked in product(("GET", "HEAD", "POST", "DELETE", "OPTIONS"), TOKENS, ASKED):
        for is_mounted in (False, True):
            straight, framework = ways(method, path, token | asked, is_mounted=is_mounted)
            assert straight == framework, (method, path, token, asked, is_mounted)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.text(st.sampled_from("xmainb/@1#%:~.é ?&"), max_size=16), st.sampled_from(["GET", "HEAD"]))
@example("x@1/main?a=b", "GET")
def test_whatever_the_path(ways, rest, method):
    path = "/v1/components/" + rest.replace("%", "%25").replace("#", "%23")
    straight, framework = ways(method, path, TOKENS[1])
    assert straight == framework


def test_small_bytes_come_the_straight_way(ways, monkeypatch):
    """The comparison above would hold, too, if nothing ever went it."""
    taken = []
    monkeypatch.setattr(Straight, "__call__", _noted(Straight.__call__, taken))
    ways("GET", "/v1/components/x@1/main", TOKENS[1])
    ways("GET", "/v1/components/x@1/main", TOKENS[1], is_mounted=True)
    assert taken == ["/v1/components/{ref:path}/{role}"] * 2


def _noted(call, taken):
    async def noted(self, scope, receive, send):
        self._app = None  # what is left to the framework fails
        await call(self, scope, receive, send)
        taken.append(scope["route"].path)

    return noted
