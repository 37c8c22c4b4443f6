"""Merging BPMN, as people see it: what stays as it was written, conflicts in words, and what was decided for them."""

from __future__ import annotations

import itertools
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from casstore.errors import Code, Invalid
from casstore.formats import bpmn
from casstore.formats.comparison import Taken

EXAMPLES = Path(__file__).parents[2] / "examples" / "artifacts" / "workflow_bpmn" / "loan-approval"
MODEL = "http://www.omg.org/spec/BPMN/20100524/MODEL"
HEAD = f'<b:definitions xmlns:b="{MODEL}" id="d" targetNamespace="urn:t"'
INSIDE = """>
  <!-- drawn by hand -->
  <b:process id="p" name="Order">
    <b:laneSet id="s"><b:lane id="l" name="Finance"><b:flowNodeRef>a</b:flowNodeRef></b:lane
    ><b:lane id="m" name="Sales"/></b:laneSet>
    <b:startEvent   id="a" />
    <b:userTask id='t' name='Check'><b:documentation>As told.</b:documentation></b:userTask>
    <b:subProcess id="u" name="One"/>
    <b:subProcess id="v" name="Two"/>
    <b:endEvent id="c"/>
    <b:sequenceFlow id="f" sourceRef="a" targetRef="t"/> <!-- the way in -->
    <b:sequenceFlow id="g" sourceRef="t" targetRef="c"><b:conditionExpression>x &gt; 1</b:conditionExpression></b:sequenceFlow>
  </b:process>
</b:definitions>
"""
BASE = HEAD + INSIDE


def edited(*replacements: tuple[str, str], of: str = BASE) -> bytes:
    for old, new in replacements:
        assert old in of
        of = of.replace(old, new)
    return of.encode()


def test_what_theirs_left_alone_stays_byte_for_byte() -> None:
    ours = edited(("'Check'", "'Check it'"))
    theirs = edited(
        ('targetRef="c"', 'targetRef="u"'), ('"Sales"/>', '"Sales"><b:flowNodeRef>t</b:flowNodeRef></b:lane>')
    )
    merged = bpmn.merge(BASE.encode(), ours, theirs)
    assert merged.data == edited(
        ("'Check'", "'Check it'"),
        ('targetRef="c"', 'targetRef="u"'),
        ('"Sales"/>', '"Sales"><b:flowNodeRef>t</b:flowNodeRef></b:lane>'),
    )


def test_what_is_added_has_lines_of_its_own_as_its_neighbours_have() -> None:
    task = '<b:task id="n"><b:documentation>New</b:documentation></b:task>'
    theirs = edited(("  <b:endEvent", f"{task}  <b:endEvent"), ('<b:subProcess id="v" name="Two"/>', ""))
    merged = bpmn.merge(BASE.encode(), edited(("'Check'", "'A'")), theirs)
    lines = '\n    <b:task id="n">\n      <b:documentation>New</b:documentation>\n    </b:task>'
    flow = "</b:conditionExpression></b:sequenceFlow>"
    assert merged.data == edited(
        ("'Check'", "'A'"), (flow, flow + lines), ('\n    <b:subProcess id="v" name="Two"/>', "")
    )


def test_elements_of_theirs_come_with_the_prefixes_of_ours() -> None:
    new = (
        '<b:serviceTask id="n" x:who="me"><b:extensionElements><x:a xmlns:x="urn:x">\n 1</x:a></b:extensionElements>'
        "</b:serviceTask>"
        '<b:sequenceFlow id="h" sourceRef="u" targetRef="n"/>'
    )
    theirs = edited(("<b:endEvent", new + "<b:endEvent"), ('id="d"', 'id="d" xmlns:x="urn:x"'))
    theirs = theirs.replace(b"<b:", b"<").replace(b"</b:", b"</").replace(b"xmlns:b", b"xmlns")
    ours = edited(("'Check'", "'Check it'"))
    merged = bpmn.merge(BASE.encode(), ours, theirs)
    assert b'<b:serviceTask xmlns:x="urn:x" id="n" x:who="me">' in merged.data
    told = [(change.op, change.path) for change in bpmn.diff(ours, merged.data).changes]
    assert told == [("added", "n"), ("added", "h")]
    assert [change.op for change in bpmn.diff(theirs, merged.data).changes] == ["renamed"]


