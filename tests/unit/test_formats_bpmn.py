"""BPMN compared, as people read it: sentences, depths, and what is refused, within bounds of time and memory."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from casstore import limits
from casstore.errors import Code, Invalid
from casstore.formats import bpmn
from tests.support.limited import Case, limited

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
EXAMPLES = Path(__file__).parents[2] / "examples" / "artifacts" / "workflow_bpmn" / "loan-approval"
XMLNS = 'xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:x="urn:vendor" id="d" targetNamespace="urn:t" xmlns:t="urn:t"'
FLOWS = '<sequenceFlow id="f" sourceRef="a" targetRef="b"/>'
PROCESS = (
    '<process id="p" name="Order"><laneSet id="s"><lane id="l" name="Finance"/></laneSet><startEvent id="a"/>'
    f'<userTask id="b" name="Check"/><endEvent id="c"/><exclusiveGateway id="g" name="OK?"/>{FLOWS}</process>'
)


def document(inside: str = PROCESS, more: str = "") -> bytes:
    return f"<definitions {XMLNS} {more}>{inside}</definitions>".encode()


def edited(*replacements: tuple[str, str]) -> bytes:
    inside = PROCESS
    for old, new in replacements:
        assert old in inside
        inside = inside.replace(old, new)
    return document(inside)


@pytest.mark.parametrize(
    ("replacement", "op", "text"),
    [
        (('"Check"', '"Check invoice"'), "renamed", "user task 'Check invoice' renamed from 'Check'"),
        (("exclusiveGateway", "inclusiveGateway"), "retyped", "exclusive gateway 'OK?' became an inclusive gateway"),
        (
            ('<startEvent id="a"/>', '<startEvent id="a"><timerEventDefinition/></startEvent>'),
            "retyped",
            "start event a became a timer start event",
        ),
        (
            ('targetRef="b"', 'targetRef="c"'),
            "rewired",
            "sequence flow from start event a to 'Check' now goes to end event c instead of 'Check'",
        ),
        (
            ('name="Finance"/>', 'name="Finance"><flowNodeRef>b</flowNodeRef></lane>'),
            "moved",
            "user task 'Check' moved to lane 'Finance' from none",
        ),
        (
            (FLOWS, FLOWS.replace("/>", "><conditionExpression>a &gt; 1</conditionExpression></sequenceFlow>")),
            "added",
            "condition of sequence flow from start event a to 'Check' added: 'a > 1'",
        ),
        (('<endEvent id="c"/>', ""), "removed", "end event c removed"),
        (
            ('<userTask id="b"', '<userTask x:who="me" id="b"'),
            "changed",
            "user task 'Check': x:who changed from nothing to 'me'",
        ),
        (
            ('<process id="p"', '<process isExecutable="true" id="p"'),
            "changed",
            "process 'Order': is executable changed from nothing to 'true'",
        ),
    ],
)
def test_sentences(replacement, op, text) -> None:
    result = bpmn.diff(document(), edited(replacement))
    assert [(change.op, change.text) for change in result.changes] == [(op, text)]
    assert result.depth == "meaning"
    assert bpmn.meaning(document()).digest != bpmn.meaning(edited(replacement)).digest


@pytest.mark.parametrize(
    "other",
    [
        document(more='exporter="Tool" exporterVersion="2"'),
        document(PROCESS.replace('sourceRef="a"', 'sourceRef="t:a"')),
        document(PROCESS.replace('id="p"', 'id="p" isClosed="0" processType="None"')),
        document(PROCESS.replace('<endEvent id="c"/>', "<endEvent id='c'><extensionElements/></endEvent>")),
        document(PROCESS.replace('"OK?"', '"OK&#63;"')),
        b"<?xml version='1.0'?><?tool x?><!-- by a tool -->" + document(),
    ],
)
def test_nothing_but_formatting(other) -> None:
    result = bpmn.diff(document(), other)
    assert (result.depth, result.changes, result.summary) == ("formatting", (), ("Nothing but formatting.",))
    assert bpmn.meaning(other) == bpmn.meaning(document())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("<x:a>1</x:a>", "<x:a>1 </x:a>"),  # white space may be a value of somebody else's
        ("<x:a/>", "<x:a> </x:a>"),
        ("<x:a/><x:b/>", "<x:b/><x:a/>"),
        ('<x:a id="1"/>', '<x:a id="2"/>'),
        ("<a/>", '<a xmlns=""/>'),
    ],
)
def test_what_is_not_known_to_be_formatting_is_meaning(one, other) -> None:
    sides = [
        document(f'<process id="p"><extensionElements>{each}</extensionElements></process>') for each in (one, other)
    ]
    assert bpmn.diff(*sides).depth == "meaning"


def test_a_type_whose_prefix_a_tool_forgot_is_formatting() -> None:
    """ElementTree writes prefixes of its own, and leaves `xsi:type="b:tFormalExpression"` as it was."""
    condition = '<conditionExpression xsi:type="{}:tFormalExpression">a</conditionExpression>'
    space = (
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:b="http://www.omg.org/spec/BPMN/20100524/MODEL"'
    )
    sides = [
        document(PROCESS.replace(FLOWS, FLOWS.replace("/>", f">{condition.format(prefix)}</sequenceFlow>")), space)
        for prefix in ("b", "lost")
    ]
    assert bpmn.diff(*sides).depth == "formatting"
    assert bpmn.diff(sides[0], sides[0].replace(b"tFormal", b"t")).depth == "meaning"


def test_a_reference_to_a_new_part_in_the_place_of_another_is_meaning() -> None:
    """Parts are known by their places; one put before another must not be taken for it."""
    inside = '<process id="p"><endEvent id="c"><eventDefinitionRef>{}</eventDefinitionRef></endEvent></process>{}'
    one, other = '<errorEventDefinition id="e1"/>', '<errorEventDefinition id="e2" errorRef="x"/>'
    before, after = document(inside.format("e1", one)), document(inside.format("e2", other + one))
    assert "c" in [change.path for change in bpmn.diff(before, after).changes]


def test_regenerated_ids_are_told_in_one_line() -> None:
    other = document(PROCESS.replace('"a"', '"_1"').replace('"b"', '"_2"').replace('"f"', '"_3"'))
    result = bpmn.diff(document(), other)
    assert result.depth == "formatting"
    assert [change.text for change in result.changes] == ["3 of 9 elements have other ids, and are the same"]
    assert result.details["regenerated"] == {"a": "_1", "b": "_2", "f": "_3"}


def test_elements_that_only_look_alike_are_told_apart() -> None:
    """Two rings of three tasks without names are not one ring of six, though every task has the same neighbours."""

    def rings(*edges: str) -> bytes:
        tasks = "".join(f'<task id="t{n}"/>' for n in range(6))
        flows = "".join(
            f'<sequenceFlow id="f{n}" sourceRef="t{a}" targetRef="t{b}"/>' for n, (a, b) in enumerate(edges)
        )
        return document(f'<process id="p">{tasks}{flows}</process>')

    two, one = rings("01", "12", "20", "34", "45", "53"), rings("01", "12", "23", "34", "45", "50")
    assert bpmn.meaning(two).digest != bpmn.meaning(one).digest
    assert bpmn.diff(two, one).depth == "meaning"


def test_examples() -> None:
    versions = [path.read_bytes() for path in sorted(EXAMPLES.iterdir())]
    depths = [bpmn.diff(one, other).depth for one, other in itertools.pairwise(versions)]
    assert depths == ["meaning", "meaning", "meaning", "formatting"]
    assert bpmn.diff(versions[0], versions[0]).depth == "same"


def nested(levels: int) -> bytes:
    return document("<process>" + "<subProcess>" * levels + "</subProcess>" * levels + "</process>")


HOSTILE = {
    "doctype": b'<!DOCTYPE d [<!ENTITY e "x">]>' + document(),
    "external": b'<!DOCTYPE d SYSTEM "http://127.0.0.1:9/a.dtd">' + document(),
    "deep": nested(100_000),
    "many": document("<process>" + "<task/>" * 500_000 + "</process>"),
    "large": document(f'<process name="{"x" * limits.BPMN_MAX_BYTES}"/>'),
    "long name": document(f"<process><{'x' * 2_000}/></process>"),
    "long namespace": document(f'<process xmlns:y="{"y" * 2_000}"/>'),
    "root": b"<html/>",
    "empty": b"",
    "binary": b"\0" * 100,
    "encoding": b'<?xml version="1.0" encoding="shift_jis"?>' + document(),
    "unbound": b"<a:b/>",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_documents_are_refused_with_the_reason(name) -> None:
    data = HOSTILE[name]
    with pytest.raises(Invalid, match="cannot compare as BPMN, because ") as caught:
        bpmn.diff(document(), data)
    assert caught.value.code is Code.NOT_COMPARABLE
    assert bpmn.meaning(data) is None
    assert not bpmn.is_bpmn(data)


HEAVY = {  # as large as is not refused, and made to be slow
    "twins": lambda n: "<task/>" * n,
    "chain": lambda n: "".join(
        f'<task id="t{k}"/><sequenceFlow id="f{k}" sourceRef="t{k}" targetRef="t{k + 1}"/>' for k in range(n // 6)
    ),
    "hub": lambda n: '<task id="h"/>' + '<sequenceFlow sourceRef="h" targetRef="h"/>' * (n // 3),
    "scopes": lambda n: "".join(f'<y{k}:a xmlns:y{k}="urn:{k}"/>' for k in range(n)),
    "text": lambda n: "<documentation>" + "a<!---->" * n + "</documentation>",
    "attributes": lambda n: "<task " + " ".join(f'a{k}=""' for k in range(n)) + "/>",
    "lanes": lambda n: (
        '<task id="t"/>' + "<laneSet>" + "<lane><flowNodeRef>t</flowNodeRef></lane>" * (n // 2) + "</laneSet>"
    ),
}


def compared(*paths: Path) -> str:
    arguments = tuple(f"open({str(path)!r}, 'rb').read()" for path in paths)
    return limited(Case("from casstore.formats import bpmn", arguments), "bpmn.diff(*arguments)")


@pytest.mark.slow
@pytest.mark.parametrize("name", HEAVY)
def test_heavy_documents_take_two_seconds_and_half_a_gigabyte_at_most(name, tmp_path) -> None:
    size = limits.BPMN_ELEMENTS_MAX - 1_000
    sides = [tmp_path / "one", tmp_path / "other"]
    for path, count in zip(sides, (size, size - 60), strict=True):
        path.write_bytes(document(f'<process id="p">{HEAVY[name](count)}</process>'))
    assert compared(*sides) == "answered"


@pytest.mark.slow
@pytest.mark.skipif(not CORPUS.is_dir(), reason="no corpus beside the checkout")
@pytest.mark.parametrize(
    "path", sorted((CORPUS / "hostile").glob("*/*.bpmn")), ids=lambda path: f"{path.parent.name}/{path.stem}"
)
def test_hostile_files_of_the_corpus(path, tmp_path) -> None:
    (tmp_path / "plain").write_bytes(document())
    for sides in ((tmp_path / "plain", path), (path, tmp_path / "plain")):
        assert compared(*sides) in {"answered", "not_comparable"}
