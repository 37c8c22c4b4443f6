"""Every command once as people call it and once as programs do."""

from __future__ import annotations

import re
import uuid
from base64 import b64encode

import pytest

from casstore import __version__
from tests.support.old_layout import state_of, write, written
from tests.unit.kind_parts import png_bytes

VERSION_KEYS = {
    "ref",
    "id",
    "name",
    "number",
    "type",
    "title",
    "labels",
    "metadata",
    "digest",
    "components",
    "relations",
    "created_at",
    "by",
    "state",
}
VERSION_KEYS |= {"size_bytes", "erased"}
POINTER_KEYS = {"name", "pointer", "is_tag", "number", "moved_at", "by"}


def test_put_says_what_was_new(call, tmp_path):
    (tmp_path / "a.json").write_text('{"a": 1}')
    (tmp_path / "b.json").write_text('{"a": 2}')
    lines = [call("put", "w/x", tmp_path / name).text for name in ("a.json", "a.json", "b.json", "a.json")]
    shape = r"w/x@(\d)  b3:[0-9a-f]{12}  8 B  \((.+)\)\n"
    assert [re.fullmatch(shape, line).groups() for line in lines] == [
        ("1", "new"),
        ("1", "reused"),
        ("2", "new"),
        ("3", "deduplicated, 8 B shared"),
    ]


def test_put_says_how_much_of_it_was_there_already(call, tmp_path):
    for name, text in (("old", "12345"), ("new", "123")):
        (tmp_path / name).write_text(text)
    parts = ("--component", f"a={tmp_path}/old", "--component", f"b={tmp_path}/new")
    call("put", "w/x", tmp_path / "old")
    assert call("put", "w/y", *parts).text.endswith("8 B  (new, 5 B shared)\n")
    again = call("put", "w/z", *parts, "--json").json
    assert (again["novelty"], again["new_bytes"], again["shared_bytes"]) == ("deduplicated", 0, 8)


def test_put_with_everything(call, put, tmp_path):
    stored = put(
        "w/x", "hi", "--type", "sop", "--title", "Grüße 世界", "--label", "a=1", "--label", "b=x=y", "--expect", "0"
    )
    assert set(stored) == VERSION_KEYS | {
        *("reused", "new_bytes", "repeated", "expires_at", "differs", "novelty", "shared_bytes"),
    }
    assert (stored["type"], stored["title"], stored["labels"]) == ("sop", "Grüße 世界", {"a": "1", "b": "x=y"})
    assert stored["components"][0]["media_type"] == "text/plain"
    assert uuid.UUID(stored["id"])
    again = put("w/x", "hi", "--on-same", "new_version", "--idempotency-key", "k", "--media-type", "text/x-own")
    assert (again["number"], again["components"][0]["media_type"]) == (2, "text/x-own")
    repeated = put("w/x", "hi", "--on-same", "new_version", "--idempotency-key", "k", "--media-type", "text/x-own")
    assert (repeated["number"], repeated["repeated"], repeated["novelty"]) == (2, True, "already there")


def test_a_patch_repeated_with_its_key_is_one(call, tmp_path):
    (tmp_path / "x.json").write_text('{"k": 1}')
    (tmp_path / "p.json").write_text(
        '[{"op": "test", "path": "/k", "value": 1}, {"op": "replace", "path": "/k", "value": 2}]'
    )
    assert call("put", "p/x", tmp_path / "x.json").code == 0
    for _ in range(2):
        done = call("apply", "p/x", tmp_path / "p.json", "--idempotency-key", "k")
        assert (done.code, b"p/x@2" in done.out) == (0, True), done.err


def test_a_composite_goes_in_and_out_as_files(call, tmp_path):
    (tmp_path / "r.json").write_bytes(b"{}")
    (tmp_path / "risks.md").write_bytes(b"none")
    done = call(
        "put", "plan/x", "--component", f"roadmap={tmp_path}/r.json", "--component", f"risks={tmp_path}/risks.md"
    )
    assert done.code == 0, done.err
    fetched = call("get", "plan/x@1", "-o", tmp_path / "out", "--json")
    assert fetched.json["ref"] == "plan/x@1"
    assert {(f["role"], f["path"]) for f in fetched.json["files"]} == {
        ("roadmap", f"{tmp_path}/out/roadmap.json"),
        ("risks", f"{tmp_path}/out/risks.md"),
    }
    assert (tmp_path / "out/roadmap.json").read_bytes() == b"{}"
    assert call("get", "plan/x#risks").out == b"none"
    whole = call("get", "plan/x")
    assert whole.code == 2
    assert "plan/x@1#risks" in whole.err
    assert "roadmap" in whole.err


