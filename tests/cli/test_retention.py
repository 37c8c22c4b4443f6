"""Retention at the command line."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

RULES = {"rules": [{"name": "last", "match": {"name_prefix": "w/"}, "keep": {"last": 1}}]}


def test_rules_are_set_shown_previewed_and_applied(call, put, tmp_path):
    put("w/x", "one")
    put("w/x", "two")
    file = tmp_path / "rules.json"
    file.write_text(json.dumps(RULES))
    assert "everything is kept" in call("retention", "show").text
    assert "revision 1" in call("retention", "set", str(file), "--by", "ops", "--expect", "0").text
    shown = call("retention", "show", "--json").json
    assert (shown["policy"], shown["revision"], shown["by"]) == (RULES, 1, "ops")
    preview = call("retention", "preview", "--json").json
    assert [(each["number"], each["drops"]) for each in preview["items"]] == [(2, False), (1, True)]
    assert preview["totals"]["drops"] == 1
    assert "w/x@1    DROP  last  nothing keeps it" in call("retention", "preview").text.splitlines()
    assert call("retention", "apply", "--by", "ops", "--json").json["dropped"] == 1
    assert "retention: last" in call("trash").text


def test_a_version_expires(call, put):
    put("w/x", "one")
    assert "expires 2020-01-01" in call("expire", "w/x@1", "--at", "2020-01-01T00:00:00Z", "--by", "ops").text
    assert "ttl" in call("retention", "preview").text
    assert "expires never" in call("expire", "w/x@1", "--never", "--by", "ops").text
    assert call("expire", "w/x@1", "--after", "7d", "--by", "ops", "--json").json["at"]


def test_a_put_says_how_long(call, put, tmp_path):
    (file := tmp_path / "x").write_text("x")
    stored = put("w/x", "one", "--ttl", "30d")
    until = datetime.fromisoformat(stored["expires_at"])
    assert until == datetime.fromisoformat(stored["created_at"]) + timedelta(days=30)
    assert call("put", "w/y", file, "--ttl", "12h").text.rstrip().endswith(" UTC")
    for wrong in ("0", "0d", "month", "-1d", "5300w"):
        assert call("put", "w/z", file, "--ttl", wrong).code == 2, wrong


def test_wrong_calls_are_told(call, put, tmp_path):
    put("w/x", "one")
    (tmp_path / "rules.json").write_text('{"rules": [{"name": "a"}]}')
    refused = call("retention", "set", str(tmp_path / "rules.json"), "--by", "ops")
    assert (refused.code, "rules[0].keep" in refused.err) == (2, True)
    (tmp_path / "rules.json").write_text('{"rules": [], "purge_after": "0d"}')
    refused = call("retention", "set", str(tmp_path / "rules.json"), "--by", "ops")
    assert (refused.code, "at purge_after: '0d' is no time at all" in refused.err) == (2, True)
    for name in ("text.json", "text.yaml"):
        (tmp_path / name).write_text('{"rules": [')
        refused = call("retention", "set", str(tmp_path / name), "--by", "ops", "--json")
        assert (refused.code, refused.error["error"], name in refused.error["message"]) == (2, "bad_retention", True)
    for wrong in (
        ("retention", "set", "--by", "ops"),
        ("retention", "apply"),
        ("retention", "show", "file"),
        ("expire", "w/x@1", "--by", "ops"),
        ("expire", "w/x@1", "--never", "--after", "7d", "--by", "ops"),
    ):
        assert call(*wrong).code == 2
