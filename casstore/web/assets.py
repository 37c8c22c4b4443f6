"""Our own files: templates, the style, the script. A file's address has the digest of its bytes, so it may be kept for ever."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from casstore.model import Digest

__all__ = ["Asset", "asset", "template"]

_DIGITS: Final = 16
_FILES: Final = {  # name: package, folder, media type
    "pages.css": ("casstore.web", "static", "text/css; charset=utf-8"),
    "pages.js": ("casstore.web", "static", "text/javascript; charset=utf-8"),
    "icon.svg": ("casstore.web", "static", "image/svg+xml"),
    "bpmn-viewer.min.js": ("casstore.reports", "assets", "text/javascript; charset=utf-8"),
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file that browsers load."""

    name: str
    digest: str
    content: bytes
    media_type: str

    @property
    def path(self) -> str:
        """Where it is, below the root of the pages."""
        return f"/static/{self.digest}/{self.name}"


@cache
def asset(name: str) -> Asset | None:
    """The file of this name; None where there is no such one."""
    if name not in _FILES:
        return None
    package, folder, media_type = _FILES[name]
    content = (files(package) / folder / name).read_bytes()
    return Asset(name, Digest.of(content).hex()[:_DIGITS], content, media_type)


def template(name: str) -> str | None:
    """The text of a template; None where there is no such one."""
    place = files("casstore.web") / "templates" / name
    return place.read_text("utf-8") if place.is_file() else None
