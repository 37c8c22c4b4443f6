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
