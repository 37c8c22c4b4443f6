"""Media types: one fixed table, the same on every machine."""

from __future__ import annotations

import pytest

from casstore import limits
from casstore.errors import Code, Invalid
from casstore.formats import media_types


@pytest.mark.parametrize("suffix", media_types._BY_SUFFIX)
def test_the_table(suffix):
    media_type = media_types.from_suffix(suffix)
    assert media_types.check_media_type(media_type) == media_type
    assert media_types.from_suffix(suffix.upper()) == media_type
    assert media_types.from_suffix(media_types.suffix_for(media_type)) == media_type


def test_what_is_not_in_the_table():
    for suffix in ("", ".", ".exe", "json", ".tar.gz"):
        assert media_types.from_suffix(suffix) == "application/octet-stream"
    assert media_types.suffix_for("application/x-unheard-of") == ""
    assert media_types.suffix_for("application/octet-stream") == ""


def test_the_first_suffix_of_a_type_is_written():
    assert media_types.suffix_for("image/jpeg") == ".jpeg"
    assert media_types.suffix_for("application/yaml") == ".yaml"


@pytest.mark.parametrize(
    "media_type",
    [
        "text/plain",
        "text/plain; charset=utf-8",
        "text/plain;charset=utf-8; format=flowed",
        "application/vnd.acme.blueprint+json",
        "x/y",
        "a" * 63 + "/" + "b" * 63,
    ],
)
def test_good_ones(media_type):
    assert media_types.check_media_type(media_type) == media_type


@pytest.mark.parametrize(
    "media_type",
    [
        "",
        "text",
        "text/",
        "/plain",
        "text/plain/more",
        "text/plain\n",
        "text/plain; charset",
        " text/plain",
        "text/plain;  a=b",
        'text/plain; charset="utf-8"',
        "téxt/plain",
        "text/pl\0ain",
        "a" * limits.MEDIA_TYPE_MAX_CHARS + "/b",
        None,
        7,
        b"text/plain",
    ],
)
def test_bad_ones(media_type):
    with pytest.raises(Invalid) as caught:
        media_types.check_media_type(media_type)
    assert caught.value.code is Code.BAD_MEDIA_TYPE
    assert caught.value.hint
