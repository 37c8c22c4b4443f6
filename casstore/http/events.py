"""Events as server-sent events (`text/event-stream`, of the HTML standard): for `app(routers=[make_router()])`."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Annotated, Final

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse

from casstore import limits
from casstore.errors import Code, Unavailable
from casstore.http.callers import Reads
from casstore.operations.following import Events, Pauses
from casstore.tenant import AsyncTenant

__all__ = ["make_router"]

_BEAT_S: Final = 15.0  # of silence, then a comment: proxies hang up after 30 to 60 s
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
}  # the latter: nginx would collect what is sent


def make_router(*, most: int = 100, beat_s: float = _BEAT_S) -> APIRouter:
    """`GET /v1/events`: the events after `Last-Event-ID` or `?after=`, else those that come, until the client goes.

    Args:
        most: Streams at once, give or take some that begin at the same moment; who comes then is told to come later (503).
        beat_s: Seconds of silence before a comment is sent.
    """
    router, open_streams = APIRouter(), set[object]()

    @router.get("/v1/events", response_class=StreamingResponse)
    async def events(
        who: Reads,
        request: Request,
        after: Annotated[str | None, Query()] = None,
        last_event_id: Annotated[str | None, Header()] = None,
    ) -> StreamingResponse:
        """Follow the tenant's events. Each has its cursor as `id`."""
        if len(open_streams) >= most:
            raise Unavailable(Code.SERVER_BUSY, f"there are {most} streams already", hint="Come later.")
        first = await who.tenant.events(after=last_event_id or after or "now", limit=limits.PAGE_MAX)

        async def told() -> AsyncIterator[str]:
            token = object()  # counted from its first word on: of a client that went before, none is spoken
            open_streams.add(token)
            try:
                async for text in _stream(who.tenant, request, first, beat_s):
                    yield text
            finally:
                open_streams.discard(token)

        return StreamingResponse(told(), media_type="text/event-stream", headers=_HEADERS)

    return router


async def _stream(tenant: AsyncTenant, request: Request, page: Events, beat_s: float) -> AsyncIterator[str]:
    pauses, spoken_at = Pauses(), time.monotonic()
    yield ": casstore\n\n"
    while not await request.is_disconnected():
        for event in page.items:
            body = event.model_dump(mode="json") | {"ref": event.ref}
            yield f"id: {event.cursor}\nevent: {event.op}\ndata: {json.dumps(body)}\n\n"
        if page.items:
            pauses.begin()
            spoken_at = time.monotonic()
        elif time.monotonic() - spoken_at >= beat_s:
            yield ": still here\n\n"
            spoken_at = time.monotonic()
        if not page.more:
            await pauses.wait()
        await asyncio.sleep(0)
        page = await tenant.events(after=page.cursor, limit=limits.PAGE_MAX)
