"""Bytes through the program: pipes both ways, in bounded memory, whatever is in them; and imports that are killed midway."""

from __future__ import annotations

import contextlib
import os
import pty
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

PROGRAM = Path(sys.executable).with_name("casstore")
HOSTILE = Path(__file__).parents[3] / "shared" / "corpus" / "hostile"
SMALL_HOSTILE = [
    b"",
    b"\x00",
    b"\xff\xfe",
    b"\r\n\x1a",
    b'{"a": NaN}',
    b"\xef\xbb\xbf{}",
    b"%PDF\x00--\n",
    bytes(range(256)) * 300,
    b"-",
    b"b3:" + b"0" * 64,
]


@pytest.mark.slow
def test_20_mb_through_standard_input_and_output(cli):
    data = random.Random(1).randbytes(20_000_000)
    done = cli("put", "w/big", "-", stdin=data)
    assert done.code == 0, done.err
    assert "20.0 MB  (new)" in done.text
    assert cli("get", "w/big").out == data
    assert cli("get", "w/big", "-o", "-", "--json").out == data


@pytest.mark.parametrize(
    ("name", "options", "media_type"),
    [
        ("w/plan.json", (), "application/json"),
        ("w/notes.MD", (), "text/markdown"),
        ("w/plan", (), "application/octet-stream"),
        ("v.json/plan", (), "application/octet-stream"),
        ("w/plan.json", ("--media-type", "text/plain"), "text/plain"),
    ],
)
def test_what_comes_by_standard_input_is_what_its_name_says(cli, name, options, media_type):
    done = cli("put", name, "-", *options, "--json", stdin=b'{"a": 1}')
    assert done.json["components"][0]["media_type"] == media_type


def test_a_component_from_standard_input(cli):
    assert cli("put", "p/x", "--component", "a=-", "--component", f"b={__file__}", stdin=b"piped").code == 0
    assert cli("get", "p/x#a").out == b"piped"
    assert cli("get", "p/x#b").out == Path(__file__).read_bytes()


def test_a_file_named_dash_is_reached_by_its_path(cli, tmp_path):
    (tmp_path / "-").write_text("dash")
    assert cli("put", "w/x", "./-", cwd=tmp_path).code == 0
    assert cli("get", "w/x", "-o", "./-", "--force", cwd=tmp_path).code == 0


@pytest.mark.parametrize("data", SMALL_HOSTILE, ids=lambda data: repr(data[:12]))
def test_any_bytes_come_back_unchanged(call, tmp_path, data):
    (tmp_path / "in").write_bytes(data)
    assert call("put", "w/x", tmp_path / "in").code == 0
    assert call("get", "w/x").out == data
    assert call("get", "w/x", "-o", tmp_path / "out").code == 0
    assert (tmp_path / "out").read_bytes() == data


@pytest.mark.slow
@pytest.mark.skipif(not HOSTILE.is_dir(), reason="the corpus is not here")
def test_hostile_files_come_back_unchanged(call, tmp_path):
    files = [path for path in sorted(HOSTILE.rglob("v0001*")) if path.is_file()]
    assert len(files) > 80
    for path in files:
        assert call("put", f"h/{path.parent.name}", path).code == 0
        assert call("get", f"h/{path.parent.name}").out == path.read_bytes(), path


@pytest.mark.slow
def test_a_large_stream_needs_little_memory(environment, tmp_path):
    size = 256 * 2**20
    with (tmp_path / "zeros").open("wb") as file:
        file.truncate(size)
    assert peak_bytes("cat zeros | casstore put w/x -", tmp_path) < 200 * 2**20
    assert peak_bytes("casstore get w/x | cat > out", tmp_path) < 200 * 2**20
    assert (tmp_path / "out").stat().st_size == size


def peak_bytes(shell: str, folder: Path) -> int:
    """Run a pipeline; the most memory that any process in it had."""
    code = (
        "import resource, subprocess, sys; subprocess.run(['bash', '-o', 'pipefail', '-c', sys.argv[1]], check=True);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024, file=sys.stderr)"
    )
    environment = os.environ | {"PATH": f"{PROGRAM.parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        [sys.executable, "-c", code, shell], cwd=folder, env=environment, capture_output=True, check=True, text=True
    )
    return int(done.stderr.split()[-1])


@pytest.mark.slow
def test_an_import_that_is_killed_goes_on_where_it_was(call, home, environment, tmp_path):
    """Killed at several moments, then run to its end: everything is there once, under the right number."""
    tree = tmp_path / "tree"
    for name in range(40):
        folder = tree / f"sop/n{name}"
        folder.mkdir(parents=True)
        for number in range(1, 11):
            (folder / f"v{number:04}.md").write_text(f"{name} {number}\n" * 50)
    counts = [imported_until_killed(call, home, tree, blobs) for blobs in (1, 40, 100)]
    report = call("import", tree, "--json").json
    assert (report["refused"], report["skipped"]) == (0, 0)
    assert report["stored"] + report["already_there"] == 400
    assert 0 <= counts[0] <= counts[1] < counts[2] < 400
    assert report["already_there"] >= counts[-1]
    for name in (0, 17, 39):
        log = call("log", f"sop/n{name}", "--json").json
        assert [item["number"] for item in log["items"]] == list(range(10, 0, -1))
        for number in (1, 5, 10):
            assert call("get", f"sop/n{name}@{number}").out == (tree / f"sop/n{name}/v{number:04}.md").read_bytes()


def imported_until_killed(call, home: Path, tree: Path, blobs: int) -> int:
    """Kill an import when it has written so many blobs; how many versions there are then."""
    process = subprocess.Popen([PROGRAM, "import", tree, "--at-once", "2"], stdout=subprocess.DEVNULL)
    before = count_blobs(home)
    while count_blobs(home) < before + blobs and process.poll() is None:
        time.sleep(0.005)  # nothing else tells from outside how far it is
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it ended before it was killed"
    return sum(item["number"] for item in call("ls", "--all", "--json").json["items"])


def count_blobs(home: Path) -> int:
    return sum(1 for _ in (home / "blobs/artifacts/blobs").glob("[0-9a-f]*"))


@pytest.mark.slow
@pytest.mark.parametrize("quiet", [False, True])
def test_who_waits_for_a_new_catalog_is_told_so_on_a_terminal(environment, quiet):
    """Making and starting an embedded server takes seconds, in which nothing was said."""
    folder = Path(tempfile.mkdtemp(prefix="casstore-new-"))
    folder.chmod(0o755)
    ours, theirs = pty.openpty()
    more = ["--json"] if quiet else []
    with subprocess.Popen(
        [PROGRAM, "put", "w/x", __file__, "--home", folder / "home", *more], stdout=subprocess.PIPE, stderr=theirs
    ) as program:
        os.close(theirs)
        told = b""
        with contextlib.suppress(OSError):  # how Linux tells that the other end is gone
            while piece := os.read(ours, 1000):
                told += piece
        assert b"w/x@1" in program.stdout.read()
    os.close(ours)
    assert program.returncode == 0
    assert (b"starting the catalog" in told) is not quiet
    assert told.rpartition(b"\r")[2] in (b"", b"\x1b[K", b"\x1b[2K")  # and nothing of it stays
    shutil.rmtree(folder)
