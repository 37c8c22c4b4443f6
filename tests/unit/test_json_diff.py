"""The difference of two JSON contents: what it says, and a patch that everybody can apply and that is no longer than it must be."""

from __future__ import annotations

import copy
import json as standard
import time
from pathlib import Path

import jsonpatch
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from casstore import limits
from casstore.errors import Code, Invalid
from casstore.formats.json import FORMAT, encode, json_format, make_patch
from casstore.formats.json.exact import outweigh, same, size_of
from tests.support.limited import allowed_s
from tests.unit.json_values import SCALARS, VALUES, exact, pairs

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
PATCHED = FORMAT.apply


def size(value):
    return len(standard.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())


def check_patch(one, other):
    """The law: by our own hands and by others', the patch makes exactly the other; and is no longer than replacing all."""
    before = copy.deepcopy((one, other))
    patch = make_patch(one, other)
    assert exact([one, other]) == exact(list(before)), "the values were touched"
    assert exact(standard.loads(PATCHED(encode(one), patch))) == exact(other)
    assert exact(jsonpatch.apply_patch(copy.deepcopy(one), copy.deepcopy(patch))) == exact(other)
    assert (patch == []) is (exact(one) == exact(other))
    assert size(patch) <= size([{"op": "replace", "path": "", "value": other}])
    return patch


@given(pairs())
@example((1, 1.0))
@example(([0.0], [-0.0]))
@example(({"a": True}, {"a": 1}))
@example(([1, 2, 3], [3, 2, 1]))
@example(({"a": [{"id": 1, "x": [1] * 9}, {"id": 2}]}, {"a": [{"id": 2}, {"id": 1, "x": [1] * 8}]}))
@example(({"~/": {"": 1, "b": 2}}, {"~/": {"": 1.0, "c": 2}}))
def test_the_patch_makes_exactly_the_other(pair):
    check_patch(*pair)


@given(VALUES, VALUES)
def test_of_any_two_values(one, other):
    check_patch(one, other)


@given(st.lists(st.integers(0, 6), max_size=12), st.data())
def test_of_lists_that_were_shuffled(items, data):
    check_patch(items, data.draw(st.permutations(items)) + data.draw(st.lists(st.integers(0, 9), max_size=3)))


@given(st.lists(st.integers(0, 30), max_size=10, unique=True), st.data())
def test_of_items_with_identity_that_moved_and_changed(ids, data):
    one = [{"id": each, "text": "x" * 40, "n": each} for each in ids]
    other = [dict(each) for each in data.draw(st.permutations(one))][: data.draw(st.integers(0, 10))]
    for each in other:
        each["n"] = data.draw(st.sampled_from([each["n"], 1, 1.0, True]))
    check_patch(one, other)


@given(pairs())
def test_same_is_equality_with_types(pair):
    one, other = pair
    assert same(one, other) is (exact(one) == exact(other))


@given(VALUES, st.integers(0, 200))
def test_what_is_longer_is_longer(value, bound):
    assert size_of(value) == size(value)
    assert size(value) > bound or not outweigh([value], bound)


@given(SCALARS, SCALARS)
def test_one_change_is_told_with_both_values(one, other):
    if exact(one) != exact(other):
        (change,) = FORMAT.diff(encode({"k": [one]}), encode({"k": [other]})).changes
        assert (change.op, change.path) == ("changed", "/k/0")
        assert exact([change.before, change.after]) == exact([one, other])


@given(pairs())
def test_depth_and_changes_agree_with_the_patch(pair):
    one, other = map(encode, pair)
    found = FORMAT.diff(one, other)
    assert (found.depth == "meaning") is bool(found.patch) is (exact(pair[0]) != exact(pair[1]))
    assert (found.total > 0) is bool(found.patch)
    assert found.total == len(found.changes) == sum(found.details["counts"].values() if found.details else [])
    assert found.model_validate_json(found.model_dump_json()).total == found.total


# -- small edits: how many operations, and what is said ---------------------------------------------------------------------

NODES = [
    {"id": f"n{number}", "name": f"Step {number}", "data": {"x": number, "text": "t" * 50}} for number in range(20)
]


def told(one, other, chosen=FORMAT):
    found = chosen.diff(encode(one), encode(other))
    check_patch(one, other)
    return [(each.op, each.path, each.text) for each in found.changes], found


@pytest.mark.parametrize(
    ("other", "operations", "expected"),
    [
        ([{"id": "new"}, *NODES], 1, ("added", "/nodes/0", "node 'new' added at 1")),
        (NODES[1:], 1, ("removed", "/nodes/0", "node 'Step 0' removed; it was an object of 3 keys")),
        ([NODES[-1], *NODES[:-1]], 1, ("moved", "/nodes/0", "node 'Step 19' moved from 20 to 1")),
        (
            NODES[:7] + NODES[8:15] + [NODES[7]] + NODES[15:],
            1,
            ("moved", "/nodes/14", "node 'Step 7' moved from 8 to 15"),
        ),
        (
            [NODES[0] | {"data": NODES[0]["data"] | {"x": 0.0}}, *NODES[1:]],
            1,
            ("changed", "/nodes/0/data/x", "node 'Step 0': data.x changed from 0 to 0.0"),
        ),
    ],
)
def test_one_edit_is_one_operation_and_one_sentence(other, operations, expected):
    changes, found = told({"nodes": NODES}, {"nodes": other})
    assert changes == [expected]
    assert len(found.patch) == operations
    assert size(found.patch) < 120
    assert found.summary == (f"1 {expected[0]}", expected[2])