@pytest.mark.parametrize(
    ("mine", "yours", "path", "text", "present"),
    [
        (
            ("'Check'", "'A'"),
            ("'Check'", "'B'"),
            "t/@name",
            "both sides renamed user task 'Check' differently",
            ("base", "ours", "theirs"),
        ),
        (
            ("b:userTask", "b:task"),
            ("b:userTask", "b:manualTask"),
            "t/type",
            "both sides made another type of user task 'Check'",
            ("base", "ours", "theirs"),
        ),
        (
            ('targetRef="c"', 'targetRef="u"'),
            ('targetRef="c"', 'targetRef="v"'),
            "g/@targetRef",
            "both sides changed the target ref of sequence flow from 'Check' to end event c differently",
            ("base", "ours", "theirs"),
        ),
        (
            ("x &gt; 1", "x"),
            ("<b:conditionExpression>x &gt; 1</b:conditionExpression>", ""),
            "g/conditionExpression",
            "one side removed the condition expression of sequence flow from 'Check' to end event c, the other changed it",
            ("base", "ours"),
        ),
        (
            ('<b:subProcess id="u" name="One"/>', ""),
            ('name="One"', 'name="First"'),
            "u",
            "one side removed sub process 'One', the other changed it",
            ("base", "theirs"),
        ),
        (
            ('<b:subProcess id="u" name="One"/>', ""),
            ('sourceRef="a"', 'sourceRef="u"'),
            "u",
            "one side removed sub process 'One', the other refers to it from somewhere new",
            ("base", "theirs"),
        ),
        (
            ("<b:endEvent", '<b:task id="n" name="New"/><b:endEvent'),
            ("<b:endEvent", '<b:task id="n" name="Newer"/><b:endEvent'),
            "n",
            "both sides added n, but not the same",
            ("ours", "theirs"),
        ),
    ],
)
def test_conflicts(mine, yours, path, text, present) -> None:
    merged = bpmn.merge(BASE.encode(), edited(mine), edited(yours))
    assert merged.data is None
    assert [(each.path, each.text, each.present) for each in merged.conflicts] == [(path, text, present)]


@pytest.mark.parametrize(
    ("mine", "yours", "value", "want"),
    [
        (("'Check'", "'A'"), ("'Check'", "'B'"), 'C "&" <D>', ("'Check'", '"C &quot;&amp;&quot; &lt;D>"')),
        (("'Check'", "'A'"), ("'Check'", "'B'"), None, (" name='Check'", "")),
        (
            ('targetRef="c"', 'targetRef="u"'),
            ('targetRef="c"', 'targetRef="v"'),
            "a",
            ('targetRef="c"', 'targetRef="a"'),
        ),
        (("b:userTask", "b:task"), ("b:userTask", "b:manualTask"), "scriptTask", ("b:userTask", "b:scriptTask")),
        (("x &gt; 1", "x"), ("x &gt; 1", "y"), "z < 1", ("x &gt; 1", "z &lt; 1")),
        (
            ("As told.", "As I told."),
            ("As told.", "As they told."),
            [{"tag": "documentation", "attributes": {"textFormat": "text/html"}, "text": "All."}],
            ("<b:documentation>As told.", '<b:documentation textFormat="text/html">All.'),
        ),
    ],
)
def test_values_that_are_neither_sides(mine, yours, value, want) -> None:
    merged = bpmn.merge(BASE.encode(), edited(mine), edited(yours), lambda _: Taken(side="value", value=value))
    assert bpmn.diff(edited(want), merged.data).depth in ("same", "formatting")


@pytest.mark.parametrize(
    ("mine", "yours", "value"),
    [
        (("'Check'", "'A'"), ("'Check'", "'B'"), 7),
        (("b:userTask", "b:task"), ("b:userTask", "b:manualTask"), "startEvent"),
        (('<b:subProcess id="u" name="One"/>', ""), ('name="One"', 'name="First"'), "One"),
        (("As told.", "As I told."), ("As told.", "As they told."), {"documentation": "x"}),
        (("As told.", "As I told."), ("As told.", "As they told."), [{"tag": "task"}]),
    ],
)
def test_values_that_cannot_be(mine, yours, value) -> None:
    with pytest.raises(Invalid, match="for a conflict was decided") as caught:
        bpmn.merge(BASE.encode(), edited(mine), edited(yours), lambda _: Taken(side="value", value=value))
    assert caught.value.code is Code.BAD_ARGUMENT


