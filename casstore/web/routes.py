"""All pages."""

from __future__ import annotations

from typing import Final

from casstore.web import artifacts, changing, letting_go, library, missing, signing_in, uploading, using

__all__ = ["ROUTERS"]

ROUTERS: Final = tuple(
    subject.router for subject in (library, artifacts, changing, uploading, letting_go, using, signing_in, missing)
)
