"""The part of a tenant's door that says what stays: holds. No logic."""

from __future__ import annotations

from casstore import limits
from casstore.model import Page
from casstore.operations import holding
from casstore.operations.holding import Hold
from casstore.refs import Ref
from casstore.tenant.door import Door

__all__ = ["Keeping"]


class Keeping(Door):
    """Holding and releasing."""

    async def hold(self, target: str | Ref | None, hold: str, *, by: str, reason: str | None = None) -> Hold:
        """Hold a version or an artifact: nobody, and no rule, deletes, purges or erases it until the hold is released.

        Several holds may be on one thing, and one on many. What is in the trash can be held, and still taken back.

        Args:
            target: One version, by its number (`name@3`) or id; a whole artifact, by its name alone, with the versions it will
                have; or None for all that is this tenant's and will be.
            hold: What it is for, such as "case-17".
            by: Who does it, kept for ever: rather an id or a role than somebody's name.
            reason: Why.

        Raises:
            NotFound: There is no such artifact or version.
            Conflict: It was purged: there is nothing to be kept (version_purged). A hold that is there already is a success, so
                that a call whose answer was lost may be repeated.
        """
        return await holding.hold(self._context, target, hold, by=by, reason=reason)

    async def release(self, target: str | Ref | None, hold: str, *, by: str, reason: str | None = None) -> Hold:
        """Release a hold from just what it was placed on. Others on the same, or on more, go on holding.

        Raises NotFound (hold_not_found) where it never was; one that was released already is a success.
        """
        return await holding.release(self._context, target, hold, by=by, reason=reason)

    async def holds(
        self, *, released: bool = False, cursor: str | None = None, limit: int = limits.PAGE_DEFAULT
    ) -> Page[Hold]:
        """The holds there are, the last placed first; with `released`, those that were released."""
        return await holding.holds_of(self._context, released=released, cursor=cursor, limit=limit)