def moved(identity: str, into: str) -> bytes:
    names = {"u": "One", "v": "Two"}
    element, place = (f'<b:subProcess id="{each}" name="{names[each]}"/>' for each in (identity, into))
    inside = place.replace("/>", f">{element}</b:subProcess>")
    return edited((element, ""), (place, inside))


def test_elements_that_were_moved_into_one_another() -> None:
    sides = moved("u", "v"), moved("v", "u")
    merged = bpmn.merge(BASE.encode(), *sides)
    assert [(each.path, each.text) for each in merged.conflicts] == [
        ("u/parent", "both sides moved elements, into one another")
    ]
    for side, want in (("ours", sides[0]), ("theirs", sides[1]), ("base", BASE.encode())):
        merged = bpmn.merge(BASE.encode(), *sides, lambda _, side=side: Taken(side=side))
        assert bpmn.diff(want, merged.data).depth in ("same", "formatting")


def test_what_a_kept_element_needs_is_kept_and_what_refers_to_a_gone_one_goes() -> None:
    new = '<b:task id="n"/><b:sequenceFlow id="h" sourceRef="n" targetRef="u"/>'
    ours = edited(('<b:subProcess id="u" name="One"/>', ""))
    theirs = edited(("<b:endEvent", new + "<b:endEvent"))
    asked = []
    for side, ids in (("ours", {"n"}), ("theirs", {"n", "h", "u"})):
        merged = bpmn.merge(
            BASE.encode(), ours, theirs, lambda each, side=side: asked.append(each.path) or Taken(side=side)
        )
        found = {node.get("id") for node in ET.fromstring(merged.data).iter()}
        assert found & {"n", "h", "u"} == ids
    assert asked == ["u", "u"]


def test_an_id_that_ours_gave_to_another_is_not_given_twice() -> None:
    ours = edited(('"a"', '"z"'), (">a<", ">z<"), ("'t'", "'a'"), ('"t"', '"a"'))
    theirs = edited(
        ("<b:endEvent", '<b:task id="z" name="New"/><b:sequenceFlow id="h" sourceRef="t" targetRef="z"/><b:endEvent')
    )
    merged = bpmn.merge(BASE.encode(), ours, theirs)
    told = {(change.op, change.after["type"]) for change in bpmn.diff(ours, merged.data).changes}
    assert told == {("added", "task"), ("added", "sequenceFlow")}
    root = ET.fromstring(merged.data)
    flow = next(node for node in root.iter() if node.get("id") == "h")
    assert (flow.get("sourceRef"), flow.get("targetRef")) == ("a", "z_2")


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "iso-8859-1"])
def test_the_merged_document_has_the_encoding_of_ours(codec) -> None:
    name = {"utf-8-sig": "utf-8"}.get(codec, codec)
    ours = (f'<?xml version="1.0" encoding="{name}"?>' + BASE.replace("'Check'", "'Prüfen'")).encode(codec)
    theirs = edited(('name="One"', 'name="Ein Ω"'))
    merged = bpmn.merge(BASE.encode(), ours, theirs)
    names = {node.get("name") for node in ET.fromstring(merged.data).iter()}
    assert {"Prüfen", "Ein Ω"} <= names
    assert merged.data.decode(codec).startswith("<?xml")


def test_examples() -> None:
    """Merging the change of one version into the next gives what both have: the versions follow each other."""
    versions = [path.read_bytes() for path in sorted(EXAMPLES.iterdir())]
    for base, ours, theirs in itertools.permutations(versions, 3):
        merged = bpmn.merge(base, ours, theirs)
        other = bpmn.merge(base, theirs, ours)
        assert {each.path for each in merged.conflicts} == {each.path for each in other.conflicts}
        if merged.data is not None:
            assert bpmn.diff(merged.data, other.data).depth != "meaning"


@pytest.mark.parametrize("place", range(3))
def test_what_cannot_be_read_is_refused(place) -> None:
    documents = [BASE.encode()] * 3
    documents[place] = b"<html/>"
    with pytest.raises(Invalid) as caught:
        bpmn.merge(*documents)
    assert caught.value.code is Code.NOT_COMPARABLE
