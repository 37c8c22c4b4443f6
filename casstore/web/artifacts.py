"""An artifact with all its versions, one version with its content, and two versions side by side."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any, Final

from fastapi import Request, Response

from casstore.errors import Code, Invalid, NotFound
from casstore.http.callers import Caller, Reads
from casstore.model import Lineage, Pointer, Version
from casstore.refs import Ref
from casstore.web.contents import views_of
from casstore.web.graph import graph_of
from casstore.web.rendering import page, url
from casstore.web.route import pages

__all__ = ["router", "show"]

router = pages()
_DEPTH: Final = 2  # steps of the lineage to either side
_NODES: Final = 200  # versions of it to either side
_USERS: Final = 50  # of those made from a version, that are listed


@router.get("/artifact/{name:path}")
async def artifact(request: Request, caller: Reads, name: str, cursor: str = "") -> Response:
    """All versions of a name, newest first."""
    newest = await caller.tenant.resolve(Ref.parse(name))
    history = await caller.tenant.history(newest.name, cursor=cursor or None)
    pointers = await caller.tenant.pointers(newest.name)
    return page(
        request,
        caller,
        "artifact",
        newest=newest,
        versions=history.items,
        following=url(f"/artifact/{newest.name}", cursor=history.cursor) if history.cursor else None,
        is_first=not cursor,
        pointers=_by_number(pointers),
        **await _lineage(caller, newest),
    )


@router.get("/version/{ref:path}")
async def version(request: Request, caller: Reads, ref: str, stored: str = "") -> Response:
    """One version, its content shown by format."""
    return await show(request, caller, ref, stored=stored)


async def show(request: Request, caller: Caller, ref: str, *, stored: str = "", fault: str = "") -> Response:
    """The page of a version, with what was done to it just now, or what was wrong with that."""
    found = await caller.tenant.get(_whole(ref))
    shown = found.version
    pointers = await caller.tenant.pointers(shown.name)
    return page(
        request,
        caller,
        "version",
        status=400 if fault else 200,
        fault=fault,
        version=shown,
        before=await _before(caller, shown),
        newest=await caller.tenant.resolve(shown.name),
        views=await views_of(found),
        pointers=_by_number(pointers).get(shown.number, []),
        steps=await caller.tenant.transitions(shown.ref),
        custody=await caller.tenant.custody(f"id:{shown.id}"),
        stored=stored,
        **await _lineage(caller, shown),
    )


@router.get("/compare")
async def compare(request: Request, caller: Reads, a: str, b: str) -> Response:
    """What has changed from one version to another: our report of it, in a frame that has no origin."""
    older, newer = await caller.tenant.resolve(_whole(a)), await caller.tenant.resolve(_whole(b))
    report = url("/v1/diff", a=older.ref, b=newer.ref, format="html")
    return page(request, caller, "compare", older=older, newer=newer, report=report)


async def _before(caller: Caller, shown: Version) -> Version | None:
    """The version to compare with: the one before it, unless that is in the trash."""
    if shown.number == 1:
        return None
    try:
        return await caller.tenant.resolve(f"{shown.name}@{shown.number - 1}")
    except NotFound:
        return None


def _whole(ref: str) -> Ref:
    parsed = Ref.parse(ref)
    if parsed.role:
        raise Invalid(Code.BAD_REFERENCE, f"{ref[:80]} is a component", hint="Leave out what follows the '#'.")
    return parsed


def _by_number(pointers: tuple[Pointer, ...]) -> dict[int, list[Pointer]]:
    found: defaultdict[int, list[Pointer]] = defaultdict(list)
    for pointer in pointers:
        if pointer.number is not None:
            found[pointer.number].append(pointer)
    return dict(found)


async def _lineage(caller: Caller, shown: Version) -> dict[str, Any]:
    """What a page says of where a version comes from, and of who uses it."""
    up: Lineage = await caller.tenant.lineage(shown.ref, "up", depth=_DEPTH, limit=_NODES)
    down: Lineage = await caller.tenant.lineage(shown.ref, "down", depth=_DEPTH, limit=_NODES)
    users = [node.version for node in down if node.depth == 1]
    return {
        "graph": await asyncio.to_thread(graph_of, up, down),
        "sources": up.versions[0].sources,
        "users": users[:_USERS],
        "user_count": len(users),
        "is_complete": down.is_complete,
    }
