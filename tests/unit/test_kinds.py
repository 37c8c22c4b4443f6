"""Kinds: which roles an artifact of a type has, how faults are told, and which relations hold."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from casstore import Invalid, kinds, limits
from casstore.errors import Code
from casstore.kinds.platform import PLATFORM
from tests.unit.kind_parts import (
    BINARY,
    JSON,
    MARKDOWN,
    NPY,
    PICTURE,
    PNG,
    TEXT,
    Part,
    as_json,
    faults,
    npy_bytes,
    told,
)

PAGE = Path(__file__).parents[2] / "docs" / "kinds.md"


# -- which roles ------------------------------------------------------------------------------------------------------------

# Each composition again, as the page has it and not as the code does: needed, and allowed besides; * stands for pictures.
COMPOSITIONS = {
    "workflow": ["main | *"],
    "sop": ["main | *"],
    "roadmap": ["main | *"],
    "visual": ["main |"],
    "blueprint": ["current_state coexistence_state roadmap responsibility_matrix | envelope *"],
    "solution": ["main | *", "content insights journey synthesis | envelope *"],
    "poc": ["main | *", "proposal financials technical_specification | envelope *"],
    "hybrid_embedding": ["structured unstructured correlation_map | envelope *"],
}
ROLES = sorted({role for forms in COMPOSITIONS.values() for form in forms for role in form.split() if role not in "|*"})
PICTURES = [
    "a_visual",
    "current_state_chart",
    "semantic_payload.roadmap.plan_chart",
    "pages.0.flow_visual",
    "flow_visual.pages.1",
    "x-visual..0123456789abcdef0123456789abcdef",
    "chart..0123456789abcdef0123456789abcdef",
]
STRANGERS = [
    "stranger",
    "visual",
    "chart.a",
    "a_visual.",
    "a_visuals",
    "a_visual..b",
    "x..0123456789abcdef0123456789abcdef",
]


def fits(name, roles):
    forms = [tuple(set(half.split()) for half in form.split("|")) for form in COMPOSITIONS[name]]
    return any(
        needed <= roles <= needed | allowed | (set(PICTURES) if "*" in allowed else set()) for needed, allowed in forms
    )


def good(name, role):
    """A part that is right for this role of this kind, wherever it has one."""
    if name == "visual" or role in PICTURES:
        return PICTURE
    if name == "hybrid_embedding" or role == "envelope":
        return as_json([])
    return as_json({}) if name == "workflow" else TEXT


@pytest.mark.parametrize("name", COMPOSITIONS)
@given(st.sets(st.sampled_from([*ROLES, *PICTURES, *STRANGERS]), max_size=8))
@example({"main"})
@example({"main", *PICTURES})
@example({"main", "envelope"})
@example({"content", "insights", "journey", "synthesis"})
@example({"proposal", "financials", "technical_specification"})
@example({"current_state", "coexistence_state", "roadmap", "responsibility_matrix"})
@example({"structured", "unstructured", "correlation_map"})
def test_any_set_of_roles_is_accepted_or_refused_as_the_issue_says(name, roles):
    found = faults(name, **{role: good(name, role) for role in roles})
    assert (found == []) == fits(name, roles), found


@pytest.mark.parametrize("name", COMPOSITIONS)
def test_each_composition_is_accepted_with_and_without_what_may_be_left_out(name):
    for form in COMPOSITIONS[name]:
        needed, allowed = (half.replace("*", " ".join(PICTURES)).split() for half in form.split("|"))
        for count in range(len(allowed) + 1):
            for more in itertools.combinations(allowed, count):
                assert faults(name, **{role: good(name, role) for role in (*needed, *more)}) == []


@pytest.mark.parametrize("name", COMPOSITIONS)
@pytest.mark.parametrize("role", [*PICTURES, *STRANGERS])
def test_pictures_may_be_there_besides_under_the_roles_that_results_give_them(name, role):
    needed = COMPOSITIONS[name][0].partition("|")[0].split()
    parts = {each: good(name, each) for each in needed}
    assert (faults(name, **parts, **{role: PICTURE}) == []) is (role in PICTURES and name != "visual")
    if role in PICTURES and name != "visual":
        assert faults(name, **parts, **{role: TEXT}) == [f"{role} is {MARKDOWN}, and has to be {PNG}"]
        (fault,) = faults(name, **parts, **{role: Part(PICTURE.data[:-1], PNG)})
        assert fault.startswith(f"{role} is no sound picture: ")


def test_an_envelope_is_json():
    parts = dict.fromkeys(["proposal", "financials", "technical_specification", "envelope"], TEXT)
    assert faults("poc", **parts) == [f"envelope is {MARKDOWN}, and has to be {JSON}"]


def test_every_kind_of_the_platform_is_among_those_tested():
    assert {kind.name for kind in PLATFORM} == set(COMPOSITIONS)


def test_all_faults_are_told_at_once_in_the_order_of_the_roles():
    parts = {"roadmap": as_json({"phases": 1}), "current_state": TEXT, "appendix": TEXT, "current_state_chart": TEXT}
    told = faults("blueprint", **parts)
    assert told == faults("blueprint", **dict(reversed(parts.items())))
    roles = "current_state, coexistence_state, roadmap, responsibility_matrix, envelope, *_visual, *_chart"
    assert told == [
        f"appendix is no role of a blueprint, which has {roles}",
        "coexistence_state is missing",
        "current_state_chart is text/markdown, and has to be image/png",
        "responsibility_matrix is missing",
        "roadmap/phases has to be a list of phases",
    ]


@pytest.mark.parametrize(
    ("roles", "told"),
    [
        (["main", "content"], ["content is no role of a solution, which has main, *_visual, *_chart"]),
        (["synthesis"], ["content is missing", "insights is missing", "journey is missing"]),
        ([], ["main is missing"]),
    ],
)
def test_of_two_compositions_the_nearer_one_is_meant(roles, told):
    assert faults("solution", **dict.fromkeys(roles, TEXT)) == told


@pytest.mark.parametrize(
    ("name", "media_type", "accepted"),
    [
        ("workflow", "application/json", True),
        ("workflow", "application/bpmn+xml", True),
        ("workflow", "text/xml; charset=utf-8", True),
        ("workflow", "Application/JSON;charset=utf-8", True),
        ("workflow", "application/vnd.acme+json", True),
        ("workflow", MARKDOWN, False),
        ("workflow", BINARY, False),
        ("workflow", "application/jsonx", False),
        ("workflow", "text/json+html", False),
        ("sop", BINARY, True),
        ("visual", PNG, True),
        ("visual", "image/png; q=1", True),
        ("visual", "image/x+png", False),
        ("visual", "image/jpeg", False),
    ],
)
def test_media_types(name, media_type, accepted):
    data = PICTURE.data if name == "visual" else b"{"
    assert (faults(name, main=Part(data, media_type)) == []) is accepted


@pytest.mark.parametrize("name", ["workflow", "sop"])
def test_what_does_not_parse_is_stored_all_the_same(name):
    assert faults(name, main=Part(b'{"steps": [', JSON)) == []


def test_a_type_without_a_kind_composes_as_it_likes():
    assert kinds.kind_of("anything") is None
    assert faults("anything", x=TEXT, y=PICTURE) == []
    assert kinds.compose("anything", {"x": TEXT}) == ()


# -- relations --------------------------------------------------------------------------------------------------------------


def test_relations_hold_between_roles_that_are_there():
    parts = dict.fromkeys(["roadmap", "responsibility_matrix", "current_state", "coexistence_state"], TEXT)
    plain = [
        "current_state transitions_to coexistence_state",
        "responsibility_matrix governs roadmap",
        "roadmap leads_to coexistence_state",
    ]
    assert told(kinds.compose("blueprint", parts)) == plain
    charted = {**parts, "current_state_chart": PICTURE}
    assert told(kinds.compose("blueprint", charted)) == sorted([*plain, "current_state_chart depicts current_state"])
    assert told(kinds.compose("solution", {"main": TEXT, "summary_visual": PICTURE})) == ["summary_visual depicts main"]
    assert kinds.compose("visual", {"main": PICTURE}) == ()


@pytest.mark.parametrize(
    ("name", "needed", "role", "target"),
    [
        ("workflow", "main", "workflow_visual", "main"),
        ("workflow", "main", "flow_visual.pages.1", "main"),
        ("sop", "main", "chart..0123456789abcdef0123456789abcdef", "main"),
        ("solution", "main", "summary_visual", "main"),
        ("solution", "main", "insights.trend_chart", "main"),
        ("solution", "content insights journey synthesis", "summary_visual", "synthesis"),
        ("solution", "content insights journey synthesis", "insights.trend_chart", "insights"),
        ("solution", "content insights journey synthesis", "semantic_payload.insights.trend_chart", "insights"),
        ("solution", "content insights journey synthesis", "cover_visual", None),
        ("solution", "content insights journey synthesis", "more.insights.trend_chart", None),
        ("poc", "proposal financials technical_specification", "poc_visual", "proposal"),
        ("poc", "proposal financials technical_specification", "financials.0.cost_chart", "financials"),
    ],
)
def test_a_picture_depicts_what_it_was_found_in(name, needed, role, target):
    relations = kinds.compose(name, {**dict.fromkeys(needed.split(), as_json({})), role: PICTURE})
    assert [link for link in told(relations) if link.startswith(role)] == (
        [f"{role} depicts {target}"] if target else []
    )


def test_a_picture_within_another_depicts_what_that_was_found_in():
    roles = {"main": as_json({}), "a_visual": PICTURE, "a_visual.thumb_visual": PICTURE}
    assert told(kinds.compose("sop", roles)) == ["a_visual depicts main", "a_visual.thumb_visual depicts main"]


@pytest.mark.parametrize("kind", PLATFORM, ids=lambda kind: kind.name)
def test_relations_are_sorted_and_between_roles_the_kind_has(kind):
    roles = {role.name for composition in kind.compositions for role in composition if not role.pattern} | set(PICTURES)
    roles |= {link.source for link in kind.links}
    relations = kind.relations(roles)
    assert list(relations) == sorted(relations)
    assert set(kind.links) <= set(relations)  # none is out of reach
    assert {role for link in relations for role in (link.source, link.target)} <= roles


# -- how faults are told ----------------------------------------------------------------------------------------------------


def test_the_refusal_carries_every_fault_by_role_and_path():
    with pytest.raises(Invalid) as refused:
        kinds.compose("roadmap", {"main": as_json({"phases": [{}, 7]}), "x": TEXT})
    error = refused.value
    assert error.code is Code.BAD_COMPOSITION
    assert error.message == (
        "this is no roadmap: main/phases/0 has no id: neither `id` nor `name` is text or an integer; "
        "main/phases/1 is no phase, which is an object; x is no role of a roadmap, which has main, *_visual, *_chart"
    )
    assert [(fault["role"], fault["path"]) for fault in error.fields["faults"]] == [
        ("main", "/phases/0"),
        ("main", "/phases/1"),
        ("x", ""),
    ]
    assert json.loads(json.dumps(error.as_dict()))["type"] == "roadmap"


@pytest.mark.parametrize(("count", "listed"), [(100, 100), (101, 101), (250, 101)])
def test_faults_are_bounded_and_the_rest_counted(count, listed):
    assert limits.FAULTS_MAX == 100
    found = faults("roadmap", main=as_json({"phases": [0] * count}))
    assert len(found) == listed
    assert found[99] == "main/phases/99 is no phase, which is an object"
    assert found[100:] == ([f"and {count - 100} more"] if count > 100 else [])


def test_the_message_shows_a_few():
    with pytest.raises(Invalid) as refused:
        kinds.compose("roadmap", {"main": as_json({"phases": [0] * 30})})
    assert refused.value.message.count("is no phase") == 10
    assert refused.value.message.endswith("; …")
    assert len(refused.value.fields["faults"]) == 30


def test_pointers_are_escaped():
    assert kinds.pointer() == ""
    assert kinds.pointer("a/b", 0, "m~n", "") == "/a~1b/0/m~0n/"  # RFC 6901, section 5


# -- the page ---------------------------------------------------------------------------------------------------------------


def test_the_page_has_every_kind_role_and_relation():
    table = PAGE.read_text("utf-8").partition("## The kinds there are")[2].partition("\n##")[0]
    rows = {row[1]: row[0] for row in re.finditer(r"^\| `(\w+)` \|.+$", table, re.MULTILINE)}
    assert set(rows) == {kind.name for kind in PLATFORM}
    for kind in PLATFORM:
        words = set(re.findall(r"`([\w/+-]+)`", rows[kind.name]))
        composed = [role for composition in kind.compositions for role in composition]
        assert words >= {role.name for role in composed if not role.pattern} | {link.name for link in kind.links}, (
            kind.name
        )
        assert ("pictures?" in rows[kind.name]) == any(role.pattern for role in composed), kind.name


def test_a_media_type_of_npy_is_what_its_suffix_gives():
    assert faults("hybrid_embedding", unstructured=Part(npy_bytes(), BINARY))[-1] == (
        f"unstructured is {BINARY}, and has to be {NPY} or {JSON}"
    )
