"""Comparing and merging at the command line."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess

import pytest

from casstore.cli.output import plain
from tests.cli.conftest import PROGRAM


def test_a_diff_in_words_and_in_context(call, put):
    put("sop/x", "# Stop\nask\nwait\n", "--media-type", "text/markdown")
    put("sop/x", "# Stop\nask\ngo on\n", "--media-type", "text/markdown", "--title", "Stop")
    done = call("diff", "sop/x@1", "sop/x")
    lines = done.text.splitlines()
    assert lines[0] == "sop/x@1 → sop/x@2: differ in meaning"
    assert lines[1].startswith("  section 'Stop' changed: 1 line")
    assert "  -wait" in lines
    assert "  +go on" in lines
    assert lines[-1] == "  ~ title 'Stop' instead of nothing"
    assert done.code == 0


def test_one_line_for_each_component(call, tmp_path):
    for number, text in enumerate(("1\n", "2\n")):
        (tmp_path / "p.txt").write_text(text)
        call("put", "a", "--component", f"p={tmp_path / 'p.txt'}", "--component", f"q{number}={tmp_path / 'p.txt'}")
    lines = call("diff", "a@1", "a@2", "--stat").text.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["p", "q0", "q1"]
    assert [line.split()[1].rstrip(",") for line in lines[1:]] == ["changed", "removed", "added"]


def test_a_diff_for_programs_and_as_a_patch(call, put):
    put("a", '{"k": 1}', "--media-type", "application/json")
    put("a", '{"k": 2}', "--media-type", "application/json")
    document = call("diff", "a@1", "a@2", "--json").json
    assert document == call("diff", "a@1", "a@2", "--format", "json").json
    (part,) = document["components"]
    assert (part["role"], part["depth"], part["comparison"]["changes"][0]["path"]) == ("main", "meaning", "/k")
    assert call("diff", "a@1", "a@2", "--format", "patch").json == [{"op": "add", "path": "/k", "value": 2}]
    assert call("diff", "a@1", "a@1", "--format", "patch").json == []


def test_what_has_no_patch(call, put, tmp_path):
    put("a", "x")
    (tmp_path / "b").write_bytes(b"\0")
    refused = call("diff", "a", tmp_path / "b", "--format", "patch", "--json")
    assert (refused.code, refused.error["error"]) == (2, "not_comparable")


def test_a_page_in_a_file(call, put, tmp_path):
    put("a", "x <script>alert(1)</script>\n")
    put("a", "y\n")
    target = tmp_path / "page.html"
    assert call("diff", "a@1", "a@2", "--format", "html", "-o", target).code == 0
    page = target.read_text()
    assert page.startswith("<!doctype html>")
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert(1)" not in page
    again = call("diff", "a@1", "a@2", "--format", "html", "-o", target)
    assert (again.code, "unwritable_target" in again.err) == (2, True)
    assert call("diff", "a@1", "a@2", "--format", "html", "-o", target, "--force").code == 0


def test_exit_codes_tell_whether_there_is_a_difference(call, put):
    put("a", "x\n")
    put("a", "x\n", "--title", "T")
    put("a", "y\n")
    assert call("diff", "a@1", "a@2", "--exit-code").code == 0
    assert call("diff", "a@1", "a@3", "--exit-code").code == 1
    assert call("diff", "a@1", "a@9").code == 4


def test_files_and_folders_beside_the_store(call, put, tmp_path, monkeypatch):
    put("order.txt", "1\n")
    (tmp_path / "order.txt").write_text("2\n")
    monkeypatch.chdir(tmp_path)
    assert call("diff", "order.txt", "./order.txt").text.startswith("order.txt@1 → order.txt: differ in meaning")
    assert call("diff", "order.txt", "order.txt", "--exit-code").code == 0  # a name, not a file
    missing = call("diff", "order.txt", "./nothing")
    assert (missing.code, "unreadable_source" in missing.err) == (2, True)
    (tmp_path / "out").mkdir()
    call("get", "order.txt", "-o", tmp_path / "out" / "main.txt")
    assert call("diff", "order.txt", tmp_path / "out", "--exit-code").code == 0


def test_colours_only_on_a_terminal(call, put, environment):
    put("a", "x\n")
    put("a", "y\n\x1b[31mred\n")
    assert b"\x1b" not in call("diff", "a@1", "a@2").out
    ours, theirs = pty.openpty()
    subprocess.run([PROGRAM, "diff", "a@1", "a@2"], stdout=theirs, check=True)
    os.close(theirs)
    shown = os.read(ours, 10_000).decode()
    os.close(ours)
    assert "\x1b[31m  -x\x1b[0m" in shown
    assert plain("+\x1b[31mred") in shown  # what is stored paints nothing


@pytest.mark.parametrize("form", ["json", "html", "patch"])
def test_what_is_written_to_a_file_ends_its_last_line_once(call, tmp_path, form):
    call("put", "a", json_file(tmp_path, {"k": 1}))
    call("put", "a", json_file(tmp_path, {"k": {"l": 2}}))
    target = tmp_path / "out"
    call("diff", "a@1", "a@2", "--format", form, "-o", target)
    assert target.read_text() == call("diff", "a@1", "a@2", "--format", form).text
    assert (target.read_text()[-1:], target.read_text()[-2:] != "\n\n") == ("\n", True)
    assert re.search(r"an object of 1 key\b", call("diff", "a@1", "a@2").text)


# -- merge ----


def json_file(tmp_path, value):
    path = tmp_path / "value.json"
    path.write_text(json.dumps(value))
    return path


def part_ways(call, tmp_path, base, ours, theirs):
    call("put", "base", json_file(tmp_path, base))
    call("put", "ours", json_file(tmp_path, ours), "--source", "base@1")
    call("put", "theirs", json_file(tmp_path, theirs), "--source", "base@1")


def test_a_merge_without_conflicts(call, tmp_path):
    part_ways(call, tmp_path, {"a": 1, "b": 1}, {"a": 2, "b": 1}, {"a": 1, "b": 2})
    preview = call("merge", "ours", "theirs", "--preview")
    assert preview.text.splitlines() == ["main: merged", "nothing stands against it, and nothing was stored"]
    done = call("merge", "ours", "theirs")
    assert (done.code, done.text.splitlines()[1].split()[0]) == (0, "ours@2")
    assert json.loads(call("get", "ours").text) == {"a": 2, "b": 2}


def test_conflicts_are_written_completed_and_taken_back(call, tmp_path):
    part_ways(call, tmp_path, {"a": 1, "b": 1}, {"a": 2, "b": 2}, {"a": 3, "b": 3})
    todo = tmp_path / "todo.json"
    refused = call("merge", "ours", "theirs", "--conflicts", todo)
    assert refused.code == 5
    assert refused.text.splitlines() == [
        "main: conflict",
        "conflict in main at /a: both sides changed it, to other values",
        "  base    1",
        "  ours    2",
        "  theirs  3",
        "conflict in main at /b: both sides changed it, to other values",
        "  base    1",
        "  ours    2",
        "  theirs  3",
    ]
    document = json.loads(todo.read_text())
    assert [
        (each["path"], each["base"], each["ours"], each["theirs"], each["take"]) for each in document["conflicts"]
    ] == [
        ("/a", 1, 2, 3, None),
        ("/b", 1, 2, 3, None),
    ]
    incomplete = call("merge", "--resolved", todo, "--json")
    assert (incomplete.code, incomplete.error["error"]) == (2, "bad_argument")
    assert incomplete.error["message"] == f"{todo}: the conflict in main at /a is not decided yet: its `take` is null"
    document["conflicts"][0]["take"] = "theirs"
    document["conflicts"][1]["take"] = "mine"
    todo.write_text(json.dumps(document))
    unknown = call("merge", "--resolved", todo, "--json").error
    assert unknown["message"] == f"{todo}: the conflict in main at /b has 'mine' as its `take`"
    assert all(f'"{take}"' in unknown["hint"] for take in ("ours", "theirs", "base", "value"))
    document["conflicts"][1] |= {"take": "value", "value": [4]}
    todo.write_text(json.dumps(document))
    assert call("merge", "--resolved", todo, "--json").json["stored"]["number"] == 2
    assert json.loads(call("get", "ours").text) == {"a": 3, "b": [4]}


def test_what_one_side_of_a_conflict_has_not_is_nothing_and_what_is_long_is_cut(call, tmp_path):
    part_ways(call, tmp_path, {"a": 1}, {}, {"a": "x\x1b" * 100})
    told = call("merge", "ours", "theirs").text.splitlines()
    assert told[2:4] == ["  base    1", "  ours    nothing"]
    assert told[4].startswith('  theirs  "x')
    assert (len(told[4]), told[4][-1], "\x1b" in told[4]) == (110, "…", False)


def test_merge_says_what_it_needs(call, tmp_path):
    assert call("merge", "ours").code == 2
    assert call("merge", "ours", "theirs", "--resolved", "x").code == 2
    for wrong in (
        "[]",
        "{",
        "7",
        "{}",
        '{"format": "casstore/merge/1", "conflicts": [7]}',
        '{"format": "x", "conflicts": [{"take": []}]}',
        '{"format": "casstore/merge/1", "conflicts": []}',
    ):
        (tmp_path / "x.json").write_text(wrong)
        refused = call("merge", "--resolved", tmp_path / "x.json", "--json").error
        assert (refused["error"], "x.json" in refused["message"]) == ("bad_argument", True)
        assert "pydantic" not in refused["message"]
    assert call("merge", "--resolved", tmp_path / "none.json", "--json").error["error"] == "unreadable_source"


# -- apply ----


def test_a_patch_that_diff_has_written_is_applied(call, cli, tmp_path):
    call("put", "plan", json_file(tmp_path, {"a": 1, "big": 2**70, "f": 1.0}), "--title", "Plan")
    call("put", "draft", json_file(tmp_path, {"a": 1.0, "big": 2**70 + 1, "f": -0.0}))
    patch = tmp_path / "p.json"
    assert call("diff", "plan", "draft", "--format", "patch", "-o", patch).code == 0
    done = call("apply", "plan@1", patch, "--label", "team=x", "--json")
    assert (done.json["ref"], done.json["title"], done.json["labels"]) == ("plan@2", "Plan", {"team": "x"})
    assert call("get", "plan").text == '{"a": 1.0, "big": 1180591620717411303425, "f": -0.0}'.replace(" ", "")
    again = call("apply", "plan@1", patch, "--json")
    assert (again.code, again.error["error"]) == (5, "head_moved")
    assert cli("apply", "plan", "-", stdin=patch.read_bytes()).code == 0  # what it sets is there already


def test_a_patch_that_does_not_apply_says_which_operation(call, tmp_path):
    call("put", "plan", json_file(tmp_path, {"a": 1}))
    patch = tmp_path / "p.json"
    patch.write_text('[{"op": "add", "path": "/b", "value": 1}, {"op": "remove", "path": "/c"}]')
    refused = call("apply", "plan", patch, "--json")
    assert (refused.code, refused.error["error"], refused.error["operation"]) == (2, "bad_patch", 1)
    assert "main of plan@1: operation 1 of the patch has a path to what is not there: 'c'" in refused.error["message"]
    patch.write_text("[{")
    assert call("apply", "plan", patch, "--json").error["error"] == "bad_patch"
    assert call("apply", "plan", tmp_path / "none.json", "--json").error["error"] == "unreadable_source"
    assert call("log", "plan", "--json").json["items"][0]["number"] == 1
