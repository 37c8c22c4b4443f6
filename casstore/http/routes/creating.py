"""Creating versions of several components, and several versions at once."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from casstore import limits
from casstore.http.access import Principal
from casstore.http.asking import Expecting, Why, expected
from casstore.http.bodies import Files, PutAsked, PutContent, asked, document_of
from casstore.http.callers import Adds, Caller
from casstore.http.routes.versions import tell_stored
from casstore.http.shapes import Items, StoredShape
from casstore.model import State
from casstore.operations.pending import Pending
from casstore.operations.transaction import AsyncTransaction

__all__ = ["TransactionAsked", "router"]

router = APIRouter(prefix="/v1", tags=["versions"])


class _Step(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PutStep(PutContent):
    """A put of a transaction."""

    name: str
    expect: int | None = None


class TagStep(_Step):
    """A tag. A name alone means the version that the transaction leaves as its newest."""

    ref: str
    pointer: str


class AliasStep(TagStep):
    """An alias, which may be expected to be at a version."""

    expect: int | None = None


class LifecycleStep(Why):
    """A step of a version in its lifecycle."""

    ref: str
    state: State


class Step(_Step):
    """One thing a transaction does."""

    put: PutStep | None = None
    alias: AliasStep | None = None
    tag: TagStep | None = None
    transition: LifecycleStep | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Step:
        if len(self.model_fields_set) != 1 or not any(getattr(self, name) for name in self.model_fields_set):
            raise ValueError("a step is one of put, alias, tag, transition")
        return self

    def check(self, who: Principal) -> None:
        """Raise Denied (not_permitted) where the step takes more than adding."""
        if self.alias or self.transition:
            who.check("write")


class TransactionAsked(_Step):
    """Steps that are done together or not at all, in their order; and on whose behalf (kept behind the actor of the token)."""

    steps: list[Step] = Field(max_length=limits.HTTP_STEPS_MAX)
    by: str | None = None


@router.post("/artifacts/{ref:path}", openapi_extra=document_of("PutAsked"), responses={201: {"model": StoredShape}})
async def create(caller: Adds, request: Request, response: Response, ref: str, expects: Expecting) -> StoredShape:
    """Store the next version of a name (`ref`). 201: a version was made; 200: it was there already.

    JSON has small contents inside. A form has them as files, and in its field `request` the same JSON.
    """
    async with asked(request, PutAsked) as (put, files):
        stored = await caller.tenant.put(
            ref,
            put.data(files),
            expect=expected(expects),
            idempotency_key=expects.idempotency_key,
            by=caller.by(put.by),
            **put.options([]),
        )
    tell_stored(request, response, stored)
    return StoredShape.of(stored)


@router.post("/transactions", openapi_extra=document_of("TransactionAsked"))
async def transaction(
    caller: Adds, request: Request, idempotency_key: Annotated[str | None, Header()] = None
) -> Items[StoredShape]:
    """Puts, aliases, tags and steps of lifecycles, stored together or not at all; answers what the puts made, in their order."""
    async with asked(request, TransactionAsked) as (found, files):
        for step in found.steps:
            step.check(caller.principal)
        puts: list[Pending] = []
        async with caller.tenant.transaction(idempotency_key=idempotency_key, by=caller.by(found.by)) as tx:
            for step in found.steps:
                await _take(tx, step, found.by, caller, files, puts)
    return Items(items=[StoredShape.of(pending.stored) for pending in puts])


async def _take(  # noqa: PLR0917 - all there is to a step
    tx: AsyncTransaction, step: Step, by: str | None, caller: Caller, files: Files, puts: list[Pending]
) -> None:
    if step.put:
        options: dict[str, Any] = step.put.options(puts)
        puts.append(await tx.put(step.put.name, step.put.data(files), expect=step.put.expect, **options))
    elif step.alias:
        tx.alias(step.alias.ref, step.alias.pointer, expect=step.alias.expect)
    elif step.tag:
        tx.tag(step.tag.ref, step.tag.pointer)
    elif step.transition:
        asked_for = step.transition
        tx.transition(asked_for.ref, asked_for.state, by=caller.by(asked_for.by or by), reason=asked_for.reason)
