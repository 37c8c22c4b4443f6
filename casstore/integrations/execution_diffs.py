"""Two executions compared: artifact by artifact, by the keys that their results gave them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from casstore.errors import Code, Invalid
from casstore.formats.comparison import Depth, deepest
from casstore.operations.differences import Diff
from casstore.tenant import AsyncTenant

__all__ = ["ExecutionDiff", "diff_executions"]

_ID = "_artifact_id"


class ExecutionDiff(BaseModel):
    """What has changed from one execution's artifacts to another's."""

    model_config = ConfigDict(frozen=True)

    artifacts: dict[str, Diff]  # that both made, by key
    added: tuple[str, ...]  # keys that only the newer has
    removed: tuple[str, ...]  # keys that only the older has
    summary: tuple[str, ...]  # a few lines for people

    @property
    def depth(self) -> Depth:
        """How deep the difference goes; "same" where both made the same."""
        return deepest(
            [diff.depth for diff in self.artifacts.values()] + ["meaning" for _ in (*self.added, *self.removed)]
        )


async def diff_executions(tenant: AsyncTenant, before: Mapping[str, Any], after: Mapping[str, Any]) -> ExecutionDiff:
    """Compare what the references of two executions mean: the older first; errors as `AsyncTenant.diff`.

    Args:
        tenant: Whose they are.
        before: `<key>_artifact_id` for each artifact, as `store_execution` answers them; all other keys are left alone.
        after: Likewise.
    """
    old, new = _ids(before), _ids(after)
    both = [key for key in new if key in old]
    diffs = {key: await tenant.diff(old[key], new[key]) for key in both}
    added, removed = tuple(key for key in new if key not in old), tuple(key for key in old if key not in new)
    lines = [f"{key}: {line}" for key, diff in diffs.items() if diff.depth != "same" for line in diff.summary]
    lines += [f"{key}: added" for key in added] + [f"{key}: removed" for key in removed]
    return ExecutionDiff(artifacts=diffs, added=added, removed=removed, summary=tuple(lines))


def _ids(references: Mapping[str, Any]) -> dict[str, UUID]:
    found = {}
    for name, value in references.items():
        if name.endswith(_ID):
            try:
                found[name.removesuffix(_ID)] = UUID(value)
            except (ValueError, TypeError, AttributeError) as error:
                message = f"{name} is {value!a:.80}, which is no id of an artifact"
                raise Invalid(Code.BAD_REFERENCE, message) from error
    return found