def test_an_item_that_moved_and_changed_is_both():
    moved = NODES[19] | {"name": "Last"}
    changes, found = told({"nodes": NODES}, {"nodes": [moved, *NODES[:19]]})
    assert [op for op, *_ in changes] == ["moved", "changed"]
    assert size(found.patch) < 160


def test_many_items_without_identity_are_told_apart_by_what_each_has_once():
    one = [{"group": n % 3, "code": f"c{n}", "text": "t" * 50, "n": n} for n in range(60)]
    other = [{"code": "new", "n": 0}, *(each | {"n": each["n"] + 1} for each in one)]
    found = FORMAT.diff(encode(one), encode(other))
    assert found.details["counts"] == {"added": 1, "changed": 60}
    assert size(check_patch(one, other)) < size(other) / 2
    in_order = [each | {"code": f"d{each['n'] // 2}"} for each in one]  # where it tells less than the place
    assert FORMAT.diff(encode(one), encode(in_order)).details["counts"] == {"changed": 60}


def test_a_key_with_another_name_is_renamed_where_that_is_certain():
    changes, found = told({"a": {"start": [1] * 40, "b": 0}}, {"a": {"begin": [1] * 40, "b": 0}})
    assert changes == [("renamed", "/a/begin", 'a.start renamed to "begin"')]
    assert [each["op"] for each in found.patch] == ["move"]
    assert {op for op, *_ in told({"start": None}, {"begin": None})[0]} == {"added", "removed"}
    assert {op for op, *_ in told({"a": "x", "b": "x"}, {"c": "x", "d": "x"})[0]} == {"added", "removed"}


def test_a_phase_is_called_by_its_name():
    one = {"phases": [{"name": "Pilot", "end": "2026-03"}, {"name": "Rollout", "end": "2026-09"}]}
    other = {"phases": [{"name": "Pilot", "end": "2026-04"}, {"name": "Rollout", "end": "2026-09"}]}
    assert told(one, other)[0] == [
        ("changed", "/phases/0/end", 'phase \'Pilot\': end changed from "2026-03" to "2026-04"')
    ]


def test_other_keys_can_tell_items_apart():
    one = [{"sku": number, "n": number * 7, "t": f"text {number}"} for number in range(4)]
    other = [one[3] | {"n": 1}, *one[:3]]
    assert [op for op, *_ in told(one, other, json_format(("sku",)))[0]] == ["moved", "changed"]
    assert [op for op, *_ in told(one, other)[0]] != ["moved", "changed"]


# -- formatting, and what cannot be compared --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b'{"a":1,"b":2}', b'{ "b": 2,\r\n "a": 1 }\n'),
        (b'["\\u00e9"]', '["é"]'.encode()),
        (b"[1.0]", b"[1.00]"),
        (b"[1e2]", b"[100.0]"),
        (b"[0]", b"[-0]"),
        (b"[1]", b"\xef\xbb\xbf[1]"),
        (b"[1]", "[1]".encode("utf-16")),
    ],
)
def test_another_spelling_is_formatting(one, other):
    found = FORMAT.diff(one, other)
    assert (found.depth, found.total, found.patch) == ("formatting", 0, [])
    assert FORMAT.meaning(one) == FORMAT.meaning(other)
    assert FORMAT.diff(one, one).depth == "same"


@pytest.mark.parametrize(
    ("one", "other"), [(b"[1]", b"[1.0]"), (b"[0.0]", b"[-0.0]"), (b"[1]", b"[true]"), (b"[1]", b'["1"]')]
)
def test_another_type_is_meaning(one, other):
    assert FORMAT.diff(one, other).depth == "meaning"
    assert FORMAT.meaning(one) != FORMAT.meaning(other)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", Code.BAD_JSON),
        (b"[NaN]", Code.BAD_JSON),
        (b"[1,]", Code.BAD_JSON),
        (b"\xff\xfe\xfd", Code.BAD_JSON),
        (b'"\xed\xa0\x80"', Code.BAD_JSON),
        (b'"\\ud800"', Code.BAD_JSON),
        (b"1" * 5000, Code.BAD_JSON),
        (b"[1e400]", Code.NOT_COMPARABLE),
        (b"[" * 202 + b"]" * 202, Code.NOT_COMPARABLE),
        (b"[" * 100_000 + b"]" * 100_000, Code.NOT_COMPARABLE),
    ],
)
def test_what_cannot_be_compared_is_refused_with_the_reason(data, code):
    for call in (
        FORMAT.diff,
        lambda one, other: FORMAT.merge(one, other, other),
        lambda one, other: FORMAT.diff(other, one),
    ):
        with pytest.raises(Invalid) as refused:
            call(data, b"[]")
        assert refused.value.code == code
    assert FORMAT.meaning(data) is None


