"""What versions mean, at the command line: told by `log`, and reused by `put --on-same semantic`."""

from __future__ import annotations

JSON = ("--media-type", "application/json")


def test_log_says_which_versions_mean_the_same(call, put):
    for text in ('{"k": 1}', '{"k":1}', '{"k":1}', '{"k":2}'):
        put("a", text, *JSON, "--on-same", "new_version")
    put("b", "\0", "--media-type", "application/zip")
    put("b", "\1", "--media-type", "application/zip")
    items = call("log", "a", "--json").json["items"]
    assert [each["differs"] for each in items] == ["meaning", "same", "formatting", None]
    assert [each["same_as_previous"] for each in items] == [False, True, False, False]
    assert items[0]["components"][0]["meaning"].startswith("b3:")
    lines = call("log", "a").text.splitlines()
    assert [("formatting only" in line, line.endswith(" =")) for line in lines[1:5]] == [
        (False, False),
        (False, True),
        (True, False),
        (False, False),
    ]
    assert call("log", "a", "--limit", 3, "--json").json["items"][-1]["differs"] == "formatting"
    assert [each["differs"] for each in call("log", "b", "--json").json["items"]] == [None, None]


def test_a_put_reuses_what_means_the_same_and_says_so(call, put, tmp_path):
    put("a", '{"k": 1}', *JSON)
    done = put("a", '{"k":1}', *JSON, "--on-same", "semantic")
    assert (done["ref"], done["reused"], done["differs"], done["novelty"]) == (
        "a@1",
        True,
        "formatting",
        "reused: formatting only",
    )
    (tmp_path / "other.json").write_text('{ "k":1}')
    assert "(reused: formatting only)" in call("put", "a", tmp_path / "other.json", "--on-same", "semantic").text
    assert put("a", '{"k":2}', *JSON, "--on-same", "semantic")["ref"] == "a@2"
