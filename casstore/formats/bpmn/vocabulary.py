"""The words of BPMN 2.0 (OMG formal/2011-01-03): which elements make the graph, what refers to another, what is a default."""

# ruff: noqa: SIM905 - words are read more easily than quotes

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

__all__ = [
    "ARTIFACTS",
    "BOOLEANS",
    "DEFAULTS",
    "DERIVED",
    "FAMILIES",
    "FLOWS",
    "IGNORED",
    "LANE",
    "LANE_NODE",
    "NODES",
    "REFERRING",
    "UNITS",
    "is_reference",
    "rank",
    "words",
]

_ACTIVITIES: Final = frozenset(
    "task userTask serviceTask sendTask receiveTask manualTask scriptTask businessRuleTask callActivity subProcess adHocSubProcess "
    "transaction choreographyTask subChoreography callChoreography".split()
)
_EVENTS: Final = frozenset(
    "startEvent endEvent intermediateCatchEvent intermediateThrowEvent boundaryEvent implicitThrowEvent event".split()
)
_GATEWAYS: Final = frozenset(
    "exclusiveGateway inclusiveGateway parallelGateway complexGateway eventBasedGateway".split()
)
NODES: Final = _ACTIVITIES | _EVENTS | _GATEWAYS
FLOWS: Final = frozenset(("sequenceFlow", "messageFlow", "association", "conversationLink"))
ARTIFACTS: Final = frozenset(("association", "group", "textAnnotation"))
LANE: Final = "lane"
LANE_NODE: Final = "flowNodeRef"  # in a lane, what it holds
DERIVED: Final = frozenset(("incoming", "outgoing"))  # in a node; a flow itself says where it begins and ends
# Elements of the graph. What is of BPMN and not here belongs to the element that it is in.
UNITS: Final = (
    NODES
    | FLOWS
    | ARTIFACTS
    | frozenset(
        "definitions process collaboration choreography globalConversation participant conversation callConversation "
        "subConversation laneSet childLaneSet lane dataObject dataObjectReference dataStore dataStoreReference category "
        "categoryValue message signal error escalation itemDefinition interface operation resource import "
        "correlationProperty endPoint partnerEntity partnerRole globalTask globalUserTask globalManualTask globalScriptTask "
        "globalBusinessRuleTask globalChoreographyTask relationship".split()
    )
)
# Within a family an element can become another and stay the same: a task that becomes a user task.
FAMILIES: Final = {
    **dict.fromkeys(_ACTIVITIES, "activity"),
    **dict.fromkeys(_EVENTS, "event"),
    **dict.fromkeys(_GATEWAYS, "gateway"),
    **dict.fromkeys(("dataObject", "dataObjectReference", "dataStoreReference"), "data"),
    **dict.fromkeys(("collaboration", "choreography", "globalConversation"), "collaboration"),
}
# Attributes that say which tool wrote the file, and where a schema is.
IGNORED: Final = frozenset(
    ("exporter", "exporterVersion", "{http://www.w3.org/2001/XMLSchema-instance}schemaLocation", "id")
)
REFERRING: Final = frozenset(("default", "calledElement", "source", "target"))  # beside all that end in Ref or Refs

