"""Process models made by chance, edits of them that say what they changed, and many ways to write the same model."""

from __future__ import annotations

import copy
import random
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

MODEL = "http://www.omg.org/spec/BPMN/20100524/MODEL"
DI = "http://www.omg.org/spec/BPMN/20100524/DI"
DC = "http://www.omg.org/spec/DD/20100524/DC"
DD = "http://www.omg.org/spec/DD/20100524/DI"
CAMUNDA = "http://camunda.org/schema/1.0/bpmn"
TASKS = ("task", "userTask", "serviceTask", "scriptTask", "callActivity")
GATEWAYS = ("exclusiveGateway", "parallelGateway", "inclusiveGateway")
EVENTS = ("startEvent", "endEvent", "intermediateCatchEvent")
NAMES = ("", "", "Check", "Check invoice", "Pay & close", "Prüfen", "A < B", "x\ny", "Wait")


@dataclass
class Element:
    id: str
    type: str
    name: str = ""
    parent: str = "p"
    lane: str = ""
    source: str = ""
    target: str = ""
    condition: str = ""
    documentation: str = ""
    trigger: str = ""  # of an event: timer, message
    called: str = ""
    assignee: str = ""
    properties: list[tuple[str, str]] = field(default_factory=list)
    at: tuple[int, ...] = (0, 0, 100, 80)


@dataclass
class Process:
    elements: dict[str, Element]
    lanes: dict[str, str]  # names by id


def process(chance: random.Random) -> Process:
    lanes = {f"lane{n}": chance.choice(("Finance", "Sales", "")) for n in range(chance.randint(0, 3))}
    made = Process({}, lanes)
    subs = []
    for n in range(chance.randint(2, 12)):
        element = new_node(chance, f"n{n}", made)
        element.parent = chance.choice(["p", "p", *subs])
        made.elements[element.id] = element
        if chance.random() < 0.15:
            element.type, element.trigger, element.called = "subProcess", "", ""
            subs.append(element.id)
    for n in range(chance.randint(1, 14)):
        flow = new_flow(chance, f"f{n}", made)
        made.elements[flow.id] = flow
    return made


def new_node(chance: random.Random, identity: str, of: Process) -> Element:
    kind = chance.choice((*TASKS, *TASKS, *GATEWAYS, *EVENTS))
    return Element(
        identity,
        kind,
        chance.choice(NAMES),
        lane=chance.choice(["", *of.lanes]),
        documentation=chance.choice(("", "", "As told.\nTwice.")),
        trigger=chance.choice(("", "timer", "message")) if kind in EVENTS else "",
        called=chance.choice(("other", "")) if kind == "callActivity" else "",
        assignee=chance.choice(("", "demo")) if kind == "userTask" else "",
        properties=[("k", "v")] if chance.random() < 0.2 else [],
        at=(chance.randint(0, 900), chance.randint(0, 900), 100, 80),
    )


def new_flow(chance: random.Random, identity: str, of: Process) -> Element:
    ends = nodes(of)
    source, target = chance.choice(ends).id, chance.choice(ends).id
    condition = chance.choice(("", "", "${a > 1}", "${b}"))
    at = tuple(chance.randint(0, 900) for _ in range(4))
    return Element(
        identity,
        "sequenceFlow",
        chance.choice(("", "", "yes")),
        source=source,
        target=target,
        condition=condition,
        at=at,
    )


def nodes(of: Process) -> list[Element]:
    return [element for element in of.elements.values() if element.type != "sequenceFlow"]


def flows(of: Process) -> list[Element]:
    return [element for element in of.elements.values() if element.type == "sequenceFlow"]


# Edits: each changes the process and answers (op, id) of what a diff has to tell, or None where it cannot be done.


def rename(chance, of):
    element = chance.choice(list(of.elements.values()))
    element.name += "!"
    return "renamed", element.id


def retype(chance, of):
    tasks = [node for node in nodes(of) if node.type in ("task", "serviceTask", "scriptTask")]
    gateways = [node for node in nodes(of) if node.type in GATEWAYS]
    if not tasks + gateways:
        return None
    node = chance.choice(tasks + gateways)
    choices = ("task", "serviceTask", "scriptTask") if node in tasks else GATEWAYS
    node.type = chance.choice([each for each in choices if each != node.type])
    return "retyped", node.id


def retrigger(chance, of):
    events = [node for node in nodes(of) if node.type in EVENTS]
    if not events:
        return None
    node = chance.choice(events)
    node.trigger = chance.choice([each for each in ("", "timer", "message") if each != node.trigger])
    return "retyped", node.id


def rewire(chance, of):
    if not flows(of) or len(nodes(of)) < 2:
        return None
    flow = chance.choice(flows(of))
    flow.target = chance.choice([node.id for node in nodes(of) if node.id != flow.target])
    return "rewired", flow.id


def add_node(chance, of):
    node = new_node(chance, f"added{len(of.elements)}", of)
    of.elements[node.id] = node
    return "added", node.id


