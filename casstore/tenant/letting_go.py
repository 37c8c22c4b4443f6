"""The part of a tenant's door that lets go: into the trash, back from it, and for ever. No logic."""

from __future__ import annotations

from datetime import timedelta

from casstore import limits
from casstore.model import Deleted, Impact, Page, Version
from casstore.operations import deleting
from casstore.operations.deleting import Verb
from casstore.refs import Ref
from casstore.tenant.door import Door

__all__ = ["LettingGo"]


class LettingGo(Door):
    """Deleting, undeleting, purging."""

    async def delete(self, ref: str | Ref, *, by: str, reason: str | None = None) -> Deleted:
        """Put a version into the trash: reading it answers version_deleted from now on, and nothing of it is gone.

        Its number stays taken, and `name` means the newest version that is left. `undelete` takes it back.

        Args:
            ref: One version, by its number (`name@3`) or id.
            by: Who does it, kept with it: rather an id or a role than somebody's name.
            reason: Why.

        Raises:
            Conflict: It is held, an alias or a tag points at it, or a version was made from it (still_used): the error names them.
                A version that is in the trash already is a success, so that a call whose answer was lost may be repeated.
        """
        return await deleting.delete(self._context, ref, by=by, reason=reason)

    async def delete_artifact(self, name: str, *, by: str, reason: str | None = None) -> tuple[Deleted, ...]:
        """Put all versions of an artifact into the trash, its aliases and tags with them; errors as `delete`."""
        return await deleting.delete_artifact(self._context, name, by=by, reason=reason)

    async def undelete(self, ref: str | Ref, *, by: str, reason: str | None = None) -> Version:
        """Take a version back from the trash. Raises Conflict (source_deleted) while something it was made from is still there."""
        return await deleting.undelete(self._context, ref, by=by, reason=reason)

    async def undelete_artifact(self, name: str, *, by: str, reason: str | None = None) -> tuple[Version, ...]:
        """Take all versions of an artifact back from the trash, also those that were deleted one by one."""
        return await deleting.undelete_artifact(self._context, name, by=by, reason=reason)

    async def trash(
        self, *, purged: bool = False, cursor: str | None = None, limit: int = limits.PAGE_DEFAULT
    ) -> Page[Deleted]:
        """What is in the trash, the last deleted first; with `purged`, what is left of what was purged."""
        return await deleting.trash_of(self._context, purged=purged, cursor=cursor, limit=limit)

    async def purge(self, ref: str | Ref, *, by: str, reason: str | None = None) -> Deleted:
        """Let go of the content of a version that is in the trash, for ever. Its number, name, digest and history stay.

        Bytes that nothing else refers to are freed by the next collections: see `AsyncStore.collect`.

        Args:
            ref: One version, by its number (`name@3`) or id.
            by: Who does it, kept with it.
            reason: Why, kept in the log.

        Raises:
            Conflict: It is not in the trash (not_deleted), held, or a version that can still come back was made from it
                (still_used). A version that was purged already is a success, so that a call whose answer was lost may be repeated.
        """
        return await deleting.purge(self._context, ref, by=by, reason=reason)

    async def purge_artifact(self, name: str, *, by: str, reason: str | None = None) -> tuple[Deleted, ...]:
        """Purge what of an artifact is in the trash; errors as `purge`."""
        return await deleting.purge_artifact(self._context, name, by=by, reason=reason)

    async def empty_trash(self, older_than: timedelta, *, by: str, reason: str | None = None) -> int:
        """Purge all that was deleted so long ago, by the catalog's clock, or earlier; answers how many versions that were.

        What is held is left, and what that was made from.
        """
        return await deleting.empty_trash(self._context, older_than, by=by, reason=reason)

    async def explain(self, verb: Verb, target: str | Ref) -> Impact:
        """What `delete`, `delete_artifact`, `purge` or `purge_artifact` of this target would do now; it changes nothing.

        Where holds, aliases, tags or other versions block it, the answer names them; other errors are raised as that method raises
        them.
        """
        return await deleting.explain(self._context, verb, target)
