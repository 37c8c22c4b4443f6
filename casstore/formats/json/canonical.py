"""What a JSON text means, as one digest. docs/format.md is normative."""

from __future__ import annotations

import json
from typing import Any, Final

from casstore.errors import Invalid
from casstore.formats.comparison import Meaning
from casstore.formats.json.documents import load
from casstore.model import Digest

__all__ = ["canonical", "meaning"]

_HEADER: Final = b"casstore/json-meaning/1\n"
_encode = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":"), sort_keys=True
).encode


def canonical(value: Any) -> bytes:
    """The one text of a JSON value: equal for values that are the same, types included, and for no others."""
    return _encode(value).encode()


def meaning(data: bytes) -> Meaning | None:
    """The digest of what the content says, however it is written; None where it is no JSON, or has a key twice."""
    try:
        document = load(data)
    except Invalid:
        return None  # it is stored all the same, as bytes
    if document.duplicate is not None:
        return None  # readers differ on what it says
    return Meaning(Digest.of(_HEADER + canonical(document.value)))
