"""Folders as URLs: `file:///folder`, `embedded:///folder`, with `#` and `?` percent-encoded; and which hosts are this machine."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from urllib.parse import unquote, urlsplit

from casstore.errors import Code, Invalid

__all__ = ["folder_of", "is_loopback"]


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


def is_loopback(host: str) -> bool:
    """Whether a host is an address of this machine that no other can reach. A name is none: it may mean another tomorrow."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
