"""The small picture of a process: ours in every character, with all that the diagram draws, whatever the document says."""

from __future__ import annotations

import math
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from casstore import limits
from casstore.formats.bpmn.sketch import sketch

ROOT = Path(__file__).parents[2]
CORPUS = ROOT.parent / "shared" / "corpus"
REAL = sorted((ROOT / "examples").rglob("*.bpmn")) + sorted(CORPUS.glob("workflow_bpmn/*/*.bpmn"))
HOSTILE = sorted(CORPUS.glob("hostile/*/*.bpmn"))
SVG = "{http://www.w3.org/2000/svg}"
PATH = re.compile(r"[MLlhvaz0-9. -]+")
HEAD = (
    '<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:di="http://www.omg.org/spec/BPMN/20100524/DI"'
    ' xmlns:dc="http://www.omg.org/spec/DD/20100524/DC" xmlns:dd="http://www.omg.org/spec/DD/20100524/DI"><process>'
)


def document(elements: str, drawn: str) -> bytes:
    return f"{HEAD}{elements}</process><di:BPMNDiagram><di:BPMNPlane>{drawn}</di:BPMNPlane></di:BPMNDiagram></definitions>".encode()


def shape(of: str, x: object, y: object, width: object, height: object) -> str:
    bounds = f'<dc:Bounds x="{x}" y="{y}" width="{width}" height="{height}"/>'
    return f'<di:BPMNShape bpmnElement="{of}">{bounds}</di:BPMNShape>'


def line(*points: tuple[object, object]) -> str:
    return "<di:BPMNEdge>" + "".join(f'<dd:waypoint x="{x}" y="{y}"/>' for x, y in points) + "</di:BPMNEdge>"


def paths(picture: bytes) -> list[str]:
    """What is drawn, after a look at it: paths alone, of numbers alone, in a view that has a size."""
    root = ET.fromstring(picture)
    assert root.tag == f"{SVG}svg"
    view = [float(each) for each in root.attrib["viewBox"].split()]
    assert all(map(math.isfinite, view))
    assert min(view[2:]) > 0
    assert not "".join(root.itertext())
    for path in root:
        assert path.tag == f"{SVG}path"
        assert path.attrib.keys() <= {"fill", "stroke", "stroke-width", "vector-effect", "d"}
        assert PATH.fullmatch(path.attrib["d"]), path.attrib["d"]
    return [path.attrib["d"] for path in root]


def drawn(picture: bytes | None) -> int:
    """How many shapes and lines are in it."""
    return sum(path.count("M") for path in paths(picture)) if picture else 0


def test_each_sort_has_its_shape():
    kinds = ("startEvent", "endEvent", "userTask", "exclusiveGateway", "subProcess", "textAnnotation")
    elements = "".join(f'<{kind} id="{kind}"/>' for kind in kinds)
    shapes = "".join(shape(kind, 100 * n, 0, 36, 36) for n, kind in enumerate(kinds))
    picture = sketch(document(elements, shapes + line((36, 18), (100, 18))))
    assert drawn(picture) == 6  # words are not drawn, so what holds them is not either
    assert sorted(re.sub(r"[^MLlhvaz]", "", path) for path in paths(picture)) == sorted(
        ["Mhavahavaz", "ML", "Mhavahavaz", "Mlz", "Maaz", "Maaz"]
    )


def test_what_is_seen_is_all_of_it_and_the_little_is_not_blown_up():
    elements = '<task id="a"/><task id="b"/>'
    small = sketch(document(elements, shape("a", -50, -20, 100, 40)))
    assert b'viewBox="-180.0 -100.0 360.0 200.0"' in small
    large = sketch(document(elements, shape("a", 0, 0, 100, 80) + shape("b", 1900, 920, 100, 80)))
    assert b'viewBox="-12.0 -12.0 2024.0 1024.0"' in large


@pytest.mark.parametrize("text", ["", "<", "<a/>", HEAD, f"{HEAD}</process></definitions>", "<!DOCTYPE a><a/>"])
def test_what_draws_nothing_has_no_picture(text):
    assert sketch(text.encode()) is None