def test_roles_that_would_share_a_file_name(call, tmp_path):
    (tmp_path / "1.json").write_text("1")
    (tmp_path / "2").write_text("2")
    call("put", "p/x", "--component", f"a={tmp_path}/1.json", "--component", f"a.json={tmp_path}/2")
    assert call("get", "p/x", "-o", tmp_path / "out").code == 0
    assert {p.name: p.read_text() for p in (tmp_path / "out").iterdir()} == {"a": "1", "a.json": "2"}


def test_get_to_a_file_is_all_or_nothing_and_never_overwrites(call, put, tmp_path):
    put("w/x", "one")
    target = tmp_path / "there"
    target.write_text("mine")
    refused = call("get", "w/x", "-o", target, "--json")
    assert (refused.code, refused.error["error"]) == (2, "unwritable_target")
    assert target.read_text() == "mine"
    forced = call("get", "w/x", "-o", target, "--force")
    assert (forced.code, forced.text) == (0, f"{target}  3 B\n")
    assert target.read_text() == "one"
    assert call("get", "w/x", "-o", tmp_path).code == 2
    assert call("get", "w/x", "-o", "/dev/null", "--force").code == 2
    link = tmp_path / "link"
    link.symlink_to(target)
    target.unlink()
    assert call("get", "w/x", "-o", link).code == 0
    assert link.is_symlink()
    assert target.read_text() == "one"
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".casstore")]


def test_show(call, put):
    put("w/x", "hi", "--title", "A title", "--label", "k=v")
    call("alias", "w/x@1", "prod")
    call("tag", "w/x@1", "release-1")
    shown = call("show", "w/x@prod")
    for part in ("w/x@1\n", "A title", "label k", "prod", "release-1", "COMPONENT", "main", "2 B", "text/plain"):
        assert part in shown.text
    document = call("show", "w/x@prod", "--json").json
    assert set(document) == VERSION_KEYS | {"pointers", "transitions", "sources", "custody"}
    assert [set(point) for point in document["pointers"]] == [POINTER_KEYS] * 2


def test_show_tells_what_keeps_a_version_and_when_it_ends(call, put):
    put("w/x", "hi", "--ttl", "2w", "--by", "ana")
    assert call("hold", "w/x@1", "case-1", "--by", "legal").code == 0
    assert call("hold", "--everything", "audit", "--by", "legal").code == 0
    lines = [line.split(None, 2) for line in call("show", "w/x").text.splitlines()]
    assert ["held", "by", "audit (on everything), case-1 (on w/x@1)"] in lines
    (expires,) = [line for line in lines if line[:1] == ["expires"]]
    custody = call("show", "w/x", "--json").json["custody"]
    assert custody["expiry"]["at"].startswith(expires[1])
    assert [hold["hold"] for hold in custody["holds"]] == ["audit", "case-1"]


def test_log_marks_repeated_content_and_pointers(call, put):
    for text in ("one", "two", "two"):
        put("w/x", text, "--on-same", "new_version")
    call("alias", "w/x@2", "prod")
    lines = call("log", "w/x").text.splitlines()
    assert [line.split()[0] for line in lines] == ["VERSION", "3", "2", "1", "="]
    assert [" =" in line for line in lines[1:4]] == [True, False, False]
    assert "prod" in lines[2]
    first = call("log", "w/x", "--limit", 1, "--json").json
    assert [item["same_as_previous"] for item in first["items"]] == [True]
    assert set(first["items"][0]) == VERSION_KEYS | {"same_as_previous", "differs", "pointers"}
    rest = call("log", "w/x", "--json", "--cursor", first["cursor"]).json
    assert [(item["number"], item["same_as_previous"]) for item in rest["items"]] == [(2, False), (1, False)]
    assert rest["cursor"] is None
    assert f"--cursor {first['cursor']}" in call("log", "w/x", "--limit", 1).err


