"""Folders as URLs: `file:///folder`, `embedded:///folder`. A `#` or `?` that belongs to the path is percent-encoded."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from casstore.errors import Code, Invalid

__all__ = ["folder_of"]


def folder_of(url: str, scheme: str) -> Path | None:
    """The folder a URL of this scheme names; None for a URL of another scheme.

    Raises:
        Invalid: The URL has more than a path (bad_config): written unencoded, `/my#folder` would be the folder `/my`.
    """
    if not url.startswith(f"{scheme}:///"):
        return None
    parts = urlsplit(url)
    if parts.query or parts.fragment or "#" in url or "?" in url:
        hint = "Percent-encode what belongs to the path: # is %23, ? is %3F."
        raise Invalid(Code.BAD_CONFIG, f"the URL {url!r} has more than a path", hint=hint)
    return Path(unquote(parts.path))
