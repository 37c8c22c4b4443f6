"""Purging and collecting at the command line."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.conftest import PROGRAM


@pytest.fixture
def purged(call, put):
    """A version that was purged; the digest of its bytes."""
    made = put("w/gone", f"bytes of {time.time_ns()}")
    call("delete", "w/gone@1", "--by", "me")
    assert call("purge", "w/gone@1", "--by", "me", "--reason", "wrong client").code == 0
    return made["components"][0]["digest"]


def test_explain_says_what_would_happen_and_nothing_happens(call, put):
    put("w/x", "one")
    call("alias", "w/x@1", "prod")
    told = call("delete", "w/x@1", "--explain").text.splitlines()
    assert told[:3] == ["hides  w/x@1", "blocked by  prod", "can be taken back  until it is purged"]
    assert "3 B in 1 blob(s)" in told[3]
    call("alias", "w/x", "prod", "--delete")
    call("delete", "w/x@1", "--by", "me")
    assert "can be taken back  never" in call("purge", "--explain", "w/x@1").text
    assert call("purge", "--all", "w/x", "--explain", "--json").json["frees_bytes"] == 3
    assert call("undelete", "w/x@1", "--by", "me").code == 0


def test_what_was_purged_does_not_come_back_and_is_told_of(call, purged):
    refused = call("undelete", "w/gone@1", "--by", "me", "--json")
    assert (refused.code, refused.error["error"]) == (5, "version_purged")
    assert "cannot come back" in call("get", "w/gone@1").err
    (left,) = call("trash", "--purged", "--json").json["items"]
    assert (left["ref"], left["purged_by"]) == ("w/gone@1", "me")
    assert call("trash").err == "The trash is empty.\n"
    assert call("purge", "--all", "w/gone", "--by", "me", "--json").json["items"] == [left]


def test_the_trash_is_emptied_by_age(call, put):
    put("w/x", "one")
    call("delete", "w/x@1", "--by", "me")
    assert call("purge", "--older-than", "1d", "--by", "me", "--json").json == {"purged": 0}
    assert call("purge", "--older-than", "0", "--by", "me").text == "1 version(s) purged\n"


def test_a_collection_condemns_and_the_next_deletes(call, purged, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call("gc", "--quarantine", "0", "--json").json["condemned"] >= 1
    assert call("gc", "--quarantine", "1d", "--json").json["waiting"] >= 1
    done = call("gc", "--quarantine", "0")
    assert done.code == 0
    assert done.text.splitlines()[2].startswith("deleted")
    assert purged.removeprefix("b3:") not in planned(call, "0")


def planned(call, quarantine):
    """The digests of a plan."""
    call("gc", "--plan", "gc.plan", "--quarantine", quarantine, "--full")
    with Path("gc.plan").open() as lines:
        return {json.loads(line)["digest"].removeprefix("b3:"): json.loads(line)["step"] for line in lines}


def test_a_plan_is_applied_as_it_was_made(call, put, purged, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    digest = purged.removeprefix("b3:")
    assert planned(call, "0")[digest] == "condemn"
    assert call("gc", "--apply", "gc.plan", "--json").json["condemned"] >= 1
    again = call("gc", "--apply", "gc.plan", "--json").json
    assert (again["condemned"], again["kept"] > 0) == (0, True)
    assert planned(call, "7d")[digest] == "wait"
    assert call("gc", "--apply", "gc.plan", "--quarantine", "0", "--json").json["deleted"] == 0
    assert planned(call, "0")[digest] == "delete"
    assert call("gc", "--apply", "gc.plan", "--quarantine", "0", "--json").json["deleted"] >= 1
    assert digest not in planned(call, "0")


def test_a_damaged_plan_does_nothing(call, purged, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert planned(call, "0")[purged.removeprefix("b3:")] == "condemn"
    with Path("gc.plan").open("a") as plan:
        plan.write("{}\n")
    refused = call("gc", "--apply", "gc.plan", "--json")
    assert (refused.code, refused.error["error"]) == (2, "bad_data")
    assert planned(call, "0")[purged.removeprefix("b3:")] == "condemn"
    assert call("gc", "--apply", "nowhere", "--json").error["error"] == "unreadable_source"


@pytest.mark.parametrize(
    "arguments",
    [
        ("purge", "--by", "me"),
        ("purge", "w/x@1"),
        ("purge", "w/x@1", "--older-than", "1d", "--by", "me"),
        ("purge", "--older-than", "1d", "--explain"),
        ("delete", "w/x@1"),
        ("gc", "--plan", "x", "--apply", "y"),
        ("gc", "--plan", "x", "--orphans"),
        ("gc", "--apply", "x", "--full"),
        ("gc", "--every", "1m"),
        ("gc", "--quarantine", "soon"),
        ("gc", "--quarantine", "7"),
        ("gc", "--rate", "0"),
    ],
)
def test_calls_that_are_wrong(call, arguments):
    assert call(*arguments).code == 2


@pytest.mark.slow
def test_a_daemon_goes_on_until_it_is_interrupted(environment, call, put):
    daemon = subprocess.Popen([PROGRAM, "gc", "--daemon", "--every", "1s", "--quarantine", "0"], stdout=subprocess.PIPE)
    try:
        assert daemon.stdout.readline().startswith(b"condemned")
        put("w/x", f"bytes of {time.time_ns()}")
        call("delete", "w/x@1", "--by", "me")
        call("purge", "w/x@1", "--by", "me")
        found = (int(line.split()[1]) for line in daemon.stdout if line.startswith(b"deleted"))
        assert next(number for number in found if number)
    finally:
        daemon.send_signal(signal.SIGINT)
        daemon.communicate(timeout=30)
    assert daemon.returncode == 130
