"""Isolation domains at the command line."""

from __future__ import annotations

import os

import pytest


@pytest.fixture
def keys(environment, tmp_path, monkeypatch):
    """A file of keys that is still to be made."""
    path = tmp_path / "keys"
    monkeypatch.setenv("CASSTORE_DOMAINS", str(path))
    return path


def test_make_assign_show_and_lose(call, put, keys, monkeypatch):
    tenant = os.environ["CASSTORE_TENANT"]
    domain = f"of-{tenant}"
    made = call("domain", "new", domain, "--json").json
    assert (made["name"], made["path"]) == (domain, str(keys))
    secret = keys.read_text().partition(": ")[2].strip()
    done = call("domain", "assign", tenant, domain, "--by", "ops", "--json").json
    assert done == {"tenant": tenant, "domain": domain, "check": made["check"], "changed": True}
    assert "was in" in call("domain", "assign", tenant, domain, "--by", "ops").text
    put("a", "content")
    assert call("get", "a").text == "content"
    (shown,) = [each for each in call("domain", "show", "--json").json["items"] if each["name"] == domain]
    assert (shown["tenants"], shown["has_key"]) == ([tenant], True)
    for answer in (call("domain", "show"), call("doctor"), call("show", "a", "--json")):
        assert secret not in answer.text + answer.err
    monkeypatch.delenv("CASSTORE_DOMAINS")
    assert "KEY MISSING" in call("domain", "show").text
    for command in (("get", "a"), ("put", "b", __file__)):
        refused = call(*command, "--json")
        assert (refused.code, refused.error["error"]) == (6, "domain_key_missing")
    assert call("get", "--unverified", "a").text == "content"


def test_a_tenant_that_has_something_stays_as_it_is(call, put, keys):
    call("domain", "new", "late")
    put("a", "content")
    refused = call("domain", "assign", os.environ["CASSTORE_TENANT"], "late", "--by", "ops", "--json")
    assert (refused.code, refused.error["error"]) == (5, "tenant_not_empty")


@pytest.mark.parametrize(
    "arguments", [("new",), ("new", "a", "b"), ("assign", "a"), ("assign", "a", "b"), ("show", "a"), ("copy", "a")]
)
def test_wrong_calls(call, keys, arguments):
    call("domain", "new", "b")
    assert call("domain", *arguments, "--json").error["error"] == "bad_argument"


def test_without_a_file_of_keys(call):
    refused = call("domain", "new", "a", "--json")
    assert (refused.code, refused.error["error"]) == (2, "bad_config")


def test_a_file_that_is_given(call, tmp_path):
    assert call("domain", "new", "a", "--keys", tmp_path / "other").code == 0
    assert (tmp_path / "other").stat().st_mode & 0o777 == 0o600
