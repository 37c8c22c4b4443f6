"""A comparison as a patch: what `apply` of the format takes to make the newer content of the older."""

from __future__ import annotations

from typing import Any

from casstore.errors import Code, Invalid
from casstore.operations.differences import ComponentDiff, Diff

__all__ = ["patch_of"]


def patch_of(diff: Diff) -> Any:
    """Of one component its patch, of several an object of them by role; those that are the same are left out.

    Raises Invalid (not_comparable) for a component without one: it was added, removed or renamed, or its format has no patches.
    """
    patches = {part.role: _patch(part) for part in diff.changed}
    if len(diff.components) == 1:
        return next(iter(patches.values()), [])
    return patches


def _patch(part: ComponentDiff) -> Any:
    if part.comparison is None or part.comparison.patch is None:
        what = f"was {part.op}" if part.op != "changed" else "is of a format without patches"
        message = f"there is no patch of the component {part.role}: it {what}"
        raise Invalid(Code.NOT_COMPARABLE, message, hint="Choose another with --component, or fetch the newer content.")
    return part.comparison.patch
