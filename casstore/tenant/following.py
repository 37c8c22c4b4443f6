"""The part of a tenant's door that tells what is being changed. No logic."""

from __future__ import annotations

from collections.abc import AsyncIterator

from casstore import limits
from casstore.operations import following
from casstore.operations.following import Event, Events
from casstore.tenant.door import Door

__all__ = ["Following"]


class Following(Door):
    """Events."""

    async def events(self, *, after: str | None = None, limit: int = limits.PAGE_DEFAULT) -> Events:
        """What was changed, oldest first: each change once, none missing, those of one artifact in the order they were committed.

        A change is told when everything before it is final. A transaction that stays open on the catalog's server, whatever it is
        about, may so hold events up: then there is nothing for a while, and nothing is lost.

        Args:
            after: The `cursor` of an answer or of an event. None: from the first change. "now": nothing of what is there, for
                the cursor to go on with.
            limit: How many.

        Raises:
            Invalid: The cursor is from elsewhere (bad_cursor).
            NotFound: The tenant was deleted (tenant_deleted). Of one that was erased there are no events any more.
        """
        return await following.events(self._context, after=after, limit=limit)

    def follow(self, *, after: str | None = None) -> AsyncIterator[Event]:
        """Each event after a cursor, and then each that comes: `async for event in tenant.follow(after=…)`. It never ends.

        Keep the `cursor` of the last event that was dealt with, and go on with it. Arguments and errors are those of `events`.
        """
        return following.follow(self._context, after=after)
