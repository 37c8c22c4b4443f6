"""Laws of merging BPMN, over models and edits made by chance, against a merge of the models themselves, field by field."""

from __future__ import annotations

import importlib.util
import random
import sys
from dataclasses import fields
from pathlib import Path
from xml.etree import ElementTree as ET

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from casstore.formats import bpmn
from casstore.formats.comparison import Taken

_spec = importlib.util.spec_from_file_location("bpmn_models", Path(__file__).with_name("bpmn_models.py"))
models = sys.modules[_spec.name] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(models)
PHASES = (Phase.explicit, Phase.generate)  # a seed has nothing that could be made smaller
CHANCE = st.integers(0, 2**32).map(random.Random)
PLACES = {  # of the fields of an element of `models`, as conflicts have them
    "type": "type",
    "name": "@name",
    "parent": "parent",
    "lane": "lane",
    "source": "@sourceRef",
    "target": "@targetRef",
    "condition": "conditionExpression",
    "documentation": "documentation",
    "trigger": "eventDefinition",
    "called": "@calledElement",
    "assignee": f"@{{{models.CAMUNDA}}}assignee",
    "properties": "extensionElements",
}
REFERRING = ("parent", "source", "target")


def edited(chance, made):
    other = models.copied(made)
    for edit in chance.choices(models.SEMANTIC, k=chance.randint(1, 3)):
        edit(chance, other)
    return other


def said(element):
    return {name: getattr(element, name) for name in PLACES}


def expected(base, ours, theirs):
    """What a merge has to make of three models, and where there are conflicts."""
    merged, conflicts = models.copied(base), set()
    merged.elements = {}
    for identity in {**base.elements, **ours.elements, **theirs.elements}:
        three = [side.elements.get(identity) for side in (base, ours, theirs)]
        was, mine, other = three
        if was and mine and other:
            merged.elements[identity] = models.copied(mine)
            for name, place in PLACES.items():
                o, a, b = (getattr(each, name) for each in three)
                if a not in (o, b) and b != o:
                    conflicts.add(f"{identity}/{place}")
                setattr(merged.elements[identity], name, b if a == o else a)
        elif was and (mine or other):
            left = mine or other
            if said(left) != said(was) or needed(identity, base, ours if mine else theirs):
                conflicts.add(identity)
        elif mine or other:
            merged.elements[identity] = models.copied(mine or other)
            if mine and other and said(mine) != said(other):
                conflicts.add(identity)
    return merged, conflicts


def needed(identity, base, side):
    """Whether something refers to an element that did not before."""
    for each in side.elements.values():
        before = base.elements.get(each.id)
        if any(getattr(each, n) == identity and (not before or getattr(before, n) != identity) for n in REFERRING):
            return True
    return False


def same(one, other):
    """Whether two documents mean the same, with the same ids."""
    return bpmn.diff(one, other).depth in ("same", "formatting", "layout")


def sound(data):
    """Whether it is XML in which no reference leads nowhere, read with another parser."""
    root = ET.fromstring(data)
    ids = [node.attrib["id"] for node in root.iter() if "id" in node.attrib]
    assert len(ids) == len(set(ids)), ids
    for node in root.iter():
        tag = node.tag.rpartition("}")[2]
        refs = [node.attrib[name] for name in ("sourceRef", "targetRef", "bpmnElement") if name in node.attrib]
        refs += [node.text.strip()] if tag in ("flowNodeRef", "incoming", "outgoing") else []
        assert set(refs) <= set(ids), (tag, refs)
    flows = {
        (n.attrib["id"], n.attrib["sourceRef"], n.attrib["targetRef"]) for n in root.iter() if "sourceRef" in n.attrib
    }
    for node in root.iter():
        for child in node:
            tag = child.tag.rpartition("}")[2]
            if tag in ("incoming", "outgoing"):
                ends = {(f, target if tag == "incoming" else source) for f, source, target in flows}
                assert (child.text.strip(), node.attrib["id"]) in ends
    return True


