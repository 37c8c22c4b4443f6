"""What kinds promise inside their parts: phases without cycles, references that point at something, whole pictures."""

from __future__ import annotations

import graphlib
import itertools
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from casstore import kinds, limits
from casstore.testing.strategies import json_values
from tests.unit.kind_parts import (
    JSON,
    MARKDOWN,
    NPY,
    PICTURE,
    PNG,
    TEXT,
    Part,
    as_json,
    chunk,
    faults,
    npy_bytes,
    png_bytes,
)


def roadmap(*phases):
    return faults("roadmap", main=as_json({"phases": phases}))


# -- roadmaps ---------------------------------------------------------------------------------------------------------------


def test_a_roadmap_without_phases_promises_nothing():
    assert faults("roadmap", main=TEXT) == []
    assert faults("roadmap", main=Part(b'{"phases": [{"id": "a", "depends_on": ["b"]}]}', MARKDOWN)) == []
    assert faults("roadmap", main=as_json({"vision": []})) == []
    assert faults("roadmap", main=as_json([])) == []


def test_a_roadmap_that_says_json_and_is_none_is_refused():
    (fault,) = faults("roadmap", main=Part(b'{"phases": [', JSON))
    assert fault.startswith("main is not JSON: ")


def test_phases_go_by_id_or_else_by_name():
    assert roadmap({"id": "a", "name": "x"}, {"name": "b", "depends_on": ["a"]}, {"id": 1, "dependencies": ["b"]}) == []
    assert roadmap({"id": None, "name": "a", "depends_on": None}, {"id": "b", "dependencies": ["a"]}) == []
    assert roadmap({"id": "a", "name": "x"}, {"id": "b", "depends_on": ["x"]}) == [
        "main/phases/1/depends_on/0 names the phase 'x', which is not there"
    ]


def test_a_number_and_its_text_are_two_ids():
    assert roadmap({"id": 1}, {"id": "1"}) == []
    assert roadmap({"id": 1}, {"id": 2, "depends_on": ["1"]}) == [
        "main/phases/1/depends_on/0 names the phase '1', which is not there"
    ]


@pytest.mark.parametrize(
    ("phase", "told"),
    [
        ("a", " is no phase, which is an object"),
        ({}, " has no id: neither `id` nor `name` is text or an integer"),
        ({"id": ""}, " has no id: neither `id` nor `name` is text or an integer"),
        ({"id": True}, " has no id: neither `id` nor `name` is text or an integer"),
        ({"id": 1.0}, " has no id: neither `id` nor `name` is text or an integer"),
        ({"id": "a", "depends_on": "a"}, "/depends_on has to be a list of ids of phases"),
        (
            {"id": "a", "dependencies": [{"id": "a"}]},
            "/dependencies/0 is no id of a phase, which is text or an integer",
        ),
    ],
)
def test_a_phase_has_its_shape(phase, told):
    assert roadmap(phase) == [f"main/phases/0{told}"]


def test_repeated_ids_are_told_with_the_later_phase():
    assert roadmap({"id": "a"}, {"name": "a"}, {"id": "a"}) == [
        "main/phases/1/name repeats the id 'a'",
        "main/phases/2/id repeats the id 'a'",
    ]


def test_a_cycle_is_named_in_order_where_it_closes():
    assert roadmap(
        {"id": "a", "depends_on": ["c"]}, {"id": "b", "depends_on": ["a"]}, {"id": "c", "depends_on": ["b"]}
    ) == ["main/phases/1/depends_on/0 closes a cycle: 'a' → 'c' → 'b' → 'a'"]
    assert roadmap({"id": "a", "depends_on": ["a"]}) == [
        "main/phases/0/depends_on/0 makes the phase 'a' depend on itself"
    ]


def test_every_dependency_that_closes_a_cycle_is_told():
    assert roadmap(
        {"id": "a", "depends_on": ["b"]}, {"id": "b", "depends_on": ["a", "c"]}, {"id": "c", "dependencies": ["b"]}
    ) == [
        "main/phases/1/depends_on/0 closes a cycle: 'a' → 'b' → 'a'",
        "main/phases/2/dependencies/0 closes a cycle: 'b' → 'c' → 'b'",
    ]


