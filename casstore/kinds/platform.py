"""The kinds of an AI execution platform: what its orchestrators make."""

from __future__ import annotations

from typing import Final

from casstore.formats import embeddings, media_types
from casstore.kinds import embedding, phases, picture, roadmap
from casstore.kinds.kind import ENVELOPE, Composition, Kind, Role, Rule
from casstore.model import MAIN, Relation

__all__ = ["PLATFORM"]

_WORKFLOW: Final = (media_types.JSON, "application/xml", "text/xml")  # BPMN's own is application/bpmn+xml
_ARRAY: Final = ("application/x-npy", media_types.JSON)
_STATES: Final = ("current_state", "coexistence_state")
_PILLARS: Final = ("content", "insights", "journey")
_ENVELOPE: Final = Role(name=ENVELOPE, optional=True, media_types=(media_types.JSON,))


def _whole(main: Role) -> Composition:
    """One document, and pictures."""
    return main, picture.ROLES


def _split(*parts: Role) -> Composition:
    """Parts, what a result has besides them, and pictures."""
    return *parts, _ENVELOPE, picture.ROLES


def _kind(name: str, *compositions: Composition, rule: Rule | None = None, links: tuple[Relation, ...] = ()) -> Kind:
    return Kind(name=name, compositions=compositions, rule=rule, links=links, links_among=picture.depictions)


_BLUEPRINT: Final = _kind(
    "blueprint",
    _split(
        *(Role(name=state) for state in _STATES),
        Role(name="roadmap", check=roadmap.faults_of, words=phases.words),
        Role(name="responsibility_matrix"),
    ),
    links=(
        Relation("current_state", "transitions_to", "coexistence_state"),
        Relation("roadmap", "leads_to", "coexistence_state"),
        Relation("responsibility_matrix", "governs", "roadmap"),
        *(Relation(f"{state}_chart", "depicts", state) for state in _STATES),
    ),
)

_SOLUTION: Final = _kind(
    "solution",
    _whole(Role(name=MAIN)),
    _split(*(Role(name=part) for part in (*_PILLARS, "synthesis"))),
    links=(
        *(Relation("synthesis", "derived_from", pillar) for pillar in _PILLARS),
        Relation("summary_visual", "depicts", "synthesis"),
    ),
)

_POC: Final = _kind(
    "poc",
    _whole(Role(name=MAIN)),
    _split(*(Role(name=part) for part in ("proposal", "financials", "technical_specification"))),
    links=(Relation("poc_visual", "depicts", "proposal"),),
)

_HYBRID_EMBEDDING: Final = _kind(
    "hybrid_embedding",
    _split(
        *(Role(name=side, media_types=_ARRAY, formats={media_types.JSON: embeddings.JSON}) for side in embedding.SIDES),
        Role(
            name=embedding.CORRELATION_MAP,
            media_types=(media_types.JSON,),
            formats={media_types.JSON: embeddings.MAP},
        ),
    ),
    rule=embedding.faults_of,
    links=tuple(Relation(embedding.CORRELATION_MAP, "correlates", side) for side in embedding.SIDES),
)

_VISUAL: Final = Kind(
    name="visual",
    compositions=((Role(name=MAIN, media_types=(media_types.PNG,), check=picture.faults_of),),),
)

PLATFORM: Final = (
    _kind("workflow", _whole(Role(name=MAIN, media_types=_WORKFLOW))),
    _kind("sop", _whole(Role(name=MAIN))),
    _BLUEPRINT,
    _SOLUTION,
    _kind("roadmap", _whole(Role(name=MAIN, check=roadmap.faults_of, words=phases.words))),
    _POC,
    _VISUAL,
    _HYBRID_EMBEDDING,
)
