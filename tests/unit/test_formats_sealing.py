"""Sealed records: opened by their key at their place, and by nothing else; the same record is the same bytes."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casstore.errors import Code, Corrupt
from casstore.formats import sealing
from casstore.formats.sealing import JournalKey

STORE, OTHER = UUID(int=1), UUID(int=2)
keys = st.builds(JournalKey, st.uuids(), st.binary(min_size=32, max_size=32))
values = st.none() | st.integers(0, 2**62) | st.text(max_size=5) | st.booleans()
records = st.builds(
    lambda seq, row, more: {"log": [seq, *row], "tenant": row, **more},
    st.integers(0, 2**62),
    st.lists(values, max_size=4),
    st.dictionaries(st.sampled_from(["version", "components", "request"]), st.lists(values, max_size=4)),
)


@given(keys, records)
def test_what_is_sealed_is_opened_and_always_the_same(key, record):
    sealed = key.seal(STORE, record)
    assert key.open(STORE, sealed) == record
    assert key.seal(STORE, record) == sealed
    assert (sealed[0], sealed[1]) == (record["log"][0], key.id.bytes)


@given(keys, keys, records, st.data())
def test_nothing_else_opens_it(key, other, record, data):
    sealed = key.seal(STORE, record)
    assert key.open(OTHER, sealed) is None
    assert key.open(STORE, [sealed[0] + 1, *sealed[1:]]) is None
    at = data.draw(st.integers(0, len(sealed[3]) - 1))
    altered = bytes(byte ^ (place == at) for place, byte in enumerate(sealed[3]))
    assert key.open(STORE, [*sealed[:3], altered]) is None
    assert key.open(STORE, [*sealed[:2], bytes(32), sealed[3]]) is None
    if key.secret != other.secret:
        assert JournalKey(key.id, other.secret).open(STORE, sealed) is None


@given(keys, records)
def test_the_hash_is_of_what_lasts_and_differs_by_key(key, record):
    hashed = key.salt.of_record(record)
    lasting = {name: row for name, row in record.items() if name != "components"} | {"tenant": ["erased", 0]}
    assert key.salt.of_record(lasting) == hashed
    assert JournalKey(key.id, bytes(31) + b"x").salt.of_record(record) != hashed
    assert key.salt.of_record(record | {"log": [*record["log"], "more"]}) != hashed


@given(keys)
def test_a_key_is_an_object_and_its_name(key):
    name = sealing.key_object(key.id)
    assert sealing.id_of(name) == key.id
    assert sealing.decode_key(name, sealing.encode_key(STORE, key)) == key


@pytest.mark.parametrize("data", [b"", b"\x01", sealing.encode_key(STORE, JournalKey(OTHER, bytes(32)))])
def test_what_is_no_key_is_refused(data):
    with pytest.raises(Corrupt) as refused:
        sealing.decode_key(sealing.key_object(STORE), data)
    assert refused.value.code is Code.JOURNAL_BROKEN


@pytest.mark.parametrize(
    "name", ["", "x", "artifacts/journal-keys/", "artifacts/journal-keys/{0198f3a0-0000-4000-8000-000000000001}"]
)
def test_a_stranger_is_no_key(name):
    assert sealing.id_of(name) is None
