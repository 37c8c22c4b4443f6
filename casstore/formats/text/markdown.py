"""Comparing two Markdown documents: by sections, whose lines are compared whether or not they have moved."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from casstore import limits
from casstore.formats.comparison import Change, Comparison, Depth
from casstore.formats.text import comparing, patch
from casstore.formats.text.alignment import Budget
from casstore.formats.text.comparing import Counts, Lines, line_changes, summed_up
from casstore.formats.text.lines import MARKDOWN_ENDS, in_markdown, meaning_of, read, split
from casstore.formats.text.sections import Section, matched, moved, sections

__all__ = ["HEADER", "diff"]

HEADER: Final = b"casstore/markdown/1\n"  # of the digest of what a document means
_SUMMARY_MAX: Final = 20  # lines


def diff(before: bytes, after: bytes) -> Comparison:
    """What has changed from one document to another; raises Invalid (not_comparable) if either is no text, or too long."""
    old, new = read(before, "older content"), read(after, "newer content")
    if before == after:
        return Comparison(format="markdown", depth="same", patch=None)
    budget = Budget()
    whole = Lines.of(old, new, budget)
    depth: Depth = "formatting" if _meaning(old) == _meaning(new) else "meaning"
    words: dict[str, Any] = {}
    long = max(old.count("\n"), new.count("\n")) > limits.COMPARED_SECTIONS_LINES
    told = _Plain(whole, depth, words) if long else _Sections(old, new, depth, words, budget)
    changes = tuple(islice(told.changes(), limits.CHANGES_MAX))
    return Comparison(
        format="markdown",
        depth=depth,
        changes=changes,
        total=told.total(),
        summary=tuple(told.summary(changes)),
        patch=patch.made(before, whole.aligned, whole.refined),
        details={
            "lines": comparing.details_of(whole.counts, old, new),
            "words": words,
            "sections": told.details(),
        },
    )


def _meaning(text: str) -> Any:
    return meaning_of(text, HEADER, MARKDOWN_ENDS)


class _Plain:
    """A document that is too long to be told by sections."""

    def __init__(self, whole: Lines, depth: Depth, words: dict[str, Any]) -> None:
        self._whole, self._depth, self._words = whole, depth, words

    def changes(self) -> Iterator[Change]:
        return line_changes(self._whole, in_markdown, self._depth, self._words)

    def total(self) -> int:
        return self._whole.counts.total

    def summary(self, _: tuple[Change, ...]) -> Iterator[str]:
        yield summed_up(self._whole.counts)
        yield "too long to be told by sections"

    def details(self) -> None:
        return None


class _Sections:
    """Two documents by sections."""

    def __init__(self, old: str, new: str, depth: Depth, words: dict[str, Any], budget: Budget) -> None:
        self._depth, self._words = depth, words
        self._old, self._new = sections(split(old)), sections(split(new))
        pairs = matched(self._old, self._new)
        self._origin = {j: i for i, j in pairs.items()}
        self._removed = [i for i in range(len(self._old)) if i not in pairs]
        self._moved = moved(self._old, self._new, pairs)
        self._bodies = {
            j: Lines.of(self._old[i].body, self._new[j].body, budget)
            for i, j in pairs.items()
            if self._old[i].body != self._new[j].body
        }

    def changes(self) -> Iterator[Change]:
        """In the order of the newer document; what was removed comes where it was."""
        removed = iter(self._removed)
        gone = next(removed, None)
        for j, section in enumerate(self._new):
            i = self._origin.get(j)
            while i is not None and gone is not None and gone < i and j not in self._moved:
                yield self._one("removed", self._old[gone])
                gone = next(removed, None)
            if i is None:
                yield self._one("added", section)
            else:
                yield from self._kept(j, self._old[i], section)
        while gone is not None:
            yield self._one("removed", self._old[gone])
            gone = next(removed, None)

    def _kept(self, j: int, old: Section, new: Section) -> Iterator[Change]:
        if j in self._moved:
            yield self._changed("moved", old, new, f"section {new.name!r} moved{_whither(old, new)}")
        if old.title != new.title:
            yield self._changed("renamed", old, new, f"section {old.name!r} is now {new.name!r}")
        elif old.heading != new.heading:
            yield self._heading(old, new)
        if j in self._bodies:
            firsts = tuple(section.line + section.heading.count("\n") for section in (old, new))
            yield from line_changes(self._bodies[j], in_markdown, self._depth, self._words, (firsts[0], firsts[1]))

    def _heading(self, old: Section, new: Section) -> Change:
        if old.level != new.level:
            text = f"section {new.name!r} is now of level {new.level}, not {old.level}"
            return self._changed("changed", old, new, text)
        respelt = _meaning(old.heading) == _meaning(new.heading)
        change = self._changed("changed", old, new, f"the heading of section {new.name!r} is written differently")
        return change.model_copy(update={"depth": "formatting"}) if respelt else change

    def _one(self, op: Any, section: Section) -> Change:
        lines = (section.heading + section.body).count("\n") + (not (section.heading + section.body).endswith("\n"))
        text = f"section {section.name!r} {op}, {lines:,} line{'s' * (lines != 1)}"
        shown = (section.heading + section.body)[: limits.SHOWN_CHARS]
        values = {"before": shown} if op == "removed" else {"after": shown}
        return Change(op=op, path=_path(section), what="section", text=text, depth=self._depth, **values)

    def _changed(self, op: Any, old: Section, new: Section, text: str) -> Change:
        before, after = (
            (old.heading[: limits.SHOWN_CHARS], new.heading[: limits.SHOWN_CHARS])
            if op == "changed"
            else (_path(old), _path(new))
        )
        return Change(op=op, path=_path(new), what="section", text=text, before=before, after=after, depth=self._depth)

    def _ops(self) -> Iterator[tuple[str, Section]]:
        """Every change of a section as a whole."""
        yield from (("removed", self._old[i]) for i in self._removed)
        for j, section in enumerate(self._new):
            if (i := self._origin.get(j)) is None:
                yield "added", section
                continue
            if j in self._moved:
                yield "moved", section
            if self._old[i].title != section.title:
                yield "renamed", section
            elif self._old[i].heading != section.heading:
                yield "heading", section

    def total(self) -> int:
        """All changes."""
        return sum(1 for _ in self._ops()) + sum(lines.counts.total for lines in self._bodies.values())

    def summary(self, changes: tuple[Change, ...]) -> Iterator[str]:
        """The sections that were touched, in words; those that came or went first."""
        told = [change.text for change in changes if change.what == "section"]
        told += [f"{self._called(j)} changed: {summed_up(lines.counts)}" for j, lines in sorted(self._bodies.items())]
        yield from told[:_SUMMARY_MAX]
        if len(told) > _SUMMARY_MAX:
            yield f"and {len(told) - _SUMMARY_MAX:,} more sections"
        if self._depth == "formatting":
            yield "white space only"

    def _called(self, j: int) -> str:
        section = self._new[j]
        return f"section {section.name!r}" if section.level else section.name

    def details(self) -> dict[str, Any]:
        """As in docs/diff.md."""
        found: dict[str, list[str]] = {op: [] for op in ("added", "removed", "renamed", "moved", "changed")}
        for op, section in self._ops():
            found["changed" if op == "heading" else op].append(_path(section))
        found["changed"] += [_path(self._new[j]) for j in sorted(self._bodies)]
        counts = Counts()
        for lines in self._bodies.values():
            counts.add(lines.counts)
        names = {op: list(dict.fromkeys(paths))[: limits.CHANGES_MAX] for op, paths in found.items()}
        return {"before": len(self._old), "after": len(self._new), **names, "lines_changed": counts.total}


def _path(section: Section) -> str:
    return " / ".join(section.path) or section.name


def _whither(old: Section, new: Section) -> str:
    if old.path[:-1] == new.path[:-1]:
        return ""
    places = [" / ".join(section.path[:-1]) or "the top" for section in (old, new)]
    return f" from {places[0]!r} to {places[1]!r}"
