"""JSON as a format: contents compared, patched and merged, and what they mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, wraps
from typing import Any, Final, ParamSpec, TypeVar

from casstore import limits
from casstore.errors import Code, Invalid
from casstore.formats.comparison import Comparison, Decide, Format, Merged, undecided
from casstore.formats.json import canonical
from casstore.formats.json.diffing import measured_patch
from casstore.formats.json.documents import Document, load, write
from casstore.formats.json.exact import same
from casstore.formats.json.matching import IDENTITY
from casstore.formats.json.merging import merge_values
from casstore.formats.json.patching import apply_patch
from casstore.formats.json.telling import tell

__all__ = ["FORMAT", "MEDIA_TYPES", "apply", "diff", "json_format", "merge"]

MEDIA_TYPES: Final = frozenset(
    {"application/json", "application/ld+json", "application/schema+json", "application/vnd.api+json", "text/json"}
)
_P = ParamSpec("_P")
_R = TypeVar("_R")


def _within_the_stack(work: Callable[_P, _R]) -> Callable[_P, _R]:
    """A caller may have used up most of the stack before."""

    @wraps(work)
    def worked(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return work(*args, **kwargs)
        except RecursionError as error:
            raise Invalid(Code.NOT_COMPARABLE, "the content is nested too deeply for the stack that is left") from error

    return worked


@_within_the_stack
def diff(older: bytes, newer: bytes, identity: Sequence[str] = IDENTITY) -> Comparison:
    """What has changed, with a JSON Patch (RFC 6902) that makes exactly the newer value of the older one.

    Raises Invalid (bad_json, not_comparable).
    """
    if older == newer:
        return Comparison(format="json", depth="same", patch=[])
    one, other = load(older), load(newer)
    patch, patch_bytes = measured_patch(one.value, other.value, identity)
    told = tell(one.value, other.value, identity)
    notes = _notes(one, other)
    return Comparison(
        format="json",
        depth="meaning" if patch or notes else "formatting",
        changes=tuple(told.changes),
        total=told.total,
        summary=(*told.summary(), *notes),
        patch=patch,
        details={"counts": dict(told.counts), "patch_bytes": patch_bytes, **({"notes": notes} if notes else {})},
    )


@_within_the_stack
def apply(data: bytes, patch: Any) -> bytes:
    """What a JSON Patch makes of a content, indented as that is; raises Invalid (bad_patch, bad_json, not_comparable)."""
    document = load(data)
    made = write(apply_patch(document.value, patch), document.text)
    if len(made) > limits.COMPARED_MAX_BYTES:
        raise Invalid(
            Code.BAD_PATCH, f"the patch makes {len(made)} bytes; at most {limits.COMPARED_MAX_BYTES} are made"
        )
    return made


@_within_the_stack
def merge(
    base: bytes, ours: bytes, theirs: bytes, decide: Decide = undecided, *, identity: Sequence[str] = IDENTITY
) -> Merged:
    """What both sides made of the base, together: indented as the base, or a side's own bytes where the other changed nothing.

    Raises Invalid: bad_json, not_comparable; the latter also of an object with a key twice, as one of the two would be lost;
    bad_argument if a value was decided that cannot be.
    """
    documents = [load(data) for data in (base, ours, theirs)]
    for document in documents:
        if document.duplicate is not None:
            fault = f"the content cannot be merged: an object has the key {document.duplicate!a:.80} twice"
            raise Invalid(Code.NOT_COMPARABLE, fault, hint="Leave one of them.")
    root, one, other = (document.value for document in documents)
    if same(root, one) and same(root, other):
        return Merged(data=_written(base, ours, theirs))
    if same(root, other) or same(root, one):
        return Merged(data=ours if same(root, other) else theirs)
    if same(one, other):
        return Merged(data=min(ours, theirs))
    merged, conflicts = merge_values(root, one, other, identity, decide)
    if conflicts:
        return Merged(data=None, conflicts=tuple(conflicts))
    return Merged(data=write(merged, documents[0].text))


def _written(base: bytes, ours: bytes, theirs: bytes) -> bytes:
    """One value in three spellings: the one that somebody changed."""
    if theirs == base:
        return ours
    return theirs if ours == base else min(ours, theirs)


def _notes(one: Document, other: Document) -> list[str]:
    return [
        f"The {side} content has the key {document.duplicate!a:.80} twice in one object; the last one was compared."
        for side, document in (("older", one), ("newer", other))
        if document.duplicate is not None
    ]


def json_format(identity: Sequence[str] = IDENTITY, media_types: frozenset[str] = MEDIA_TYPES) -> Format:
    """The format with other keys that tell list items apart, such as `("sku", "id")`: the first that most have counts."""
    return Format(
        name="json",
        media_types=media_types,
        diff=partial(diff, identity=tuple(identity)),
        meaning=canonical.meaning,
        apply=apply,
        merge=partial(merge, identity=tuple(identity)),
    )


FORMAT: Final = json_format()
