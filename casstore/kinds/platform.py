"""The kinds of an AI execution platform: what its orchestrators make."""

from __future__ import annotations

from typing import Final

from casstore.formats import media_types
from casstore.kinds import embedding, picture, roadmap
from casstore.kinds.kind import Composition, Kind, Role
from casstore.model import MAIN, Relation

__all__ = ["PLATFORM"]

_PNG: Final = (media_types.PNG,)
_WORKFLOW: Final = (media_types.JSON, "application/xml", "text/xml")  # BPMN's own is application/bpmn+xml
_ARRAY: Final = ("application/x-npy", media_types.JSON)
_STATES: Final = ("current_state", "coexistence_state")
_PILLARS: Final = ("content", "insights", "journey")


def _picture(name: str, *, optional: bool = True) -> Role:
    return Role(name=name, optional=optional, media_types=_PNG, check=picture.faults_of)


def _depicts(visual: str, *targets: str) -> tuple[Relation, ...]:
    return tuple(Relation(visual, "depicts", target) for target in targets)


def _document(name: str, main: Role) -> Kind:
    """A kind of one document, with a picture of it if there is one."""
    visual = f"{name}_visual"
    return Kind(name=name, compositions=((main, _picture(visual)),), links=_depicts(visual, MAIN))


def _either(whole: Role, *parts: str, visual: str) -> tuple[Composition, ...]:
    """One document, or the parts it would have."""
    return (whole, _picture(visual)), (*(Role(name=part) for part in parts), _picture(visual))


_BLUEPRINT: Final = Kind(
    name="blueprint",
    compositions=(
        (
            *(Role(name=state) for state in _STATES),
            Role(name="roadmap", check=roadmap.faults_of),
            Role(name="responsibility_matrix"),
            *(_picture(f"{state}_chart") for state in _STATES),
        ),
    ),
    links=(
        Relation("current_state", "transitions_to", "coexistence_state"),
        Relation("roadmap", "leads_to", "coexistence_state"),
        Relation("responsibility_matrix", "governs", "roadmap"),
        *(link for state in _STATES for link in _depicts(f"{state}_chart", state)),
    ),
)

_SOLUTION: Final = Kind(
    name="solution",
    compositions=_either(Role(name=MAIN), *_PILLARS, "synthesis", visual="summary_visual"),
    links=(
        *(Relation("synthesis", "derived_from", pillar) for pillar in _PILLARS),
        *_depicts("summary_visual", "synthesis", MAIN),
    ),
)

_POC: Final = Kind(
    name="poc",
    compositions=_either(Role(name=MAIN), "proposal", "financials", "technical_specification", visual="poc_visual"),
    links=_depicts("poc_visual", "proposal", MAIN),
)

_HYBRID_EMBEDDING: Final = Kind(
    name="hybrid_embedding",
    compositions=(
        (
            *(Role(name=side, media_types=_ARRAY) for side in embedding.SIDES),
            Role(name=embedding.CORRELATION_MAP, media_types=(media_types.JSON,)),
        ),
    ),
    rule=embedding.faults_of,
    links=tuple(Relation(embedding.CORRELATION_MAP, "correlates", side) for side in embedding.SIDES),
)

PLATFORM: Final = (
    _document("workflow", Role(name=MAIN, media_types=_WORKFLOW)),
    _document("sop", Role(name=MAIN)),
    _BLUEPRINT,
    _SOLUTION,
    _document("roadmap", Role(name=MAIN, check=roadmap.faults_of)),
    _POC,
    Kind(name="visual", compositions=((_picture(MAIN, optional=False),),)),
    _HYBRID_EMBEDDING,
)
