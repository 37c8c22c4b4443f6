"""Is a BPMN document that was only drawn or written otherwise recognised as such, and what was changed in meaning never?

python benchmarks/recognise_bpmn.py DIR

Each BPMN file below DIR is read by another parser, changed in known ways and written again: its shapes elsewhere, its elements in
another order, all ids anew; and a name, a flow, a type, a condition … changed, also together with these. What is told is counted.
"""

from __future__ import annotations

import argparse
import io
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from machine import describe

from casstore.formats import bpmn

MODEL: Final = "{http://www.omg.org/spec/BPMN/20100524/MODEL}"
BPMNDI: Final = "{http://www.omg.org/spec/BPMN/20100524/DI}"
DC: Final = "{http://www.omg.org/spec/DD/20100524/DC}"
DI: Final = "{http://www.omg.org/spec/DD/20100524/DI}"
NODE: Final = re.compile(
    re.escape(MODEL) + r"(\w*[tT]ask|callActivity|subProcess|\w+Gateway|(start|end|boundary)Event|intermediate\w+)"
)
FLOW: Final = f"{MODEL}sequenceFlow"
NUMBER: Final = re.compile(r"-?\d+(\.\d+)?")
IN_ORDER: Final = (
    "extensionElements",
    "documentation",
    "laneSet",
)  # what has its place before the elements of a process
chance = random.Random(7)
Edit = Callable[[ET.Element], bool]


def shift(root: ET.Element, place: str, name: str) -> bool:
    found = [node for node in root.iter(place) if NUMBER.fullmatch(node.get(name, ""))]
    for node in found:
        node.set(name, str(float(node.get(name, "")) + 11 * chance.randint(1, 9)))
    return bool(found)


def move(root: ET.Element) -> bool:
    return shift(root, f"{DC}Bounds", "x")


def resize(root: ET.Element) -> bool:
    return shift(root, f"{DC}Bounds", "width")


def reroute(root: ET.Element) -> bool:
    return shift(root, f"{DI}waypoint", "y")


def undraw(root: ET.Element) -> bool:
    found = root.findall(f"{BPMNDI}BPMNDiagram")
    for diagram in found:
        root.remove(diagram)
    return bool(found)


def indent(root: ET.Element) -> bool:
    ET.indent(root, "\t")
    return True


def reorder(root: ET.Element) -> bool:
    for process in root.iter(f"{MODEL}process"):
        process[:] = sorted(
            process, key=lambda node: chance.random() if node.tag.rpartition("}")[2] not in IN_ORDER else -1
        )
    return True


def renumber(root: ET.Element) -> bool:
    """All ids anew that cannot be taken for anything else, and all that refers to them."""
    nodes = [node for node in root.iter() if node.tag.startswith((MODEL, BPMNDI))]
    ids = {old: f"x{chance.random()}" for node in nodes if (old := node.get("id")) and not NUMBER.fullmatch(old)}
    for node in nodes:
        for name, value in node.attrib.items():
            if name != "name" and not name.startswith("{"):  # what a vendor means by its own, nobody knows
                node.set(name, renumbered(value, ids))
        text = (node.text or "").strip()
        if renumbered(text, ids) != text:
            node.text = renumbered(text, ids)
    return True


def renumbered(value: str, ids: dict[str, str]) -> str:
    """A reference, which may have a prefix, as it is now."""
    prefix, colon, name = value.rpartition(":")
    return f"{prefix}{colon}{ids[name]}" if name in ids else value


def one_of(root: ET.Element, matches: Callable[[ET.Element], object]) -> ET.Element | None:
    found = [node for node in root.iter() if matches(node)]
    return chance.choice(found) if found else None


def rename(root: ET.Element) -> bool:
    node = one_of(root, lambda node: NODE.fullmatch(node.tag))
    if node is not None:
        node.set("name", f"{node.get('name', '')} new")
    return node is not None


def rewire(root: ET.Element) -> bool:
    flow = one_of(root, lambda node: node.tag == FLOW)
    ends = [flow.get("sourceRef"), flow.get("targetRef")] if flow is not None else []
    other = one_of(root, lambda node: NODE.fullmatch(node.tag) and node.get("id") and node.get("id") not in ends)
    if flow is not None and other is not None:
        flow.set("targetRef", other.get("id", ""))
    return flow is not None and other is not None