_ACTIVITY = {"isForCompensation": "false", "startQuantity": "1", "completionQuantity": "1"}
_GATEWAY = {"gatewayDirection": "Unspecified"}
_CATCH = {"parallelMultiple": "false"}
_WEB = {"implementation": "##WebService"}
_FREE = {"implementation": "##unspecified"}
_SUB = {**_ACTIVITY, "triggeredByEvent": "false"}
# The defaults of the schema (Semantic.xsd): written out or left out, they say the same.
DEFAULTS: Final[dict[str, dict[str, str]]] = {
    **dict.fromkeys(("task", "manualTask", "scriptTask", "callActivity"), _ACTIVITY),
    **dict.fromkeys(("exclusiveGateway", "inclusiveGateway", "parallelGateway", "complexGateway"), _GATEWAY),
    "serviceTask": _ACTIVITY | _WEB,
    "sendTask": _ACTIVITY | _WEB,
    "receiveTask": _ACTIVITY | _WEB | {"instantiate": "false"},
    "userTask": _ACTIVITY | _FREE,
    "businessRuleTask": _ACTIVITY | _FREE,
    "subProcess": _SUB,
    "adHocSubProcess": _SUB | {"cancelRemainingInstances": "true"},
    "transaction": _SUB | {"method": "##Compensate"},
    "eventBasedGateway": _GATEWAY | {"instantiate": "false", "eventGatewayType": "Exclusive"},
    "startEvent": _CATCH | {"isInterrupting": "true"},
    "intermediateCatchEvent": _CATCH,
    "boundaryEvent": _CATCH | {"cancelActivity": "true"},
    "process": {"processType": "None", "isClosed": "false"},
    "collaboration": {"isClosed": "false"},
    "association": {"associationDirection": "None"},
    "dataObject": {"isCollection": "false"},
    "dataInput": {"isCollection": "false"},
    "dataOutput": {"isCollection": "false"},
    "dataStore": {"isUnlimited": "true"},
    "itemDefinition": {"isCollection": "false", "itemKind": "Information"},
    "multiInstanceLoopCharacteristics": {"isSequential": "false", "behavior": "All"},
    "standardLoopCharacteristics": {"testBefore": "false"},
    "participantMultiplicity": {"minimum": "0", "maximum": "1"},
    "textAnnotation": {"textFormat": "text/plain"},
    "documentation": {"textFormat": "text/plain"},
    "definitions": {
        "typeLanguage": "http://www.w3.org/2001/XMLSchema",
        "expressionLanguage": "http://www.w3.org/1999/XPath",
    },
}
BOOLEANS: Final = frozenset(
    "isForCompensation instantiate triggeredByEvent cancelRemainingInstances isInterrupting cancelActivity parallelMultiple "
    "isClosed isExecutable isCollection isUnlimited isSequential testBefore isImmediate waitForCompletion".split()
)
_RANKS: Final[
    dict[str, int]
] = {  # the order that the schema asks of what is in one element; 50 for all that is not here
    name: place
    for place, names in enumerate(
        (
            ("documentation",),
            ("extensionElements",),
            ("import", "extension", "auditing"),
            ("monitoring", "categoryValueRef"),
            ("incoming",),
            ("outgoing",),
            ("supportedInterfaceRef",),
            ("ioSpecification",),
            ("ioBinding", "property", "dataInput", "dataOutput"),
            ("dataInputAssociation", "dataOutputAssociation"),
            ("inputSet", "outputSet"),
            ("participant",),
            ("messageFlow",),
            ("laneSet",),
            tuple(
                name
                for name in UNITS
                & (NODES | {"sequenceFlow", "dataObject", "dataObjectReference", "dataStoreReference"})
            ),
            ("association", "group", "textAnnotation"),
            ("resourceRole", "performer", "humanPerformer", "potentialOwner"),
            ("loopCharacteristics", "standardLoopCharacteristics", "multiInstanceLoopCharacteristics"),
        )
    )
    for name in names
}
_RANKS.update({"{http://www.omg.org/spec/BPMN/20100524/DI}BPMNDiagram": 90, "relationship": 91, "childLaneSet": 60})
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


@lru_cache(1_000)
def is_reference(name: str) -> bool:
    """Whether an attribute or element of BPMN of this name holds the id of another."""
    return name.endswith(("Ref", "Refs")) or name in REFERRING


def rank(tag: str) -> int:
    """Where an element belongs among its siblings."""
    return _RANKS.get(tag, 50)


@lru_cache(1_000)
def words(tag: str) -> str:
    """The name of a type as people say it: "user task"."""
    return _CAMEL.sub(" ", tag.rpartition("}")[2]).lower()
