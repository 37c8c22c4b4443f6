"""What the tests of faults share: a Cloud Storage of a test's own, where faults can be asked for."""

from __future__ import annotations

from datetime import timedelta

import pytest

from casstore.blobs import gcs
from casstore.blobs.gcs_attempts import Patience
from casstore.testing.gcs import GcsServer


@pytest.fixture
def bucket(monkeypatch):
    """A server with the bucket "blobs", where Google's client finds it, here and in processes that are started."""
    with GcsServer() as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        server.create_bucket("blobs")
        yield server


@pytest.fixture
def patience(monkeypatch):
    """`patience(seconds)`: how long stores that are opened from now on repeat a request to a bucket."""
    pauses = {"first_pause": timedelta(seconds=0.01), "longest_pause": timedelta(seconds=0.05)}

    def have(seconds: float) -> None:
        monkeypatch.setattr(gcs, "Patience", lambda: Patience(deadline=timedelta(seconds=seconds), **pauses))

    have(20)
    return have
