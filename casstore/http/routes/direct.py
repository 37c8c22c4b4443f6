"""Direct transfer: requests that the bucket answers, signed here."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from casstore.direct import DirectLink, UploadOffer
from casstore.http.callers import Adds, Reads

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["direct"])


class UploadAsked(BaseModel):
    """How long the upload is."""

    model_config = ConfigDict(extra="forbid")

    size_bytes: int


# Not among those of `examples.json`, which are told to a server whose blobs are in a folder; tests/direct compares their fields.
_SIGNED: Final = "?X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Expires={seconds}&X-Goog-Signature=8d4f…"
_OFFER: Final = {
    "id": "01a224f9-58e6-70e9-a121-a678e6dee847",
    "method": "PUT",
    "url": "https://storage.googleapis.com/bucket/artifacts/incoming/5f3c…/01a224f9-58e6-70e9-a121-a678e6dee847"
    + _SIGNED.format(seconds=3600),
    "headers": {
        "content-type": "application/octet-stream",
        "x-goog-content-length-range": "268435456,268435456",
        "x-goog-if-generation-match": "0",
    },
    "size_bytes": 268435456,
    "expires_at": "2026-11-29T02:44:10.767160Z",
}
_LINK: Final = {
    "url": "https://storage.googleapis.com/bucket/artifacts/blobs/80a9…" + _SIGNED.format(seconds=300),
    "digest": "b3:80a94f3b183cd847c57c8d1fad42a8f69099aab161549c6f9f3d52efacdb83b3",
    "size_bytes": 16,
    "media_type": "text/markdown",
    "expires_at": "2026-11-29T01:49:10.767160Z",
}


def _example(value: dict[str, Any]) -> dict[str, Any]:
    return {"content": {"application/json": {"example": value}}}


@router.post(
    "/uploads",
    responses={200: _example(_OFFER)},
    openapi_extra={"requestBody": _example({"size_bytes": 268435456})},
)
async def offer(caller: Adds, asked: UploadAsked) -> UploadOffer:
    """A request that uploads bytes straight to the bucket. A put stores it as `{"components": {"main": {"upload": id}}}`."""
    return await caller.tenant.offer_upload(asked.size_bytes)


@router.get("/links/{ref:path}", responses={200: _example(_LINK)})
async def link(caller: Reads, ref: str) -> DirectLink:
    """Where the bucket answers the bytes of a component, for a few minutes: `ref` is a version of one, or ends in `%23role`."""
    return await caller.tenant.direct_link(ref)
