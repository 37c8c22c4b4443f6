"""Pictures as text: base64 (RFC 4648, section 4), alone or in a data URL (RFC 2397)."""

from __future__ import annotations

import binascii
import re
from typing import Final, NoReturn

from casstore.errors import Code, Invalid

__all__ = ["decode_base64"]

_DATA_URL: Final = re.compile(r"data:image/png;base64,", re.IGNORECASE | re.ASCII)
_FOREIGN: Final = re.compile(r"[^A-Za-z0-9+/= \t\r\n]")
_AFTER_PADDING: Final = re.compile(r"[^= \t\r\n]")
_WHITESPACE: Final = str.maketrans("", "", " \t\r\n")
_GROUP_CHARS: Final = 4  # which stand for three bytes
_PADDING_MAX: Final = 2  # characters
_HINT: Final = "Send plain base64 with its padding, or data:image/png;base64,… ."


def decode_base64(text: str) -> bytes:
    """The bytes that this text stands for; raises Invalid (bad_picture) with the character where the fault is.

    Spaces, tabs and line ends may stand anywhere, as in MIME. The padding must be there, and the bits it leaves over must
    be zero, so that the same bytes have one spelling. Whether they are a picture is for `inspect` to say.
    """
    start = _start(text)
    if foreign := _FOREIGN.search(text, start):
        _refuse(foreign.start(), f"has {foreign[0]!a}, which is no character of base64")
    _check_padding(text, start)
    digits = text[start:].translate(_WHITESPACE)
    if len(digits) % _GROUP_CHARS:
        _refuse(len(text), "ends within a group of four characters")
    data = binascii.a2b_base64(digits)
    if digits.endswith("=") and binascii.b2a_base64(data[-(len(data) % 3) :], newline=False).decode() != digits[-4:]:
        _refuse(text.index("=", start), "has bits before the padding that stand for nothing")
    return data


def _start(text: str) -> int:
    """Where the base64 begins."""
    if not isinstance(text, str):
        _refuse(0, f"is a {type(text).__name__}, not text")
    if url := _DATA_URL.match(text):
        return url.end()
    if text[:5].lower() == "data:":
        _refuse(5, "is a data URL, but not of image/png in base64")
    return 0


def _check_padding(text: str, start: int) -> None:
    first = text.find("=", start)
    if first < 0:
        return
    if after := _AFTER_PADDING.search(text, first):
        _refuse(after.start(), f"goes on with {after[0]!a} after the padding")
    if text.count("=", first) > _PADDING_MAX:
        _refuse(first, "is padded with more than two characters")


def _refuse(position: int, fault: str) -> NoReturn:
    raise Invalid(
        Code.BAD_PICTURE, f"the picture's text {fault}, at character {position}", hint=_HINT, position=position
    )
