"""What a comparison of two artifacts answers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Literal, TypeAlias
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from casstore.formats.comparison import Change, Comparison, Depth, deepest
from casstore.model import Component, Digest

__all__ = ["ComponentDiff", "Diff", "Side"]

PartOp: TypeAlias = Literal["same", "added", "removed", "changed", "renamed"]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class Side(_Value):
    """One of the two that were compared: a version, one component of it, or data that is not in the store."""

    label: str  # for people: its reference, or the name of a file
    ref: str | None  # that always means it; None of data
    id: UUID | None
    name: str | None
    number: int | None
    title: str | None
    digest: Digest | None  # of the manifest
    created_at: datetime | None


class ComponentDiff(_Value):
    """What became of one component."""

    role: str  # in the newer, or, of one that was removed, in the older
    op: PartOp
    depth: Depth
    before: Component | None
    after: Component | None
    comparison: Comparison | None = (
        None  # None where there is only one of them, the digests are equal, or nothing can be compared
    )
    refused: str | None = None  # why it was not compared as what it is; then, where possible, as text or bytes

    @property
    def renamed_from(self) -> str | None:
        """The role it had before, if that was another."""
        return self.before.role if self.op == "renamed" and self.before else None


class Diff(_Value):
    """What has changed from one artifact to another, component by component. Components that are equal were not opened.

    Attributes:
        a: The older side.
        b: The newer side.
        components: Of both, in the order of roles.
        relations: Relations between components that were added or removed.
        fields: What else versions have: type, title, labels, metadata. They are not content, and do not count for `depth`.
        summary: A few lines for people, the most important first.
    """

    a: Side
    b: Side
    components: tuple[ComponentDiff, ...]
    relations: tuple[Change, ...]
    fields: tuple[Change, ...]
    summary: tuple[str, ...]

    @property
    def depth(self) -> Depth:
        """How deep the difference of the contents goes; "same" where all bytes are equal."""
        return deepest([part.depth for part in self.components] + ["meaning" for _ in self.relations])

    @property
    def changed(self) -> tuple[ComponentDiff, ...]:
        """The components that are not the same."""
        return tuple(part for part in self.components if part.op != "same")

    def __iter__(self) -> Iterator[ComponentDiff]:  # type: ignore[override]  # of the components, not of pydantic's fields
        return iter(self.components)
