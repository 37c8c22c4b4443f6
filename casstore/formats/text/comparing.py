"""Comparing two texts: lines that came, went or changed, and which words of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from casstore import limits
from casstore.formats.comparison import Change, Comparison, Depth
from casstore.formats.text import patch
from casstore.formats.text.alignment import Block, Budget
from casstore.formats.text.lines import TEXT_ENDS, Aligned, Normal, align_lines, in_text, meaning_of, read, starts
from casstore.formats.text.words import Refined, refine, spans

__all__ = ["HEADER", "Counts", "Lines", "diff", "line_changes", "summed_up"]

HEADER: Final = b"casstore/text/1\n"  # of the digest of what a text means
_CUT: Final = "…"


@dataclass(slots=True)
class Counts:
    """How many lines there are of each."""

    added: int = 0
    removed: int = 0
    changed: int = 0  # became another one
    respelt: int = 0  # differ in white space at the end

    @property
    def total(self) -> int:
        """Of all."""
        return self.added + self.removed + self.changed + self.respelt

    def add(self, other: Counts) -> None:
        """Count these, too."""
        self.added += other.added
        self.removed += other.removed
        self.changed += other.changed
        self.respelt += other.respelt


@dataclass(frozen=True, slots=True)
class Lines:
    """Two texts aligned, and the blocks that differ compared word by word."""

    aligned: Aligned
    blocks: list[Block]
    refined: list[Refined]
    counts: Counts = field(default_factory=Counts)

    @classmethod
    def of(cls, before: str, after: str, budget: Budget) -> Lines:
        """Compare these."""
        aligned = align_lines(before, after, budget)
        blocks = aligned.blocks()
        refined = [refine(aligned.before[b.a0 : b.a1], aligned.after[b.b0 : b.b1], budget) for b in blocks]
        counts = Counts(respelt=len(aligned.respelt()))
        for block, words in zip(blocks, refined, strict=True):
            counts.changed += len(words.pairs)
            counts.removed += block.a1 - block.a0 - len(words.pairs)
            counts.added += block.b1 - block.b0 - len(words.pairs)
        return cls(aligned, blocks, refined, counts)


def diff(before: bytes, after: bytes) -> Comparison:
    """What has changed from one text to another; raises Invalid (not_comparable) if either is none, or too long."""
    old, new = read(before, "older content"), read(after, "newer content")
    if before == after:
        return Comparison(format="text", depth="same", patch=None)
    lines = Lines.of(old, new, Budget())
    depth: Depth = "formatting" if _same_meaning(old, new) else "meaning"
    words: dict[str, Any] = {}
    changes = tuple(islice(line_changes(lines, in_text, depth, words), limits.CHANGES_MAX))
    return Comparison(
        format="text",
        depth=depth,
        changes=changes,
        total=lines.counts.total,
        summary=(summed_up(lines.counts) + ("" if depth == "meaning" else ", white space only"),),
        patch=patch.made(before, lines.aligned, lines.refined),
        details={"lines": details_of(lines.counts, old, new), "words": words},
    )


def details_of(counts: Counts, old: str, new: str) -> dict[str, int]:
    """The numbers of lines, as in docs/diff.md."""
    return {
        "before": old.count("\n") + (old[-1:] not in ("", "\n")),
        "after": new.count("\n") + (new[-1:] not in ("", "\n")),
        "added": counts.added,
        "removed": counts.removed,
        "changed": counts.changed,
        "respelt": counts.respelt,
    }


def summed_up(counts: Counts) -> str:
    """The numbers in words: "2 lines changed, 1 added"."""
    told = [
        (counts.changed, "changed"),
        (counts.added, "added"),
        (counts.removed, "removed"),
        (counts.respelt, "with other white space at the end"),
    ]
    parts = [(number, word) for number, word in told if number]
    first = [f"{number:,} line{'s' * (number != 1)} {word}" for number, word in parts[:1]]
    return ", ".join(first + [f"{number:,} {word}" for number, word in parts[1:]])


def line_changes(
    lines: Lines, normal: Normal, depth: Depth, words: dict[str, Any], firsts: tuple[int, int] | None = None
) -> Iterator[Change]:
    """The changes of lines in the order of the newer text; `words` gets the changed words of each by its path.

    The lines are numbered from `firsts`, of the older and the newer text; else from where the texts begin to differ.
    """
    line = lines.aligned.first_line
    base = firsts or (0, 0)
    telling = _Telling(lines.aligned, normal, depth, words, (base[0] + line + 1, base[1] + line + 1))
    respelt = iter([*lines.aligned.respelt(), (len(lines.aligned.before), 0)])
    i, j = next(respelt)
    for block, refined in zip(lines.blocks, lines.refined, strict=True):
        while i < block.a0:
            yield telling.respelt(i, j)
            i, j = next(respelt)
        yield from telling.of_block(block, refined)
    while i < len(lines.aligned.before):
        yield telling.respelt(i, j)
        i, j = next(respelt)


@dataclass(frozen=True, slots=True)
class _Telling:
    """Making changes of lines."""

    aligned: Aligned
    normal: Normal
    depth: Depth  # of a difference that counts
    words: dict[str, Any]
    firsts: tuple[int, int]  # the numbers of the first lines

    def respelt(self, i: int, j: int) -> Change:
        """A line with other white space at its end."""
        old, new = self.aligned.before[i], self.aligned.after[j]
        depth: Depth = "formatting" if self.normal(old) == self.normal(new) else self.depth
        begin = len(in_text(old))
        return self._changed(i, j, ([[begin, len(old)]], [[begin, len(new)]]), depth)

    def of_block(self, block: Block, refined: Refined) -> Iterator[Change]:
        """The lines of a block that were removed, changed and added."""
        old, new = self.aligned.before[block.a0 : block.a1], self.aligned.after[block.b0 : block.b1]
        marks = spans(refined.edits, starts(old), starts(new)) if refined.pairs else ([], [])
        done = 0
        for i, line in enumerate(old):
            partner = refined.pairs.get(i)
            if partner is None:
                yield self._one("removed", f"-{self.firsts[0] + block.a0 + i}", line)
                continue
            for j in range(done, partner):
                yield self._one("added", f"+{self.firsts[1] + block.b0 + j}", new[j])
            yield self._changed(block.a0 + i, block.b0 + partner, (marks[0][i], marks[1][partner]), self.depth)
            done = partner + 1
        for j in range(done, len(new)):
            yield self._one("added", f"+{self.firsts[1] + block.b0 + j}", new[j])

    def _one(self, op: Any, path: str, line: str) -> Change:
        shown = _shown(line, 0)
        values = {"before": shown} if op == "removed" else {"after": shown}
        return Change(op=op, path=path, what="line", text=f"line {path[1:]} {op}", depth=self.depth, **values)

    def _changed(self, i: int, j: int, marks: tuple[list[list[int]], list[list[int]]], depth: Depth) -> Change:
        numbers = self.firsts[0] + i, self.firsts[1] + j
        path = f"-{numbers[0]}+{numbers[1]}"
        begin = max(0, min((span[0] for side in marks for span in side), default=0) - limits.SHOWN_CHARS // 4)
        old, new = self.aligned.before[i], self.aligned.after[j]
        if len(old) <= limits.SHOWN_CHARS and len(new) <= limits.SHOWN_CHARS:
            begin = 0
        self.words[path] = {"before": _moved(marks[0], begin), "after": _moved(marks[1], begin)}
        text = f"line {numbers[1]} changed" if depth == "meaning" else f"line {numbers[1]} has other white space"
        before, after = _shown(old, begin), _shown(new, begin)
        return Change(op="changed", path=path, what="line", text=text, before=before, after=after, depth=depth)


def _shown(line: str, begin: int) -> str:
    """The line, or what can be shown of it from this character on."""
    piece = line[begin : begin + limits.SHOWN_CHARS]
    return _CUT * (begin > 0) + piece + _CUT * (begin + len(piece) < len(line))


def _moved(marks: list[list[int]], begin: int) -> list[list[int]]:
    """The marks within what is shown."""
    shift = begin - (begin > 0)
    most = limits.SHOWN_CHARS + (begin > 0)
    return [[max(0, a - shift), min(b - shift, most)] for a, b in marks if a - shift < most]


def _same_meaning(old: str, new: str) -> bool:
    return meaning_of(old, HEADER, TEXT_ENDS) == meaning_of(new, HEADER, TEXT_ENDS)