def test_a_long_cycle_needs_no_stack_and_little_room():
    count = 5_000  # Python's own stack ends near 1,000
    (fault,) = roadmap(*({"id": n, "depends_on": [(n + 1) % count]} for n in range(count)))
    assert fault.endswith("8 → 9 → … 4990 more … → 0")


def test_phases_are_found_in_a_structured_result():
    result = {"result_type": "roadmap", "semantic_payload": {"phases": [{"id": "a", "depends_on": ["b"]}]}}
    assert faults("roadmap", main=as_json(result)) == [
        "main/semantic_payload/phases/0/depends_on/0 names the phase 'b', which is not there"
    ]


GRAPHS = st.integers(1, 7).flatmap(
    lambda count: st.lists(st.lists(st.integers(0, count - 1), max_size=3), min_size=count, max_size=count)
)


@given(GRAPHS, st.randoms())
@example([[1], [0]], None)
@example([[0]], None)
@example([[1, 2], [2], []], None)
def test_phases_are_refused_exactly_when_they_cannot_be_ordered(graph, random):
    phases = [{"id": f"p{n}", "depends_on": [f"p{m}" for m in needed]} for n, needed in enumerate(graph)]
    if random:
        random.shuffle(phases)
    try:
        list(graphlib.TopologicalSorter(dict(enumerate(graph))).static_order())
        ordered = True
    except graphlib.CycleError:
        ordered = False
    found = roadmap(*phases)
    assert (found == []) is ordered, found
    for text in found:
        walk = text.rpartition("cycle: ")[2].split(" → ")
        edges = {(f"'p{n}'", f"'p{m}'") for n, needed in enumerate(graph) for m in needed}
        assert "itself" in text or set(itertools.pairwise(walk)) <= edges
        assert "itself" in text or walk[0] == walk[-1]


@given(GRAPHS, st.data())
def test_a_dependency_on_nothing_is_told_wherever_it_is(graph, data):
    at = data.draw(st.integers(0, len(graph) - 1))
    phases = [{"id": n, "dependencies": [m for m in needed if m < n]} for n, needed in enumerate(graph)]
    phases[at]["dependencies"].append("nowhere")
    index = len(phases[at]["dependencies"]) - 1
    assert roadmap(*phases) == [f"main/phases/{at}/dependencies/{index} names the phase 'nowhere', which is not there"]


def test_the_roadmap_of_a_blueprint_is_one():
    parts = dict.fromkeys(["current_state", "coexistence_state", "responsibility_matrix"], TEXT)
    plan = as_json({"phases": [{"id": "a", "depends_on": ["a"]}]})
    assert faults("blueprint", **parts, roadmap=plan) == [
        "roadmap/phases/0/depends_on/0 makes the phase 'a' depend on itself"
    ]


# -- hybrid embeddings ------------------------------------------------------------------------------------------------------

DOCUMENTS = {"documents": [{"id": "d", "chunks": [{"row": 0}, {"row": 1}]}, {"id": "e", "chunks": [{"row": 2}]}]}
VECTORS = Part(npy_bytes((3, 2)), NPY)


def embedding(correlation_map, structured=None, unstructured=VECTORS):
    structured = as_json(DOCUMENTS) if structured is None else structured
    parts = {"structured": structured, "unstructured": unstructured, "correlation_map": as_json(correlation_map)}
    return faults("hybrid_embedding", **parts)


@pytest.mark.parametrize(
    "good",
    [
        {"rows": 3, "links": [{"row": 2, "document": "e", "nearest": [{"row": 0, "document": "d", "cosine": 0.5}]}]},
        {"documents": [{"a": "d", "b": "e"}]},
        [{"structured": 2, "unstructured": [0, 1]}, {"structured": {"row": 1}, "row": {"unstructured": 2}}],
        {"structured": "structured.json", "links": [{"a": "no document", "rows": 77}]},
        {},
        [],
        None,
    ],
)
def test_references_that_point_inside(good):
    assert embedding(good) == []


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ({"rows": 20}, ["/rows says 20 rows, and unstructured has 3"]),
        ({"rows": None}, ["/rows says None rows, and unstructured has 3"]),
        ({"links": [{"row": 3}]}, ["/links/0/row points to row 3, and structured has no chunk of it",
                                   "/links/0/row points to row 3, and unstructured has 3 rows"]),
        ([{"unstructured": -1}], ["/0/unstructured points to row -1, and unstructured has 3 rows"]),
        ([{"structured": [0, 9]}], ["/0/structured/1 points to row 9, and structured has no chunk of it"]),
        ([{"structured": {"row": 9}}], ["/0/structured/row points to row 9, and structured has no chunk of it"]),
        ([{"row": {"unstructured": 9}}], ["/0/row/unstructured points to row 9, and unstructured has 3 rows"]),
        ([{"row": [0, 1.0]}], ["/0/row/1 is no number of a row"]),
        ({"links": [{"row": True}, {"row": "1"}]}, ["/links/0/row is no number of a row", "/links/1/row is no number of a row"]),
        ({"a/b": {"document": "f"}}, ["/a~1b/document names the document 'f', which is not there"]),
        ({"documents": [{"a": "d", "b": "f"}]}, ["/documents/0/b names the document 'f', which is not there"]),
    ],
)  # fmt: skip
def test_references_that_point_at_nothing(bad, told):
    assert embedding(bad) == [f"correlation_map{text}" for text in told]


