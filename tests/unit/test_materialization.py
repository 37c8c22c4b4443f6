"""Materialization policies: what they say of each type, and that what they cannot mean is refused with its place."""

from __future__ import annotations

import sys

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from casstore.errors import Code, Invalid
from casstore.integrations.materialization import MaterializationPolicy
from casstore.testing.strategies import types
from tests.operations.failing import fails

TEXT = """
default: cache
types:
  workflow: persist
  hybrid_embedding: discard
"""
VERBS = st.sampled_from(["persist", "cache", "discard"])


def test_a_type_is_what_the_policy_says_and_any_other_is_the_default():
    policy = MaterializationPolicy.from_yaml(TEXT)
    assert [policy.of(each) for each in ("workflow", "hybrid_embedding", "sop")] == ["persist", "discard", "cache"]


@pytest.mark.parametrize("policy", [{}, {"types": {}}, {"types": {"sop": "persist"}}])
def test_what_nobody_thought_of_is_kept(policy):
    assert MaterializationPolicy.from_dict(policy).of("workflow") == "persist"


@given(st.dictionaries(types(), VERBS, max_size=5), VERBS)
def test_yaml_and_a_dictionary_mean_the_same(told, default):
    policy = {"default": default, "types": told}
    read = MaterializationPolicy.from_dict(policy)
    assert MaterializationPolicy.from_yaml(yaml.safe_dump(policy)) == read
    assert {name: read.of(name) for name in told} == told
    assert read.of("x.never-drawn." * 4) == default


def test_a_policy_stays_as_it_was_read():
    told = {"types": {"sop": "cache"}}
    policy = MaterializationPolicy.from_dict(told)
    told["types"]["sop"] = "discard"
    assert policy.of("sop") == "cache"
    with pytest.raises(TypeError):
        policy.types["sop"] = "discard"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "a policy is a mapping, not a NoneType"),
        ("- persist", "a policy is a mapping, not a list"),
        ("persist", "a policy is a mapping, not a str"),
        ("types: persist", "types is a mapping, not a str"),
        ("types:", "types is a mapping, not a NoneType"),
        ("workflow: persist", "has the key 'workflow'"),
        ("default: keep", "says 'keep' at default, which is none of persist, cache, discard"),
        ("default: [persist]", "says ['persist'] at default"),
        ("default: yes", "says True at default"),
        ("types: {sop: Persist}", "says 'Persist' at types.sop"),
        ("types: {sop: }", "says None at types.sop"),
        ("types: {SOP: persist}", "names a type that cannot be one"),
        ("types: {1: persist}", "names a type that cannot be one"),
        ("default: cache\ndefault: cache", "has the key 'default' twice, in the mapping that begins in line 1"),
        (
            "default: cache\ntypes:\n  sop: persist\n  poc: cache\n  sop: persist",
            "has the key 'sop' twice, in the mapping that begins in line 3",
        ),
        ("types: {sop: persist", "is no YAML"),
        ("default: !!python/name:os.system x", "is no YAML"),
        ("default: cache\n---\ndefault: cache", "is no YAML"),
        ("default: 2026-99-99", "is no YAML"),
        ("[" * 5_000, "is no YAML"),
    ],
)
def test_what_a_policy_cannot_mean_is_refused(text, told):
    with fails(Invalid, Code.BAD_CONFIG) as caught:
        MaterializationPolicy.from_yaml(text)
    assert told in caught.value.message


def test_it_is_read_from_a_file(tmp_path):
    file = tmp_path / "policy.yaml"
    file.write_text(TEXT, "utf-8")
    assert MaterializationPolicy.from_yaml(file) == MaterializationPolicy.from_yaml(TEXT)
    with fails(Invalid, Code.UNREADABLE_SOURCE):
        MaterializationPolicy.from_yaml(tmp_path / "none.yaml")
    file.write_bytes(b"default: \xff")
    with fails(Invalid, Code.BAD_CONFIG) as caught:
        MaterializationPolicy.from_yaml(file)
    assert str(file) in caught.value.message


def test_only_yaml_needs_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", None)
    assert MaterializationPolicy.from_dict({"default": "cache"}).of("sop") == "cache"
    with fails(Invalid, Code.BAD_CONFIG) as caught:
        MaterializationPolicy.from_yaml(TEXT)
    assert "casstore[yaml]" in caught.value.hint
