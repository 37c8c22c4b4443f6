"""The library: what there is, newest first, filtered by indexes of the catalog only."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated, Final, get_args

from fastapi import Query, Request, Response
from markupsafe import escape
from pydantic import BaseModel

from casstore import limits
from casstore.errors import Invalid
from casstore.formats.bpmn.sketch import sketch
from casstore.http.asking import pairs
from casstore.http.callers import Reads
from casstore.kinds import registry
from casstore.model import Component, Page, State, Version
from casstore.refs import Ref
from casstore.web.contents import BPMN, PICTURES, bytes_of, kind_of
from casstore.web.rendering import page, url
from casstore.web.route import go, pages, told

__all__ = ["STATES", "router"]

router = pages()
STATES: Final = get_args(State)
_PAGE: Final = 24  # tiles: rows of one, two, three and four are all full
_SKETCH: Final = {
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, max-age=86400",  # its content stays, our way to draw it may not
}


class Wanted(BaseModel):
    """What to look for; an empty field is no filter."""

    q: str = ""  # how the name begins, or a digest
    kind: str = ""
    state: str = ""
    label: str = ""  # KEY=VALUE
    cursor: str = ""

    @property
    def is_filtered(self) -> bool:
        """Whether anything is left out."""
        return any((self.q, self.kind, self.state, self.label))

    def address(self, cursor: str | None) -> str:
        """Where the same list is, from a cursor on."""
        return url("/", q=self.q, kind=self.kind, state=self.state, label=self.label, cursor=cursor)


@dataclass(frozen=True, slots=True)
class Tile:
    """An artifact in the library."""

    version: Version
    picture: str | None  # the path of one of its pictures, or of the sketch of a process

    @classmethod
    def of(cls, version: Version) -> Tile:
        """The tile of an artifact whose newest version this is."""
        fitting = [each for each in version.components if each.size_bytes <= limits.PAGE_TILE_BYTES]
        for component in fitting:
            if kind_of(component) in PICTURES:
                return cls(version, bytes_of(version, component))
        for component in fitting:
            if kind_of(component) == BPMN:
                return cls(version, url(f"/sketch/{version.name}@{version.digest}/{component.role}"))
        return cls(version, None)


@router.get("/")
async def library(request: Request, caller: Reads, wanted: Annotated[Wanted, Query()]) -> Response:
    """Artifacts as tiles."""
    if wanted.q.startswith("b3:"):
        return go(request, url(f"/bytes/{wanted.q.strip()}"))
    fault, found = "", Page[Version](items=())
    try:
        found = await caller.tenant.list(
            name_prefix=wanted.q.strip() or None,
            type=wanted.kind.strip() or None,
            state=wanted.state or None,  # type: ignore[arg-type]  # the door checks it
            label=pairs("a label", [wanted.label.strip()]) if wanted.label.strip() else None,
            cursor=wanted.cursor or None,
            limit=_PAGE,
        )
    except Invalid as error:  # what was typed: told beside the form
        fault = told(error)
    return page(
        request,
        caller,
        "library",
        status=400 if fault else 200,
        wanted=wanted,
        fault=fault,
        tiles=[Tile.of(version) for version in found],
        following=wanted.address(found.cursor) if found.cursor else None,
        first=wanted.address(None) if wanted.cursor else None,
        kinds=registry.names(),
        states=STATES,
    )


@router.get("/sketch/{ref:path}/{role}")
async def sketched(caller: Reads, ref: str, role: str) -> Response:
    """The shapes of a process; where there are none, what other tiles without a picture have."""
    part = (await caller.tenant.get(Ref.parse(ref)))[role]
    drawn = await asyncio.to_thread(sketch, await part.bytes()) if _is_drawn(part.component) else None
    return Response(drawn or _mark(part.version.type), media_type="image/svg+xml", headers=_SKETCH)


def _is_drawn(component: Component) -> bool:
    return kind_of(component) == BPMN and component.size_bytes <= limits.PAGE_TILE_BYTES


def _mark(kind: str) -> bytes:
    text = '<text x="180" y="112" text-anchor="middle" font-family="sans-serif" font-size="40" font-weight="700"'
    mark = f'{text} fill="#3d5270">{escape(kind[:2].capitalize())}</text>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 360 200">{mark}</svg>'.encode()


@router.get("/bytes/{digest}")
async def holders(request: Request, caller: Reads, digest: str, cursor: str = "") -> Response:
    """Versions that have these bytes."""
    found = await caller.tenant.where_used(digest, cursor=cursor or None)
    following = url(f"/bytes/{digest}", cursor=found.cursor) if found.cursor else None
    return page(request, caller, "bytes", digest=digest, versions=found.items, following=following)