def drop(root: ET.Element) -> bool:
    parents = {child: parent for parent in root.iter() for child in parent}
    node = one_of(root, lambda node: NODE.fullmatch(node.tag) or node.tag == FLOW)
    if node is not None:
        parents[node].remove(node)
    return node is not None


def retype(root: ET.Element) -> bool:
    node = one_of(root, lambda node: node.tag in (f"{MODEL}task", f"{MODEL}userTask", f"{MODEL}serviceTask"))
    if node is not None:
        node.tag = f"{MODEL}manualTask"
    return node is not None


def condition(root: ET.Element) -> bool:
    flow = one_of(root, lambda node: node.tag == FLOW)
    if flow is not None:
        ET.SubElement(flow, f"{MODEL}conditionExpression").text = f"${{x > {chance.random()}}}"
    return flow is not None


def document(root: ET.Element) -> bool:
    node = one_of(root, lambda node: NODE.fullmatch(node.tag))
    if node is not None:
        node.insert(0, ET.Element(f"{MODEL}documentation"))
        node[0].text = f"See {chance.random()}"
    return node is not None


def extend(root: ET.Element) -> bool:
    drawn = {node for diagram in root.iter(f"{BPMNDI}BPMNDiagram") for node in diagram.iter()}
    node = one_of(root, lambda node: node.attrib and not node.tag.startswith(MODEL) and node not in drawn)
    if node is not None:
        name = chance.choice(list(node.attrib))
        node.set(name, f"{node.get(name)} new")
    return node is not None


DRAWN: Final[tuple[Edit, ...]] = (move, resize, reroute, undraw)
WRITTEN: Final[tuple[Edit, ...]] = (indent, reorder, renumber)
MEANT: Final[tuple[Edit, ...]] = (rename, rewire, drop, retype, condition, document, extend)


def cases() -> Iterator[tuple[Edit, ...]]:
    yield from ((edit,) for edit in chain(DRAWN, WRITTEN))
    yield from ((move, edit) for edit in WRITTEN)
    for edit in MEANT:
        yield from ((edit,), (edit, move), (edit, renumber), (edit, move, reorder, renumber))


def written(root: ET.Element, data: bytes) -> bytes:
    """The tree in the way of ElementTree; declared too are prefixes that only values have."""
    text = ET.tostring(root, encoding="unicode")
    spaces = dict(reversed([space for _, space in ET.iterparse(io.BytesIO(data), ["start-ns"])]))
    lost = "".join(f' xmlns:{p}="{escape(uri)}"' for p, uri in spaces.items() if p and f"xmlns:{p}=" not in text)
    return re.sub(r"^<[^\s>]+", lambda found: found[0] + lost, text).encode()


def expected(edits: tuple[Edit, ...]) -> tuple[str, ...]:
    if edits[0] in MEANT:
        return ("meaning",)
    return ("layout",) if edits[0] in DRAWN else ("formatting", "same")


def main(folder: Path) -> None:
    right, all_of, shown = Counter[str](), Counter[str](), Counter[str]()
    files = {path.read_bytes(): path for path in sorted(folder.rglob("*.bpmn")) if path.is_file()}
    for data, path in files.items():
        for edits in cases() if bpmn.is_bpmn(data) else ():
            root = ET.fromstring(data)
            if not all(edit(root) for edit in edits):
                continue
            wanted, told = expected(edits), bpmn.diff(data, written(root, data)).depth
            name = "meaning" if edits[0] in MEANT else "drawn or written otherwise"
            all_of[name] += 1
            right[name] += told in wanted
            if told not in wanted and shown[name] < 20:
                shown[name] += 1
                print(f"told as {told}: {path} with {', '.join(edit.__name__ for edit in edits)}")
    for name, count in all_of.items():
        print(
            f"{name}: {right[name]} of {count} told as what they are ({right[name] / count:.2%}), {len(files)} files",
            flush=True,
        )


if __name__ == "__main__":
    print(describe())
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    main(parser.parse_args().folder)
