"""Segments: what is encoded is decoded, and nothing else is taken for one."""

from __future__ import annotations

from uuid import UUID

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from casstore import Code, Corrupt, Digest
from casstore.formats import journal

STORE = UUID("0198f3a0-0000-4000-8000-000000000001")

some_value = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=5)
some_row = st.lists(some_value, max_size=5)


@st.composite
def some_records(draw):
    seqs = sorted(draw(st.sets(st.integers(1, 2**62), min_size=1, max_size=20)))
    more = st.dictionaries(st.sampled_from(["version", "components", "request"]), some_row)
    return [{"log": [seq, *draw(some_row)], "tenant": draw(some_row), **draw(more)} for seq in seqs]


def encoded(records, first=1, previous=journal.NO_SEGMENT):
    key = journal.key_of(first, first + len(records) - 1)
    return key, journal.encode(STORE, first, previous, [journal.pack(record) for record in records])


@given(some_records(), st.integers(1, 10**15), st.binary(min_size=32, max_size=32))
def test_what_is_encoded_is_decoded(records, first, previous):
    key, data = encoded(records, first, Digest(previous))
    segment = journal.decode(key, data)
    assert segment == journal.Segment(STORE, first, Digest(previous), records)
    assert (segment.last, segment.last_seq) == (first + len(records) - 1, records[-1]["log"][0])
    assert msgpack.unpackb(data) == ["casstore/journal/2", STORE.bytes, first, previous, records]


@given(some_records(), st.data())
def test_what_is_cut_or_goes_on_is_none(records, data):
    key, whole = encoded(records)
    cut = data.draw(st.integers(0, len(whole) - 1))
    for wrong in (whole[:cut], whole + whole[: cut + 1]):
        with pytest.raises(Corrupt) as refused:
            journal.decode(key, wrong)
        assert refused.value.code is Code.JOURNAL_BROKEN
        assert refused.value.fields["key"] == key


@given(st.binary(max_size=200))
def test_what_is_anything_is_refused_as_that(data):
    with pytest.raises(Corrupt) as refused:
        journal.decode(journal.key_of(1, 1), data)
    assert refused.value.code is Code.JOURNAL_BROKEN


RECORD = {"log": [1], "tenant": ["a", 0]}
WRONG = {
    "no records": [],
    "two, and the name says one": [RECORD, {"log": [2]}],
    "without a log": [{"tenant": ["a", 0]}],
    "a log without a number": [{"log": []}],
    "a log with a text for a number": [{"log": ["1"]}],
    "a log with a truth for a number": [{"log": [True]}],
    "no record": [7],
    "sealed, and nothing more": [{"sealed": [1]}],
    "sealed with half a key": [{"sealed": [1, bytes(8), bytes(32), b""]}],
    "sealed without a hash": [{"sealed": [1, bytes(16), b"", b""]}],
    "sealed as text": [{"sealed": [1, bytes(16), bytes(32), ""]}],
}


@pytest.mark.parametrize("what", WRONG)
def test_records_that_cannot_be(what):
    with pytest.raises(Corrupt):
        journal.decode(
            journal.key_of(1, 1), msgpack.packb(["casstore/journal/2", STORE.bytes, 1, bytes(32), WRONG[what]])
        )


@pytest.mark.parametrize("seqs", [[2, 1], [1, 1]])
def test_records_out_of_order(seqs):
    with pytest.raises(Corrupt):
        journal.decode(*encoded([{"log": [seq]} for seq in seqs]))


@pytest.mark.parametrize(
    "parts",
    [
        ["casstore/journal/2", STORE.bytes, 2, bytes(32), [RECORD]],
        ["casstore/journal/2", STORE.bytes[1:], 1, bytes(32), [RECORD]],
        ["casstore/journal/2", STORE.bytes, 1, bytes(31), [RECORD]],
        ["casstore/journal/2", STORE.bytes, 1, None, [RECORD]],
        ["casstore/journal/2", STORE.bytes, 1, bytes(32)],
    ],
)
def test_heads_that_cannot_be(parts):
    with pytest.raises(Corrupt):
        journal.decode(journal.key_of(1, 1), msgpack.packb(parts))


def test_a_release_does_not_guess_at_a_newer_format():
    data = msgpack.packb(["casstore/journal/3", STORE.bytes, 1, bytes(32), [RECORD]])
    with pytest.raises(Corrupt, match="casstore/journal/3"):
        journal.decode(journal.key_of(1, 1), data)


def test_keys_sort_as_segments_follow():
    keys = [journal.key_of(first, first + 9) for first in (1, 11, 101, 999_999_999_991)]
    assert keys == sorted(keys)
    assert [journal.range_of(key) for key in keys][-1] == (999_999_999_991, 1_000_000_000_000)


@pytest.mark.parametrize(
    "key",
    ["", "1-2.msgpack", "artifacts/journal/1-2.msgpack", journal.key_of(1, 2) + ".bak", "x" + journal.key_of(1, 2)],
)
def test_strangers(key):
    assert journal.range_of(key) is None
