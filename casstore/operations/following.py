"""events: what was changed, told in order to who follows a tenant.

Nothing is pushed: who follows asks again, soon after there was something and seldom when there is nothing. That passes every
pooler, needs no session, and a round trip that finds nothing costs a look at an index.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Final

from pydantic import BaseModel, ConfigDict

from casstore import limits
from casstore.catalog import events as log
from casstore.catalog.connection import Catalog
from casstore.catalog.events import Event, Place
from casstore.errors import Code, Unavailable
from casstore.operations import Context
from casstore.operations.listing import page_size

__all__ = ["NOW", "START", "Event", "Events", "Pauses", "events", "follow", "read"]

NOW: Final = "now"
"""Instead of a cursor: after everything that is there."""

START: Final = "start"
"""Instead of a cursor: before everything that is there."""

_PAUSE_S: Final = 0.01  # between looks whether a writer has ended, which takes milliseconds


class Events(BaseModel):
    """Some events in order, and where to go on."""

    model_config = ConfigDict(frozen=True)

    items: tuple[Event, ...]
    cursor: str  # always: what comes later is after it
    more: bool  # whether there is, or may be, more already


class Pauses:
    """How long to wait before the next question: briefly after there was something, then longer and longer."""

    def __init__(self) -> None:
        self._next_s = limits.EVENTS_FIRST_PAUSE.total_seconds()

    def begin(self) -> None:
        """There was something."""
        self._next_s = limits.EVENTS_FIRST_PAUSE.total_seconds()

    async def wait(self) -> None:
        """Wait; there was nothing."""
        pause_s = self._next_s
        self._next_s = min(pause_s * 2, limits.EVENTS_LONGEST_PAUSE.total_seconds())
        await asyncio.sleep(pause_s)


async def events(context: Context, *, after: str | None, limit: int) -> Events:
    """What there is after a cursor; see `AsyncTenant.events` for the promise."""
    size = page_size(limit)
    if after == NOW:
        place = await _end(context.catalog, context.tenant)
        return Events(items=(), cursor=str(place), more=False)
    place = Place.parse(None if after == START else after)
    items, place, more = await read(context.catalog, context.tenant, place, size)
    return Events(items=tuple(items), cursor=str(place), more=more)


async def follow(context: Context, *, after: str | None) -> AsyncIterator[Event]:
    """Each event after a cursor, and then each that comes, without end."""
    pauses = Pauses()
    while True:
        page = await events(context, after=after, limit=limits.PAGE_MAX)
        for event in page.items:
            yield event
        after = page.cursor
        if page.items:
            pauses.begin()
        if not page.more:
            await pauses.wait()


async def read(catalog: Catalog, tenant: str, place: Place, limit: int) -> tuple[list[Event], Place, bool]:
    """Up to `limit` events from a place on, the place to go on at, and whether there is more already.

    A place remembers what it waits for: so a reader gets on, however many transactions there are at any moment.
    """
    waited = bool(place.until)
    settled = False
    if not waited:
        found = await log.look(catalog, tenant, place.after)
        if found is None:
            return [], place, False
        until, transaction, settled = found
        place = Place(place.after, until, transaction)
    if not settled and not await _settles(catalog, place.transaction, limits.EVENTS_PATIENCE.total_seconds()):
        return [], place, False
    items = await log.events(catalog, tenant, place.after, place.until, limit + 1)
    if len(items) > limit:
        return items[:limit], Place(items[limit - 1].id), True
    return items, Place(max(place.after, place.until)), waited  # its end is of an earlier look


async def _end(catalog: Catalog, tenant: str) -> Place:
    """After everything that was committed before."""
    found = await log.look(catalog, tenant, None)
    if found is None:
        raise AssertionError  # without a row to go on after there is always an answer
    until, transaction, settled = found
    if not settled and not await _settles(catalog, transaction, limits.SETTLE_TIMEOUT.total_seconds()):
        message = f"a transaction on the catalog's server was open for {limits.SETTLE_TIMEOUT.total_seconds():g} s"
        hint = "Look for it in pg_stat_activity, then ask again: what it may still write would be left out."
        raise Unavailable(Code.CATALOG_BUSY, message, hint=hint)
    return Place(until)


async def _settles(catalog: Catalog, transaction: int, patience_s: float) -> bool:
    end = time.monotonic() + patience_s
    while not await log.has_settled(catalog, transaction):
        if time.monotonic() > end:
            return False
        await asyncio.sleep(_PAUSE_S)
    return True
