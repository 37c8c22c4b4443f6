"""Whatever goes wrong: its exit code, and an error that says what to do, also as JSON."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = Path(sys.executable).with_name("casstore")


def blobs_of(home):
    return home / "blobs" / "artifacts" / "blobs"


@pytest.mark.parametrize(
    ("arguments", "exit_code", "error"),
    [
        (["get", "nope"], 4, "artifact_not_found"),
        (["get", "w/x@9"], 4, "version_not_found"),
        (["get", "w/x@prod"], 4, "pointer_not_found"),
        (["get", "w/x#part"], 4, "component_not_found"),
        (["get", "w/x@@"], 2, "bad_selector"),
        (["show", "a..b"], 2, "bad_name"),
        (["put", "w/x", "/nonexistent"], 2, "unreadable_source"),
        (["put", "w/x", "/tmp"], 2, "unreadable_source"),
        (["put", "w/x", __file__, "--expect", "7"], 5, "head_moved"),
        (["put", "w/x", __file__, "--type", "other"], 5, "type_mismatch"),
        (["put", "W/X", __file__], 5, "name_case"),
        (["put", "w/x"], 2, "bad_argument"),
        (["put", "w/x", "-", "--component", "a=b"], 2, "bad_argument"),
        (["put", "w/x", "--component", "a=-", "--component", "b=-"], 2, "bad_argument"),
        (["put", "w/x", __file__, "--label", "nothing"], 2, "bad_argument"),
        (["put", "w/x", __file__, "--label", "a=1", "--label", "a=2"], 2, "bad_argument"),
        (["put", "w/x", __file__, "--expect", "many"], 2, "bad_argument"),
        (["put", "w/x", __file__, "--tenant", "../x"], 2, "bad_tenant"),
        (["log", "w/x", "--cursor", "made-up"], 2, "bad_cursor"),
        (["ls", "--limit", "0"], 2, "bad_argument"),
        (["put", "w/x", __file__, "--metadata", "[1]"], 2, "bad_metadata"),
        (["put", "w/x", __file__, "--metadata", '{"a": NaN}'], 2, "bad_metadata"),
        (["put", "w/x", __file__, "--metadata", '{"a": "\\u0000"}'], 2, "bad_metadata"),
        (["put", "w/x", __file__, "--metadata", "@/nonexistent"], 2, "unreadable_source"),
        (["put", "w/x", __file__, "--metadata", f"@{__file__}"], 2, "bad_metadata"),
        (["put", "w/y", __file__, "--source", "w/x@9"], 4, "version_not_found"),
        (["put", "w/y", __file__, "--source", "w/x#main"], 2, "bad_reference"),
        (["put", "w/y", __file__, "--source", "w/x="], 2, "bad_role"),
        (["put", "w/y", __file__, "--source", "id:00000000-0000-7000-8000-000000000000"], 4, "version_not_found"),
        (["ls", "--metadata", "nothing"], 2, "bad_metadata"),
        (["ls", "--metadata", "[]"], 2, "bad_metadata"),
        (["ls", "--metadata", "null"], 2, "bad_metadata"),
        (["ls", "--state", "new"], 2, "bad_argument"),
        (["state", "nope"], 4, "artifact_not_found"),
        (["state", "w/x", "accepted"], 2, "bad_argument"),
        (["state", "w/x", "accepted", "--by", ""], 2, "bad_argument"),
        (["state", "w/x", "draft", "--by", "me"], 2, "bad_argument"),
        (["state", "w/x", "--by", "me"], 2, "bad_argument"),
        (["state", "w/x#main", "accepted", "--by", "me"], 2, "bad_reference"),
        (["lineage", "w/x", "--depth", "-1"], 2, "bad_argument"),
        (["lineage", "w/x", "--stale", "--format", "prov"], 2, "bad_argument"),
        (["lineage", "w/x", "-o", "/tmp"], 2, "unwritable_target"),
        (["where-used", "w/x", "--pixels"], 2, "bad_picture"),
        (["where-used", "b3:123456789abc", "--pixels"], 2, "bad_argument"),
        (["dedup", "--limit", "0"], 2, "bad_argument"),
        (["where-used", "b3:12"], 2, "bad_digest"),
        (["import", "/nonexistent"], 2, "unreadable_source"),
        (["import", "/nonexistent", "--layout", "platform"], 2, "unreadable_source"),
        (["import", "/", "--layout", "platform", "--prefix", "a/"], 2, "bad_argument"),
        (["import", "/", "--layout", "platform", "--processes", "2"], 2, "bad_argument"),
        (["import", "/", "--layout", "tar"], 2, "bad_argument"),
        (["import", "gs://a/../b", "--layout", "platform"], 2, "bad_config"),
        (["ls", "--catalog", "sqlite:///x"], 2, "bad_config"),
        (["ls", "--blobs", "ftp://x"], 2, "bad_config"),
        (["ls", "--catalog", "postgresql://127.0.0.1:1/x"], 8, "catalog_unavailable"),
        (["init", "--catalog", "postgresql://127.0.0.1:1/x"], 8, "catalog_unavailable"),
        (["ls", "--no-such-option"], 2, "bad_argument"),
        (["nonsense"], 2, "bad_argument"),
        (["get"], 2, "bad_argument"),
    ],
)
def test_errors_have_an_exit_code_a_message_and_json(call, put, arguments, exit_code, error):
    put("w/x", "one", "--type", "sop")
    plain = call(*arguments)
    assert plain.code == exit_code, plain.err
    assert plain.err.startswith("casstore: ")
    assert f"[{error}]" in plain.err
    assert plain.out == b""
    told = call(*arguments, "--json")
    assert told.code == exit_code
    assert told.error["error"] == error
    assert set(told.error) >= {"error", "message", "hint"}
    assert told.out == b""


def test_damaged_bytes_are_exit_code_7_and_leave_no_file(call, put, home, tmp_path):
    stored = put("w/x", "precious")
    blob = blobs_of(home) / stored["components"][0]["digest"].removeprefix("b3:")
    blob.chmod(0o644)
    blob.write_text("spoiled!")
    done = call("get", "w/x", "-o", tmp_path / "out", "--json")
    assert (done.code, done.error["error"]) == (7, "blob_altered")
    assert not (tmp_path / "out").exists()
    put("w/x", "precious", "--on-same", "new_version")
    assert call("get", "w/x@1").out == b"precious"
    blob.unlink()
    gone = call("get", "w/x@1", "--json")
    assert (gone.code, gone.error["error"], gone.out) == (7, "blob_missing", b"")


def test_denied_is_exit_code_6(call, monkeypatch):
    from casstore import Denied
    from casstore.errors import Code
    from casstore.store import AsyncStore

    def refuse(*_, **__):
        raise Denied(Code.NOT_PERMITTED, "no", hint="Ask.")

    monkeypatch.setattr(AsyncStore, "open", refuse)
    assert call("ls").code == 6


def test_a_bug_is_exit_code_1_and_its_traceback_only_on_demand(call, monkeypatch):
    from casstore.store import AsyncStore

    def fail(*_, **__):
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(AsyncStore, "open", fail)
    short = call("ls")
    assert short.code == 1
    assert "a bug in casstore: ZeroDivisionError: oops" in short.err
    assert "--traceback" in short.err
    assert "Traceback (most recent call last)" not in short.err
    assert call("ls", "--json").error["error"] == "bug"
    assert "Traceback (most recent call last)" in call("ls", "--traceback").err


def test_options_before_the_command_are_explained(call):
    done = call("--json", "ls")
    assert done.code == 2
    assert "Options stand after the command" in done.error["hint"]


@pytest.mark.parametrize(
    "wrong",
    [
        ["delete", "w/x@1"],
        ["purge", "w/x@1"],
        ["erase", "b3:00", "--receipt", "x"],
        ["state", "w/x", "accepted"],
        ["retention", "apply"],
        ["op", "undo", "1"],
        ["tenant", "delete", "acme"],
        ["webhook", "add", "https://example.org/"],
        ["alias", "w/x@1"],
        ["merge", "w/x"],
        ["put", "w/x", "-", "--component", "nothing"],
        ["expire", "w/x@1", "--by", "me"],
    ],
)
def test_a_wrong_call_points_to_the_help_of_its_command(call, wrong):
    done = call(*wrong, "--json")
    assert (done.code, done.error["hint"]) == (2, f"See `casstore {wrong[0]} --help`.")


@pytest.mark.parametrize(
    "name", ["delete", "purge", "erase", "undelete", "expire", "state", "retention", "op", "tenant", "webhook"]
)
def test_the_help_says_when_it_has_to_be_said_who_does_it(call, name):
    text = " ".join(call(name, "--help").text.split())
    assert "[required" in text[text.rindex("--by WHO") :].split(" --")[0]


def test_a_name_that_is_not_there_tells_where_was_looked_unless_the_call_said_it(call, monkeypatch):
    monkeypatch.delenv("CASSTORE_TENANT")
    assert (
        call("get", "nope/none", "--json")
        .error["hint"]
        .startswith("Nothing of that name in tenant 'default'; `casstore ls`")
    )
    monkeypatch.setenv("CASSTORE_TENANT", "acme")
    assert "tenant 'acme'" in call("get", "nope/none").err
    assert call("get", "nope/none", "--tenant", "acme", "--json").error["hint"] == ""


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("putt", "put"), ("list", "ls"), ("rm", "delete"), ("history", "log"), ("mrege", "merge"), ("zzz", None)],
)
def test_another_word_for_a_command_is_told_the_command(call, typed, meant):
    error = call(typed, "x", "--json").error
    assert error["message"] == f"No such command '{typed}'." + (f" Did you mean '{meant}'?" if meant else "")


@pytest.mark.parametrize("arguments", [["log", "w/x@2"], ["put", "w/x@1", __file__], ["ls", "w/x@1"]])
def test_a_version_where_a_name_is_meant_is_told_the_name(call, put, arguments):
    put("w/x", "one")
    error = call(*arguments, "--json").error
    assert (error["error"], error["hint"]) == ("bad_name", "A name alone is meant here: w/x.")


def test_a_file_given_as_a_name_is_told_how_files_are_written(call, put, tmp_path, monkeypatch):
    put("w/x", "one")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.md").write_text("one")
    assert call("diff", "w/x", "notes.md", "--json").error["hint"] == "A file is written with its folder: ./notes.md"
    assert "casstore" in call("diff", "w/x", "others.md", "--json").error["hint"]
    assert call("diff", "w/x", "./notes.md").code == 0


def test_a_folder_that_is_put_is_told_what_takes_folders(call, tmp_path):
    assert "`casstore import`" in call("put", "w/x", tmp_path, "--json").error["hint"]


@pytest.mark.parametrize(
    "options", [["--format", "html"], ["--format", "text"], ["-o", "out"], ["--format", "json", "-o", "out"]]
)
def test_a_comparison_is_json_or_what_was_asked_for(call, put, tmp_path, monkeypatch, options):
    put("w/x", "one")
    put("w/x", "two")
    monkeypatch.chdir(tmp_path)
    assert call("diff", "w/x@1", "w/x@2", *options, "--json").error["error"] == "bad_argument"
    assert call("diff", "w/x@1", "w/x@2", *options).code == 0
    assert call("diff", "w/x@1", "w/x@2", "--json").json
    assert isinstance(call("diff", "w/x@1", "w/x@2", "--format", "patch", "--json").json, dict | list)


def test_a_folder_of_which_nothing_is_a_version_is_an_error(call, tmp_path):
    version = tmp_path / "sop" / "login" / "v0001.md"
    version.parent.mkdir(parents=True)
    version.write_text("one")
    error = call("import", tmp_path / "sop", "--json").error
    assert (error["error"], "v0001.md" in error["message"]) == ("bad_argument", True)
    assert call("import", tmp_path, "--json").json["stored"] == 1
    (tmp_path / "empty").mkdir()
    assert call("import", tmp_path / "empty").code == 0


def test_an_option_after_two_dashes_is_an_argument(call):
    assert call("get", "--", "--json").err.startswith("casstore: name '--json'")


def test_titles_cannot_steer_the_terminal(call, put):
    title = "a\x1b[31mred\r\nline\u202egnp\x9b"
    put("w/x", "one", "--title", title, "--label", "k=\x1b]0;owned\x07")
    for command in (["ls"], ["log", "w/x"], ["show", "w/x"]):
        done = call(*command)
        assert not set(done.text) & set("\x1b\r\x9b\u202e\x07")
        assert "\\x1b[31mred\\x0d\\x0aline\\u202egnp\\x9b" in done.text
        machine = call(*command, "--json")
        assert not set(machine.text) & set("\x1b\r\x9b\u202e\x07")
        item = machine.json["items"][0] if "items" in machine.json else machine.json
        assert item["title"] == title


def test_error_messages_cannot_steer_the_terminal(call):
    done = call("put", "w/x", "/tmp/\x1b[31mno")
    assert "\x1b" not in done.err


def test_a_reader_that_leaves_ends_it_quietly(cli, put, environment, tmp_path):
    big = tmp_path / "big"
    big.write_bytes(b"x" * 3_000_000)
    assert cli("put", "w/x", big).code == 0
    process = subprocess.Popen([PROGRAM, "get", "w/x"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.read(10)
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 141


@pytest.mark.parametrize("arguments", [["get", "w/x"], ["ls"], ["--version"]])
def test_a_full_disk_behind_standard_output_is_an_error(put, environment, arguments):
    put("w/x", "one")
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([PROGRAM, *arguments], stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode != 0
    assert b"No space left" in done.stderr


def test_closed_standard_streams(put, environment):
    put("w/x", "one")
    shell = f"{PROGRAM} get w/x >&-"
    done = subprocess.run(["sh", "-c", shell], stderr=subprocess.PIPE, check=False)
    assert (done.returncode, b"unwritable_target" in done.stderr) == (2, True)
    assert subprocess.run(["sh", "-c", f"{PROGRAM} ls >&- 2>&-"], check=False).returncode == 0
    closed = subprocess.run(["sh", "-c", f"{PROGRAM} put w/y - <&-"], stderr=subprocess.PIPE, check=False)
    assert (closed.returncode, b"standard input is closed" in closed.stderr) == (2, True)


def test_a_locale_of_ascii_does_no_harm(cli):
    done = cli(
        "put", "w/x", __file__, "--title", "Grüße 世界", env={**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    )
    assert done.code == 0, done.err
    assert "Grüße 世界" in cli("ls", env={**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}).text


@pytest.mark.slow
def test_ctrl_c_while_reading_a_pipe_is_130_at_once(environment):
    process = subprocess.Popen([PROGRAM, "put", "w/x", "-"], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdin.write(b"x")
    process.stdin.flush()
    time.sleep(1)  # until it reads: nothing tells when
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 130
    assert process.stderr.read() == b""
    process.stdin.close()
    process.stderr.close()


@pytest.mark.slow
def test_ctrl_c_ends_all_processes_of_an_import_which_can_be_repeated(call, tmp_path):
    for n in range(1000):
        (tmp_path / f"sop/n{n}").mkdir(parents=True)
        (tmp_path / f"sop/n{n}/v0001.md").write_text(f"number {n}")
    process = subprocess.Popen(
        [PROGRAM, "import", tmp_path, "--processes", "2"], stderr=subprocess.PIPE, start_new_session=True
    )
    while not call("ls").out:
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: each of them gets it
    assert process.communicate(timeout=20)[1] == b""  # the last of them has closed it
    assert process.returncode == 130
    report = call("import", tmp_path, "--json").json
    assert report["already_there"] > 0
    assert report["stored"] > 0
    assert report["already_there"] + report["stored"] == 1000


def in_terminal(*arguments):
    """Run the program with standard output and error on a terminal; what the terminal saw, and the exit code."""
    terminal, end = pty.openpty()
    process = subprocess.Popen([PROGRAM, *arguments], stdout=end, stderr=end, stdin=subprocess.DEVNULL)
    os.close(end)
    seen = b""
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # how Linux says that the other end was closed
            break
        if not piece:
            break
        seen += piece
    os.close(terminal)
    return seen, process.wait()


@pytest.mark.slow
def test_a_terminal_is_given_text_and_no_binary(call, put, tmp_path):
    put("w/text", "héllo\n")
    (tmp_path / "b").write_bytes(bytes(range(256)))
    call("put", "w/binary", tmp_path / "b")
    (tmp_path / "e").write_bytes(b"plain \x1b[31m not")
    call("put", "w/escape", tmp_path / "e")
    seen, code = in_terminal("get", "w/text")
    assert (code, seen.replace(b"\x1b[K", b"").strip()) == (0, "héllo".encode())
    for name in ("w/binary", "w/escape"):
        seen, code = in_terminal("get", name)
        assert code == 2
        assert b"not text" in seen
        assert b"[31m" not in seen
    seen, code = in_terminal("get", "w/escape", "-o", "-")
    assert (code, b"\x1b[31m" in seen) == (0, True)


def test_import_shows_progress_on_a_terminal_only(call, tmp_path):
    for number in range(1, 4):
        folder = tmp_path / f"tree/sop/n{number}"
        folder.mkdir(parents=True)
        (folder / "v0001.md").write_text(str(number))
    seen, code = in_terminal("import", str(tmp_path / "tree"))
    assert code == 0
    assert b"importing" in seen
    assert call("import", tmp_path / "tree").err == ""


def test_json_errors_are_one_document(cli):
    done = cli("get", "nope", "--json")
    assert json.loads(done.err)["error"] == "artifact_not_found"
    assert done.code == 4
