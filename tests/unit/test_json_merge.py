"""Three-way merge of JSON: its laws, what goes together, and what is a conflict."""

from __future__ import annotations

import json as standard

import pytest
from hypothesis import given

from casstore.formats.json import FORMAT, encode
from tests.unit.json_values import VALUES, edited, exact, triples

PHASES = [{"id": number, "name": f"Phase {number}", "end": "2026-03", "owner": "ann"} for number in range(1, 5)]
SWAPPED = {"ours": "theirs", "theirs": "ours", "base": "base"}


def merge(base, ours, theirs):
    return FORMAT.merge(encode(base), encode(ours), encode(theirs))


def value_of(merged):
    assert not merged.conflicts
    return standard.loads(merged.data)


@given(triples())
def test_where_one_side_changed_nothing_the_others_content_stays_as_it_is(three):
    base, ours, theirs = three
    assert merge(base, ours, base).data == encode(ours)
    assert merge(base, base, theirs).data == encode(theirs)


@given(triples())
def test_equal_changes_do_not_conflict(three):
    assert exact(value_of(merge(three[0], three[1], three[1]))) == exact(three[1])


@given(triples())
def test_the_sides_are_equal(three):
    base, ours, theirs = three
    one, other = merge(base, ours, theirs), merge(base, theirs, ours)
    assert one.data == other.data
    assert (one.data is None) is bool(one.conflicts)
    turned = [
        each.model_copy(
            update={
                "ours": each.theirs,
                "theirs": each.ours,
                "present": tuple(side for side in SWAPPED if SWAPPED[side] in each.present and side),
            }
        )
        for each in other.conflicts
    ]
    shown = [
        (each.path, each.text, sorted(each.present), exact([each.base, each.ours, each.theirs]))
        for each in one.conflicts
    ]
    assert sorted(shown) == sorted(
        (each.path, each.text, sorted(each.present), exact([each.base, each.ours, each.theirs])) for each in turned
    )


@given(triples())
def test_a_conflict_has_two_sides_that_differ(three):
    for each in merge(*three).conflicts:
        assert len(each.present) >= 2
        assert exact([each.ours, "ours" in each.present]) != exact([each.theirs, "theirs" in each.present])


@given(VALUES, edited({"a": 1, "b": [1, 2]}))
def test_changes_of_different_keys_go_together(value, other):
    base = {"one": 0, "two": {"a": 1, "b": [1, 2]}}
    ours, theirs = base | {"one": value}, base | {"two": other}
    assert exact(value_of(merge(base, ours, theirs))) == exact(ours | {"two": other})


def changed(index, **members):
    return [phase | members if number == index else phase for number, phase in enumerate(PHASES)]


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        (
            changed(0, end="2026-04"),
            changed(1, end="2026-05"),
            [changed(0, end="2026-04")[0], changed(1, end="2026-05")[1], *PHASES[2:]],
        ),
        (changed(0, end="2026-04"), changed(0, owner="bob"), changed(0, end="2026-04", owner="bob")),
        ([PHASES[3], *PHASES[:3]], changed(3, end="later"), [changed(3, end="later")[3], *PHASES[:3]]),
        (PHASES[1:], changed(3, end="later"), changed(3, end="later")[1:]),
        (PHASES[1:], PHASES[:3], PHASES[1:3]),
        ([*PHASES, {"id": 9}], [{"id": 8}, *PHASES], [{"id": 8}, *PHASES, {"id": 9}]),
        ([*PHASES, {"id": 9}], [*PHASES, {"id": 8}], [*PHASES, {"id": 8}, {"id": 9}]),
        ([*PHASES, {"id": 9}], [*PHASES, {"id": 9}], [*PHASES, {"id": 9}]),
        ([*PHASES, {"id": 9}], [PHASES[3], *PHASES[:3]], [PHASES[3], {"id": 9}, *PHASES[:3]]),
        (PHASES[::-1], PHASES[::-1][1:], PHASES[::-1][1:]),
    ],
)
def test_items_go_together(ours, theirs, expected):
    for one, other in ((ours, theirs), (theirs, ours)):
        assert value_of(merge({"phases": PHASES}, {"phases": one}, {"phases": other})) == {"phases": expected}


@pytest.mark.parametrize(
    ("ours", "theirs", "path", "words"),
    [
        (changed(0, end="x"), changed(0, end="y"), "/phases/0/end", "to other values"),
        (PHASES[1:], changed(0, end="y"), "/phases/0", "one side removed it"),
        ([PHASES[3], *PHASES[:3]], [*PHASES[1:], PHASES[0]], "/phases", "moved"),
        ([*PHASES, {"id": 9, "x": 1}], [{"id": 9, "x": 2}, *PHASES], "/phases/-/9", "both sides added it"),
        (changed(0, end=1), changed(0, end=1.0), "/phases/0/end", "to other values"),
        (changed(0, end=1), changed(0, end=True), "/phases/0/end", "to other values"),
        (changed(0, new=1), changed(0, new=2), "/phases/0/new", "both sides added it"),
    ],
)
def test_what_is_not_agreed_on_is_a_conflict(ours, theirs, path, words):
    merged = merge({"phases": PHASES}, {"phases": ours}, {"phases": theirs})
    assert merged.data is None
    (conflict,) = merged.conflicts
    assert conflict.path == path
    assert words in conflict.text


def test_scalars_at_one_place_conflict_and_at_two_go_together():
    assert merge(["a", "b", "c"], ["a", "B", "c"], ["a", "bb", "c"]).conflicts[0].path == "/1"
    assert value_of(merge(["a", "b", "c"], ["A", "b", "c"], ["a", "b", "C"])) == ["A", "b", "C"]


def test_nothing_but_another_spelling_is_taken_over():
    base, ours = b'{"a":1,"b":2}', b'{ "b": 2, "a": 1 }'
    assert FORMAT.merge(base, ours, base).data == FORMAT.merge(base, base, ours).data == ours
    assert FORMAT.merge(base, ours, b'{"b":3,"a":1}').data == b'{"b":3,"a":1}'


def test_the_merged_content_is_indented_as_the_base():
    base = b'{\n  "a": 1,\n  "b": 1\n}\n'
    assert FORMAT.merge(base, b'{"a":2,"b":1}', b'{"a":1,"b":2}').data == b'{\n  "a": 2,\n  "b": 2\n}\n'