def add_flow(chance, of):
    flow = new_flow(chance, f"flow{len(of.elements)}", of)
    of.elements[flow.id] = flow
    return "added", flow.id


def remove_flow(chance, of):
    if not flows(of):
        return None
    flow = chance.choice(flows(of))
    del of.elements[flow.id]
    return "removed", flow.id


def remove_node(chance, of):
    used = {end for flow in flows(of) for end in (flow.source, flow.target)} | {node.parent for node in nodes(of)}
    free = [node for node in nodes(of) if node.id not in used]
    if not free:
        return None
    node = chance.choice(free)
    del of.elements[node.id]
    return "removed", node.id


def condition(chance, of):
    conditional = [flow for flow in flows(of) if flow.condition]
    if not conditional:
        return None
    flow = chance.choice(conditional)
    flow.condition += " and more"
    return "changed", flow.id


def documentation(chance, of):
    documented = [node for node in nodes(of) if node.documentation]
    if not documented:
        return None
    node = chance.choice(documented)
    node.documentation = node.documentation.replace(" ", "  ", 1) + "."
    return "changed", node.id


def relane(chance, of):
    if not of.lanes:
        return None
    node = chance.choice(nodes(of))
    node.lane = chance.choice([lane for lane in ("", *of.lanes) if lane != node.lane])
    return "moved", node.id


def reparent(chance, of):
    subs = [node.id for node in nodes(of) if node.type == "subProcess"]
    leaves = [node for node in nodes(of) if node.type != "subProcess"]
    if not subs or not leaves:
        return None
    node = chance.choice(leaves)
    node.parent = chance.choice([each for each in ("p", *subs) if each != node.parent])
    return "moved", node.id


def extension(chance, of):
    extended = [node for node in nodes(of) if node.properties]
    if not extended:
        return None
    node = chance.choice(extended)
    node.properties = [("k", node.properties[0][1] + " ")]
    return "changed", node.id


def assignee(chance, of):
    people = [node for node in nodes(of) if node.type == "userTask"]
    if not people:
        return None
    node = chance.choice(people)
    node.assignee += "x"
    return "changed", node.id


def recall(chance, of):
    calls = [node for node in nodes(of) if node.type == "callActivity"]
    if not calls:
        return None
    node = chance.choice(calls)
    node.called += "2"
    return "changed", node.id


SEMANTIC = (
    rename, retype, retrigger, rewire, add_node, add_flow, remove_flow, remove_node, condition, documentation, relane, reparent,
    extension, assignee, recall,
)  # fmt: skip


def redraw(chance, of):
    element = chance.choice(list(of.elements.values()))
    spot = chance.randrange(4)
    element.at = tuple(value + 7 if n == spot else value for n, value in enumerate(element.at))
    return element.id


@dataclass
class Style:
    """How a model is written. None of it is meaning."""

    prefix: str = "bpmn"
    indent: str = "\n"
    order: int = 0
    lists: bool = True  # incoming and outgoing
    quote: str = '"'
    empty: str = "/>"
    comments: bool = False
    defaults: bool = False
    encoding: str = "utf-8"
    number: str = "{}"
    cdata: bool = False
    exporter: str = "one"
    ids: dict[str, str] = field(default_factory=dict)

    def id(self, identity: str) -> str:
        return self.ids.get(identity, identity)


def style(chance: random.Random) -> Style:
    return Style(
        prefix=chance.choice(("bpmn", "", "semantic", "bpmn2")),
        indent=chance.choice(("", "\n", "\n    ", "\r\n")),
        order=chance.randrange(1_000),
        lists=chance.random() < 0.7,
        quote=chance.choice("\"'"),
        empty=chance.choice(("/>", " />", "></>")),
        comments=chance.random() < 0.3,
        defaults=chance.random() < 0.3,
        encoding=chance.choice(("utf-8", "utf-8", "utf-8-sig", "utf-16", "iso-8859-1", "windows-1252")),
        number=chance.choice(("{}", "{}.0", "{}.00")),
        cdata=chance.random() < 0.3,
        exporter=chance.choice(("one", "two")),
    )


def regenerated(chance: random.Random, of: Process) -> dict[str, str]:
    ids = ["p", "d", *of.elements, *of.lanes]
    fresh = [f"_{n}" for n in range(len(ids))] if chance.random() < 0.5 else list(ids)
    chance.shuffle(fresh)
    return dict(zip(ids, fresh, strict=True))


def write(of: Process, how: Style | None = None) -> bytes:
    return _Writer(of, how or Style()).document()


