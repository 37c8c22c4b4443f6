"""Large contents straight to the bucket, where the server offers it; through the server, where it does not or that fails."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from casstore import limits
from casstore.client.line import Line, Request
from casstore.client.routes import model
from casstore.client.sending import Document, Raw, document
from casstore.direct import UploadOffer
from casstore.errors import CasstoreError, Code
from casstore.staging import Staged

__all__ = ["DirectUploads"]

_OFFER: Final = model(UploadOffer)
_NONE: Final = (Code.NOT_DIRECT, Code.ROUTE_NOT_FOUND, Code.METHOD_NOT_ALLOWED)  # also of a server older than this


class DirectUploads:
    """Uploads of one line. Whether the server offers them is asked once."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._is_offered = True

    async def of(self, name: str, staged: Mapping[str, Staged]) -> dict[str, UUID]:
        """Upload the large components of a put: the ids of their offers, by role. What is not among them is still to be sent."""
        found: dict[str, UUID] = {}
        for role, part in staged.items():
            if part.size_bytes >= limits.CLIENT_DIRECT_BYTES and (offer := await self._offer(part.size_bytes)):
                raw = Raw(f"{name}#{role}", part)
                if await self._line.send_elsewhere(offer.url, offer.headers, raw):
                    found[role] = offer.id
        return found

    async def _offer(self, size_bytes: int) -> UploadOffer | None:
        if not self._is_offered:
            return None
        try:
            answer = await self._line.ask(
                Request("POST", "/uploads", (), {}, Document(document({"size_bytes": size_bytes})))
            )
        except CasstoreError as error:
            if error.code not in _NONE:
                raise
            self._is_offered = False
            return None
        offer: UploadOffer = _OFFER(answer.body)
        return offer