@pytest.mark.parametrize("bounds", [(0, 0, -1, 5), (0, 0, 5, -1), (2e6, 0, 5, 5), ("", 0, 5, 5), (0, 0, "nan", 5)])
def test_a_shape_that_is_nowhere_is_not_drawn(bounds):
    assert sketch(document('<task id="a"/>', shape("a", *bounds))) is None


def test_the_first_diagram_that_draws_anything_is_shown():
    empty = "<di:BPMNDiagram><di:BPMNPlane/></di:BPMNDiagram>"
    shown = document('<task id="a"/>', shape("a", 0, 0, 9, 9))
    assert sketch(shown.replace(b"</process>", f"</process>{empty}".encode())) == sketch(shown)
    assert sketch(shown.replace(b"</definitions>", f"{empty}</definitions>".encode())) == sketch(shown)


COORDINATE = st.one_of(
    st.integers(-2000, 2000),
    st.floats(),
    st.sampled_from(
        [
            "",
            "x",
            "1e308",
            "-1e308",
            "nan",
            "inf",
            "1_0",
            "٣",
            '"/><script>'.replace('"', "&quot;").replace("<", "&lt;"),
        ]
    ),
)


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b", "c", ""]), COORDINATE, COORDINATE, COORDINATE, COORDINATE), max_size=5
    ),
    st.lists(st.lists(st.tuples(COORDINATE, COORDINATE), max_size=4), max_size=3),
)
@example([("a", 0, 0, -1, 5)], [])
@example([("a", 1e6, -1e6, 1e6, 0)], [[(1e6, -1e6), (0, 0)]])
@example([("b", float("nan"), 0, 1, 1)], [[(float("inf"), 0), (0, 0)]])
def test_no_number_makes_it_say_anything_else(shapes, lines):
    elements = '<task id="a"/><startEvent id="b"/><exclusiveGateway id="c"/>'
    picture = sketch(
        document(elements, "".join(shape(*each) for each in shapes) + "".join(line(*each) for each in lines))
    )
    if picture is not None:
        paths(picture)
    good = [each for each in shapes if all(isinstance(number, int) for number in each[1:]) and min(each[3:]) >= 0]
    assert drawn(picture) >= len(good)


def drawable(root: ET.Element) -> int:
    """By another reader of XML: what the first plane draws that has a place."""
    spaces = "{http://www.omg.org/spec/BPMN/20100524/"
    words = {f"{spaces}MODEL}}{name}" for name in ("textAnnotation", "group", "association")}
    said = {each.attrib["id"] for each in root.iter() if each.tag in words and "id" in each.attrib}
    planes = [plane for plane in root.iter(f"{spaces}DI}}BPMNPlane") if len(plane)]
    return sum(
        each.get("bpmnElement", "").rpartition(":")[2] not in said
        and (each.find("{*}Bounds") is not None or len(each.findall("{*}waypoint")) > 1)
        for each in (planes[0] if planes else ())
    )


def test_real_documents_are_drawn_whole():
    counts = [
        (drawn(sketch(path.read_bytes())), drawable(ET.fromstring(path.read_bytes())), path)
        for path in REAL
        if sketch(path.read_bytes())
    ]
    assert len(counts) > 3
    far = [path for found, expected, path in counts if found != expected]
    assert all("large_numbers" in str(path) for path in far), far


@pytest.mark.parametrize("path", HOSTILE, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_hostile_documents_are_drawn_or_not(path):
    picture = sketch(path.read_bytes())
    assert picture is None or paths(picture)


def test_the_most_that_a_document_may_have_is_drawn():
    count = limits.BPMN_ELEMENTS_MAX // 8
    assert drawn(sketch(document('<task id="a"/>', count * shape("a", 0, 0, 1, 1)))) == count
    deep = "<subProcess>" * (limits.BPMN_MAX_DEPTH - 4)
    assert sketch(document(deep + deep.replace("<", "</"), shape("", 0, 0, 1, 1))) is not None
