"""What a three-way merge of versions answers, and what it is told about conflicts."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

from casstore.formats.comparison import MergeConflict
from casstore.model import Stored
from casstore.operations.differences import Side

__all__ = ["Merge", "MergedPart", "PartConflict", "Resolution", "Take"]

Take: TypeAlias = Literal["base", "ours", "theirs", "value"]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class MergedPart(_Value):
    """Where a component of the merged version comes from."""

    role: str
    taken: Literal["same", "ours", "theirs", "merged", "resolved", "conflict"]
    is_there: bool  # False where the side that counts has removed it


class PartConflict(_Value):
    """A conflict, and the component it is in; "" is what a version has beside its components: title, labels, metadata."""

    role: str
    conflict: MergeConflict


class Resolution(_Value):
    """How one conflict is to end: by what one side has in that place, or by a value that is neither's."""

    role: str
    path: str
    take: Take
    value: Any = None  # where that is to be taken


class Merge(_Value):
    """A merge of two versions that go back to a third."""

    base: Side
    ours: Side
    theirs: Side
    into: str  # the name that gets the merged version
    components: tuple[MergedPart, ...]
    conflicts: tuple[PartConflict, ...]  # where there are any, nothing was stored
    stored: (
        Stored | None
    )  # the merged version, made from both sides; None with conflicts, or where only a preview was wanted
