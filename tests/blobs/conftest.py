"""What the tests of the blob stores share."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from casstore.blobs.gcs import GcsBlobs
from casstore.blobs.gcs_attempts import Patience
from casstore.blobs.local import LocalBlobs
from casstore.testing.gcs import GcsServer

HURRIED = Patience(
    connect=timedelta(seconds=1),
    silence=timedelta(seconds=0.5),
    deadline=timedelta(seconds=1),
    first_pause=timedelta(seconds=0.01),
    longest_pause=timedelta(seconds=0.05),
)


@pytest.fixture
def drive():
    """Run `await work(store)` on a local store of its own, opened at `root` and closed afterwards."""

    def drive(root, work):
        async def main():
            store = await LocalBlobs.connect(Path(root))
            try:
                return await work(store)
            finally:
                await store.aclose()

        return asyncio.run(main())

    return drive


@pytest.fixture
def gcs(monkeypatch):
    """A Cloud Storage with a bucket "blobs", where Google's client finds it."""
    with GcsServer() as server:
        server.create_bucket("blobs")
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        yield server


@pytest.fixture
def connect(gcs):
    """Open a store on that Cloud Storage that gives up soon: `await connect(url, deadline=…)`."""
    return lambda url="gs://blobs/here", **patience: GcsBlobs.connect(url, replace(HURRIED, **patience))


@pytest.fixture
def drive_gcs(connect):
    """Run `await work(store)` on such a store, closed afterwards."""

    def drive(work, *where, **patience):
        async def main():
            store = await connect(*where, **patience)
            try:
                return await work(store)
            finally:
                await store.aclose()

        return asyncio.run(main())

    return drive
