"""BPMN of many tools compared: every pair of versions that follow each other, and each written and drawn differently."""

from __future__ import annotations

import importlib.util
import io
import itertools
import re
import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

import pytest

from casstore.errors import Code, Invalid
from casstore.formats import bpmn

_spec = importlib.util.spec_from_file_location("bpmn_laws", Path(__file__).with_name("test_formats_bpmn_laws.py"))
laws = sys.modules[_spec.name] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(laws)
CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "workflow_bpmn"
PATHS = sorted(CORPUS.glob("*/*.bpmn"))
DC = "{http://www.omg.org/spec/DD/20100524/DC}"

pytestmark = [pytest.mark.skipif(not PATHS, reason="no corpus beside the checkout")]


def readable(path):
    data = path.read_bytes()
    return data if bpmn.is_bpmn(data) else None


def written(root, data):
    """The tree in the way of ElementTree: other prefixes, quotes, no comments; declared too are prefixes of values."""
    text = ET.tostring(root, encoding="unicode")
    spaces = dict(reversed([space for _, space in ET.iterparse(io.BytesIO(data), ["start-ns"])]))
    lost = "".join(f' xmlns:{p}="{escape(uri)}"' for p, uri in spaces.items() if p and f"xmlns:{p}=" not in text)
    return re.sub(r"^<[^\s>]+", lambda found: found[0] + lost, text).encode()


def test_nearly_all_can_be_read_and_the_others_are_refused() -> None:
    refused = [path for path in PATHS if readable(path) is None]
    assert len(refused) * 50 < len(PATHS), refused
    for path in refused:
        with pytest.raises(Invalid) as caught:
            bpmn.diff(b"", path.read_bytes())
        assert caught.value.code is Code.NOT_COMPARABLE


def test_pairs_agree_with_a_plain_recount() -> None:
    compared = 0
    for _, paths in itertools.groupby(PATHS, key=lambda path: path.parent):
        for one, other in itertools.pairwise(filter(None, map(readable, paths))):
            result = bpmn.diff(one, other)
            same = bpmn.meaning(one).digest == bpmn.meaning(other).digest
            assert same or result.depth == "meaning"
            if result.depth != "same":
                agrees(one, other, result)
            compared += 1
    assert compared


def agrees(one, other, result) -> None:
    """Whether elements by type are as many as another parser counts, and grew by what was added, removed and retyped."""
    told = [Counter(result.details["counts"][side]) for side in ("before", "after")]
    for data, counts in zip((one, other), told, strict=True):
        tags = Counter(
            node.tag.rpartition("}")[2] for node in ET.fromstring(data).iter() if laws.models.MODEL in node.tag
        )
        assert {tag: tags[tag] for tag in counts} == counts
    grown = sum(told[1].values()) - sum(told[0].values())
    sides = [(change.op, change.after or change.before) for change in result.changes]
    steps = Counter(op for op, side in sides if isinstance(side, dict) and {*side} == {"id", "type", "name"})
    assert grown == steps["added"] - steps["removed"]


def test_written_anew_is_formatting_and_shapes_elsewhere_are_layout() -> None:
    for data in filter(None, map(readable, PATHS)):
        root = ET.fromstring(data)
        result = bpmn.diff(data, written(root, data))
        assert result.depth in ("same", "formatting"), [change.text for change in result.changes[:3]]
        bounds = [node for node in root.iter(f"{DC}Bounds") if re.fullmatch(r"-?[\d.]+", node.get("x", ""))]
        for node in bounds:
            node.set("x", str(float(node.get("x")) + 10))
        moved = bpmn.diff(data, written(root, data))
        assert moved.depth == ("layout" if bounds else result.depth), moved.summary


def test_merging_with_what_was_written_anew_takes_the_other_side() -> None:
    for _, paths in itertools.groupby(PATHS, key=lambda path: path.parent):
        for base, theirs in itertools.pairwise(filter(None, map(readable, paths))):
            ours = written(ET.fromstring(base), base)
            merged = bpmn.merge(base, ours, theirs)
            assert not merged.conflicts
            result = bpmn.diff(theirs, merged.data)
            if bpmn.meaning(theirs).digest != bpmn.meaning(merged.data).digest:
                told = [change.text for change in result.changes if change.depth == "meaning"]
                assert not told, (base[:200], told[:5])
