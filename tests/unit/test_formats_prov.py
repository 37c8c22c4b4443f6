"""PROV-JSON, as the library of the format's author reads it."""

from __future__ import annotations

import json
from collections import Counter

from hypothesis import given, settings
from prov.model import (
    PROV,
    PROV_LABEL,
    PROV_TYPE,
    ProvAgent,
    ProvAttribution,
    ProvDerivation,
    ProvDocument,
    ProvEntity,
    ProvGeneration,
)

from casstore.formats.prov import to_prov
from casstore.model import Lineage, Link, Node
from tests.unit.lineages import lineages, version

CAS = "urn:casstore:"
few = settings(max_examples=30)  # the library that reads takes its time


def read(lineage):
    return ProvDocument.deserialize(content=json.dumps(to_prov(lineage), allow_nan=False), format="json")


def records(document, kind):
    return list(document.get_records(kind))


def uri(version):
    return f"urn:uuid:{version.id}"


def attributes(record):
    return {name.uri: getattr(value, "uri", value) for name, value in record.extra_attributes}


@few
@given(lineages())
def test_it_is_read_and_written_again_without_loss(lineage):
    document = read(lineage)
    assert ProvDocument.deserialize(content=document.serialize(format="json"), format="json") == document
    assert len(document.get_records()) == sum(
        len(found) for name, found in to_prov(lineage).items() if name != "prefix"
    )


@few
@given(lineages())
def test_versions_are_entities_with_what_never_changes(lineage):
    found = {record.identifier.uri: attributes(record) for record in records(read(lineage), ProvEntity)}
    for made in (node.version for node in lineage):
        assert found.pop(uri(made)) == {
            PROV_LABEL.uri: made.ref,
            PROV_TYPE.uri: CAS + "Version",
            CAS + "name": made.name,
            CAS + "number": made.number,
            CAS + "type": made.type,
            CAS + "digest": str(made.digest),
            **({CAS + "title": made.title} if made.title else {}),
        }
    outside = {link.source: link.ref for node in lineage for link in node.sources}
    for node in lineage:
        outside.pop(node.version.id, None)
    assert found == {f"urn:uuid:{identity}": {PROV_LABEL.uri: ref} for identity, ref in outside.items()}


@few
@given(lineages())
def test_each_was_generated_when_it_was_made(lineage):
    times = {record.args[0].uri: record.args[2] for record in records(read(lineage), ProvGeneration)}
    assert times == {uri(node.version): node.version.created_at for node in lineage}


@few
@given(lineages())
def test_each_is_attributed_to_who_put_it(lineage):
    document = read(lineage)
    agents = {record.identifier.uri: attributes(record) for record in records(document, ProvAgent)}
    named = {uri(node.version): node.version.by for node in lineage if node.version.by}
    assert [told[PROV_LABEL.uri] for told in agents.values()] == list(dict.fromkeys(named.values()))
    found = {record.args[0].uri: record.args[1].uri for record in records(document, ProvAttribution)}
    assert {who: agents[agent][PROV_LABEL.uri] for who, agent in found.items()} == named


@few
@given(lineages())
def test_sources_are_derivations_and_earlier_versions_of_the_same_name_revisions(lineage):
    expected = Counter(
        (uri(node.version), f"urn:uuid:{link.source}", link.role, link.ref.startswith(f"{node.version.name}@"))
        for node in lineage
        for link in node.sources
    )
    found = Counter()
    for record in records(read(lineage), ProvDerivation):
        more = attributes(record)
        is_revision = more.get(PROV_TYPE.uri) == PROV["Revision"].uri
        found[record.args[0].uri, record.args[1].uri, more[CAS + "role"], is_revision] += 1
    assert found == expected


def test_the_form_of_the_document():
    first, second = version(0, "sop/login", 1), version(1, "sop/login", 2, title="Login")
    link = Link(source=first.id, ref=first.ref, role="source", newer=None)
    lineage = Lineage(
        versions=(Node(version=second, depth=0, sources=(link,)), Node(version=first, depth=1, sources=())),
        is_complete=True,
    )
    assert to_prov(lineage) == {
        "prefix": {"id": "urn:uuid:", "cas": "urn:casstore:"},
        "entity": {
            "id:00000000-0000-0000-0000-000000000002": {
                "prov:label": "sop/login@2",
                "prov:type": {"$": "cas:Version", "type": "xsd:QName"},
                "cas:name": "sop/login",
                "cas:number": 2,
                "cas:type": "document",
                "cas:digest": str(second.digest),
                "cas:title": "Login",
            },
            "id:00000000-0000-0000-0000-000000000001": {
                "prov:label": "sop/login@1",
                "prov:type": {"$": "cas:Version", "type": "xsd:QName"},
                "cas:name": "sop/login",
                "cas:number": 1,
                "cas:type": "document",
                "cas:digest": str(first.digest),
            },
        },
        "wasGeneratedBy": {
            "_:g1": {
                "prov:entity": "id:00000000-0000-0000-0000-000000000002",
                "prov:time": "2026-08-01T00:00:00.000001+00:00",
            },
            "_:g2": {
                "prov:entity": "id:00000000-0000-0000-0000-000000000001",
                "prov:time": "2026-08-01T00:00:00+00:00",
            },
        },
        "wasDerivedFrom": {
            "_:d1": {
                "prov:generatedEntity": "id:00000000-0000-0000-0000-000000000002",
                "prov:usedEntity": "id:00000000-0000-0000-0000-000000000001",
                "cas:role": "source",
                "prov:type": {"$": "prov:Revision", "type": "xsd:QName"},
            }
        },
    }
