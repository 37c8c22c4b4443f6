"""References: parsing and printing are inverse; what is wrong is refused with the code of the part that is wrong."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from casstore import limits
from casstore.errors import Code, Invalid
from casstore.model import Component, Digest, Manifest
from casstore.refs import LATEST, Ref, Selector, parse_instant
from casstore.testing import strategies as some

ID = "0198f3a0-0000-7000-8000-000000000001"


@given(some.refs())
def test_parse_reads_what_print_wrote(ref):
    assert Ref.parse(str(ref)) == ref


@given(some.refs().map(str))
def test_print_writes_what_parse_read(text):
    assert str(Ref.parse(text)) == text


@given(some.selectors())
def test_selectors_too(selector):
    assert Selector.parse(str(selector)) == selector
    assert str(Selector.parse(str(selector))) == str(selector)


@given(some.mutations(some.refs().map(str)) | st.text(max_size=40))
@example("a@v3")
@example("a@latest~2026-08-01T02:00+02:00")
def test_any_text_is_a_reference_or_refused(text):
    try:
        ref = Ref.parse(text)
    except Invalid:
        return
    assert Ref.parse(str(ref)) == ref, "another spelling means the same"


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("a", "a"),
        ("a@latest", "a"),
        ("a@v3", "a@3"),
        ("a#main", "a#main"),
        ("cas://t/a/b@3#x", "cas://t/a/b@3#x"),
        ("cas://t/a@latest", "cas://t/a"),
        (f"id:{ID}#x", f"id:{ID}#x"),
        (f"cas://t/id:{ID}", f"cas://t/id:{ID}"),
        ("a@prod~2026-08-01T02:00:00+02:00", "a@prod~2026-08-01T00:00:00Z"),
        ("a@prod~2026-08-01T00:00Z", "a@prod~2026-08-01T00:00:00Z"),
        ("a@prod~2026-08-01T00:00:00.5Z", "a@prod~2026-08-01T00:00:00.500000Z"),
        ("a@prod~2026-08-01T00:00:00-00:00", "a@prod~2026-08-01T00:00:00Z"),
        (f"a@{limits.VERSION_MAX}", f"a@{limits.VERSION_MAX}"),
        ("latest@latest", "latest"),
        ("v1@v1", "v1@1"),
    ],
)
def test_spellings(text, canonical):
    assert str(Ref.parse(text)) == canonical


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", Code.BAD_NAME),
        ("@", Code.BAD_SELECTOR),
        ("@3", Code.BAD_NAME),
        ("a@", Code.BAD_SELECTOR),
        ("a@@1", Code.BAD_SELECTOR),
        ("a@1@2", Code.BAD_SELECTOR),
        ("a@0", Code.BAD_SELECTOR),
        ("a@v0", Code.BAD_SELECTOR),
        ("a@01", Code.BAD_SELECTOR),
        ("a@-1", Code.BAD_SELECTOR),
        ("a@+1", Code.BAD_SELECTOR),
        ("a@1.0", Code.BAD_SELECTOR),
        ("a@٣", Code.BAD_SELECTOR),
        ("a@1\n", Code.BAD_SELECTOR),
        (f"a@{limits.VERSION_MAX + 1}", Code.BAD_SELECTOR),
        ("a@" + "9" * 5000, Code.BAD_SELECTOR),
        ("a@Prod", Code.BAD_SELECTOR),
        ("a@LATEST", Code.BAD_SELECTOR),
        ("a@b3:", Code.BAD_SELECTOR),
        ("a@b3:0123456789a", Code.BAD_SELECTOR),
        ("a@b3:" + "0" * 65, Code.BAD_SELECTOR),
        ("a@b3:0123456789AB", Code.BAD_SELECTOR),
        ("a@3~2026-08-01T00:00:00Z", Code.BAD_SELECTOR),
        ("a@b3:0123456789ab~2026-08-01T00:00:00Z", Code.BAD_SELECTOR),
        ("a@latest~", Code.BAD_SELECTOR),
        ("a@latest~2026-08-01", Code.BAD_SELECTOR),
        ("a@latest~2026-08-01T00:00:00", Code.BAD_SELECTOR),
        ("a@latest~2026-02-30T00:00:00Z", Code.BAD_SELECTOR),
        ("a@latest~2026-08-01T00:00:60Z", Code.BAD_SELECTOR),
        ("a@latest~2026-08-01 00:00:00Z", Code.BAD_SELECTOR),
        ("a@latest~2026-08-01T00:00:00z", Code.BAD_SELECTOR),
        ("a@latest~0001-01-01T00:00:00+23:00", Code.BAD_SELECTOR),
        ("a@latest~2026-08-01T00:00:00Z~2026-08-01T00:00:00Z", Code.BAD_SELECTOR),
        ("a#", Code.BAD_ROLE),
        ("a#A", Code.BAD_ROLE),
        ("a#x#y", Code.BAD_ROLE),
        ("a#x@3", Code.BAD_ROLE),
        ("#x", Code.BAD_NAME),
        ("cas://", Code.BAD_TENANT),
        ("cas://t", Code.BAD_REFERENCE),
        ("cas://t/", Code.BAD_NAME),
        ("cas:///a", Code.BAD_TENANT),
        ("CAS://t/a", Code.BAD_NAME),
        ("id:", Code.BAD_REFERENCE),
        ("id:" + ID.upper(), Code.BAD_REFERENCE),
        ("id:{" + ID + "}", Code.BAD_REFERENCE),
        ("id:" + ID.replace("-", ""), Code.BAD_REFERENCE),
        (f"id:{ID}@3", Code.BAD_REFERENCE),
        ("a b", Code.BAD_NAME),
        (None, Code.BAD_REFERENCE),
        (b"a", Code.BAD_REFERENCE),
        (3, Code.BAD_REFERENCE),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_what_is_wrong_is_refused_by_its_part(text, code):
    with pytest.raises(Invalid) as caught:
        Ref.parse(text)
    assert caught.value.code is code
    assert len(caught.value.message) < 400, "what someone typed is not repeated at length"


def test_a_parsed_reference_is_taken_as_it_is():
    ref = Ref.parse("a@3")
    assert Ref.parse(ref) is ref
    assert hash(ref) == hash(Ref.parse("a@v3"))
    assert pickle.loads(pickle.dumps(ref)) == ref
    assert repr(ref) == "Ref('a@3')"


def test_an_id_stands_alone():
    ref = Ref.parse(f"id:{ID}")
    assert (ref.id, ref.name, ref.selector) == (UUID(ID), "", LATEST)


def test_instants_are_utc():
    assert parse_instant("2026-08-01T02:30:00.000001+02:30") == datetime(2026, 8, 1, microsecond=1, tzinfo=UTC)
    assert parse_instant("2026-08-01T02:30+02:30").utcoffset().total_seconds() == 0


@given(st.binary(min_size=32, max_size=32))
def test_digests_print_and_parse(raw):
    digest = Digest(raw)
    assert Digest.parse(str(digest)) == digest == raw
    assert str(Digest.parse(str(digest))) == f"b3:{raw.hex()}"
    assert pickle.loads(pickle.dumps(digest)) == digest


@pytest.mark.parametrize(
    "text",
    [
        *("", "b3:", "b3:" + "0" * 63, "b3:" + "0" * 65, "b3:" + "A" * 64, "0" * 64, "b2:" + "0" * 64),
        *("b3:" + "g" * 64, "b3:" + "0" * 62 + " 0", "b3:" + "0" * 64 + "\n", "b3:b3:" + "0" * 64, None, b"b3:"),
    ],
)
def test_what_is_no_digest_is_refused(text):
    with pytest.raises(Invalid) as caught:
        Digest.parse(text)
    assert caught.value.code is Code.BAD_DIGEST


@given(st.permutations(["a", "b", "a-b", "a.b", "main"]))
def test_a_manifest_does_not_know_in_which_order_its_parts_came(roles):
    parts = {
        role: Component(role=role, digest=Digest.of(role.encode()), size_bytes=1, media_type="text/plain")
        for role in roles
    }
    manifest = Manifest.build(parts)
    assert [part.role for part in manifest.components] == sorted(roles)
    assert manifest.digest == Manifest.build(dict(sorted(parts.items()))).digest


@pytest.mark.parametrize(
    "change", [{"role": "b"}, {"size_bytes": 2}, {"media_type": "text/html"}, {"digest": Digest.of(b"y")}]
)
def test_every_field_of_a_component_is_part_of_the_identity(change):
    part = Component(role="a", digest=Digest.of(b"x"), size_bytes=1, media_type="text/plain")
    other = part.model_copy(update=change)
    assert Manifest.build({part.role: part}).digest != Manifest.build({other.role: other}).digest
