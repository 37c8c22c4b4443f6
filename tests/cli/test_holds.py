"""Holds at the command line."""

from __future__ import annotations


def test_hold_holds_and_release(call, put):
    put("w/x", "one")
    held = call("hold", "w/x@1", "case-17", "--by", "legal", "--reason", "a client asks", "--json").json
    assert (held["hold"], held["name"], held["number"], held["by"]) == ("case-17", "w/x", 1, "legal")
    header, line = call("holds").text.splitlines()
    assert header.split()[:2] == ["HOLD", "ON"]
    assert line.split()[:2] == ["case-17", "w/x@1"]
    refused = call("delete", "w/x@1", "--by", "me")
    assert refused.code == 5
    assert "case-17" in refused.err
    assert "case-17" in call("delete", "w/x@1", "--explain").text
    assert call("release", "w/x@1", "case-17", "--by", "legal").text.endswith("by legal\n")
    empty = call("holds")
    assert (empty.text, empty.err) == ("", "Nothing is held.\n")
    assert call("holds", "--released", "--json").json["items"][0]["released_by"] == "legal"
    assert call("delete", "w/x@1", "--by", "me").code == 0


def test_everything_is_held_and_listed_in_pages(call, put):
    put("w/x", "one")
    assert call("hold", "--everything", "audit", "--by", "legal").text.splitlines()[1].split()[1] == "everything"
    call("hold", "w/x", "case", "--by", "legal")
    page = call("holds", "--limit", 1, "--json").json
    assert page["items"][0]["hold"] == "case"
    assert call("holds", "--limit", 1, "--cursor", page["cursor"], "--json").json["items"][0]["name"] is None
    assert call("delete", "--all", "w/x", "--by", "me", "--json").error["holds"] == ["audit", "case"]


def test_a_hold_is_on_something_and_only_released_from_it(call, put):
    put("w/x", "one")
    for words in (("case",), ("w/x", "case", "--everything"), ("w/x", "case", "more"), ("--everything",)):
        for verb in ("hold", "release"):
            assert call(verb, *words, "--by", "me").code == 2
    assert call("hold", "case", "w/x", "--by", "me", "--json").error["error"] == "bad_hold"  # the other way round
    assert call("release", "w/x", "case", "--by", "me").code == 4