@given(CHANCE)
@settings(max_examples=200, deadline=None, phases=PHASES)
def test_a_merge_has_the_edits_of_both_sides_or_conflicts_where_they_disagree(chance) -> None:
    made = models.process(chance)
    ours, theirs = edited(chance, made), edited(chance, made)
    want, conflicts = expected(made, ours, theirs)
    documents = [
        models.write(made, models.style(chance)),
        *(models.write(side, models.style(chance)) for side in (ours, theirs)),
    ]
    merged = bpmn.merge(*documents)
    assert {conflict.path for conflict in merged.conflicts} == conflicts
    assert (merged.data is None) is bool(conflicts)
    if merged.data is not None:
        result = bpmn.diff(models.write(want), merged.data)
        assert result.depth in ("same", "formatting", "layout"), [change.text for change in result.changes]
        assert not result.details["regenerated"]
        assert sound(merged.data)


@given(CHANCE)
@settings(max_examples=80, deadline=None, phases=PHASES)
def test_sides_are_alike(chance) -> None:
    made = models.process(chance)
    ours, theirs = (models.write(edited(chance, made), models.style(chance)) for _ in "ab")
    base = models.write(made)
    one, other = bpmn.merge(base, ours, theirs), bpmn.merge(base, theirs, ours)
    assert {(each.path, each.text) for each in one.conflicts} == {(each.path, each.text) for each in other.conflicts}
    if one.data is not None:
        assert same(one.data, other.data)


@given(CHANCE)
@settings(max_examples=80, deadline=None, phases=PHASES)
def test_what_one_side_left_is_as_the_other_has_it(chance) -> None:
    made = models.process(chance)
    changed = edited(chance, made)
    models.redraw(chance, changed)
    base, again, other = (models.write(each, models.style(chance)) for each in (made, made, changed))
    assert bpmn.merge(base, other, base).data == other
    assert bpmn.merge(base, base, other).data == other
    assert bpmn.merge(base, other, again).data == other
    taken = bpmn.merge(base, again, other)
    result = bpmn.diff(other, taken.data)
    assert result.depth in ("same", "formatting"), [change.text for change in result.changes]
    assert sound(taken.data)


@given(CHANCE)
@settings(max_examples=60, deadline=None, phases=PHASES)
def test_equal_changes_are_no_conflict(chance) -> None:
    made = models.process(chance)
    changed = edited(chance, made)
    base, ours, theirs = (models.write(each, models.style(chance)) for each in (made, changed, changed))
    assert bpmn.merge(base, ours, theirs).data == ours


@given(CHANCE, st.sampled_from(("base", "ours", "theirs")))
@settings(max_examples=120, deadline=None, phases=PHASES)
def test_conflicts_end_as_decided(chance, side) -> None:
    made = models.process(chance)
    ours, theirs = edited(chance, made), edited(chance, made)
    documents = [models.write(each, models.style(chance)) for each in (made, ours, theirs)]
    asked = []
    merged = bpmn.merge(*documents, lambda conflict: asked.append(conflict) or Taken(side=side))
    assert not merged.conflicts
    assert sound(merged.data)
    result = bpmn.merge(documents[0], merged.data, merged.data)
    assert result.data == merged.data
    names = {node.get("id"): node for node in ET.fromstring(merged.data).iter()}
    for conflict in asked:
        identity, _, place = conflict.path.partition("/")
        if place.startswith("@") and identity in names and "Ref" not in place:
            assert names[identity].get(place[1:]) == getattr(conflict, side)
        elif not place and side not in conflict.present and identity not in {**theirs.elements, **ours.elements}:
            assert identity not in names


@given(CHANCE)
@settings(max_examples=60, deadline=None, phases=PHASES)
def test_what_is_drawn_anew_on_one_side_is_taken_and_on_both_as_ours(chance) -> None:
    made = models.process(chance)
    sides = [models.copied(made), models.copied(made)]
    moved = [{models.redraw(chance, side) for _ in range(2)} for side in sides]
    want = models.copied(sides[0])
    for identity in moved[1] - moved[0]:
        want.elements[identity].at = sides[1].elements[identity].at
    merged = bpmn.merge(*(models.write(each, models.style(chance)) for each in (made, *sides)))
    assert bpmn.diff(models.write(want), merged.data).depth in ("same", "formatting")


def test_every_field_of_a_model_is_looked_at() -> None:
    assert {field.name for field in fields(models.Element)} == {*PLACES, "id", "at"}
