"""Lineage as text: every version is told once, every way to it is shown, and nothing depends on how deep it is."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casstore.cli.tree import staleness, tree
from casstore.model import Lineage, Link, Node
from tests.unit.lineages import lineages, version

LINE = re.compile(r"(?P<indent>(?:│   |    )*)(?:[├└]── )?(?P<text>.*)")


def names(lineage):
    """References of all that is mentioned, also of what is outside."""
    known = {node.version.id: node.version.ref for node in lineage}
    return known | {link.source: link.ref for node in lineage for link in node.sources}


def edges(lineage, *, down):
    """Who stands below whom: (id above, id below), once however many roles there are."""
    pairs = {(node.version.id, link.source) for node in lineage for link in node.sources}
    return {(below, above) for above, below in pairs} if down else pairs


def facing(lineage, *, down):
    """With the head that this direction has: what was made last, or first."""
    return lineage.model_copy(update={"versions": lineage.versions[::-1]}) if down else lineage


def reached(lineage, *, down):
    """What can be reached from the head inside of the lineage, and the pairs on the way."""
    inside = {node.version.id for node in lineage}
    todo, seen, ways = [lineage.versions[0].version.id], set(), set()
    while todo:
        here = todo.pop()
        if here not in seen:
            seen.add(here)
            ways |= {pair for pair in edges(lineage, down=down) if pair[0] == here}
            todo += [below for above, below in ways if above == here and below in inside]
    return seen, ways


@settings(max_examples=60)
@given(lineages(), st.booleans())
def test_each_version_is_told_once_and_each_way_is_shown(lineage, down):
    lineage = facing(lineage, down=down)
    refs = names(lineage)
    seen, ways = reached(lineage, down=down)
    inside = {node.version.id for node in lineage}
    lines = list(tree(lineage, down=down))
    if lines[-1] == "(*) told above":
        lines.pop()
    rows = [LINE.fullmatch(line)["text"] for line in lines]
    told = [text.split("  ")[0].split(" as ")[0] for text in rows if not text.endswith("(*)") and text[0] != "…"]
    assert sorted(told) == sorted(refs[identity] for identity in seen)
    assert len([text for text in rows if text[0] != "…"]) == 1 + len([way for way in ways if way[1] in inside])
    hidden = sum(int(text.split()[1]) for text in rows if text[0] == "…")
    assert hidden == len([way for way in ways if way[1] not in inside])


@settings(max_examples=60)
@given(lineages(), st.booleans())
def test_the_indentation_is_the_way(lineage, down):
    """Reading the tree back gives pairs that are there, and all of those with both ends inside."""
    lineage = facing(lineage, down=down)
    refs = names(lineage)
    ids = {ref: identity for identity, ref in refs.items()}
    inside = {node.version.id for node in lineage}
    above: list = []
    found = set()
    for line in tree(lineage, down=down):
        match = LINE.fullmatch(line)
        if match["text"][0] in "…(":
            continue
        depth = (len(line) - len(match["text"])) // 4
        here = ids[match["text"].split("  ")[0].split(" as ")[0]]
        above = [*above[:depth], here]
        if depth:
            found.add((above[-2], here))
    assert found == {way for way in reached(lineage, down=down)[1] if way[1] in inside}


def test_roles_states_and_what_is_newer():
    sop, flow, made = version(0, "sop", 1), version(1, "flow", 3, state="accepted"), version(2, "report", 1)
    template = Link(source=sop.id, ref=sop.ref, role="template", newer=4)
    lineage = Lineage(
        versions=(
            Node(
                version=made,
                depth=0,
                sources=(
                    Link(source=flow.id, ref=flow.ref, role="source", newer=None),
                    template,
                    Link(source=sop.id, ref=sop.ref, role="source", newer=4),
                ),
            ),
            Node(version=flow, depth=1, sources=(template,)),
            Node(version=sop, depth=1, sources=()),
        ),
        is_complete=True,
    )
    assert list(tree(lineage, down=False)) == [
        "report@1  stale: sop@1 → @4",
        "├── flow@3  accepted  stale: sop@1 → @4",
        "│   └── sop@1 as template",
        "└── sop@1 as template, source  (*)",
        "(*) told above",
    ]
    assert staleness(lineage.versions[2]) == ""


@pytest.mark.parametrize("down", [False, True])
def test_a_lineage_may_be_deeper_than_the_stack(down):
    chain = [version(place, "daily", place + 1) for place in range(1500)]
    nodes = [
        Node(
            version=made,
            depth=0,
            sources=(Link(source=chain[place - 1].id, ref=chain[place - 1].ref, role="source", newer=None),)
            if place
            else (),
        )
        for place, made in enumerate(chain)
    ]
    lineage = Lineage(versions=tuple(nodes if down else reversed(nodes)), is_complete=True)
    lines = [line.strip(" │└─") for line in tree(lineage, down=down)]
    assert lines == [node.version.ref for node in lineage]
