"""States and metadata on the command line: set, told and searched by."""

from __future__ import annotations

import json

STEP_KEYS = {"name", "number", "before", "state", "by", "reason", "at"}


def test_a_version_goes_through_its_states(call, put):
    put("w/x", "one")
    assert call("state", "w/x").text == "w/x@1  draft\n"
    assert call("state", "w/x", "--json").json == {"ref": "w/x@1", "state": "draft", "items": []}
    assert call("state", "w/x", "accepted", "--by", "ann").text == "w/x@1  draft → accepted  by ann\n"
    step = call("state", "w/x@1", "obsolete", "--by", "bob", "--reason", "replaced\x1b[2J", "--json").json
    assert set(step) == STEP_KEYS
    assert (step["before"], step["state"], step["by"]) == ("accepted", "obsolete", "bob")
    told = call("state", "w/x").text
    assert [line.split()[:2] for line in told.splitlines() if line] == [
        ["w/x@1", "obsolete"],
        ["STATE", "BY"],
        ["accepted", "ann"],
        ["obsolete", "bob"],
    ]
    assert "replaced\\x1b[2J" in told
    found = call("state", "w/x", "--json").json
    assert (found["state"], [item["state"] for item in found["items"]]) == ("obsolete", ["accepted", "obsolete"])
    assert {frozenset(item) for item in found["items"]} == {frozenset(STEP_KEYS)}


def test_a_state_that_does_not_follow_is_a_conflict(call, put):
    put("w/x", "one")
    assert call("state", "w/x", "obsolete", "--by", "ann").code == 0
    refused = call("state", "w/x", "accepted", "--by", "ann", "--json")
    assert (refused.code, refused.error["error"]) == (5, "bad_transition")


def test_a_step_that_was_taken_already_is_told_as_it_was(call, put):
    put("w/x", "one")
    call("state", "w/x", "accepted", "--by", "ann")
    again = call("state", "w/x", "accepted", "--by", "ann")
    assert (again.text, again.err) == ("w/x@1  draft → accepted  by ann\n", "")
    other = call("state", "w/x", "accepted", "--by", "bob")
    assert (other.code, other.text) == (0, "w/x@1  draft → accepted  by ann\n")
    assert other.err == "It was accepted already: nothing was changed.\n"


def test_states_are_shown_and_searched_by(call, put):
    for text in ("one", "two"):
        put("w/x", text)
    put("w/y", "three")
    call("state", "w/x", "accepted", "--by", "ann", "--reason", "fine")
    assert [line.split()[:2] for line in call("log", "w/x").text.splitlines()[1:]] == [
        ["2", "accepted"],
        ["1", "draft"],
    ]
    assert [line.split()[:3] for line in call("ls").text.splitlines()[1:]] == [
        ["w/y@1", "document", "draft"],
        ["w/x@2", "document", "accepted"],
    ]
    for state, refs in (("draft", ["w/y@1"]), ("accepted", ["w/x@2"]), ("obsolete", [])):
        assert [item["ref"] for item in call("ls", "--state", state, "--json").json["items"]] == refs
    document = call("show", "w/x", "--json").json
    assert (document["state"], [step["reason"] for step in document["transitions"]]) == ("accepted", ["fine"])
    assert next(line for line in call("show", "w/x").text.splitlines() if "ann" in line).endswith("fine")


def test_metadata_are_kept_shown_and_searched_by(call, put, tmp_path):
    metadata = {"owner": "client", "tags": ["a", "ü"], "run": {"id": 7}}
    stored = put("w/x", "one", "--metadata", json.dumps(metadata))
    assert stored["metadata"] == metadata
    file = tmp_path / "m.json"
    file.write_text('{"owner": "platform", "note": "a\\u001b[2Jb"}')
    put("w/y", "two", "--metadata", f"@{file}", "--label", "k=v")
    for wanted, refs in (
        ('{"owner": "client"}', ["w/x@1"]),
        ('{"tags": ["ü"], "run": {}}', ["w/x@1"]),
        (f"@{file}", ["w/y@1"]),
        ('{"owner": "shared"}', []),
    ):
        assert [item["ref"] for item in call("ls", "--metadata", wanted, "--json").json["items"]] == refs
    assert '"tags": ["a", "ü"]' in call("show", "w/x").text
    assert "\x1b" not in call("show", "w/y").text
    assert put("w/x", "one")["reused"]
    assert put("w/x", "one", "--metadata", '{"owner": "shared"}')["number"] == 2
