"""Who am I."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from casstore.http.access import Principal
from casstore.http.callers import principal

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["session"])


class Session(BaseModel):
    """On whose behalf requests with this token are made."""

    tenant: str
    actor: str
    scopes: list[str]


@router.get("/session")
async def session(who: Annotated[Principal, Depends(principal)]) -> Session:
    """Tell the tenant, the actor and the scopes of the token."""
    return Session(tenant=who.tenant, actor=who.actor, scopes=sorted(who.scopes))
