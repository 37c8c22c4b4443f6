"""docs/format.md is normative: its test vectors are recomputed here, by an encoder written from that page and by casstore's."""

from __future__ import annotations

import hmac
import json
import re
import struct
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from blake3 import blake3
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from casstore.blobs.keys import digest_of, key_of
from casstore.domains import Domain
from casstore.errors import Invalid
from casstore.formats import journal
from casstore.formats import json as json_format
from casstore.formats.sealing import JournalKey
from casstore.model import Component, Digest, Manifest, PutOptions, SourceLink
from casstore.operations.put import _fingerprint, check_metadata
from casstore.refs import Ref

PAGE = (Path(__file__).parents[2] / "docs" / "format.md").read_text("utf-8")
BLOCKS = re.findall(r"^```json-lines\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
VECTORS = [json.loads(line) for block in BLOCKS for line in block.splitlines()]


def of(kind):
    chosen = [vector for vector in VECTORS if vector["kind"] == kind]
    return pytest.mark.parametrize("vector", chosen, ids=[str(number) for number in range(len(chosen))])


def packed(value) -> bytes:  # noqa: PLR0911 - one for each kind of value
    """MessagePack as the page describes it; nothing of casstore's, nor of the msgpack package."""
    match value:
        case None:
            return b"\xc0"
        case bool():
            return b"\xc3" if value else b"\xc2"
        case int():
            if value < 1 << 7:
                return bytes([value])
            mark, form = next(
                (mark, form)
                for mark, form in ((0xCC, ">B"), (0xCD, ">H"), (0xCE, ">I"), (0xCF, ">Q"))
                if fits(value, form)
            )
            return bytes([mark]) + struct.pack(form, value)
        case str():
            data = value.encode()
            assert len(data) < 1 << 8  # none of the vectors' is longer
            return (bytes([0xA0 + len(data)]) if len(data) <= 31 else bytes([0xD9, len(data)])) + data
        case bytes():
            head = bytes([0xC4, len(value)]) if len(value) < 1 << 8 else b"\xc5" + struct.pack(">H", len(value))
            return head + value
        case list():
            head = bytes([0x90 + len(value)]) if len(value) <= 15 else b"\xdc" + struct.pack(">H", len(value))
            return head + b"".join(map(packed, value))
        case dict():
            assert len(value) <= 15
            return bytes([0x80 + len(value)]) + b"".join(packed(key) + packed(each) for key, each in value.items())
    raise AssertionError(value)


def fits(value, form):
    return value < 1 << (8 * struct.calcsize(form))


def text_of(data: bytes) -> str:
    return "b3:" + blake3(data).hexdigest()


def raw(digest: str) -> bytes:
    assert re.fullmatch(r"b3:[0-9a-f]{64}", digest)
    return bytes.fromhex(digest[3:])


def test_there_are_enough_of_each_kind():
    kinds = [vector["kind"] for vector in VECTORS]
    assert set(kinds) == {"digest", "domain", "manifest", "reference", "json", "json-meaning", "fingerprint", "segment"}
    assert kinds.count("manifest") >= 4
    assert kinds.count("reference") >= 20


@of("digest")
def test_digests_and_keys(vector):
    data = bytes.fromhex(vector["bytes"])
    assert text_of(data) == vector["digest"] == str(Digest.of(data))
    assert vector["key"] == "artifacts/blobs/" + vector["digest"][3:] == key_of(Digest.of(data))
    assert str(digest_of(vector["key"].rpartition("/")[2])) == vector["digest"]


@of("domain")
def test_domains_by_the_page(vector):
    key, data = bytes.fromhex(vector["key"]), bytes.fromhex(vector["bytes"])

    def derived(purpose):
        return blake3(key, derive_key_context=f"casstore 2026-11-28 isolation domain: {purpose}").digest()

    def keyed(data, purpose):
        return "b3:" + blake3(data, key=derived(purpose)).hexdigest()

    domain, plain = Domain.of("any", key), raw(vector["plain"])
    assert "b3:" + derived("check value").hex() == vector["check"] == str(domain.check)
    assert keyed(data, "blobs") == vector["digest"] == str(domain.digest(data))
    assert keyed(plain, "pixels") == vector["pixels"] == str(domain.pixels(Digest(plain)))
    assert keyed(plain, "meanings") == vector["meaning"] == str(domain.meaning(Digest(plain)))


@of("manifest")
def test_manifests_by_the_page(vector):
    ordered = sorted(vector["components"], key=lambda component: component[0].encode())
    parts = [[role, raw(digest), size_bytes, media_type] for role, digest, size_bytes, media_type in ordered]
    data = packed(["casstore/manifest/1", parts, []])
    assert data.hex() == vector["bytes"]
    assert text_of(data) == vector["digest"]


@of("manifest")
def test_manifests_by_casstore(vector):
    components = {
        role: Component(role=role, digest=Digest.parse(digest), size_bytes=size_bytes, media_type=media_type)
        for role, digest, size_bytes, media_type in vector["components"]
    }
    manifest = Manifest.build(components)
    assert manifest.encode().hex() == vector["bytes"]
    assert str(manifest.digest) == vector["digest"]


@of("reference")
def test_references(vector):
    try:
        printed = str(Ref.parse(vector["text"]))
    except Invalid:
        printed = None
    assert printed == vector["prints"]
    if printed is not None:
        assert str(Ref.parse(printed)) == printed, "the canonical spelling prints as itself"


def hashed(vector, record):
    """As the page has it: HMACs, and none of casstore's code."""
    salt = hmac.digest(bytes.fromhex(vector["secret"]), b"casstore salt", "sha256")
    lasting = {key: record[key] for key in sorted(record) if key not in ("components", "tenant")}
    return hmac.digest(salt, b"record\0" + packed(lasting), "sha256")


def sealed(vector, place, record):
    if record["log"][2] == "erase_tenant":
        return record
    key, seq = UUID(vector["key_id"]).bytes, record["log"][0]
    cipher = AESSIV(hmac.digest(bytes.fromhex(vector["secret"]), b"casstore seal", "sha512"))
    data = cipher.encrypt(packed(record), [UUID(vector["store"]).bytes, key, struct.pack(">Q", seq)])
    return {"sealed": [seq, key, hashed(vector, record), b"" if place in vector["emptied"] else data]}


@of("segment")
def test_segments_by_the_page(vector):
    store = UUID(vector["store"]).bytes
    records = [sealed(vector, place, record) for place, record in enumerate(vector["records"])]
    assert [hashed(vector, record).hex() for record in vector["records"]] == vector["hashes"]
    data = packed(["casstore/journal/2", store, vector["first"], raw(vector["previous"]), records])
    assert data.hex() == vector["bytes"]
    assert text_of(data) == vector["digest"]
    last = vector["first"] + len(vector["records"]) - 1
    assert vector["key"] == f"artifacts/journal/{vector['first']:016}-{last:016}.msgpack"


@of("segment")
def test_segments_by_casstore(vector):
    store, previous = UUID(vector["store"]), Digest.parse(vector["previous"])
    key = JournalKey(UUID(vector["key_id"]), bytes.fromhex(vector["secret"]))
    records = [
        record if record["log"][2] == "erase_tenant" else {"sealed": key.seal(store, record)}
        for record in vector["records"]
    ]
    for place in vector["emptied"]:
        records[place]["sealed"][3] = b""
    data = journal.encode(UUID(vector["store"]), vector["first"], previous, [journal.pack(each) for each in records])
    assert data.hex() == vector["bytes"]
    assert journal.decode(vector["key"], data).records == records
    opened = [key.open(store, record["sealed"]) for record in records if "sealed" in record]
    assert opened == [
        None if place in vector["emptied"] else record
        for place, record in enumerate(vector["records"])
        if record["log"][2] != "erase_tenant"
    ]


def test_segments_are_a_chain():
    first, second, third, fourth = (vector for vector in VECTORS if vector["kind"] == "segment")
    assert (first["first"], raw(first["previous"])) == (1, bytes(32))
    assert (second["first"], second["previous"]) == (2, first["digest"])
    assert (third["first"], third["previous"]) == (4, second["digest"])
    assert (fourth["first"], fourth["previous"]) == (6, third["digest"])


@of("json")
def test_json_values(vector):
    value = json.loads(vector["text"])
    data = bytes.fromhex(vector["bytes"])
    assert json_format.encode(value) == data
    assert json_format.decode(data) == value


def sorted_json(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def meant(value):
    """The canonical text as the page describes it."""
    match value:
        case dict():
            return (
                "{"
                + ",".join(
                    f"{meant(key)}:{meant(value[key])}" for key in sorted(value, key=lambda key: [*map(ord, key)])
                )
                + "}"
            )
        case list():
            return "[" + ",".join(map(meant, value)) + "]"
        case str():
            return json.dumps(value, ensure_ascii=False)
        case None | bool():
            return {None: "null", True: "true", False: "false"}[value]
    return repr(value)


@of("json-meaning")
def test_meanings_of_json(vector):
    for text in vector["texts"]:
        found = json_format.FORMAT.meaning(text.encode())
        assert (str(found.digest) if found else None) == vector["digest"]
        if found:
            ours = f"casstore/json-meaning/1\n{meant(json.loads(text))}".encode()
            assert f"b3:{blake3(ours).hexdigest()}" == vector["digest"]


@of("fingerprint")
def test_fingerprints(vector):
    labels = vector["labels"]
    request = [
        vector["name"],
        vector["type"],
        raw(vector["manifest"]),
        vector["title"],
        None if labels is None else [[key, labels[key]] for key in sorted(labels)],
        vector["expect"],
        vector["on_same"],
        None if vector["metadata"] is None else sorted_json(vector["metadata"]),
        vector["sources"],
    ]
    if "ttl" in vector:
        request.append(vector["ttl"])
    assert text_of(packed(request)) == vector["digest"]


@of("fingerprint")
def test_fingerprints_by_casstore(vector):
    class Known:
        digest = raw(vector["manifest"])

    fields = {field: vector[field] for field in ("type", "title", "labels", "expect", "on_same")}
    fields["metadata"] = None if vector["metadata"] is None else check_metadata(vector["metadata"])
    if vector["sources"] is not None:
        fields["sources"] = tuple(SourceLink(uuid4(), role, asked) for asked, role in vector["sources"])
    if "ttl" in vector:
        fields["ttl"] = timedelta(seconds=vector["ttl"])
    options = PutOptions(**fields)
    assert str(_fingerprint(vector["name"], Known(), options)) == vector["digest"]
