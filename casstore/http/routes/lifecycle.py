"""The lifecycle of versions."""

from __future__ import annotations

from fastapi import APIRouter

from casstore.http.asking import Why
from casstore.http.callers import Reads, Writes
from casstore.http.shapes import Items
from casstore.model import State, Transition

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["lifecycle"])


class StepAsked(Why):
    """The state a version is to come into."""

    state: State


@router.get("/lifecycle/{ref:path}")
async def transitions(caller: Reads, ref: str) -> Items[Transition]:
    """Every step a version has taken, in their order."""
    return Items(items=list(await caller.tenant.transitions(ref)))


@router.post("/lifecycle/{ref:path}")
async def transition(caller: Writes, ref: str, step: StepAsked) -> Transition:
    """Take a version a step on: from draft to accepted, and from either to obsolete, which is final."""
    return await caller.tenant.transition(ref, step.state, by=caller.by(step.by), reason=step.reason)