def test_who_did_it_is_told_where_somebody_was_named(call, put, tmp_path, monkeypatch):
    put("w/x", "one")
    put("w/x", "two", "--by", "ana")
    assert "BY" not in call("alias", "--list", "w/x").text
    call("alias", "w/x@1", "prod", "--by", "ops")
    monkeypatch.setenv("CASSTORE_BY", "pipeline 7")
    put("w/x", "three")
    call("tag", "w/x@3", "final")
    call("alias", "w/x@2", "prod", "--by", "ana")
    call("alias", "--delete", "w/x", "prod")
    lines = call("log", "w/x").text.splitlines()
    assert lines[0].split()[:5] == ["VERSION", "STATE", "CREATED", "(UTC)", "BY"]
    assert [("pipeline 7" in line, " ana " in line) for line in lines[1:4]] == [
        (True, False),
        (False, True),
        (False, False),
    ]
    assert [item["by"] for item in call("log", "w/x", "--json").json["items"]] == ["pipeline 7", "ana", None]
    assert "by ana" in " ".join(call("show", "w/x@2").text.split())
    assert not any(line.split()[:1] == ["by"] for line in call("show", "w/x@1").text.splitlines())
    moves = call("alias", "--history", "w/x", "prod", "--json").json["items"]
    assert [(move["number"], move["by"]) for move in moves] == [(None, "pipeline 7"), (2, "ana"), (1, "ops")]
    assert "pipeline 7" in call("alias", "--list", "w/x").text
    told = [(each["op"], each["by"]) for each in call("op", "log", "--json").json["items"]]
    assert told == [
        *(("unalias", "pipeline 7"), ("alias", "ana"), ("tag", "pipeline 7"), ("put", "pipeline 7")),
        *(("alias", "ops"), ("put", "ana"), ("put", None)),
    ]


def test_who_does_it_is_said_once_for_all_calls(call, put, tmp_path, monkeypatch):
    monkeypatch.setenv("CASSTORE_BY", "ops")
    put("w/x", "one", "--media-type", "text/plain")
    put("w/x", "two", "--media-type", "text/plain")
    patch = tmp_path / "p.json"
    assert call("diff", "w/x@1", "w/x@2", "--format", "patch", "-o", patch).code in (0, 1)
    assert call("apply", "w/x@1", patch, "--into", "w/y", "--json").json["by"] == "ops"
    put("w/z", "two", "--source", "w/x@1", "--media-type", "text/plain")
    assert call("merge", "w/y", "w/z", "--base", "w/x@1", "--json", "--by", "ana").json["stored"]["by"] == "ana"
    (tmp_path / "in/sop/login").mkdir(parents=True)
    (tmp_path / "in/sop/login/v0001.md").write_text("x")
    assert call("import", tmp_path / "in").code == 0
    assert call("show", "sop/login", "--json").json["by"] == "ops"
    for done in (
        call("state", "w/x@1", "accepted", "--json"),
        call("hold", "w/x@1", "case", "--json"),
        call("release", "w/x@1", "case", "--json"),
        call("expire", "w/x@1", "--after", "1d", "--json"),
        call("delete", "w/x@2", "--json"),
        call("undelete", "w/x@2", "--json"),
    ):
        assert done.code == 0, done.err
    assert {each["by"] for each in call("op", "log", "--json", "--limit", 1000).json["items"]} == {"ops", "ana"}
    assert call("state", "w/x@1").code == 0  # asks nothing of nobody
    assert call("delete", "w/x@2", "--by", "").code == 2  # an empty name is nobody's, and not that of the environment
    assert call("put", "w/x", "-", "--by", "").code == 2
    assert call("alias", "--list", "w/x", "--by", "ops").code == 2
    monkeypatch.setenv("CASSTORE_BY", "")
    assert call("delete", "w/x@2", "--json").error["message"] == (
        "Missing option '--by': who does it? (CASSTORE_BY says it for all calls.)"
    )
    assert call("put", "w/x", "-", "--by", "x" * 256, "--json").code == 2


def test_ls_filters_and_pages(call, put):
    for name, kind, team in (("a/1", "sop", "red"), ("a/2", "sop", "blue"), ("b/1", "plan", "red")):
        put(name, name, "--type", kind, "--label", f"team={team}")

    def names(*options):
        return [item["name"] for item in call("ls", "--json", *options).json["items"]]

    assert names() == ["b/1", "a/2", "a/1"]
    assert names("a/") == ["a/2", "a/1"]
    assert names("--type", "plan") == ["b/1"]
    assert names("--label", "team=red") == ["b/1", "a/1"]
    page = call("ls", "--json", "--limit", 2).json
    assert set(page) == {"items", "cursor"}
    assert names("--cursor", page["cursor"]) == ["a/1"]
    assert names("--all", "--limit", 1) == ["b/1", "a/2", "a/1"]
    table = call("ls").text.splitlines()
    assert [line.split()[0] for line in table] == ["VERSION", "b/1@1", "a/2@1", "a/1@1"]
    assert call("ls", "nothing").err == "There are no such artifacts.\n"


