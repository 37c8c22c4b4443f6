"""Digest, checksum and length: the published vectors, and that pieces make no difference."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casstore.hashing import Hasher
from casstore.model import Digest


def hashed(*pieces):
    hasher = Hasher()
    for piece in pieces:
        hasher.update(piece)
    return hasher


# https://github.com/BLAKE3-team/BLAKE3/blob/master/test_vectors/test_vectors.json: the first n of the bytes 0, 1 … 250, 0 …
BLAKE3 = {
    0: "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
    1: "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
    1023: "10108970eeda3eb932baac1428c7a2163b0e924c9a9e25b35bba72b28f70bd11",
    1024: "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7",
    1025: "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444",
    2049: "5f4d72f40d7a5f82b15ca2b2e44b1de3c2ef86c426c95c1af0b6879522563030",
    4096: "015094013f57a5277b59d8475c0501042c0b642e531b0a1c8f58d2163229e969",
    7169: "a003fc7a51754a9b3c7fae0367ab3d782dccf28855a03d435f8cfe74605e7817",
    102400: "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085",
}
# RFC 3720, B.4; there the bytes of the checksum are printed in the order they are sent, least significant first.
CRC32C = {
    "32 zeros": (bytes(32), "aa36918a"),
    "32 ones": (b"\xff" * 32, "43aba862"),
    "incrementing": (bytes(range(32)), "4e79dd46"),
    "decrementing": (bytes(range(31, -1, -1)), "5cdb3f11"),
    "iSCSI read": (
        bytes.fromhex(
            "01c00000 00000000 00000000 00000000 14000000 00000400 00000014 00000018 28000000 00000000 02000000 00000000"
        ),
        "563a96d9",
    ),
}


@pytest.mark.parametrize(("size", "digest"), BLAKE3.items())
def test_blake3_vectors(size, digest):
    data = (bytes(range(251)) * (size // 251 + 1))[:size]
    assert hashed(data).digest.hex() == digest
    assert Digest.of(data) == hashed(data).digest


def test_blake3_of_a_word():
    assert str(hashed(b"abc").digest) == "b3:6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"


@pytest.mark.parametrize(("data", "sent"), CRC32C.values(), ids=CRC32C)
def test_crc32c_vectors(data, sent):
    assert hashed(data).crc32c.to_bytes(4, "little").hex() == sent


def test_crc32c_of_the_nine_digits():
    assert hashed(b"123456789").crc32c == 0xE3069283


@given(st.lists(st.binary(max_size=3000), max_size=8))
def test_pieces_make_no_difference(pieces):
    whole, inpieces = hashed(b"".join(pieces)), hashed(*pieces)
    assert (inpieces.digest, inpieces.crc32c, inpieces.size_bytes) == (whole.digest, whole.crc32c, whole.size_bytes)


def test_a_digest_can_be_asked_for_in_between():
    hasher = hashed(b"a")
    assert hasher.digest == Digest.of(b"a")
    hasher.update(b"bc")
    assert hasher.digest == Digest.of(b"abc")
    assert hasher.size_bytes == 3
