"""Tenants as such at the command line."""

from __future__ import annotations

import os


def test_a_tenant_goes_and_comes_back(call, put):
    put("w/x", "one")
    name = os.environ["CASSTORE_TENANT"]
    deleted = call("tenant", "delete", name, "--by", "ops", "--reason", "contract ended", "--json").json
    assert (deleted["name"], deleted["deleted_by"], deleted["reason"]) == (name, "ops", "contract ended")
    gone = call("get", "w/x")
    assert gone.code == 4
    assert f"casstore tenant undelete {name}" in gone.err
    told = call("tenant", "show", name).text
    assert told.splitlines()[2].endswith("by ops: contract ended")
    assert call("tenant", "undelete", name, "--by", "ops", "--json").json["deleted_at"] is None
    assert call("get", "w/x").text == "one"
    assert len(call("tenant", "show", name).text.splitlines()) == 2


def test_wrong_calls(call):
    assert call("tenant", "delete", "default").code == 2
    assert call("tenant", "show", "default", "--by", "me").code == 2
    assert call("tenant", "show", "never").code == 4


def test_a_tenant_is_erased_and_the_receipt_says_what_is_left(call, put, tmp_path):
    put("w/x", "one")
    name, file = os.environ["CASSTORE_TENANT"], tmp_path / "receipt.json"
    erase = ("tenant", "erase", name, "--by", "ops", "--backups", "30d", "--receipt", file)
    assert call(*erase).code == 5  # it is not deleted
    assert not file.exists()
    call("tenant", "delete", name, "--by", "ops")
    assert "1 version(s), 1 content(s) of 3 B" in call(*erase).text
    assert call("receipt", "verify", file).text.startswith("nothing of it is left")
    assert call("receipt", "verify", file, "--json").json["ok"]
    assert call("tenant", "show", name).code == 4
    assert call(*erase).code == 2  # the receipt is there, and is not written over
    file.write_text("{}")
    assert call("receipt", "verify", file).code == 2
    assert call("receipt", "verify", tmp_path / "none").code == 2
    assert call("tenant", "erase", name, "--by", "ops").code == 2
