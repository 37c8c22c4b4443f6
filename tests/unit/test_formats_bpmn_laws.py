"""Laws of comparing BPMN, over models made by chance: what was edited is what is told, and nothing that matters is called less."""

from __future__ import annotations

import importlib.util
import random
import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from casstore.formats import bpmn

_spec = importlib.util.spec_from_file_location("bpmn_models", Path(__file__).with_name("bpmn_models.py"))
models = sys.modules[_spec.name] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(models)
PHASES = (Phase.explicit, Phase.generate)  # a seed has nothing that could be made smaller
CHANCE = st.integers(0, 2**32).map(random.Random)


def meant(result):
    return Counter((change.op, change.path) for change in result.changes if change.depth == "meaning")


@given(CHANCE)
@settings(max_examples=100, deadline=None, phases=PHASES)
def test_any_way_to_write_a_model_is_formatting(chance) -> None:
    made = models.process(chance)
    one, other = models.write(made), models.write(made, models.style(chance))
    result = bpmn.diff(one, other)
    assert result.depth in ("same", "formatting"), result.changes
    assert not result.changes
    assert bpmn.meaning(one) == bpmn.meaning(other)


@given(CHANCE)
@settings(max_examples=100, deadline=None, phases=PHASES)
def test_other_ids_are_formatting(chance) -> None:
    made = models.process(chance)
    how = models.style(chance)
    how.ids = models.regenerated(chance, made)
    types = {each.id: (each.type, each.name) for each in made.elements.values()}
    if all(types.get(old) == types.get(new) for old, new in how.ids.items()):
        return  # given to others of the same name: who knows the ids has to take it for a change
    one, other = models.write(made), models.write(made, how)
    result = bpmn.diff(one, other)
    assert result.depth in ("same", "formatting"), result.changes
    assert not meant(result)
    assert bpmn.meaning(one) == bpmn.meaning(other)


@given(CHANCE)
@settings(max_examples=100, deadline=None, phases=PHASES)
def test_what_is_drawn_elsewhere_is_layout(chance) -> None:
    made = models.process(chance)
    moved = models.copied(made)
    touched = {models.redraw(chance, moved) for _ in range(chance.randint(1, 3))}
    one, other = models.write(made), models.write(moved, models.style(chance))
    result = bpmn.diff(one, other)
    assert result.depth == "layout"
    assert {change.path for change in result.changes} == touched
    assert bpmn.meaning(one).digest == bpmn.meaning(other).digest
    assert bpmn.meaning(one).layout != bpmn.meaning(other).layout


@given(CHANCE, st.sampled_from(models.SEMANTIC))
@settings(max_examples=600, deadline=None, phases=PHASES)
def test_an_edit_is_told_as_what_it_was(chance, edit) -> None:
    made = models.process(chance)
    edited = models.copied(made)
    expected = edit(chance, edited)
    if expected is None:
        return
    if chance.random() < 0.5:
        models.redraw(chance, edited)
    one, other = models.write(made), models.write(edited, models.style(chance))
    result = bpmn.diff(one, other)
    assert result.depth == "meaning"
    assert meant(result) == Counter([expected]), [change.text for change in result.changes]


@given(CHANCE)
@settings(max_examples=150, deadline=None, phases=PHASES)
def test_several_edits_and_other_ids_are_still_meaning(chance) -> None:
    made = models.process(chance)
    edited = models.copied(made)
    told = [models_edit(chance, edited) for models_edit in chance.choices(models.SEMANTIC, k=3)]
    how = models.style(chance)
    how.ids = models.regenerated(chance, edited)
    one, other = models.write(made), models.write(edited, how)
    if models.write(made) != models.write(edited) and any(told):
        same = bpmn.meaning(one).digest == bpmn.meaning(other).digest
        assert (bpmn.diff(one, other).depth == "meaning") is not same
        recounted(one, other, bpmn.diff(one, other))


def recounted(one, other, result) -> None:
    """What was added and removed, by type, is the difference of a plain count with another parser."""
    counts = []
    for data in (one, other):
        tags = [node.tag for node in ET.fromstring(data).iter()]
        counts.append(Counter(tag.rpartition("}")[2] for tag in tags if models.MODEL in tag))
    told = (result.details["counts"]["before"], result.details["counts"]["after"])
    for plain, counted in zip(counts, told, strict=True):
        assert {tag: plain[tag] for tag in counted} == counted
        assert {
            tag for tag in plain if tag in {*models.TASKS, *models.EVENTS, *models.GATEWAYS, "sequenceFlow", "lane"}
        } <= set(counted)
    grown = Counter(told[1])
    grown.subtract(told[0])
    for change in result.changes:
        for step, side in ((-1, change.after), (1, change.before)):
            if change.op in ("added", "removed") and isinstance(side, dict) and side.keys() == {"id", "type", "name"}:
                grown[side["type"]] += step
    assert sum(grown.values()) == 0


@given(CHANCE)
@settings(max_examples=80, deadline=None, phases=PHASES)
def test_a_plain_recount_agrees(chance) -> None:
    one, other = models.process(chance), models.process(chance)
    recounted(models.write(one), models.write(other), bpmn.diff(models.write(one), models.write(other)))
