"""The blob store contract, for every backend we have."""

from __future__ import annotations

import os
import secrets
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from google.cloud import storage

from casstore.blobs import BlobStore, open_blobs
from casstore.testing import conformance
from casstore.testing.memory import MemoryBlobs, MemoryPlace

REAL_BUCKET = os.environ.get("CASSTORE_TEST_BUCKET", "")  # a bucket of yours, where prefixes may be filled and emptied


class Local(conformance.Harness):
    def __init__(self, root: Path) -> None:
        self.root = root

    async def open(self) -> BlobStore:
        return await open_blobs(self.root.as_uri())

    async def plant(self, key: str, data: bytes) -> None:
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    async def take_away(self) -> None:
        shutil.rmtree(self.root)


class Memory(conformance.Harness):
    def __init__(self, root: Path) -> None:
        self.place = MemoryPlace()

    async def open(self) -> BlobStore:
        return MemoryBlobs(self.place)

    async def plant(self, key: str, data: bytes) -> None:
        self.place.write(key, data)

    async def take_away(self) -> None:
        self.place.reachable = False


class Gcs(conformance.Harness):
    def __init__(self, server, connect) -> None:
        self.server, self.connect = server, connect

    async def open(self) -> BlobStore:
        return await self.connect(deadline=timedelta(seconds=0.1))  # what is gone is asked for in vain

    async def plant(self, key: str, data: bytes) -> None:
        self.server.write("blobs", f"here/{key}", data)

    async def take_away(self) -> None:
        self.server.stop_answering()


class GcsWithoutItsBucket(Gcs):
    async def take_away(self) -> None:
        bucket = storage.Client().bucket("blobs")
        bucket.delete(force=True)


class RealGcs(conformance.Harness):
    def __init__(self) -> None:
        self.bucket = storage.Client(project=None).bucket(REAL_BUCKET)
        self.prefix = f"casstore-test/{secrets.token_hex(8)}"

    async def open(self) -> BlobStore:
        return await open_blobs(f"gs://{REAL_BUCKET}/{self.prefix}")

    async def plant(self, key: str, data: bytes) -> None:
        self.bucket.blob(f"{self.prefix}/{key}").upload_from_string(data)

    def clear(self) -> None:
        self.bucket.delete_blobs(list(self.bucket.list_blobs(prefix=f"{self.prefix}/")))


@pytest.mark.parametrize("case", conformance.CASES, ids=str)
@pytest.mark.parametrize("harness", [Local, Memory])
def test_contract(harness, case, tmp_path):
    conformance.run(case, harness(tmp_path))


@pytest.mark.parametrize("case", conformance.CASES, ids=str)
def test_contract_of_a_bucket(case, gcs, connect):
    conformance.run(case, Gcs(gcs, connect))


@pytest.mark.parametrize("case", [case for case in conformance.CASES if case.name == "cut_off"], ids=str)
def test_contract_of_a_bucket_that_is_deleted(case, gcs, connect):
    conformance.run(case, GcsWithoutItsBucket(gcs, connect))


@pytest.mark.slow
@pytest.mark.timeout(1_200)  # Google takes about one write of a name a second, and the races are many of those
@pytest.mark.skipif(not REAL_BUCKET, reason="needs a bucket in CASSTORE_TEST_BUCKET")
@pytest.mark.parametrize("case", conformance.CASES, ids=str)
def test_contract_of_a_real_bucket(case):
    harness = RealGcs()
    try:
        conformance.run(case, harness, patience_seconds=1_000)
    finally:
        harness.clear()


def test_every_case_has_a_name_and_a_promise():
    assert len({case.name for case in conformance.CASES}) == len(conformance.CASES)
    assert all(case.promise.endswith(".") for case in conformance.CASES)


def test_cases_without_their_hook_are_skipped(tmp_path):
    class Bare(conformance.Harness):
        open = Memory.open
        place = MemoryPlace()

    case = next(case for case in conformance.CASES if case.name == "cut_off")
    with pytest.raises(conformance.unittest.SkipTest):
        conformance.run(case, Bare())
