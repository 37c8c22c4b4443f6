"""Direct transfer: requests that a bucket answers itself, signed by whoever opened the store. Values; nothing here does I/O."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from casstore.model import Digest

__all__ = ["DirectLink", "UploadOffer"]


class UploadOffer(BaseModel):
    """A request that uploads bytes straight to the bucket, once: this method, URL and headers, and a body of `size_bytes`.

    Who has it may upload, and nothing else. What arrives is nobody's version: `Uploaded(offer.id)` is what a put stores then.
    """

    model_config = ConfigDict(frozen=True)

    id: UUID
    method: Literal["PUT"] = "PUT"
    url: str
    headers: dict[str, str]
    size_bytes: int
    expires_at: datetime


class DirectLink(BaseModel):
    """A URL under which the bucket answers the bytes of a component, to whoever has it, until it expires.

    The bytes come unverified: compare their BLAKE3 with `digest` (in an isolation domain only who has its key can).
    """

    model_config = ConfigDict(frozen=True)

    url: str
    digest: Digest
    size_bytes: int
    media_type: str
    expires_at: datetime
