"""The part of a tenant's door that says what stays, and for how long: holds, retention. No logic."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from casstore import limits
from casstore.model import Hold, Page
from casstore.operations import holding, retaining
from casstore.operations.retaining import Custody, Expiry, Retained, Retention, RetentionPreview
from casstore.refs import Ref
from casstore.retention import RetentionPolicy
from casstore.tenant.door import Door

__all__ = ["Keeping"]


class Keeping(Door):
    """Holding and releasing; rules of retention; when versions expire."""

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

    async def set_retention(
        self, policy: RetentionPolicy | Mapping[str, Any], *, by: str, expect: int | None = None
    ) -> Retention:
        """Say by which rules this tenant's versions are kept. Nothing is dropped before `apply_retention`.

        Args:
            policy: Ordered rules, as `RetentionPolicy` or as `RetentionPolicy.from_dict` takes them.
            by: Who does it, kept for ever: rather an id or a role than somebody's name.
            expect: The revision the policy must have now; 0 for "there must be none".

        Raises:
            Invalid: The policy (bad_retention): the error names the place.
            Conflict: Its revision is another (retention_moved). The same policy again is a success, and changes nothing.
        """
        return await retaining.set_policy(self._context, policy, by=by, expect=expect)

    async def retention(self) -> Retention | None:
        """The policy that counts now; None where none was set."""
        return await retaining.retention_of(self._context)

    async def preview_retention(
        self, *, cursor: str | None = None, limit: int = limits.PAGE_DEFAULT
    ) -> RetentionPreview:
        """What `apply_retention` would do with each version now, the newest first: kept or dropped, by which rule, and why.

        It changes nothing. The first page has the totals of all.
        """
        return await retaining.preview(self._context, cursor=cursor, limit=limit)

    async def apply_retention(self, *, by: str) -> Retained:
        """Put the versions that the rules do not keep, and those that have expired, into the trash; purge those of long ago.

        It drops what `preview_retention` says, in batches, and looks again at each under the locks of `delete`: what is held,
        pointed at, or what a version that stays was made from, stays. After an interruption call it again. Only what retention
        itself has dropped, `purge_after` ago, is purged.

        Raises:
            Conflict: Somebody has set another policy meanwhile (retention_moved): what was dropped until then stays dropped.
        """
        return await retaining.apply(self._context, by=by)

    async def custody(self, ref: str | Ref) -> Custody:
        """What keeps the version that `ref` means, and until when it is wanted: its expiry, and each hold that is on it."""
        return await retaining.custody(self._context, ref)

    async def expire(
        self, ref: str | Ref, when: datetime | timedelta | None, *, by: str, reason: str | None = None
    ) -> Expiry:
        """Say when a version expires: from then on `apply_retention` drops it, whatever the rules say. Until then they count.

        Args:
            ref: One version, by its number (`name@3`) or id.
            when: An instant, between the years 1900 and 9000; so long from now, by the catalog's clock; or None for never.
            by: Who does it, kept for ever.
            reason: Why.
        """
        return await retaining.expire(self._context, ref, when, by=by, reason=reason)