def test_alias_moves_lists_and_goes(call, put):
    put("w/x", "one")
    put("w/x", "two")
    assert call("alias", "w/x@1", "prod").text == "w/x@prod → w/x@1\n"
    assert call("alias", "w/x", "prod", "--expect", 2).code == 5
    moved = call("alias", "w/x", "prod", "--expect", 1, "--json").json
    assert (set(moved), moved["number"]) == (POINTER_KEYS, 2)
    listed = call("alias", "w/x", "--list", "--json").json
    assert [(p["pointer"], p["number"]) for p in listed["items"]] == [("prod", 2)]
    assert call("alias", "w/x", "--list").text.splitlines()[1].split()[:3] == ["prod", "alias", "2"]
    assert call("alias", "w/x", "prod", "--delete").text == "w/x@prod → (deleted)\n"
    moves = call("alias", "w/x", "prod", "--history", "--json").json
    assert [p["number"] for p in moves["items"]] == [None, 2, 1]
    page = call("alias", "w/x", "prod", "--history", "--limit", 1, "--json").json
    assert [
        p["number"]
        for p in call("alias", "w/x", "prod", "--history", "--json", "--cursor", page["cursor"]).json["items"]
    ]
    assert "(deleted)" in call("alias", "w/x", "prod", "--history").text
    assert call("get", "w/x@prod").code == 4
    assert call("alias", "w/x").code == 2
    assert call("alias", "w/x", "prod", "--list").code == 2


def test_tag_is_for_ever(call, put):
    put("w/x", "one")
    put("w/x", "two")
    assert call("tag", "w/x@1", "first").text == "w/x@first → w/x@1\n"
    assert call("tag", "w/x@1", "first", "--json").json["is_tag"]
    refused = call("tag", "w/x@2", "first", "--json")
    assert (refused.code, refused.error["error"]) == (5, "tag_frozen")


def test_where_used_by_content_and_by_version(call, put):
    one = put("a/1", "same")
    put("a/2", "same")
    put("a/3", "other")
    part = one["components"][0]["digest"]
    for what in (part, part[:15], "a/1#main", "a/2", one["digest"]):
        document = call("where-used", what, "--json").json
        assert set(document) == {"digest", "items", "cursor"}
        assert [item["ref"] for item in document["items"]] == ["a/2@1", "a/1@1"]
    assert [line.split()[0] for line in call("where-used", "a/3").text.splitlines()] == ["VERSION", "a/3@1"]
    assert "No version" in call("where-used", "b3:" + "0" * 64).err
    page = call("where-used", part, "--limit", 1, "--json").json
    assert [i["ref"] for i in call("where-used", part, "--cursor", page["cursor"], "--json").json["items"]] == ["a/1@1"]


def test_import_reports_and_its_exit_code(call, tmp_path):
    tree = tmp_path / "tree"
    (tree / "sop/a").mkdir(parents=True)
    (tree / "sop/a/v0001.md").write_text("one")
    (tree / "README.md").write_text("x")
    done = call("import", tree, "--prefix", "acme/", "--at-once", 2)
    assert done.code == 0
    assert done.text.splitlines()[:3] == [
        "Versions: 1 new · 0 deduplicated · 0 already there · 0 refused",
        "Bytes: 3 B read · 3 B added · 0 B saved, being there already",
        "Files skipped: 1",
    ]
    assert "README.md: not at" in done.text
    assert call("get", "acme/sop/a@1").out == b"one"
    (tree / "sop/a/v0001.md").write_text("edited")
    refused = call("import", tree, "--prefix", "acme/", "--json")
    assert refused.code == 1
    assert (refused.json["refused"], refused.json["skipped"]) == (1, 1)
    assert {"path", "status", "ref", "code", "reason", "size_bytes", "new_bytes"} == set(refused.json["entries"][0])
    assert "sop/a/v0001.md: it was imported before with other content" in call("import", tree, "--prefix", "acme/").text


