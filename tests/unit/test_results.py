"""Results as components: any comes back exactly, is split where its type has parts, and a changed part changes one component."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casstore import Invalid, grammar, kinds, limits
from casstore.errors import Code
from casstore.formats import json
from casstore.integrations.results import to_components, to_result
from casstore.integrations.visuals import take_pictures
from casstore.kinds import Kind, Role
from tests.operations.failing import fails
from tests.unit.kind_parts import Part as Source
from tests.unit.kind_parts import chunk, png_bytes
from tests.unit.visuals_drawn import (
    PLAIN_KEYS,
    below_keys,
    changed,
    encoded,
    exact,
    results,
    scalars,
    steps,
    values,
)

PNG = png_bytes(3, 2)
PARTS = {
    "blueprint": ["current_state", "coexistence_state", "roadmap", "responsibility_matrix"],
    "solution": ["content", "insights", "journey", "synthesis"],
    "poc": ["proposal", "financials", "technical_specification"],
    "hybrid_embedding": ["structured", "unstructured", "correlation_map"],
}
TYPES = ["workflow", "sop", "roadmap", "visual", "anything", *PARTS]
OURS = ["main", "envelope", "parts", "result", "semantic_payload", "renderings", "result_type", "metadata"]

documents = (
    st.dictionaries(st.sampled_from([*PLAIN_KEYS, *OURS]), values | below_keys, max_size=3)
    | st.lists(values, max_size=2)
    | st.text(max_size=5)
)


def no_path(role):
    raise AssertionError(role)


def bytes_of(components):
    return {role: part.data for role, part in components.items()}


def back(components, **how):
    return to_result(bytes_of(components), **{"visuals": True, "path_of": no_path, **how})


def parts_of(result):
    return {role: {"of": role} for role in PARTS["blueprint"]} | result


# -- laws ------------------------------------------------------------------------------------------------------------------


@st.composite
def composites(draw):
    """A type and a result with its parts, most of them or none, at the top or in the payload, among anything else."""
    name = draw(st.sampled_from(list(PARTS)))
    roles = draw(st.just(PARTS[name]) | st.lists(st.sampled_from(PARTS[name]), unique=True))
    holder = {role: draw(documents if role in roles else documents | scalars) for role in roles}
    others = draw(st.dictionaries(st.sampled_from([*PLAIN_KEYS, *OURS, *PARTS[name]]), documents, max_size=4))
    holder = dict(draw(st.permutations([*holder.items(), *draw(below_keys).items()])))
    if draw(st.booleans()):
        return name, {**others, **holder}
    return name, dict(draw(st.permutations([*others.items(), ("semantic_payload", holder)])))


plain = st.tuples(st.sampled_from(TYPES), results())


@pytest.mark.slow
@given(plain | composites())
def test_every_result_comes_back_exactly(drawn):
    name, result = drawn
    before = exact(result)
    components = to_components(name, result)
    assert exact(back(components)) == before
    assert exact(result) == before  # nobody wrote into what is the caller's
    for role in components:
        grammar.check_role(role)


@pytest.mark.slow
@given(plain | composites())
def test_without_pictures_each_is_told_by_its_path_and_all_else_is_the_same(drawn):
    name, result = drawn
    components = to_components(name, result)
    documents = {role: part.data for role, part in components.items() if part.media_type == "application/json"}
    shown = to_result(documents, visuals=False, path_of="cas://t/a@1#{}".format)
    expected = result
    pictures = take_pictures(result).pictures
    places = sorted(
        ((len(steps(path)), path, role) for role, each in pictures.items() for path in each.paths), reverse=True
    )
    for _, path, role in places:  # those within others first
        size = {"width": pictures[role].picture.width, "height": pictures[role].picture.height}
        reference = {"storage_path": f"cas://t/a@1#{role}", "format": "png", **size}
        expected = changed(expected, path, lambda node, told=reference: referred(node, told))
    assert exact(shown) == exact(expected)


def referred(node, reference):
    shown = {}
    for key, child in node.items() if isinstance(node, dict) else [("image_base64", None)]:
        if key == "image_base64":
            shown |= reference
        elif key not in reference:
            shown[key] = child
    return shown


@pytest.mark.slow
@given(plain | composites())
def test_each_picture_is_told_once_by_its_key_or_its_role(drawn):
    name, result = drawn
    components = to_components(name, result)
    pictures = [role for role, part in components.items() if part.media_type == "image/png"]
    assert sorted(components.visuals.values()) == sorted(pictures)
    for key, role in components.visuals.items():
        assert key == role or key.endswith(("_visual", "_chart"))


@pytest.mark.slow
@given(composites())
def test_a_result_with_all_its_parts_is_split_and_what_comes_of_it_is_of_its_kind(drawn):
    name, result = drawn
    components = to_components(name, result)
    holders = [result, result.get("semantic_payload")]
    whole = [
        isinstance(holder, dict) and all(isinstance(holder.get(role), dict | list | str) for role in PARTS[name])
        for holder in holders
    ]
    documents = {role for role, part in components.items() if part.media_type == "application/json"}
    assert documents == ({*PARTS[name], "envelope"} if any(whole) else {"main"})
    strangers = [
        fault
        for fault in kinds.check(name, {role: Source(part.data, part.media_type) for role, part in components.items()})
        if fault.message.startswith("is no role") or fault.message == "is missing" or " has to be " in fault.message
    ]
    assert (strangers == []) is (any(whole) or name in ("solution", "poc"))


@pytest.mark.slow
@given(composites(), st.data())
def test_a_changed_part_changes_one_component(drawn, data):
    name, result = drawn
    before = bytes_of(to_components(name, result))
    if "envelope" not in before:
        return
    holder = (
        result
        if all(isinstance(result.get(role), dict | list | str) for role in PARTS[name])
        else result["semantic_payload"]
    )
    role = data.draw(st.sampled_from(PARTS[name]))
    value = data.draw(st.dictionaries(st.sampled_from(["x", "y"]), scalars, min_size=1))
    pictures = {each for each in before if each.startswith((f"{role}.", f"semantic_payload.{role}.")) or ".." in each}
    holder[role] = value
    after = bytes_of(to_components(name, result))
    differ = {each for each in before.keys() | after.keys() if before.get(each) != after.get(each)}
    assert differ - pictures <= {role}
    assert (role in differ) is (before[role] != json.encode(value))


# -- how it is split -------------------------------------------------------------------------------------------------------


def test_a_blueprint_is_four_parts_and_an_envelope_that_names_them():
    states = {"current_state": {"steps": 7}, "coexistence_state": {"steps": 4}}
    payload = {**states, "version": 2, "roadmap": [], "responsibility_matrix": {}}
    components = to_components("blueprint", {"result_type": "blueprint", "semantic_payload": payload, "metadata": {}})
    assert {role: json.decode(data) for role, data in bytes_of(components).items()} == {
        **states,
        "roadmap": [],
        "responsibility_matrix": {},
        "envelope": {
            "parts": {role: f"/semantic_payload/{role}" for role in PARTS["blueprint"]},
            "result": {
                "result_type": "blueprint",
                "semantic_payload": {**dict.fromkeys(payload), "version": 2},
                "metadata": {},
            },
        },
    }
    assert {part.media_type for part in components.values()} == {"application/json"}


def test_pictures_in_a_part_leave_their_stand_in_there():
    result = parts_of({"roadmap": {"plan_chart": {"image_base64": encoded(PNG)}}, "current_state_chart": PNG})
    components = to_components("blueprint", result)
    assert components["roadmap.plan_chart"].data == components["current_state_chart"].data == PNG
    assert b'"cas:component:roadmap.plan_chart"' in components["roadmap"].data
    assert b'"cas:component:current_state_chart"' in components["envelope"].data
    assert components.visuals == {"plan_chart": "roadmap.plan_chart", "current_state_chart": "current_state_chart"}


def test_another_picture_of_the_same_size_in_a_part_changes_the_picture_alone():
    end = len(chunk(b"IEND"))
    commented = PNG[:-end] + chunk(b"tEXt", b"Comment\0new") + PNG[-end:]
    before, after = (
        bytes_of(to_components("blueprint", parts_of({"roadmap": {"plan_chart": data}}))) for data in (PNG, commented)
    )
    assert {role for role in before if before[role] != after[role]} == {"roadmap.plan_chart"}


@pytest.mark.parametrize(
    "result",
    [
        {},
        {"current_state": {}},
        parts_of({"roadmap": None}),
        parts_of({"roadmap": 1}),
        {"semantic_payload": [parts_of({})]},
        {"semantic_payload": None},
        {"renderings": parts_of({})},
        {
            **{role: {} for role in PARTS["blueprint"][:2]},
            "semantic_payload": {role: {} for role in PARTS["blueprint"][2:]},
        },
    ],
)
def test_what_does_not_have_all_parts_is_one_document(result):
    assert bytes_of(to_components("blueprint", result)) == {"main": json.encode(result)}


@pytest.mark.parametrize("name", ["workflow", "sop", "roadmap", "anything"])
def test_what_has_no_parts_is_one_document(name):
    assert set(to_components(name, parts_of({"main": {}, "envelope": {}}))) == {"main"}


def test_the_parts_at_the_top_come_before_those_in_the_payload():
    result = {**parts_of({}), "semantic_payload": parts_of({"roadmap": {"inner": 1}})}
    components = to_components("blueprint", result)
    assert components["roadmap"].data == b'{"of":"roadmap"}'
    assert back(components) == result


def test_what_looks_like_ours_is_content():
    envelope = {"parts": {"roadmap": "/roadmap"}, "result": {"roadmap": None}}
    for result in (
        {"envelope": envelope, "main": envelope},
        envelope,
        parts_of({"envelope": envelope, "parts": envelope, "storage_path": "cas:component:roadmap"}),
        parts_of({"roadmap": envelope, "current_state": {"storage_path": "cas:component:roadmap"}}),
    ):
        assert exact(back(to_components("blueprint", result))) == exact(result)


@pytest.fixture
def registered():
    """Registers a kind for one test."""
    known = dict(kinds.registry._KINDS)
    yield kinds.register
    kinds.registry._KINDS.clear()
    kinds.registry._KINDS.update(known)


def test_a_kind_of_ones_own_is_split_if_it_has_an_envelope(registered):
    envelope = Role(name="envelope", optional=True)
    body = (Role(name="terms"), Role(name="annex", optional=True))
    registered(Kind(name="contract", compositions=((*body, envelope),)))
    registered(Kind(name="letter", compositions=(body,)))
    result = {"terms": {"days": 30}, "annex": [1], "signed": True}
    assert set(to_components("contract", result)) == {"terms", "annex", "envelope"}
    assert set(to_components("contract", {"terms": {}})) == {"terms", "envelope"}
    assert set(to_components("contract", {"annex": {}})) == {"main"}
    assert set(to_components("letter", result)) == {"main"}
    for name, given_ in itertools.product(
        ("contract", "letter"), (result, {"terms": {}}, {"annex": {}, "terms": None})
    ):
        assert exact(back(to_components(name, given_))) == exact(given_)


def test_a_result_without_a_part_is_one_document_though_none_is_needed(registered):
    roles = (Role(name="terms", optional=True), Role(name="main", optional=True), Role(name="envelope", optional=True))
    registered(Kind(name="draft", compositions=(roles,)))
    assert set(to_components("draft", {"signed": True})) == {"main"}
    assert set(to_components("draft", {"semantic_payload": {"terms": []}})) == {"terms", "envelope"}


def test_a_part_with_the_role_of_a_picture_is_the_picture(registered):
    roles = (Role(name="a_visual"), Role(name="b"), Role(name="envelope", optional=True))
    registered(Kind(name="album", compositions=(roles,)))
    result = {"a_visual": {"image_base64": encoded(PNG)}, "b": {}}
    components = to_components("album", result)
    assert set(components) == {"main", "a_visual"}
    assert back(components) == result


# -- what is shown without the pictures ------------------------------------------------------------------------------------


def test_a_reference_stands_in_the_place_of_the_picture():
    result = {
        "a_visual": {"title": "A", "image_base64": encoded(PNG), "width": "100%", "alt": None},
        "b_chart": PNG,
        "pages": [{"c_visual": "data:image/png;base64," + encoded(PNG)}],
    }
    components = to_components("sop", result)
    shown = back(components, visuals=False, path_of="cas://t/sop/a@1#{}".format)
    size = {"format": "png", "width": 3, "height": 2}
    a = {"title": "A", "storage_path": "cas://t/sop/a@1#a_visual", **size, "alt": None}
    assert exact(shown) == exact(
        {
            "a_visual": a,
            "b_chart": {"storage_path": "cas://t/sop/a@1#b_chart", **size},
            "pages": [{"c_visual": {"storage_path": "cas://t/sop/a@1#pages.0.c_visual", **size}}],
        }
    )


def test_keys_that_two_pictures_have_go_to_the_first():
    result = {"a_visual": PNG, "p": {"a_visual": PNG, "A_chart": PNG}, "q.a_visual": PNG, "q": {"a_visual": PNG}}
    visuals = to_components("sop", result).visuals
    assert len(visuals) == 5
    assert visuals["a_visual"] == "a_visual"
    assert visuals["p.a_visual"] == "p.a_visual"
    assert visuals["q.a_visual"] == "q.a_visual"
    assert visuals["A_chart"].startswith("a-chart..")


def test_an_error_of_path_of_is_its_own():
    with pytest.raises(KeyError, match="a_visual"):
        back(to_components("sop", {"a_visual": PNG}), visuals=False, path_of={}.__getitem__)


# -- what is refused -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("result", "path"),
    [
        ({"a": {1}}, "$['a']"),
        (
            {"semantic_payload": parts_of({"roadmap": {"when": [float("nan")]}})},
            "$['semantic_payload']['roadmap']['when'][0]",
        ),
        (parts_of({"roadmap": {1: 2}}), "$['roadmap']"),
        ({"a": (1, 2)}, "$['a']"),
        ({"a": b"bytes"}, "$['a']"),
        ({"a": "\ud800"}, "$['a']"),
    ],
)
def test_what_json_cannot_hold_is_told_by_its_path_from_the_top(result, path):
    for name in ("blueprint", "sop"):
        with fails(Invalid, Code.BAD_JSON) as caught:
            to_components(name, result)
        assert caught.value.fields["path"] == path


def test_what_is_no_dictionary_or_has_a_broken_picture_is_refused():
    for wrong in ([], "text", None, b"", PNG):
        with fails(Invalid, Code.BAD_DATA):
            to_components("sop", wrong)
    with fails(Invalid, Code.BAD_PICTURE) as caught:
        to_components("blueprint", parts_of({"roadmap": {"a_visual": PNG[:-1]}}))
    assert caught.value.fields["faults"][0]["path"] == "/roadmap/a_visual"


def nested(levels):
    inner = 0
    for _ in range(levels):
        inner = [inner]
    return inner


@pytest.mark.parametrize("place", [("x",), ("roadmap",), ("semantic_payload", "x")])
def test_results_come_back_from_the_deepest_there_may_be_and_none_deeper_is_taken(place):
    def result(levels):
        inner = nested(levels - len(place))
        return parts_of({place[0]: {place[1]: inner} if len(place) > 1 else inner})

    deepest = result(limits.JSON_MAX_DEPTH)
    assert set(to_components("blueprint", deepest)) == {*PARTS["blueprint"], "envelope"}
    assert back(to_components("blueprint", deepest)) == deepest
    with fails(Invalid, Code.BAD_JSON):
        to_components("blueprint", result(limits.JSON_MAX_DEPTH + 1))


@pytest.mark.parametrize(
    "components",
    [
        {},
        {"roadmap": b"{}"},
        {"main": b"<bpmn/>"},
        {"main": b"[]"},
        {"main": b"[" * 5000 + b"]" * 5000},
        {"envelope": b"[]"},
        {"envelope": b'{"parts":{}}'},
        {"envelope": b'{"parts":[],"result":{}}'},
        {"envelope": b'{"parts":{},"result":[]}'},
        {"envelope": b'{"parts":{},"result":{},"more":1}'},
        {"envelope": b'{"parts":{"x":"/x"},"result":{"x":null}}'},
        {"envelope": b'{"parts":{"x":"/x"},"result":{"x":1}}', "x": b"{}"},
        {"envelope": b'{"parts":{"x":"/x"},"result":{}}', "x": b"{}"},
        {"envelope": b'{"parts":{"x":"/y"},"result":{"y":null}}', "x": b"{}"},
        {"envelope": b'{"parts":{"x":"/a/x"},"result":{"a":{"x":null}}}', "x": b"{}"},
        {"envelope": b'{"parts":{"x":["/x"]},"result":{"x":null}}', "x": b"{}"},
        {"envelope": b'{"parts":{"x":"/semantic_payload/x"},"result":{"semantic_payload":[]}}', "x": b"{}"},
        {"envelope": b'{"parts":{"x":"/x"},"result":{"x":null}}', "x": b"no JSON"},
    ],
)
@pytest.mark.parametrize("visuals", [True, False])
def test_components_that_are_no_result_are_told_so(components, visuals):
    with fails(Invalid, Code.BAD_COMPONENTS) as caught:
        to_result(components, visuals=visuals, path_of=str)
    assert caught.value.hint


def test_a_picture_that_is_not_given_is_missed_only_where_it_is_asked_for():
    documents = {"main": bytes_of(to_components("sop", {"a_visual": PNG}))["main"]}
    assert to_result(documents, visuals=False, path_of=str)["a_visual"]["storage_path"] == "a_visual"
    with fails(Invalid, Code.BAD_PICTURE):
        to_result(documents, visuals=True, path_of=str)
