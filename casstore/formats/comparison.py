"""What a comparison of two contents says, and a merge of three: the shape in which every format answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, get_args

from pydantic import BaseModel, ConfigDict

from casstore.model import Depth, Digest

__all__ = [
    "DEPTHS",
    "Change",
    "Comparison",
    "Decide",
    "Depth",
    "Format",
    "Meaning",
    "MergeConflict",
    "Merged",
    "Taken",
    "deepest",
    "undecided",
]

DEPTHS: Final[tuple[Depth, ...]] = get_args(Depth)  # from none to one that matters
Op: TypeAlias = Literal["added", "removed", "changed", "moved", "renamed", "retyped", "rewired"]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class Change(_Value):
    """One difference. `before` and `after` are JSON values; of what was added or removed only one of them counts."""

    op: Op
    path: str  # where: a JSON pointer (RFC 6901), an element's id, a line, a row's key
    what: str  # what kind of thing has changed, as people call it: "key", "item", "user task", "section", "row"
    text: str  # one sentence for people
    before: Any = None
    after: Any = None
    depth: Depth = "meaning"


class Comparison(_Value):
    """What has changed from one content to another of the same format."""

    format: str  # "json", "bpmn", "markdown", …
    depth: Depth  # of the deepest change; "same" where the bytes are equal
    changes: tuple[Change, ...] = ()  # in the order of the newer content, at most limits.CHANGES_MAX
    total: int = 0  # changes, also those that were cut
    summary: tuple[str, ...] = ()  # a few lines for people, the most important first
    patch: Any = None  # a JSON value that `apply` takes to make the newer content; None where the format has no patches
    details: dict[str, Any] = {}  # what else the format has to say, JSON values: docs/diff.md has the keys of each


class MergeConflict(_Value):
    """One place where both sides changed the same thing differently. A side where there is nothing is left out of `present`."""

    path: str  # as of Change
    text: str  # one sentence for people
    present: tuple[Literal["base", "ours", "theirs"], ...]
    base: Any = None
    ours: Any = None
    theirs: Any = None


class Taken(_Value):
    """How a conflict is to end: by what one side has in that place, or by a JSON value that is neither's."""

    side: Literal["base", "ours", "theirs", "value"]
    value: Any = None


Decide: TypeAlias = Callable[[MergeConflict], Taken | None]  # None leaves it a conflict


def undecided(_conflict: MergeConflict) -> Taken | None:
    """Leaves every conflict."""
    return None


class Merged(_Value):
    """A three-way merge: the merged content, or, where there are conflicts, none."""

    data: bytes | None
    conflicts: tuple[MergeConflict, ...] = ()


@dataclass(frozen=True, slots=True)
class Meaning:
    """The semantic digests of a content: equal where two contents mean the same, however they are written."""

    digest: Digest  # of what it means
    layout: Digest | None = None  # of what it means and how it is laid out, where the format tells the two apart


@dataclass(frozen=True, slots=True)
class Format:
    """What can be done with contents of some media types. All of it pure functions on bytes.

    `diff`, `apply` and `merge` raise Invalid: not_comparable with the reason, or the code of the fault in the content;
    `merge` also bad_argument if a value was decided that cannot be in that place.
    """

    name: str
    media_types: frozenset[str]
    diff: Callable[[bytes, bytes], Comparison]
    meaning: Callable[[bytes], Meaning | None] | None = (
        None  # None of a content that does not parse: it is stored all the same
    )
    apply: Callable[[bytes, Any], bytes] | None = None
    merge: Callable[[bytes, bytes, bytes, Decide], Merged] | None = None  # of base, ours, theirs


def deepest(depths: list[Depth]) -> Depth:
    """The deepest of these; "same" of none."""
    return max(depths, key=DEPTHS.index, default="same")
