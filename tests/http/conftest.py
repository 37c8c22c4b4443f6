"""A real server on a real store: uvicorn in a thread, one for the whole run, and a tenant of its own for each test."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from uuid import uuid4

import httpx
import pytest
import uvicorn

from casstore.http import app
from casstore.http.access import SCOPES, Access, Principal
from casstore.http.server import listen
from casstore.store import AsyncStore


class Words:
    """Tokens of tests: `tenant` or `tenant:scope,scope`."""

    async def principal(self, token: str) -> Principal | None:
        tenant, _, scopes = token.partition(":")
        return Principal(tenant, f"tester of {tenant}", frozenset(scopes.split(",")) if scopes else SCOPES)


@dataclass(frozen=True)
class Served:
    """Where the server is, and what it serves."""

    url: str
    store: AsyncStore
    loop: asyncio.AbstractEventLoop

    def call(self, work):
        """Run a coroutine on the server's loop, beside its requests."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def client(self, token=None):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30)


@pytest.fixture(scope="session")
def serve(databases, new_blobs):
    """`with serve(access) as served:` is a server on a fresh store."""
    import contextlib

    @contextlib.contextmanager
    def serving(access, **options):
        with databases.fresh() as dsn:
            up: Future = Future()
            halt = threading.Event()
            thread = threading.Thread(target=_run, args=(up, halt, new_blobs(), dsn, access, options))
            thread.start()
            try:
                yield up.result(60)
            finally:
                halt.set()
                thread.join(30)
                assert not thread.is_alive()

    return serving


def _run(up, halt, blobs, catalog, access, options):
    async def main():
        async with AsyncStore(blobs=blobs, catalog=catalog) as store:
            config = uvicorn.Config(app(store, access=access, **options), log_config=None, lifespan="off")
            server = uvicorn.Server(config)
            with listen("127.0.0.1", 0) as bound:
                serving = asyncio.create_task(server.serve(sockets=[bound]))
                port = bound.getsockname()[1]
                up.set_result(Served(f"http://127.0.0.1:{port}", store, asyncio.get_running_loop()))
                await asyncio.to_thread(halt.wait)
                server.should_exit = True
                await serving

    try:
        asyncio.run(main())
    except BaseException as error:
        if up.done():
            raise
        up.set_exception(error)


@pytest.fixture(scope="session")
def served(serve) -> Iterator[Served]:
    """The server of all tests that ask for nothing special."""
    with serve(Access([Words()])) as found:
        yield found


@pytest.fixture
def tenant() -> str:
    return f"t-{uuid4().hex[:12]}"


@pytest.fixture
def client(served, tenant) -> Iterator[httpx.Client]:
    with served.client(tenant) as found:
        yield found
