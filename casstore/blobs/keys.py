"""Digest ↔ object key, and where uploads arrive. The only file that knows the layout, which is the same on every backend."""

from __future__ import annotations

from typing import Final

from casstore.errors import Invalid
from casstore.model import Digest

__all__ = ["INCOMING", "PREFIX", "digest_of", "key_of"]

PREFIX: Final = "artifacts/blobs/"
INCOMING: Final = "artifacts/incoming/"  # what others write, by requests that are signed for them


def key_of(digest: Digest) -> str:
    """The object's key below the configured prefix."""
    return PREFIX + digest.hex()


def digest_of(name: str) -> Digest | None:
    """The digest a key's last segment stands for; None for a stranger."""
    try:
        return Digest.parse(f"b3:{name}")
    except Invalid:
        return None
