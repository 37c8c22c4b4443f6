"""The part of a tenant's door that compares, patches and merges. No logic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from casstore.model import Stored
from casstore.operations import applying, diffing, merging
from casstore.operations.differences import Diff
from casstore.operations.diffing import Compared
from casstore.operations.merges import Merge, Resolution
from casstore.operations.put import OnSame
from casstore.operations.sides import Target
from casstore.refs import Ref
from casstore.tenant.door import Door

__all__ = ["Comparing"]


class Comparing(Door):
    """Comparing versions, their components, and data that is not in the store; applying patches; merging versions."""

    async def diff(self, a: Target, b: Target, *, component: str | None = None) -> Diff:
        """What has changed from `a` to `b`: between versions, names, components, or with data that is not stored yet.

        Components with equal digests are not opened. The others are compared by their formats (docs/diff.md); what a format
        cannot compare is compared as text or as bytes, and says why.

        Args:
            a: The older: a reference (text), a Version, an id, or data as `put` takes it, such as a Path or `Components`.
            b: The newer.
            component: Only this one.

        Raises:
            Invalid: Data that could not be stored either, or one component against several (bad_components).
            NotFound: A version or component; also what is another tenant's.
            Corrupt: The bytes of a component that has changed (blob_missing, blob_altered).
        """
        return await diffing.diff(self._context, a, b, component=component)

    async def compare(self, a: Target, b: Target, *, component: str | None = None) -> Compared:
        """As `diff`, with the bytes of the components that differ, for a report: `casstore.reports` makes text and pages of it."""
        return await diffing.compare(self._context, a, b, component=component)

    async def apply(
        self,
        ref: str | Ref,
        patch: Any,
        *,
        component: str | None = None,
        into: str | None = None,
        title: str | None = None,
        labels: Mapping[str, str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        on_same: OnSame = "reuse",
        idempotency_key: str | None = None,
        by: str | None = None,
    ) -> Stored:
        """Put what a patch makes of a version as the next one, all of the patch or nothing; the new version has it as its source.

        Args:
            ref: The version that the patch was made for; its artifact gets the new one, if it is still the newest.
            patch: As `casstore.reports.patch_of` and `casstore diff --format patch` make it: of JSON a JSON Patch (RFC 6902), of
                text its own; for several components an object of patches by role. Components without one stay as they are.
            component: The component that the patch is for; `#ROLE` in the reference says the same.
            into: Put it under this name instead.
            title: Instead of that of the version; so `labels` and `metadata`.
            labels: As of `put`.
            metadata: As of `put`.
            on_same: As of `put`: a patch that changes nothing makes no version, or another one.
            idempotency_key: As of `put`: a repetition has the arguments as they were, and the same answer whatever was put since.
            by: As of `put`.

        Raises:
            Invalid: The patch is none or does not apply (bad_patch: which component and operation, and why), is for content that is
                not what its media type says (bad_json), too large or of a format without patches (not_comparable); or the result
                is not what its kind promises (bad_composition).
            NotFound: The version or the component.
            Conflict: The version is not the newest any more (head_moved); as `put`.
        """
        asked = applying.Asked(ref, patch, component, into, title, labels, metadata, on_same, idempotency_key, by)
        return await applying.apply(self._context, asked)

    async def merge(
        self,
        ours: str | Ref,
        theirs: str | Ref,
        *,
        base: str | Ref | None = None,
        into: str | None = None,
        resolved: Iterable[Resolution] = (),
        preview: bool = False,
        idempotency_key: str | None = None,
        by: str | None = None,
    ) -> Merge:
        """Merge two versions that go back to a third, and put the result as a new version that was made from both.

        What one side alone has changed is taken, component by component; where both have, the component's format merges inside.
        With conflicts nothing is stored: the answer names each, and `resolved` says how it is to end when the merge is repeated.

        Args:
            ours: The version whose artifact gets the merged one, if it is still the newest.
            theirs: The other.
            base: What both began with; without it the nearest version that both were made from, or an earlier one of
                one side's name that the other was made from.
            into: Put it under this name instead.
            resolved: How conflicts are to end.
            preview: Store nothing.
            idempotency_key: As of `put`: a repetition has the arguments as they were, and the same answer whatever was put since,
                while the versions are there. Conflicts and previews use up no key.
            by: As of `put`.

        Raises:
            Invalid: There is no common version and no `base`, or a conflict was to end by a value that cannot be there
                (bad_argument) or is no JSON (bad_json), nothing would be left (bad_components), or the result is not what
                its kind promises (bad_composition).
            NotFound: One of the three.
            Conflict: `ours` is not the newest any more, or a resolution has no conflict (head_moved); as `put`.
        """
        asked = merging.Asked(ours, theirs, base, into, tuple(resolved), preview, idempotency_key, by)
        return await merging.merge(self._context, asked)
