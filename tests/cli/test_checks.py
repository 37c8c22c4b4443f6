"""casstore fsck, scrub and repair on a screen and for programs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from casstore import Digest

DYING = """
import os, signal, sys
from casstore import limits
from casstore.cli import fsck
from casstore.cli.root import run
limits.CHECK_PAGE = 1
write, left = fsck._Kept.write, [int(sys.argv[1])]
def die(self, cursor):
    write(self, cursor)
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
fsck._Kept.write = die
sys.exit(run(sys.argv[2:]))
"""


@pytest.fixture
def home(tmp_path_factory):
    """A store of its own: a check is about all tenants."""
    folder = tmp_path_factory.mktemp("home")
    for each in (folder, *folder.parents):
        if each.stat().st_uid == os.getuid() and each != Path("/"):
            each.chmod(each.stat().st_mode | 0o055)
    return folder


def lose(home, text):
    digest = Digest.of(text.encode())
    (home / "blobs" / "artifacts" / "blobs" / digest.hex()).unlink()
    return digest


def test_all_of_it(call, put, home, tmp_path):
    put("a/x", "one")
    put("a/y", "two")
    done = call("fsck")
    assert (done.code, done.text.splitlines()) == (
        0,
        ["checked 2 objects, 2 blobs, 2 versions of 2 artifacts, 0 requests: no defects"],
    )
    assert call("fsck", "--json").json["ok"] is True
    digest = lose(home, "one")
    done = call("fsck")
    assert done.code == 1
    assert done.text.splitlines()[0] == f"loss   object_missing     {digest}  the object is missing"
    assert "needed by cas://" in done.text.splitlines()[1]
    assert done.text.splitlines()[-1].endswith(": 1 defects")
    document = call("fsck", "--json", "--repair").json
    assert (document["ok"], [each["digest"] for each in document["defects"]]) == (False, [str(digest)])
    assert document["summary"]["defects"] == 1
    assert call("scrub", "--share", 100).code == 1
    assert call("repair").code == 1
    (tmp_path / "copy").write_text("one")
    done = call("repair", digest, "--from", tmp_path, "--json")
    assert (done.code, done.json["repaired"][0]["outcome"]) == (0, "healed")
    assert call("repair").text == "nothing is to be repaired\n"
    done = call("scrub", "--share", 100, "--rate", "50MB")
    assert (done.code, done.text.splitlines()) == (0, ["read 2 blobs, 6 B: no defects", "oldest unverified: 0.0 days"])
    assert call("scrub", "--cycle", "2w", "--json").json["summary"]["blobs"] == 0


@pytest.mark.parametrize(
    "wrong",
    [
        ("scrub", "--cycle", "30"),
        ("scrub", "--cycle", "d"),
        ("scrub", "--share", "0"),
        ("scrub", "--rate", "50XB"),
        ("scrub", "--rate", "0"),
        ("repair", "b3:abc"),
        ("repair", "--from", "/nowhere/at/all"),
        ("fsck", "--resume", "/nowhere/at/all/file"),
    ],
)
def test_what_is_wrong_is_refused(call, put, wrong):
    put("a", "one")
    assert call(*wrong).code == 2


@pytest.mark.slow
def test_it_goes_on_after_a_kill(call, put, home, tmp_path, environment):
    texts = [f"text {number}" for number in range(6)]
    for text in texts:
        put("a", text)
    digests = {str(lose(home, text)) for text in texts}
    found, kills = [], 0
    while True:
        done = subprocess.run(
            [sys.executable, "-c", DYING, "3", "fsck", "--resume", str(tmp_path / "kept")],
            capture_output=True,
            check=False,
        )
        lines = done.stdout.decode().splitlines()
        found += [line.split()[2] for line in lines if line.startswith("loss")]
        if done.returncode != -signal.SIGKILL:
            break
        kills += 1
    assert kills >= 2
    assert set(found) == digests
    assert len(found) == len(digests), "what was told is not told again"
    assert not (tmp_path / "kept").exists()
    assert done.returncode == 0, "the last run found nothing"


def test_a_document_of_many_defects_is_one(call, put, home):
    for number in range(3):
        put("a", f"text {number}")
        lose(home, f"text {number}")
    assert len(json.loads(call("fsck", "--json").out)["defects"]) == 3
