"""Aliases and tags."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from casstore.http.asking import Behalf, Expecting, Turning, expected, no_parameters
from casstore.http.callers import Adds, Reads, Writes
from casstore.http.shapes import Items
from casstore.model import Page, Pointer

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["aliases and tags"])


@router.get("/pointers/{name:path}")
async def pointers(caller: Reads, name: str) -> Items[Pointer]:
    """Where each alias and tag of a name points now."""
    return Items(items=list(await caller.tenant.pointers(name)))


@router.get("/moves/{name:path}/{pointer}")
async def moves(caller: Reads, name: str, pointer: str, page: Turning) -> Page[Pointer]:
    """Every move of an alias, newest first."""
    return await caller.tenant.pointer_history(name, pointer, cursor=page.cursor, limit=page.limit)


@router.put("/aliases/{ref:path}/{alias}", dependencies=[Depends(no_parameters)])
async def set_alias(caller: Writes, ref: str, alias: str, expects: Expecting, behalf: Behalf | None = None) -> Pointer:
    """Make an alias mean the version that the reference means now. `If-Match` is the number it points at so far."""
    by = caller.by(behalf.by if behalf else None)
    return await caller.tenant.alias(ref, alias, expect=expected(expects), by=by)


@router.delete("/aliases/{ref:path}/{alias}")
async def remove_alias(
    caller: Writes, ref: str, alias: str, expects: Expecting, behalf: Annotated[Behalf, Query()]
) -> Pointer:
    """Remove an alias of a name (`ref`); its history stays."""
    return await caller.tenant.unalias(ref, alias, expect=expected(expects), by=caller.by(behalf.by))


@router.put("/tags/{ref:path}/{tag}", dependencies=[Depends(no_parameters)])
async def tag(caller: Adds, ref: str, tag: str, behalf: Behalf | None = None) -> Pointer:
    """Make a tag mean the version that the reference means now, for ever."""
    return await caller.tenant.tag(ref, tag, by=caller.by(behalf.by if behalf else None))