class _Writer:
    def __init__(self, of: Process, how: Style) -> None:
        self._of = of
        self._how = how
        self._chance = random.Random(how.order)

    def document(self) -> bytes:
        how = self._how
        spaces = {how.prefix: MODEL, "bpmndi": DI, "dc": DC, "di": DD, "camunda": CAMUNDA}
        declared = {f"xmlns:{prefix}" if prefix else "xmlns": uri for prefix, uri in spaces.items()}
        parts = [self._process(), self._diagram()]
        root = self._element(
            "definitions", {**declared, "id": how.id("d"), "targetNamespace": "urn:x", "exporter": how.exporter}, parts
        )
        codec = how.encoding
        name = {"utf-8-sig": "utf-8"}.get(codec, codec)
        return f'<?xml version="1.0" encoding="{name}"?>\n{root}\n'.encode(codec, "xmlcharrefreplace")

    def _tag(self, name: str) -> str:
        return f"{self._how.prefix}:{name}" if self._how.prefix and ":" not in name else name

    def _element(self, name: str, attrs: dict[str, str], children: list[str] | None = None, text: str = "") -> str:
        how, tag = self._how, self._tag(name)
        pairs = list(attrs.items())
        if how.order:
            self._chance.shuffle(pairs)
        quoting = {'"': "&quot;", "'": "&apos;", "\n": "&#10;"}
        shown = "".join(f" {key}={how.quote}{escape(value, quoting)}{how.quote}" for key, value in pairs if value)
        if not children and not text:
            return f"<{tag}{shown}{how.empty.replace('</>', f'</{tag}>')}"
        if text:
            inside = f"<![CDATA[{text}]]>" if how.cdata else escape(text)
            if name.startswith("camunda:") or ":" in name:
                return f"<{tag}{shown}>{inside}</{tag}>"
            return f"<{tag}{shown}>{how.indent}{inside}{how.indent}</{tag}>"
        note = "<!-- a note -->" if how.comments else ""
        body = how.indent + how.indent.join([*(children or []), *([note] if note else [])]) + how.indent
        return f"<{tag}{shown}>{body}</{tag}>"

    def _shuffled(self, things: list[str]) -> list[str]:
        if self._how.order:
            self._chance.shuffle(things)
        return things

    def _process(self) -> str:
        how = self._how
        lanes = [
            self._element(
                "lane",
                {"id": how.id(lane), "name": name},
                self._shuffled(
                    [self._element("flowNodeRef", {}, text=how.id(e.id)) for e in nodes(self._of) if e.lane == lane]
                ),
            )
            for lane, name in self._of.lanes.items()
        ]
        sets = [self._element("laneSet", {}, self._shuffled(lanes))] if lanes else []
        inside = self._shuffled(self._inside("p"))
        return self._element("process", {"id": how.id("p"), "isExecutable": "true"}, [*sets, *inside])

    def _inside(self, parent: str) -> list[str]:
        return [self._one(element) for element in self._of.elements.values() if element.parent == parent]

    def _one(self, e: Element) -> str:
        how = self._how
        attrs = {"id": how.id(e.id), "name": e.name, "calledElement": e.called, "camunda:assignee": e.assignee}
        if e.source:
            attrs |= {"sourceRef": how.id(e.source), "targetRef": how.id(e.target)}
        if how.defaults and e.type in TASKS:
            attrs |= {"startQuantity": "1", "isForCompensation": "false"}
        inside = [self._element("documentation", {}, text=e.documentation)] if e.documentation else []
        if e.properties:
            listed = [self._element("camunda:property", {"name": key}, text=value) for key, value in e.properties]
            inside.append(self._element("extensionElements", {}, [self._element("camunda:properties", {}, listed)]))
        elif how.defaults:
            inside.append(self._element("extensionElements", {}))
        if how.lists:
            inside += [self._element("incoming", {}, text=how.id(f.id)) for f in flows(self._of) if f.target == e.id]
            inside += [self._element("outgoing", {}, text=how.id(f.id)) for f in flows(self._of) if f.source == e.id]
        if e.condition:
            inside.append(self._element("conditionExpression", {}, text=e.condition))
        if e.trigger:
            inside.append(self._element(f"{e.trigger}EventDefinition", {"id": f"{how.id(e.id)}_{how.order}"}))
        if e.type == "subProcess":
            inside += self._shuffled(self._inside(e.id))
        return self._element(e.type, attrs, inside)

    def _diagram(self) -> str:
        shapes = []
        for e in self._of.elements.values():
            x, y, width, height = (self._how.number.format(value) for value in e.at)
            names = {"id": f"{self._how.id(e.id)}_di{self._how.order}", "bpmnElement": self._how.id(e.id)}
            if e.type == "sequenceFlow":
                points = [
                    self._element("di:waypoint", {"x": x, "y": y}),
                    self._element("di:waypoint", {"x": width, "y": height}),
                ]
                shapes.append(self._element("bpmndi:BPMNEdge", names, points))
            else:
                bounds = self._element("dc:Bounds", {"x": x, "y": y, "width": width, "height": height})
                shapes.append(self._element("bpmndi:BPMNShape", names, [bounds]))
        plane = self._element("bpmndi:BPMNPlane", {"bpmnElement": self._how.id("p")}, self._shuffled(shapes))
        return self._element("bpmndi:BPMNDiagram", {"id": f"diagram{self._how.order}"}, [plane])


def copied(of: Process) -> Process:
    return copy.deepcopy(of)
