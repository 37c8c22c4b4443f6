"""Keys of isolation domains: what is derived from them, and the file they are kept in."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import pickle
import random

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from casstore.config import Settings
from casstore.domains import Domain, Keyring
from casstore.errors import Code, Invalid
from casstore.formats import png
from casstore.hashing import Hasher
from casstore.kinds import Piece
from casstore.kinds.picture import faults_of
from casstore.model import Digest
from casstore.operations.describing import components_of
from casstore.operations.domains import new_key
from casstore.staging import Part
from tests.unit.png_maker import Way
from tests.unit.png_maker import written as written_png
from tests.unit.sources import staged

KEY = bytes(range(32))


@given(
    data=st.binary(),
    cuts=st.lists(st.integers(0, 100)),
    keys=st.lists(st.binary(min_size=32, max_size=32), min_size=2, max_size=2, unique=True),
)
def test_a_digest_is_of_the_bytes_and_the_key(data, cuts, keys):
    first, second = (Domain.of("d", key) for key in keys)
    hasher = Hasher(first)
    for piece in (data[i:j] for i, j in zip([0, *sorted(cuts)], [*sorted(cuts), None], strict=True)):
        hasher.update(piece)
    assert hasher.digest == first.digest(data)
    assert len({first.digest(data), second.digest(data), Digest.of(data)}) == 3
    assert len({first.pixels(Digest.of(data)), second.pixels(Digest.of(data)), Digest.of(data)}) == 3
    assert first.check != second.check


def test_nothing_that_is_shown_has_a_key_in_it():
    domain = Domain.of("d", KEY)
    part = staged(b"x")
    for shown in (domain, Keyring({"d": KEY}), Settings.load(domains={"d": KEY}), Part(b"", None), part):
        text = f"{shown!r} {shown}"
        for secret in (KEY, domain.blob_key, domain.pixel_key):
            assert secret.hex() not in text
            assert repr(secret)[2:-1] not in text
    assert "domains" not in Settings.load(domains={"d": KEY}).model_dump()


def test_a_keyring_goes_to_another_process():
    ring = pickle.loads(pickle.dumps(Keyring({"d": KEY})))
    assert ring.named("d") == Domain.of("d", KEY)


def test_what_was_found_in_a_picture_is_remembered_apart(monkeypatch):
    """Who has another key, or none, is not answered sooner because somebody has had the picture."""
    looked = []
    inspected = png._inspected
    monkeypatch.setattr(png, "_remembered", {})
    monkeypatch.setattr(png, "_inspected", lambda data: looked.append(data) or inspected(data))
    domains = [Domain.of("d", KEY), Domain.of("e", bytes(32)), None]
    picture = written_png([[(255, 0, 0, 255)]], Way(6, 8), random.Random(1))
    for count, domain in enumerate(domains * 2, 1):
        piece = Piece("main", dataclasses.replace(staged(picture, "image/png"), domain=domain))
        assert not list(faults_of(piece))
        assert asyncio.run(components_of({"main": piece.source}))["main"].width == 1
        assert len(looked) == min(count, len(domains))


# -- the file -------------------------------------------------------------------------------------------------------------


def written(path, text, mode=0o600):
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_file_of_keys(tmp_path, monkeypatch):
    path = written(tmp_path / "keys", f"# ours\n\neast: {KEY.hex()}\n  west :{bytes(32).hex()}  \n")
    ring = Keyring.load(path)
    assert {each.name: each.check for each in ring} == {
        "east": Domain.of("east", KEY).check,
        "west": Domain.of("west", bytes(32)).check,
    }
    monkeypatch.setenv("CASSTORE_DOMAINS", str(path))
    assert Settings.load().domains.named("east")
    assert not Settings.load(domains={}).domains  # an argument comes first
    monkeypatch.setenv("CASSTORE_DOMAINS", "")
    assert not Settings.load().domains


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("east", Code.BAD_CONFIG),
        (f"east: {KEY.hex()}0", Code.BAD_CONFIG),
        (f"east: {KEY.hex()[2:]}", Code.BAD_CONFIG),
        (f"east: {KEY.hex()[:-2]} ", Code.BAD_CONFIG),
        (f"east: {KEY.hex()[:-2]}zz", Code.BAD_CONFIG),
        (f"east: {' '.join(KEY.hex())}", Code.BAD_CONFIG),
        (f"east: {KEY.hex()}\neast: {bytes(32).hex()}", Code.BAD_CONFIG),
        (f"east: {KEY.hex()}\nwest: {KEY.hex()}", Code.BAD_CONFIG),
        (f"-: {KEY.hex()}", Code.BAD_DOMAIN),
    ],
)
def test_what_is_no_file_of_keys_is_refused_and_not_shown(tmp_path, text, code):
    with pytest.raises(Invalid) as refused:
        Keyring.load(written(tmp_path / "keys", text))
    assert refused.value.code is code
    assert KEY.hex()[:16] not in str(refused.value.as_dict())


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o620, 0o644, 0o666, 0o601])
def test_a_file_that_others_may_read_or_change_is_refused(tmp_path, mode):
    with pytest.raises(Invalid) as refused:
        Keyring.load(written(tmp_path / "keys", f"east: {KEY.hex()}", mode))
    assert refused.value.code is Code.BAD_CONFIG


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640, 0o440])
def test_a_file_of_ones_own_or_of_ones_group_is_read(tmp_path, mode):
    assert Keyring.load(written(tmp_path / "keys", f"east: {KEY.hex()}", mode))


def test_a_file_that_is_not_there_or_no_text(tmp_path):
    (tmp_path / "bytes").write_bytes(b"\xff")
    for name in ("nothing", "bytes", "."):
        with pytest.raises(Invalid) as refused:
            Keyring.load(tmp_path / name)
        assert refused.value.code is Code.BAD_CONFIG


def test_new_keys_are_added_to_a_file_of_ones_own(tmp_path):
    path = tmp_path / "keys"
    umask = os.umask(0)
    try:
        made = [new_key(path, name) for name in ("east", "west")]
    finally:
        os.umask(umask)
    ring = Keyring.load(path)
    assert [each.check for each in ring] == [each.check for each in made]
    before = path.read_bytes()
    for name in ("east", "-"):
        with pytest.raises(Invalid):
            new_key(path, name)
    with pytest.raises(Invalid) as refused:
        new_key(tmp_path / "nowhere" / "keys", "x")
    assert refused.value.code is Code.UNWRITABLE_TARGET
    assert path.read_bytes() == before


def test_a_new_key_begins_a_line_of_its_own(tmp_path):
    path = written(tmp_path / "keys", f"east: {KEY.hex()}")
    new_key(path, "west")
    assert {each.name for each in Keyring.load(path)} == {"east", "west"}


def test_what_is_derived_is_what_the_format_says():
    domain = Domain.of("d", KEY)
    for purpose, found in (("check value", domain.check), ("blobs", domain.blob_key), ("pixels", domain.pixel_key)):
        context = f"casstore 2026-11-28 isolation domain: {purpose}"
        assert bytes(found) == blake3(KEY, derive_key_context=context).digest()
