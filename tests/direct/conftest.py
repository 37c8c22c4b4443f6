"""A store on a bucket whose server knows the key that requests are signed with."""

from __future__ import annotations

import contextlib

import pytest
import requests

from casstore import AsyncStore
from casstore.testing.gcs import GcsServer
from tests.direct.google import ACCOUNT, Google


@pytest.fixture(scope="module")
def google():
    """Google, with a service account of ours."""
    with Google() as server:
        yield server


@pytest.fixture(scope="module")
def key_file(google, tmp_path_factory):
    """The key of that account."""
    path = tmp_path_factory.mktemp("key") / "key.json"
    path.write_text(google.key_file())
    return path


@pytest.fixture
def bucket(google, monkeypatch):
    """The server of a bucket "blobs" that takes what our key has signed, and nothing else that is signed."""
    with GcsServer(signing_keys={ACCOUNT: google.public_key}) as server:
        server.create_bucket("blobs")
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        yield server


@pytest.fixture
def opened(bucket, key_file, databases):
    """`async with opened() as store:` is a new store on that bucket."""

    @contextlib.asynccontextmanager
    async def opening(blobs=f"gs://blobs/here?credentials={key_file}", **options):
        with databases.fresh() as dsn:
            async with AsyncStore(blobs=blobs, catalog=dsn, **options) as store:
                yield store

    return opening


def upload(offer, data, *, url=None, **headers):
    """Do as the offer says; the status, and what the bucket says."""
    told = {name: value for name, value in (offer.headers | headers).items() if value is not None}
    answer = requests.request(offer.method, url or offer.url, data=data, headers=told, timeout=20)
    return answer.status_code, answer.text
