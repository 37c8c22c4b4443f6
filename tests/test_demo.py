"""The main job on the artifacts shipped in examples/: by the library, and by the demonstration as a user runs it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from casstore import AsyncStore

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_every_shipped_version_comes_back_byte_for_byte(store_urls):
    async def go():
        async with AsyncStore(blobs=store_urls[0], catalog=store_urls[1]) as store:
            tenant = store.tenant("demo")
            report = await tenant.import_tree(EXAMPLES / "artifacts")
            compared = 0
            for entry in report.entries:
                place = EXAMPLES / "artifacts" / entry.path
                artifact = await tenant.get(entry.ref)
                for file in sorted(place.iterdir()) if place.is_dir() else [place]:
                    part = artifact[file.stem] if place.is_dir() else artifact
                    assert await part.bytes() == file.read_bytes()
                    compared += 1
            return report, compared

    report, compared = asyncio.run(go())
    assert (report.stored, report.deduplicated, report.refused, report.skipped) == (14, 1, 0, 0)
    assert compared == sum(len(files) for _, _, files in os.walk(EXAMPLES / "artifacts"))


@pytest.mark.slow
def test_the_demonstration_runs_and_touches_nothing_of_the_user(tmp_path):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    foreign = {"CASSTORE_CATALOG": "postgresql://nobody@127.0.0.1:1/none", "CASSTORE_BLOBS": tmp_path.as_uri()}
    demo = subprocess.run(
        ["sh", EXAMPLES / "demo.sh"],
        env=os.environ | {"PATH": path} | foreign,
        capture_output=True,
        text=True,
        check=True,
    )
    assert demo.stdout.count("equal\n") == 2
    assert "saved" in demo.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("orchestrator", ["journey", "outcomes"])
def test_an_orchestrator_stores_its_execution_once_and_reads_it_back(store_urls, orchestrator, tmp_path):
    settings = {
        "CASSTORE_HOME": str(tmp_path),
        "CASSTORE_BLOBS": store_urls.blobs,
        "CASSTORE_CATALOG": store_urls.catalog,
    }
    command = [sys.executable, str(EXAMPLES / f"{orchestrator}.py"), "execution-1"]
    first, second = (
        subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    )
    assert "pictures: True\n" in first
    assert first == second

    async def stored():
        async with AsyncStore(blobs=store_urls.blobs, catalog=store_urls.catalog) as store:
            return sorted(version.ref for version in await store.tenant().list())

    types = {"journey": ["blueprint", "sop", "workflow"], "outcomes": ["poc", "roadmap", "solution"]}[orchestrator]
    assert asyncio.run(stored()) == [f"{each}/execution-1/{each}@1" for each in types]
