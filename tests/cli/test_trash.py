"""The trash at the command line."""

from __future__ import annotations

import json


def test_delete_trash_and_undelete(call, put):
    put("w/x", "one")
    put("w/x", "two")
    deleted = call("delete", "w/x@2", "--by", "me", "--reason", "wrong client", "--json").json["items"]
    assert [(each["ref"], each["by"], each["reason"]) for each in deleted] == [("w/x@2", "me", "wrong client")]
    assert call("get", "w/x").text == "one"
    gone = call("get", "w/x@2")
    assert gone.code == 4
    assert "casstore undelete" in gone.err
    header, line = call("trash").text.splitlines()
    assert header.split()[:2] == ["VERSION", "TYPE"]
    assert line.split()[0] == "w/x@2"
    assert line.endswith("me  wrong client")
    assert call("undelete", "w/x@2", "--by", "me", "--json").json["items"][0]["ref"] == "w/x@2"
    assert call("get", "w/x").text == "two"
    empty = call("trash")
    assert (empty.text, empty.err) == ("", "The trash is empty.\n")


def test_a_whole_artifact_goes_and_comes_back(call, put):
    put("w/x", "one")
    put("w/x", "two")
    refused = call("delete", "w/x", "--by", "me")
    assert refused.code == 2
    assert "casstore delete --all NAME" in refused.err
    for verb in ("undelete", "purge"):
        assert f"`casstore {verb} --all NAME`" in call(verb, "w/x", "--by", "me").err
    assert len(call("delete", "--all", "w/x", "--by", "me", "--json").json["items"]) == 2
    assert call("ls", "--json").json["items"] == []
    page = call("trash", "--limit", 1, "--json").json
    assert page["items"][0]["ref"] == "w/x@2"
    assert call("trash", "--limit", 1, "--cursor", page["cursor"], "--json").json["items"][0]["ref"] == "w/x@1"
    assert len(call("undelete", "--all", "w/x", "--by", "me", "--json").json["items"]) == 2


def test_what_is_used_stays(call, put):
    put("w/x", "one")
    call("alias", "w/x@1", "prod")
    refused = call("delete", "w/x@1", "--by", "me", "--json")
    assert refused.code == 5
    assert refused.error["error"] == "still_used"
    assert refused.error["pointers"] == ["prod"]


def test_one_content_is_erased_and_its_version_stays(call, put, tmp_path):
    put("w/x", "one")
    shown = call("show", "w/x", "--json").json
    digest = shown["components"][0]["digest"]
    assert call("erase", digest, "--explain", "--json").json["versions"] == ["w/x@1"]
    file = tmp_path / "receipt.json"
    assert call("erase", digest, "--by", "dpo").code == 2
    told = call("erase", digest, "--by", "dpo", "--why", "case 17", "--backups", "30d", "--receipt", file)
    assert (told.code, told.text.splitlines()[1].strip()) == (0, "w/x@1")
    receipt = json.loads(file.read_text())
    assert (receipt["versions"], receipt["by"], receipt["reason"]) == (["w/x@1"], "dpo", "case 17")
    gone = call("get", "w/x", "--json")
    assert (gone.code, gone.error["error"]) == (4, "content_erased")
    assert call("show", "w/x", "--json").json["digest"] == shown["digest"]
    assert "erased" in call("show", "w/x").text.splitlines()[-1]
    assert call("get", "w/x", "-o", tmp_path / "folder").code == 4
    assert not (tmp_path / "folder").exists()


def test_the_receipt_of_a_content_is_told_apart_and_the_same_call_is_answered_again(call, put, tmp_path):
    put("w/x", "one")
    digest = call("show", "w/x", "--json").json["components"][0]["digest"]
    file = tmp_path / "receipt.json"
    erase = ("erase", digest, "--by", "dpo", "--receipt", file)
    assert call(*erase).code == 0
    kept = file.read_bytes()
    again = call(*erase)
    assert (again.code, file.read_bytes()) == (0, kept)
    verified = call("receipt", "verify", file, "--json")
    assert (verified.code, verified.error["error"]) == (2, "bad_data")
    assert "the receipt of one content" in verified.error["message"]
    assert "casstore erase DIGEST --explain" in verified.error["hint"]
    assert call("erase", digest, "--explain", "--json").json["versions"] == []
    other = call(*erase, "--backups", "30d")  # another receipt: shown, not written over it
    assert (other.code, file.read_bytes()) == (2, kept)
    put("w/y", "two")
    digest = call("show", "w/y", "--json").json["components"][0]["digest"]
    refused = call("erase", digest, "--by", "dpo", "--receipt", file)
    assert (refused.code, file.read_bytes()) == (2, kept)
    assert call("get", "w/y").text == "two"  # nothing is erased where its receipt has no place
