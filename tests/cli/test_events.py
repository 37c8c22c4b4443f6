"""Events on the command line: listed, and followed while they come."""

from __future__ import annotations

import json
import signal
import subprocess

import pytest

from tests.cli.conftest import PROGRAM


def test_events_are_listed_and_gone_on_with(call, put):
    put("w/x", "one")
    call("alias", "w/x@1", "prod")
    told = call("events")
    assert [line.split()[1:3] for line in told.text.splitlines()] == [
        ["OP", "OF"],
        ["put", "w/x@1"],
        ["alias", "w/x@1"],
    ]
    assert "Go on later: --after " in told.err
    first = call("events", "--limit", "1", "--json").json
    assert (first["more"], [item["op"] for item in first["items"]]) == (True, ["put"])
    rest = call("events", "--after", first["cursor"], "--json").json
    assert (rest["more"], [item["op"] for item in rest["items"]]) == (False, ["alias"])
    assert call("events", "--after", "nonsense").code == 2
    assert call("events", "--after", "now", "--json").json["items"] == []


@pytest.mark.parametrize("as_json", [True, False])
def test_events_are_followed_until_interrupted(environment, put, as_json):
    put("w/x", "one")
    flags = ["--json"] if as_json else []
    with subprocess.Popen([PROGRAM, "events", "--follow", *flags], stdout=subprocess.PIPE, text=True) as following:
        first = following.stdout.readline()
        put("w/x", "two")
        second = following.stdout.readline()
        following.send_signal(signal.SIGINT)
        assert following.wait(30) == 130
    if as_json:
        assert [(e["op"], e["number"]) for e in map(json.loads, (first, second))] == [("put", 1), ("put", 2)]
    else:
        assert "put  w/x@1" in first
        assert "put  w/x@2" in second
