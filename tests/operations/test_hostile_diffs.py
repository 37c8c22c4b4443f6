"""Every hostile file is compared, or honestly refused, within two seconds and 512 MiB, in every form a comparison is shown in."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.limited import allowed_s

CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "hostile"
ROOT = Path(__file__).parents[2]
PLAIN = {"json": b'{"a": [1, "x"]}', "xml": b'<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL"/>'}
SUFFIX = {"json": ".json", "xml": ".bpmn", "md": ".md"}
DEPTHS = {"same", "encoding", "formatting", "layout", "noise", "meaning"}
KINDS = ("json-[a-e]", "json-[f-z]", "xml", "md", "png", "[!jxmp]")


@pytest.mark.slow
@pytest.mark.skipif(
    not CORPUS.exists() or sys.platform != "linux", reason="no hostile files here, or no bound of memory"
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_comparison_of_hostile_files_answers_or_refuses_in_time(where, tmp_path, kind):
    files = sorted(path for path in CORPUS.glob(f"{kind}*/**/*") if path.is_file())
    assert files
    word = kind.partition("-")[0]
    plain = tmp_path / f"plain{SUFFIX.get(word, '.txt')}"
    plain.write_bytes(PLAIN.get(word, b"a plain text\n"))
    program = [sys.executable, "-m", "tests.operations.hostile", where.blobs, where.catalog, plain, *files]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout[-300:] + done.stderr[-2000:]
    found = {Path(path): (said, took) for path, said, took in map(json.loads, done.stdout.splitlines())}
    assert list(found) == files
    for path, (said, took) in found.items():
        assert said["itself"] == "same", path
        assert set(said.values()) <= DEPTHS, (path, said)
        assert took <= allowed_s(), (path, took)


def test_no_kind_of_file_is_left_out():
    if CORPUS.exists():
        folders = {path for kind in KINDS for path in CORPUS.glob(f"{kind}*") if path.is_dir()}
        assert folders == {path for path in CORPUS.iterdir() if path.is_dir()}