def test_import_of_the_platforms_old_layout(call, tmp_path):
    result = {"n": 1, "a_visual": {"image_base64": b64encode(png_bytes()).decode()}}
    write(tmp_path, written("artifacts/sop/acme/a b.json", result) | written("artifacts/sop/beta/x.json", {"n": 2}))
    write(tmp_path, {"artifacts/sop/acme/bad.json": b"{", "artifacts/sop/acme/x.png": b"x"})
    before = state_of(tmp_path)
    one = call("import", tmp_path, "--layout", "platform", "--tenant", "beta")
    assert (one.code, one.err) == (0, "")
    assert one.text.splitlines()[0] == "Versions: 1 new · 0 deduplicated · 0 already there · 0 refused"
    done = call("import", tmp_path, "--layout", "platform", "--at-once", 2)
    assert done.code == 1
    lines = done.text.splitlines()
    assert lines[0] == "Versions: 1 new · 0 deduplicated · 1 already there · 1 refused"
    name = re.fullmatch(
        r"  artifacts/sop/acme/a b.json: as (sop/a-b-[0-9a-f]{12}), its id .+", lines[lines.index("Remarks:") + 1]
    )[1]
    assert lines[lines.index("Refused:") + 1].startswith("  artifacts/sop/acme/bad.json: the content is not JSON")
    assert lines[lines.index("Skipped:") + 1] == "  artifacts/sop/acme/x.png: a picture that no document refers to"
    assert call("get", f"{name}#a_visual", "--tenant", "acme").out == png_bytes()
    assert call("get", "sop/x", "--tenant", "beta").out == b'{"n":2}'
    report = call("import", tmp_path, "--layout", "platform", "--json").json
    assert (report["already_there"], report["refused"], report["skipped"]) == (2, 1, 1)
    assert state_of(tmp_path) == before


@pytest.mark.slow
def test_import_in_several_processes(cli, tmp_path):
    for n in range(9):
        (tmp_path / f"sop/n{n}").mkdir(parents=True)
        (tmp_path / f"sop/n{n}/v0001.md").write_text(f"number {n}")
    done = cli("import", tmp_path, "--processes", 2)
    assert (done.code, done.err) == (0, "")
    assert done.text.splitlines()[0] == "Versions: 9 new · 0 deduplicated · 0 already there · 0 refused"
    assert cli("get", "sop/n7@1").out == b"number 7"
    refused = cli("import", tmp_path, "--processes", 17)
    assert refused.code == 2
    assert "1 to 16 processes" in refused.err


def test_init_and_doctor(call, home):
    assert call("init").text.splitlines()[0] == f"blobs    {(home / 'blobs').as_uri()}"
    assert set(call("init", "--json").json) == {"blobs", "catalog", "applied"}
    well = call("doctor")
    assert well.code == 0, well.text
    checks = [line.split(":")[0].split(None, 1) for line in well.text.splitlines()]
    names = ["program", "settings", "blobs", "disk of blobs", "disk of catalog", "postgres", "catalog", "migrations"]
    assert checks == [["ok", name] for name in [*names, "role", "identity", "clock"]]
    document = call("doctor", "--json").json
    assert document["ok"] is True
    assert set(document["findings"][0]) == {"check", "ok", "detail", "hint"}


def test_doctor_reports_what_fails_and_hides_credentials(call, tmp_path):
    (tmp_path / "file").write_text("")
    sick = call(
        *("doctor", "--json", "--catalog", "postgresql://me:secret@127.0.0.1:1/x?password=hidden"),
        *("--blobs", (tmp_path / "file").as_uri()),
    )
    assert sick.code == 8
    assert {finding["check"] for finding in sick.json["findings"] if not finding["ok"]} == {"blobs", "catalog"}
    assert all(finding["hint"] for finding in sick.json["findings"] if not finding["ok"])
    assert b"secret" not in sick.out
    assert b"hidden" not in sick.out


def test_doctor_leaves_no_blob_behind(call, home):
    folder = home / "blobs/artifacts/blobs"
    call("init")
    before = sorted(folder.iterdir())
    assert call("doctor").code == 0
    assert [path for path in sorted(folder.iterdir()) if path.name not in {p.name for p in before} | {".lock"}] == []


def test_tenants_do_not_see_each_other(call, put):
    put("w/x", "mine")
    assert call("get", "w/x", "--tenant", "somebody-else").code == 4
    assert call("ls", "--tenant", "somebody-else").text == ""


def test_version_and_help(call, cli):
    assert call("--version").text == f"casstore {__version__}\n"
    assert cli("--version").text == f"casstore {__version__}\n"
    bare = call()
    assert bare.code == 0
    assert "where-used" in bare.text
    assert bare.out == call("--help").out


@pytest.mark.parametrize(
    "command",
    [
        "put",
        "get",
        "show",
        "log",
        "ls",
        "alias",
        "tag",
        "state",
        "lineage",
        "where-used",
        "dedup",
        "import",
        "init",
        "doctor",
    ],
)
def test_every_command_has_help_with_exit_codes_and_the_shared_options(call, command):
    from casstore.cli.root import COMMANDS, commands

    done = call(command, "--help")
    assert done.code == 0
    for part in ("Exit codes:", "interrupted", "--json", "--tenant", "--home", "--blobs", "--catalog"):
        assert part in done.text
    assert "--traceback" not in done.text
    assert commands.get_command(None, command).short_help == COMMANDS[command]
