"""The part of a tenant's door that lets go: into the trash, back from it, and for ever. No logic."""

from __future__ import annotations

from datetime import timedelta

from casstore import limits
from casstore.model import Deleted, Digest, Impact, Page, Version
from casstore.operations import deleting, erasing_content
from casstore.operations.deleting import Verb
from casstore.operations.receipts import ContentReceipt
from casstore.refs import Ref
from casstore.tenant.door import Door

__all__ = ["LettingGo"]


class LettingGo(Door):
    """Deleting, undeleting, purging, erasing."""

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

    async def erase_content(
        self, digest: str | Digest, *, by: str, reason: str | None = None, backups: timedelta = timedelta()
    ) -> ContentReceipt:
        """Erase one content from every version that has it, also in the trash, for ever.

        The versions keep their numbers, names, history, digests and other components; reading this one answers content_erased.
        The log tells of the digest by a salted hash only. The same bytes may be put again, by anybody. The bytes go when the
        collector has been there, unless another tenant has them too. What stays: docs/how-to/erase.md.

        Args:
            digest: Of the content, as a component has it.
            by: Who does it, kept with it.
            reason: Why, kept with it.
            backups: How long you keep backups of the catalog: the receipt's `gone_at` counts on it.

        Raises:
            NotFound: No version has it, or had (content_not_found).
            Conflict: A version that has it is held (still_used). One that was erased already is a success, with the same receipt,
                so that a call whose answer was lost may be repeated.
        """
        return await erasing_content.erase(self._context, digest, by=by, reason=reason, backups=backups)

    async def explain(self, verb: Verb, target: str | Ref) -> Impact:
        """What `delete`, `delete_artifact`, `purge`, `purge_artifact` or `erase_content` of this target would do now.

        It changes nothing.

        Where holds, aliases, tags or other versions block it, the answer names them; other errors are raised as that method raises
        them.
        """
        return await deleting.explain(self._context, verb, target)