def test_chunks_point_into_the_other_side():
    documents = {"documents": [{"id": "d", "chunks": [{"row": 3}, {"row": None}, {"heading": "x"}, 7]}, 7, {"id": 7}]}
    assert embedding({}, as_json(documents)) == [
        "structured/documents/0/chunks/0/row points to row 3, and unstructured has 3 rows",
        "structured/documents/0/chunks/1/row is no number of a row",
    ]


def test_both_sides_may_be_arrays():
    assert embedding([{"row": 1}], as_json([[0.5], [0.25]]), as_json([[1], [2], [3]])) == []
    assert embedding([{"row": 2}], as_json([[0.5], [0.25]]), as_json([[1], [2], [3]])) == [
        "correlation_map/0/row points to row 2, and structured has 2 rows"
    ]


def test_a_side_that_cannot_be_counted_is_not_held_against_the_map():
    assert embedding({"rows": 9, "links": [{"row": 9, "document": "f"}]}, as_json({"schema": 1}), as_json({})) == []


def test_every_part_is_looked_at_though_others_are_broken():
    broken = Part(b"{", JSON)
    found = embedding([{"structured": 9}], unstructured=Part(b"", NPY)) + embedding([{"unstructured": 9}], broken)
    assert [text.partition(" ")[0] for text in found] == [
        "unstructured",
        "correlation_map/0/structured",
        "structured",
        "correlation_map/0/unstructured",
    ]


@given(st.integers(0, 5), st.integers(0, 5), st.lists(st.tuples(st.integers(-1, 6), st.integers(-1, 6)), max_size=4))
def test_references_are_refused_exactly_when_they_are_out_of_range(left, right, links):
    found = embedding(
        [{"structured": a, "unstructured": b} for a, b in links], as_json([0] * left), Part(npy_bytes((right, 2)), NPY)
    )
    expected = [f"/{n}/structured" for n, (a, _) in enumerate(links) if not 0 <= a < left]
    expected += [f"/{n}/unstructured" for n, (_, b) in enumerate(links) if not 0 <= b < right]
    assert sorted(text.split(" ")[0].removeprefix("correlation_map") for text in found) == sorted(expected)


# -- arrays -----------------------------------------------------------------------------------------------------------------

HEADER = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }"


def array(data):
    return [text.removeprefix("unstructured ") for text in embedding({"rows": 3}, as_json({}), Part(data, NPY))]


