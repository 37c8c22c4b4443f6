"""Three-way merge of JSON: its laws, what goes together, and what is a conflict."""

from __future__ import annotations

import json as standard

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from casstore.errors import Code, Invalid
from casstore.formats.comparison import Taken
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


# -- conflicts that are decided ----

ITEMS = [{"id": 1, "v": 1}, {"id": 2, "v": 1}, {"id": 3, "v": 1}]
SIDES = ("base", "ours", "theirs")
turned = {"value": "value", **SWAPPED}.__getitem__


def resolved(base, ours, theirs, decide):
    """What a merge makes of it where every conflict is decided, and that the sides are equal then too."""
    merged = value_of(FORMAT.merge(*map(encode, (base, ours, theirs)), lambda each: decide(each, str)))
    back = value_of(FORMAT.merge(*map(encode, (base, theirs, ours)), lambda each: decide(each, turned)))
    assert exact(merged) == exact(back)
    return merged


@pytest.mark.parametrize(
    ("take", "wanted"),
    [("base", ITEMS[1]), ("ours", None), ("theirs", {"id": 2, "v": 2}), ("value", {"id": 2, "v": 3})],
)
def test_an_item_that_one_side_removed_is_there_if_it_was_decided_so(take, wanted):
    ours, theirs = [ITEMS[0], ITEMS[2]], [ITEMS[0], {"id": 2, "v": 2}, ITEMS[2]]

    def decide(conflict, turn):
        assert conflict.path == "/1"
        return Taken(side=turn(take), value={"id": 2, "v": 3})

    assert resolved(ITEMS, ours, theirs, decide) == [ITEMS[0], *([wanted] if wanted else []), ITEMS[2]]


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "wanted"),
    [
        ("a b c", "a C", "a B", "a B C"),  # each removed what the other changed
        ("a b c d", "a B D", "a C", "a B C D"),
        ("a b c d e", "e d c B a", "e d c a", "e d c B a"),  # both moved the rest alike
        ("a b c", "B", "C", "B C"),
        ("a b c", "B x", "y C", "y B x C"),  # what was added after such an item
        ("a b c d", "d c a", "B a c d", "B d c a"),  # it was moved, and others on the other side
    ],
)
def test_items_that_one_side_removed_are_where_the_other_has_them(base, ours, theirs, wanted):
    def items(letters):
        return [{"id": letter.lower(), "changed": letter.isupper()} for letter in letters.split()]

    def decide(conflict, turn):
        return Taken(side="ours" if "ours" in conflict.present else "theirs")

    merged = resolved(items(base), items(ours), items(theirs), decide)
    assert merged == items(wanted)


def test_a_list_in_which_both_moved_items_is_one_conflict_whatever_else_changed_there():
    ours, theirs = [PHASES[3], *changed(0, end="x")[:3]], [*PHASES[1:], PHASES[0] | {"end": "y"}]
    assert [each.path for each in merge(PHASES, ours, theirs).conflicts] == [""]
    for side, wanted in (("ours", ours), ("theirs", theirs), ("base", PHASES), ("value", PHASES[::-1])):
        decided = Taken(side=side, value=PHASES[::-1])
        merged = FORMAT.merge(*map(encode, (PHASES, ours, theirs)), lambda _, decided=decided: decided)
        assert value_of(merged) == wanted


@pytest.mark.parametrize("value", [None, {"a": 1}, "x", 0])
@pytest.mark.parametrize("inside", [lambda items: items, lambda items: {"a": items}])
def test_a_list_whose_order_is_decided_can_only_become_a_list(value, inside):
    three = (encode(inside([{"id": each} for each in ids])) for ids in ("abcd", "bacd", "dabc"))
    with pytest.raises(Invalid, match="was decided for the list at") as refused:
        FORMAT.merge(*three, lambda _: Taken(side="value", value=value))
    assert refused.value.code is Code.BAD_ARGUMENT


@given(st.sets(st.integers(-2, 2) | st.sampled_from(["1", "-1", '"1"', '"', "", "a", "01", "1/", "\n"]), min_size=1))
@example({1, "1", '"1"'})
def test_each_conflict_has_a_path_of_its_own(added):
    ours, theirs = ([{"id": 9}, *({"id": each, "v": v} for each in added)] for v in (1, 2))
    conflicts = merge([{"id": 9}], ours, theirs).conflicts
    assert len({each.path for each in conflicts}) == len(conflicts) == len(added)


