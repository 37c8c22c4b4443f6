"""Lineage as W3C PROV-JSON (Member Submission of 24 April 2013), for programs that draw, check or merge provenance.

Versions are entities, each with the time of its generation, and attributed to an agent where somebody was named who put it.
Their identifiers are references, `id:<uuid>`, and as the prefix `id` stands for `urn:uuid:`, they are the same entities in every
document about them; so are agents, whose identifiers are their names.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

from casstore.model import Lineage, Link, Node, Version

__all__ = ["to_prov"]

_PREFIXES: Final = {"id": "urn:uuid:", "cas": "urn:casstore:"}


def to_prov(lineage: Lineage) -> dict[str, Any]:
    """A lineage as a PROV-JSON document: JSON values, to be written with `json.dumps`.

    Each source is a derivation with its role (`cas:role`: PROV has roles of activities only). It is a revision too where the
    source is an earlier version of the same name. A source outside of the lineage is an entity with its label only. State and
    staleness are left out: they change, and an entity in PROV is what does not.
    """
    versions = {node.version.id: node.version for node in lineage}
    links = [(node, link) for node in lineage for link in node.sources]
    document = {
        "prefix": dict(_PREFIXES),
        "entity": {
            **{_identifier(link.source): {"prov:label": link.ref} for _, link in links},
            **{_identifier(each.id): _entity(each) for each in versions.values()},
        },
        "wasGeneratedBy": _numbered("g", map(_generation, versions.values())),
        "agent": {_agent(each.by): {"prov:label": each.by} for each in versions.values() if each.by},
        "wasAttributedTo": _numbered("a", (_attribution(each, each.by) for each in versions.values() if each.by)),
        "wasDerivedFrom": _numbered("d", (_derivation(node, link) for node, link in links)),
    }
    return {name: records for name, records in document.items() if records}


def _entity(version: Version) -> dict[str, Any]:
    return {
        "prov:label": version.ref,
        "prov:type": _qualified("cas:Version"),
        "cas:name": version.name,
        "cas:number": version.number,
        "cas:type": version.type,
        "cas:digest": str(version.digest),
        **({"cas:title": version.title} if version.title else {}),
    }


def _generation(version: Version) -> dict[str, Any]:
    return {"prov:entity": _identifier(version.id), "prov:time": version.created_at.isoformat()}


def _attribution(version: Version, by: str) -> dict[str, Any]:
    return {"prov:entity": _identifier(version.id), "prov:agent": _agent(by)}


def _agent(by: str) -> str:
    return f"cas:by/{quote(by, safe='')}"


def _derivation(node: Node, link: Link) -> dict[str, Any]:
    is_revision = link.ref.rpartition("@")[0] == node.version.name
    return {
        "prov:generatedEntity": _identifier(node.version.id),
        "prov:usedEntity": _identifier(link.source),
        "cas:role": link.role,
        **({"prov:type": _qualified("prov:Revision")} if is_revision else {}),
    }


def _identifier(identity: UUID) -> str:
    return f"id:{identity}"


def _qualified(name: str) -> dict[str, str]:
    return {"$": name, "type": "xsd:QName"}


def _numbered(letter: str, records: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Records under identifiers that mean something in this document only."""
    return {f"_:{letter}{number}": record for number, record in enumerate(records, 1)}