@pytest.mark.parametrize(
    "data",
    [
        npy_bytes(),
        npy_bytes(version=2),
        npy_bytes(version=3),
        npy_bytes((3,)),
        npy_bytes((3, 1, 4)),
        npy_bytes((3, 0), ">f8"),
        npy_bytes(descr="|i1", data=b"\0" * 6),
        npy_bytes(header="{'shape': (3, 2), 'fortran_order': True, 'descr': '<f4'}"),
    ],
)
def test_arrays_as_numpy_writes_them(data):
    assert array(data) == []


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "is no .npy file: it does not begin as one"),
        (b"\x93NUMPY\x04\x00" + npy_bytes()[8:], "is no .npy file: it does not begin as one"),
        (npy_bytes()[:40], "ends inside its header"),
        (npy_bytes()[:8], "ends inside its header"),
        (npy_bytes()[:-1], "has 151 bytes, and its header promises 152"),
        (npy_bytes() + b"\0", "has 153 bytes, and its header promises 152"),
        (npy_bytes((3, 10**17), data=b""), "has 128 bytes, and its header promises 1200000000000000128"),
        (npy_bytes(()), "is a single number without rows"),
        (npy_bytes(descr="|O"), "is an array of type O, not of numbers"),
        (npy_bytes(descr="<O8"), "is an array of type O8, not of numbers"),
        (npy_bytes(descr="<f3"), "is an array of type f3, not of numbers"),
        (npy_bytes(descr="<U3"), "is an array of type U3, not of numbers"),
        (npy_bytes(header=HEADER.replace("'<f4'", "[('a', '<f4')]")), "has a header that is none of NumPy's"),
        (npy_bytes(header=HEADER.replace("'shape': (3, 2)", "'descr': '<f4'")), "has a header that is none of NumPy's"),
        (npy_bytes(header=HEADER.replace("(3, 2)", "(3, -2)")), "has a header that is none of NumPy's"),
        (npy_bytes(header=HEADER.replace("(3, 2)", "(3, 2**9)")), "has a header that is none of NumPy's"),
        (npy_bytes(header=HEADER.replace("False", "__import__('os')")), "has a header that is none of NumPy's"),
        (npy_bytes(header=HEADER + " " * 20_000), "has a header of 20086 bytes, and up to 10000 are read"),
    ],
)  # fmt: skip
def test_arrays_that_are_none(data, told):
    assert array(data) == [told]


def test_only_the_header_of_an_array_is_read():
    class Long(Part):
        size_bytes = 128 + 8 * 3 * 10**12  # and `data` is the header alone

    vectors = Long(npy_bytes((3, 10**12), "<f8", data=b""), NPY)
    assert embedding({"rows": 3, "links": [{"unstructured": 2}]}, unstructured=vectors) == []


# -- pictures ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xd8\xff\xe0", png_bytes()[:-1], png_bytes().replace(b"IDAT", b"IDAU"), png_bytes(0)]
)
def test_a_picture_is_a_whole_png(data):
    (fault,) = faults("visual", main=Part(data, PNG))
    assert fault.startswith("main is no sound picture: ")


def test_every_picture_of_a_kind_is_looked_at():
    parts = dict.fromkeys(["content", "insights", "journey", "synthesis"], TEXT)
    assert faults("solution", **parts, summary_visual=PICTURE) == []
    assert faults("solution", **parts, summary_visual=Part(chunk(b"IHDR"), PNG)) != []


# -- anything at all --------------------------------------------------------------------------------------------------------

ROLES = ["main", "roadmap", "structured", "unstructured", "correlation_map", "current_state_chart", "summary_visual"]
CONTENTS = st.one_of(
    st.binary(max_size=200),
    json_values().map(lambda value: json.dumps(value).encode()),
    st.sampled_from([npy_bytes(), png_bytes(), b"[" * 100_000, b'{"a":' * 100_000, b"[" * 900 + b"]" * 900]),
    st.sampled_from([npy_bytes(), png_bytes(), as_json(DOCUMENTS).data]).flatmap(
        lambda data: st.tuples(st.integers(0, len(data) - 1), st.integers(0, 255)).map(
            lambda at: data[: at[0]] + bytes([at[1]]) + data[at[0] + 1 :]
        )
    ),
)
SHAPED = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["phases", "id", "depends_on", "row", "rows", "documents", "chunks", "structured", "a"]),
            inner,
        )
    ),
    max_leaves=12,
).map(lambda value: json.dumps(value).encode())


@given(
    st.dictionaries(st.sampled_from(ROLES), st.tuples(CONTENTS | SHAPED, st.sampled_from([JSON, NPY, PNG, MARKDOWN])))
)
@example({"main": (b'{"phases": {}}', JSON), "correlation_map": (b'{"row": NaN}', JSON)})
def test_no_check_raises_whatever_the_bytes(drawn):
    parts = {role: Part(*part) for role, part in drawn.items()}
    for name in ("workflow", "sop", "blueprint", "solution", "roadmap", "poc", "visual", "hybrid_embedding"):
        found = kinds.check(name, parts)
        assert len(found) <= limits.FAULTS_MAX + 1
        for fault in found:
            str(fault).encode()  # what is told can be shown
            assert len(fault.message) < 500
