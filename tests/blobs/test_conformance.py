"""The blob store contract, for every backend we have."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from casstore.blobs import BlobStore, open_blobs
from casstore.testing import conformance
from casstore.testing.memory import MemoryBlobs, MemoryPlace


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


@pytest.mark.parametrize("case", conformance.CASES, ids=str)
@pytest.mark.parametrize("harness", [Local, Memory])
def test_contract(harness, case, tmp_path):
    conformance.run(case, harness(tmp_path))


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
