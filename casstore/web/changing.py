"""Steps of the lifecycle and aliases; what was done, and taking it back."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Final

from fastapi import Form, Request, Response

from casstore.errors import Conflict, Invalid
from casstore.http.callers import Reads, Writes
from casstore.model import State
from casstore.web.artifacts import show
from casstore.web.rendering import page, url
from casstore.web.route import go, pages, told

__all__ = ["router"]

router = pages()
_UNDOABLE: Final = frozenset({"alias", "unalias", "delete", "undelete", "accepted", "obsolete"})


@router.post("/state/{ref:path}")
async def step(
    request: Request, caller: Writes, ref: str, state: Annotated[State, Form()], reason: Annotated[str, Form()] = ""
) -> Response:
    """Take a version on in its lifecycle."""
    await caller.tenant.transition(ref, state, by=caller.principal.actor, reason=reason.strip() or None)
    return go(request, url(f"/version/{ref}", stored=state))


@router.post("/alias/{ref:path}")
async def point(request: Request, caller: Writes, ref: str, alias: Annotated[str, Form()]) -> Response:
    """Let an alias mean this version."""
    try:
        await caller.tenant.alias(ref, alias.strip(), by=caller.principal.actor)
    except (Invalid, Conflict) as error:  # what was typed: told beside the form
        return await show(request, caller, ref, fault=told(error))
    return go(request, url(f"/version/{ref}", stored="alias"))


@router.post("/unalias/{ref:path}")
async def unpoint(request: Request, caller: Writes, ref: str, alias: Annotated[str, Form()]) -> Response:
    """Remove an alias that means this version; one that has moved meanwhile stays."""
    version = await caller.tenant.resolve(ref)
    await caller.tenant.unalias(version.name, alias, expect=version.number, by=caller.principal.actor)
    return go(request, url(f"/version/{ref}", stored="unalias"))


@router.get("/activity")
async def activity(request: Request, caller: Reads, cursor: str = "", undone: str = "") -> Response:
    """What was done, newest first."""
    found = await caller.tenant.operations(cursor=cursor or None)
    following = url("/activity", cursor=found.cursor) if found.cursor else None
    return page(
        request,
        caller,
        "activity",
        operations=found.items,
        calls=Counter((each.op, each.at, each.name) for each in found),  # undone together
        following=following,
        is_first=not cursor,
        undone=undone,
        undoable=_UNDOABLE,
    )


@router.post("/undo/{operation}")
async def undo(request: Request, caller: Writes, operation: int) -> Response:
    """Take back what was done."""
    done = await caller.tenant.undo(operation, by=caller.principal.actor)
    return go(request, url("/activity", undone=done.ref or str(operation)))