def test_the_deepest_that_is_taken_is_compared():
    depth = limits.JSON_MAX_DEPTH
    found = FORMAT.diff(b"[" * depth + b"1" + b"]" * depth, b"[" * depth + b"2" + b"]" * depth)
    assert found.changes[0].path == "/0" * depth


def test_content_above_the_limit_is_refused(monkeypatch):
    monkeypatch.setattr(limits, "COMPARED_MAX_BYTES", 10)
    with pytest.raises(Invalid, match="at most 10"):
        FORMAT.diff(b"[]", b"[1,2,3,4,5]")


@pytest.mark.parametrize(
    "text", [b'{"a":1,"a":2}', b'{"a" :1,"a":2}', b'{"b\\":":0,"a":1,"a"\n:2}', b'{"x\\\\":"\\" :","a":1,"a" :2}']
)
def test_a_key_given_twice_is_told_and_has_no_meaning(text):
    found = FORMAT.diff(text, b'{"a":2}')
    assert found.depth == "meaning"
    assert "the key 'a' twice" in found.details["notes"][0]
    assert FORMAT.meaning(text) is None
    with pytest.raises(Invalid, match="twice"):
        FORMAT.merge(text, b"1", b"2")


@given(
    st.dictionaries(st.text(max_size=3) | st.sampled_from(['":', '\\":', "\\"]), SCALARS, max_size=5), st.integers(0, 2)
)
def test_a_key_given_once_is_never_said_to_be_there_twice(value, indent):
    text = standard.dumps(
        {"k": [value, value]}, indent=indent or None, separators=(" , ", " : ") if indent else (",", ":")
    )
    assert FORMAT.meaning(text.encode()) is not None


def test_changes_are_cut_and_counted(monkeypatch):
    monkeypatch.setattr(limits, "CHANGES_MAX", 3)
    found = FORMAT.diff(encode(list(range(10))), encode([str(number) for number in range(10)]))
    assert (len(found.changes), found.total) == (3, 10)


# -- large and hostile ------------------------------------------------------------------------------------------------------

MANY = 100_000
HOSTILE = {
    "numbers reversed": (list(range(MANY)), list(range(MANY))[::-1]),
    "all the same": ([1] * MANY, [1] * (MANY - 1) + [2]),
    "two that alternate": ([0, 1] * (MANY // 2), [1, 0] * (MANY // 2 + 1)),
    "all other": (list(range(MANY)), [str(number) for number in range(MANY)]),
    "items reversed": (
        [{"id": n, "x": "y" * 20} for n in range(30_000)],
        [{"id": n, "x": "y" * 20} for n in range(30_000)][::-1],
    ),
    "other ids": ([{"id": n, "x": n} for n in range(20_000)], [{"id": -n - 1, "x": n} for n in range(20_000)]),
    "many keys of many items": (
        [{str(n): n for n in range(20_000)}, *({"0": n, "x": n} for n in range(30_000))],
        [{str(n): -n for n in range(20_000)}, *({"0": -n, "x": -n} for n in range(30_000))],
    ),
    "many keys": ({str(n): n for n in range(MANY)}, {str(n): n + 1 for n in range(MANY)}),
    "keys renamed": ({str(n): [n] for n in range(50_000)}, {f"k{n}": [n] for n in range(50_000)}),
    "adds and moves": (list(range(40_000)), [40_001, *range(500, 40_000), *range(500), *range(50_000, 60_000)]),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pairs_take_two_seconds_at_most(name):
    one, other = HOSTILE[name]
    data = encode(one), encode(other)
    begin = time.process_time()
    found = FORMAT.diff(*data)
    assert time.process_time() - begin < allowed_s()
    assert exact(standard.loads(PATCHED(data[0], found.patch))) == exact(other)
    assert found.details["patch_bytes"] == size(found.patch) <= len(data[1]) + 40


@pytest.mark.skipif(not CORPUS.is_dir(), reason="no corpus beside the checkout")
@pytest.mark.slow
def test_every_pair_of_the_corpus_applies_back():
    versions = {}
    for line in (CORPUS / "index.jsonl").read_text("utf-8").splitlines():
        entry = standard.loads(line)
        if entry["path"].endswith(".json"):
            key = entry["type"], entry["name"], entry.get("component")
            versions.setdefault(key, []).append((entry["version"], (CORPUS / entry["path"]).read_bytes()))
    compared = 0
    for history in versions.values():
        contents = [data for _, data in sorted(history)]
        for one, other in zip([b"true", *contents], contents, strict=False):
            try:
                found = FORMAT.diff(one, other)
            except Invalid:
                continue
            value = standard.loads(other)
            assert exact(standard.loads(PATCHED(one, found.patch))) == exact(value)
            assert exact(jsonpatch.apply_patch(standard.loads(one), found.patch)) == exact(value)
            compared += 1
    assert compared > 450
