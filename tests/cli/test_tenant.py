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
