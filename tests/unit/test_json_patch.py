"""JSON Patch by our own hands: the cases of RFC 6902's appendix and of the published suite, and that nothing is half done."""

from __future__ import annotations

import copy
import json as standard

import jsonpatch
import jsonpointer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from casstore import limits
from casstore.errors import Code, Invalid
from casstore.formats.json import FORMAT, apply_patch, encode
from tests.unit.json_values import VALUES, exact


def op(name, path, **members):
    return {"op": name, "path": path, **members}


# Document, patch, and what comes of it: RFC 6902, appendix A, then cases of json-patch-tests.
WORKS = [
    ({"foo": "bar"}, [op("add", "/baz", value="qux")], {"baz": "qux", "foo": "bar"}),
    ({"foo": ["bar", "baz"]}, [op("add", "/foo/1", value="qux")], {"foo": ["bar", "qux", "baz"]}),
    ({"baz": "qux", "foo": "bar"}, [op("remove", "/baz")], {"foo": "bar"}),
    ({"foo": ["bar", "qux", "baz"]}, [op("remove", "/foo/1")], {"foo": ["bar", "baz"]}),
    ({"baz": "qux", "foo": "bar"}, [op("replace", "/baz", value="boo")], {"baz": "boo", "foo": "bar"}),
    (
        {"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}},
        [op("move", "/qux/thud", **{"from": "/foo/waldo"})],
        {"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}},
    ),
    (
        {"foo": ["all", "grass", "cows", "eat"]},
        [op("move", "/foo/3", **{"from": "/foo/1"})],
        {"foo": ["all", "cows", "eat", "grass"]},
    ),
    (
        {"baz": "qux", "foo": ["a", 2, "c"]},
        [op("test", "/baz", value="qux"), op("test", "/foo/1", value=2)],
        {"baz": "qux", "foo": ["a", 2, "c"]},
    ),
    ({"foo": "bar"}, [op("add", "/child", value={"grandchild": {}})], {"foo": "bar", "child": {"grandchild": {}}}),
    ({"foo": "bar"}, [op("add", "/baz", value="qux", xyz=123)], {"foo": "bar", "baz": "qux"}),
    ({"/": 9, "~1": 10}, [op("test", "/~01", value=10)], {"/": 9, "~1": 10}),
    ({"foo": ["bar"]}, [op("add", "/foo/-", value=["abc", "def"])], {"foo": ["bar", ["abc", "def"]]}),
    ([], [], []),
    ({"foo": 1}, [op("add", "", value={"baz": "qux"})], {"baz": "qux"}),
    ("foo", [op("replace", "", value="bar")], "bar"),
    ({}, [op("add", "/", value=1)], {"": 1}),
    ({"foo": {}}, [op("add", "/foo/", value=1)], {"foo": {"": 1}}),
    ([], [op("add", "/-", value="hi")], ["hi"]),
    ([], [op("add", "/0", value="hi")], ["hi"]),
    ({}, [op("add", "/0", value="bar")], {"0": "bar"}),
    ({"foo": 1}, [op("add", "/foo", value=None)], {"foo": None}),
    ({"foo": None}, [op("test", "/foo", value=None)], {"foo": None}),
    ({"foo": None}, [op("replace", "/foo", value="truthy")], {"foo": "truthy"}),
    ({"foo": None}, [op("move", "/bar", **{"from": "/foo"})], {"bar": None}),
    ({"foo": 1}, [op("move", "/foo", **{"from": "/foo"})], {"foo": 1}),
    ({"foo": {"bar": [1, 2, 5, 4]}}, [op("test", "/foo", value={"bar": [1, 2, 5, 4]})], {"foo": {"bar": [1, 2, 5, 4]}}),
    ({"foo": 1}, [op("test", "/foo", value=1.0)], {"foo": 1}),
    ([1, 2, 3, 4], [op("remove", "/0")], [2, 3, 4]),
    ([1, 2, 3, 4], [op("remove", "/1"), op("remove", "/2")], [1, 3]),
    (
        {"baz": [{"qux": "hello"}], "bar": 1},
        [op("copy", "/boo", **{"from": "/baz/0"})],
        {"baz": [{"qux": "hello"}], "bar": 1, "boo": {"qux": "hello"}},
    ),
    ([1, [2, 3]], [op("copy", "/1/0", **{"from": "/1"})], [1, [[2, 3], 2, 3]]),
]
# Document, patch, and a word of the reason.
FAILS = [
    ({"foo": "bar"}, [op("test", "/baz", value="qux")], "not there"),
    ({"baz": "qux"}, [op("test", "/baz", value="bar")], "another value"),
    ({"/": 9, "~1": 10}, [op("test", "/~01", value="10")], "another value"),
    ({"foo": 1}, [op("test", "/foo", value=True)], "another value"),
    ({"foo": "bar"}, [op("add", "/baz/bat", value="qux")], "not there"),
    ({"foo": "bar"}, [op("add", "/foo/bat", value="qux")], "no parts"),
    (["foo"], [op("add", "/3", value="x")], "for an index"),
    (["foo"], [op("add", "/-1", value="x")], "for an index"),
    (["foo"], [op("add", "/00", value="x")], "for an index"),
    (["foo"], [op("add", "/1e0", value="x")], "for an index"),
    (["foo"], [op("add", "/bar", value="x")], "for an index"),
    (["foo"], [op("add", "/\u0661", value="x")], "for an index"),
    (["foo"], [op("remove", "/1")], "for an index"),
    (["foo"], [op("remove", "/-")], "for an index"),
    (["foo"], [op("replace", "/-", value=1)], "for an index"),
    (["foo"], [op("replace", "/1", value=1)], "for an index"),
    ({"foo": 1}, [op("replace", "/bar", value=1)], "not there"),
    ({"foo": 1}, [op("remove", "/bar")], "not there"),
    ({"foo": 1}, [op("remove", "")], "whole document"),
    ({"a": {"b": 1}}, [op("move", "/a/b", **{"from": "/a"})], "into itself"),
    ({"a": 1}, [op("move", "/b", **{"from": "/c"})], "not there"),
    ({"a": 1}, [op("copy", "/b", **{"from": "/c"})], "not there"),
    ({"a": 1}, [op("copy", "/b")], "no JSON pointer"),
    ({"a": 1}, [op("add", "/b")], "no value"),
    ({"a": 1}, [op("replace", "/a")], "no value"),
    ({"a": 1}, [op("test", "/a")], "no value"),
    ({"a": 1}, [{"op": "add", "value": 1}], "no JSON pointer"),
    ({"a": 1}, [op("add", "b", value=1)], "no JSON pointer"),
    ({"a": 1}, [op("add", "/~2", value=1)], "no JSON pointer"),
    ({"a": 1}, [op("add", "/~", value=1)], "no JSON pointer"),
    ({"a": 1}, [op("spam", "/a", value=1)], "does not know"),
    ({"a": 1}, [op("Add", "/a", value=1)], "does not know"),
    ({"a": 1}, [{"path": "/a"}], "does not know"),
    ({"a": 1}, ["add"], "not an object"),
    ({"a": 1}, {"op": "add"}, "list of operations"),
    ({"a": 1}, [op("add", "/b", value=float("nan"))], "nan"),
    ({"a": 1}, [op("add", "/b", value={1: 2})], "strings"),
    ("x", [op("add", "/a", value=1)], "no parts"),
]


@pytest.mark.parametrize(("document", "patch", "expected"), WORKS)
def test_what_is_right_is_done(document, patch, expected):
    given_patch = copy.deepcopy(patch)
    assert exact(standard.loads(FORMAT.apply(encode(document), patch))) == exact(expected)
    assert patch == given_patch
    assert jsonpatch.apply_patch(document, patch) == expected


@pytest.mark.parametrize(("document", "patch", "reason"), FAILS)
def test_what_is_wrong_is_refused_with_the_reason(document, patch, reason):
    with pytest.raises(Invalid, match=reason) as refused:
        FORMAT.apply(encode(document), patch)
    assert refused.value.code == Code.BAD_PATCH


def test_the_operation_that_failed_is_named():
    with pytest.raises(Invalid, match="operation 1 of the patch") as refused:
        FORMAT.apply(b"[]", [op("add", "/0", value=1), op("remove", "/7")])
    assert refused.value.fields == {"operation": 1}


def test_nothing_is_shared_with_the_patch():
    value = {"inner": []}
    made = apply_patch(
        {},
        [
            op("add", "/a", value=value),
            op("add", "/a/inner/0", value=1),
            op("copy", "/b", **{"from": "/a"}),
            op("add", "/b/inner/0", value=2),
        ],
    )
    assert made == {"a": {"inner": [1]}, "b": {"inner": [2, 1]}}
    assert value == {"inner": []}


def test_copies_that_double_are_stopped(monkeypatch):
    monkeypatch.setattr(limits, "COMPARED_MAX_BYTES", 10_000)
    with pytest.raises(Invalid, match="copies more than 10000 bytes"):
        FORMAT.apply(b"[1]", [op("copy", "/-", **{"from": ""})] * 60)


def test_a_result_nested_too_deeply_is_refused():
    with pytest.raises(Invalid):
        FORMAT.apply(b"[]", [op("add", "/0" * level, value=[]) for level in range(1, 2000)])


STEPS = st.sampled_from(["", "a", "b", "id", "items", "0", "1", "2", "-", "~0~1", "c"])
POINTERS = st.lists(STEPS, max_size=3).map(lambda steps: "".join("/" + step for step in steps))
OPERATIONS = st.one_of(
    st.builds(op, st.sampled_from(["add", "replace"]), POINTERS, value=VALUES),
    st.builds(op, st.just("remove"), POINTERS),
    st.builds(
        lambda name, path, source: op(name, path, **{"from": source}),
        st.sampled_from(["move", "copy"]),
        POINTERS,
        POINTERS,
    ),
)


@given(VALUES, st.lists(OPERATIONS, max_size=4))
def test_what_others_make_of_a_patch_we_make_too(document, patch):
    try:
        made = FORMAT.apply(encode(document), patch)
    except Invalid:
        return  # we are stricter; what we refuse is in the table above
    try:
        expected = jsonpatch.apply_patch(copy.deepcopy(document), copy.deepcopy(patch))
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException, TypeError):
        assert any(each["path"] == "" or each.get("from") == "" for each in patch)  # the root, where it has gaps
        return
    assert exact(standard.loads(made)) == exact(expected)


@pytest.mark.parametrize(
    "text", ['{\n  "a": 1\n}\n', '{"a":1}', '{"a":1}\n', '[\n\t1,\n\t"é"\n]', '{\r\n    "a": 1\r\n}']
)
def test_the_result_is_indented_as_the_content_was(text):
    assert FORMAT.apply(text.encode(), []).decode() == text.replace("\r\n", "\n")
