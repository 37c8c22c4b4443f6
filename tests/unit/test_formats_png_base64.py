"""Pictures as text: base64 and data URLs come back as bytes, and whatever is wrong with one is refused with its place."""

from __future__ import annotations

import base64
import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from casstore.errors import Code, Invalid
from casstore.formats.png import decode_base64

URL = "data:image/png;base64,"


def fault(text) -> tuple[str, int]:
    with pytest.raises(Invalid) as caught:
        decode_base64(text)
    assert caught.value.code is Code.BAD_PICTURE
    assert caught.value.hint
    assert caught.value.message.isascii()
    assert caught.value.message.endswith(f"at character {caught.value.fields['position']}")
    return caught.value.message, caught.value.fields["position"]


@given(st.binary(max_size=100))
def test_base64_and_data_urls_come_back(data):
    text = base64.b64encode(data).decode()
    assert decode_base64(text) == data
    assert decode_base64(URL + text) == data
    assert decode_base64("DATA:Image/PNG;Base64," + text) == data
    assert decode_base64(base64.encodebytes(data).decode()) == data
    assert decode_base64(" \t" + "\r\n".join(text) + "\n") == data


@pytest.mark.parametrize(
    ("text", "message", "position"),
    [
        ("iVBO*w0K", "has '*', which is no character of base64", 4),
        ("iVBO-w0K", "has '-', which is no character of base64", 4),
        ("iVBO_w0K", "has '_'", 4),
        ("iVBOéw0K", "has '\\xe9'", 4),
        ("iVBO\u00a0w0K", "has '\\xa0'", 4),
        ("iVBO\ud800w0K", "has '\\ud800'", 4),
        ("iVBO\x00w0K", "has '\\x00'", 4),
        (URL + "iVBO*", "has '*'", len(URL) + 4),
        ("iVBORw0KG", "ends within a group of four characters", 9),
        ("iVBORw0K\nGg", "ends within a group of four characters", 11),
        ("iVBORw0KGg=", "ends within a group of four characters", 11),
        ("iVBORw0KG===", "is padded with more than two characters", 9),
        ("====", "is padded with more than two characters", 0),
        ("iVBO====", "is padded with more than two characters", 4),
        ("iVBORw==iVBO", "goes on with 'i' after the padding", 8),
        ("iV=ORw0K", "goes on with 'O' after the padding", 3),
        ("=VBO", "goes on with 'V' after the padding", 1),
        ("iV==\niVBO", "goes on with 'i' after the padding", 5),
        ("iVBORx==", "has bits before the padding that stand for nothing", 6),
        ("iVBORw1=", "has bits before the padding that stand for nothing", 7),
        ("data:image/jpeg;base64,iVBO", "is a data URL, but not of image/png in base64", 5),
        ("data:image/png,%89PNG", "is a data URL, but not of image/png in base64", 5),
        ("data:image/png;charset=x;base64,iVBO", "is a data URL, but not of image/png in base64", 5),
        (" " + URL, "has ':'", 5),
        (b"iVBO", "is a bytes, not text", 0),
        (None, "is a NoneType, not text", 0),
    ],
    ids=ascii,
)
def test_what_is_wrong_is_refused_with_its_place(text, message, position):
    said, where = fault(text)
    assert message in said
    assert where == position


@given(st.text(alphabet="AQgw=+/ \n-", max_size=12))
@example("")
@example("\n")
@example(URL)
def test_bytes_have_one_spelling(text):
    """What is taken is, without white space, just what the bytes are encoded to."""
    try:
        data = decode_base64(text)
    except Invalid:
        return
    assert base64.b64encode(data).decode() == "".join(text.removeprefix(URL).split())


@given(st.text(max_size=30))
def test_any_text_is_answered(text):
    for each in (text, URL + text, "data:" + text):
        with contextlib.suppress(Invalid):
            assert isinstance(decode_base64(each), bytes)