@given(triples())
def test_conflicts_of_any_values_have_paths_of_their_own(three):
    paths = [each.path for each in merge(*three).conflicts]
    assert len(set(paths)) == len(paths)


@pytest.mark.parametrize(("decided", "wanted"), [("/-/1", [2, 1]), ('/-/"1"', [1, 2])])
def test_a_number_and_its_text_that_both_sides_added_are_decided_apart(decided, wanted):
    ours, theirs = ([{"id": 9}, {"id": 1, "v": v}, {"id": "1", "v": v}] for v in (1, 2))

    def decide(conflict, turn):
        return Taken(side=turn("theirs" if conflict.path == decided else "ours"))

    merged = {each["id"]: each.get("v") for each in resolved([{"id": 9}], ours, theirs, decide)}
    assert [merged[1], merged["1"]] == wanted


@st.composite
def lists(draw):
    """Three versions of a list whose items have an identity."""
    base = draw(st.lists(st.integers(0, 4), unique=True))
    sides = []
    for _ in range(2):
        known = {each: draw(st.sampled_from([0, 0, 0, 1, 2, None])) for each in base}
        known |= draw(st.dictionaries(st.integers(5, 7), st.integers(0, 2), max_size=2))
        left = [{"id": each, "v": v} for each, v in known.items() if v is not None]
        sides.append(draw(st.permutations(left)) if draw(st.integers(0, 3)) == 0 else left)
    return [{"id": each, "v": 0} for each in base], *sides


def as_decided(three, takes):
    """The reference: each item as the one side that changed it has it, or as was decided; by identity."""
    known = [{item["id"]: item["v"] for item in side} for side in three]
    merged = {}
    for identity in {key for side in known for key in side}:
        base, ours, theirs = states = [side.get(identity) for side in known]
        if ours in (base, theirs):
            value = theirs
        elif base == theirs:
            value = ours
        else:
            value = dict(zip((*SIDES, "value"), (*states, "neither"), strict=True))[takes[identity]]
        if value is not None:
            merged[identity] = value
    return merged


@given(lists(), st.lists(st.sampled_from([*SIDES, "value"]), min_size=8, max_size=8), st.sampled_from(SIDES))
def test_every_item_is_as_it_was_decided(three, takes, whole):
    base = three[0]
    asked = []

    def decide(conflict, turn):
        _, *steps = conflict.path.split("/")
        asked.append(conflict.path)
        if not steps:
            return Taken(side=turn(whole))
        identity = int(steps[1]) if steps[0] == "-" else base[int(steps[0])]["id"]
        value = "neither" if steps[-1] == "v" else {"id": identity, "v": "neither"}
        return Taken(side=turn(takes[identity]), value=value)

    merged = resolved(*three, decide)
    if "" in asked:  # both moved items
        assert merged == three[SIDES.index(whole)]
        return
    assert len({item["id"] for item in merged}) == len(merged)
    assert {item["id"]: item["v"] for item in merged} == as_decided(three, takes)
    places = {item["id"]: place for place, item in enumerate(base)}
    if all(side == sorted(side, key=lambda item: places.get(item["id"], 9)) for side in three[1:]):
        kept = [item["id"] for item in merged if item["id"] in places]
        assert kept == sorted(kept, key=places.get)


def marks_in(value, key="decided"):
    """Every mark in it, as often as it is there."""
    if isinstance(value, dict):
        return [value[key]] if key in value else [mark for child in value.values() for mark in marks_in(child)]
    return [mark for child in value for mark in marks_in(child)] if isinstance(value, list) else []


@given(triples())
def test_whatever_is_decided_is_in_the_merged_value_once(three):
    asked = []

    def decide(conflict, _turn):
        asked.append(conflict.path)
        mark = {"decided": conflict.path}
        return Taken(side="value", value=[mark] if "to other places" in conflict.text else mark)

    merged = resolved(*three, decide)
    assert sorted(asked) == sorted(marks_in(merged) * 2)  # asked once for each of the two directions


@given(triples(), st.sampled_from([*SIDES, "value"]))
def test_a_decision_leaves_the_other_conflicts_as_they_are(three, side):
    conflicts = merge(*three).conflicts
    for decided in conflicts:
        taken = Taken(side=side, value=[])
        left = FORMAT.merge(*map(encode, three), lambda each, at=decided, taken=taken: taken if each == at else None)
        assert exact([each.model_dump() for each in left.conflicts]) == exact(
            [each.model_dump() for each in conflicts if each != decided]
        )
