"""Media types by file suffix: a fixed table, so that the same file has the same type on every machine."""

from __future__ import annotations

import re
from typing import Final

from casstore import limits
from casstore.errors import Code, Invalid

__all__ = ["BINARY", "JSON", "PNG", "TEXT", "check_media_type", "from_suffix", "suffix_for"]

BINARY: Final = "application/octet-stream"
JSON: Final = "application/json"
PNG: Final = "image/png"
TEXT: Final = "text/plain"

_BY_SUFFIX: Final = {
    ".bpmn": "application/bpmn+xml",
    ".csv": "text/csv",
    ".gif": "image/gif",
    ".html": "text/html",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".json": JSON,
    ".md": "text/markdown",
    ".npy": "application/x-npy",
    ".parquet": "application/vnd.apache.parquet",
    ".pdf": "application/pdf",
    ".png": PNG,
    ".svg": "image/svg+xml",
    ".txt": TEXT,
    ".xml": "application/xml",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".zip": "application/zip",
}
_SUFFIX_BY_TYPE: Final = {media_type: suffix for suffix, media_type in reversed(_BY_SUFFIX.items())}
_TOKEN = r"[A-Za-z0-9!#$&^_.+-]+"  # RFC 6838, 4.2  # noqa: S105 - the grammar's own word
_MEDIA_TYPE = re.compile(rf"{_TOKEN}/{_TOKEN}(; ?{_TOKEN}={_TOKEN})*", re.ASCII)


def from_suffix(suffix: str) -> str:
    """The media type of a file with this suffix (".json"); `application/octet-stream` when it is not known."""
    return _BY_SUFFIX.get(suffix.lower(), BINARY)


def suffix_for(media_type: str) -> str:
    """The suffix to give a file of this media type, with its dot; "" when none is known."""
    return _SUFFIX_BY_TYPE.get(media_type, "")


def check_media_type(media_type: str) -> str:
    """Return `media_type` if it has the form of RFC 6838 and no surprise in it; raise Invalid (bad_media_type)."""
    if (
        isinstance(media_type, str)
        and len(media_type) <= limits.MEDIA_TYPE_MAX_CHARS
        and _MEDIA_TYPE.fullmatch(media_type)
    ):
        return media_type
    raise Invalid(Code.BAD_MEDIA_TYPE, f"{media_type!a:.80} is no media type", hint="Such as application/json.")
