"""What changed between two versions beside their contents, and the whole of a difference in a few lines for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from casstore.formats.comparison import Change
from casstore.formats.json.exact import same
from casstore.kinds import pointer
from casstore.model import Relation, Version
from casstore.operations.differences import ComponentDiff

__all__ = ["fields_of", "relations_of", "summary_of"]

_SUMMARY_LINES: Final = 3  # of one component, where there are several


def fields_of(before: Version, after: Version) -> Iterator[Change]:
    """What versions have besides content: type, title, labels, metadata."""
    for name in ("type", "title"):
        old, new = getattr(before, name), getattr(after, name)
        if old != new:
            text = f"{name} {_shown(new)} instead of {_shown(old)}"
            yield Change(op="changed", path=pointer(name), what=name, text=text, before=old, after=new)
    yield from _keys("label", "labels", before.labels, after.labels)
    yield from _keys("metadata", "metadata", before.metadata, after.metadata)


def _keys(what: str, field_name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    for key in sorted(old.keys() | new.keys()):
        path = pointer(field_name, key)
        if key not in new:
            yield Change(op="removed", path=path, what=what, text=f"{what} {key} removed", before=old[key])
        elif key not in old:
            text = f"{what} {key} added: {_shown(new[key])}"
            yield Change(op="added", path=path, what=what, text=text, after=new[key])
        elif not same(old[key], new[key]):
            text = f"{what} {key} {_shown(new[key])} instead of {_shown(old[key])}"
            yield Change(op="changed", path=path, what=what, text=text, before=old[key], after=new[key])


def relations_of(before: Version, after: Version) -> Iterator[Change]:
    """Relations between components that are there on one side only."""
    old, new = set(before.relations), set(after.relations)
    yield from (_relation("removed", relation) for relation in sorted(old - new))
    yield from (_relation("added", relation) for relation in sorted(new - old))


def _relation(op: Literal["added", "removed"], relation: Relation) -> Change:
    text = f"{relation.source} {relation.name.replace('_', ' ')} {relation.target}: {op}"
    return Change(op=op, path=str(relation), what="relation", text=text)


def summary_of(parts: Sequence[ComponentDiff], beside: Iterable[Change]) -> Iterator[str]:
    """What to read first: the components that changed, in words, then the rest."""
    changed = [part for part in parts if part.op != "same"]
    for part in changed:
        lines = _lines(part)
        if len(parts) == 1:
            yield from lines
        else:
            yield from (f"{part.role}: {line}" for line in lines[:_SUMMARY_LINES])
    if parts and len(parts) > 1 and len(changed) < len(parts):
        yield f"{len(parts) - len(changed)} of {len(parts)} components are the same"
    yield from (change.text for change in beside)


def _lines(part: ComponentDiff) -> list[str]:
    if part.op == "renamed":
        return [f"was {part.renamed_from}"]
    if part.op in ("added", "removed"):
        return [part.op]
    lines = list(part.comparison.summary) if part.comparison else []
    if part.before and part.after and part.before.media_type != part.after.media_type:
        lines.insert(0, f"{part.after.media_type} instead of {part.before.media_type}")
    if part.refused:
        lines.insert(0, f"cannot be compared as {part.after.media_type if part.after else 'it is'}: {part.refused}")
    return lines or ["changed"]


def _shown(value: Any) -> str:
    return "nothing" if value is None else f"{value!r:.80}"
