"""Unified diffs, as terminals show them and `patch` takes them."""

from __future__ import annotations

from collections.abc import Iterator

from casstore.formats.text.alignment import Block, Budget
from casstore.formats.text.lines import Aligned, align_lines, read

__all__ = ["unified"]


def unified(before: bytes, after: bytes, *, older: str = "before", newer: str = "after", context: int = 3) -> str:
    """The unified diff of two texts, "" where they are equal; raises Invalid (not_comparable) if either is none."""
    old, new = read(before, "older content"), read(after, "newer content")
    if old == new:
        return ""
    aligned = align_lines(old, new, Budget())
    around = _Around(old, aligned, context)
    lines = [f"--- {older}\n", f"+++ {newer}\n"]
    for hunk in _hunks(aligned, context):
        lines += around.hunk(hunk)
    return "".join(lines)


def _hunks(aligned: Aligned, context: int) -> Iterator[list[Block]]:
    """The blocks that share a hunk, because less than twice the context is between them. Lines spelt anew are blocks, too."""
    blocks = sorted([*aligned.blocks(), *(Block(i, i + 1, j, j + 1) for i, j in aligned.respelt())])
    hunk: list[Block] = []
    for block in blocks:
        if hunk and block.a0 - hunk[-1].a1 > 2 * context:
            yield hunk
            hunk = []
        hunk.append(block)
    if hunk:
        yield hunk


class _Around:
    """The lines around a hunk, which may be outside what was aligned."""

    def __init__(self, old: str, aligned: Aligned, context: int) -> None:
        self._aligned, self._context = aligned, context
        head = old[: aligned.first_char].rsplit("\n", context + 1)[-context - 1 : -1] if context else []
        self._head = [line + "\n" for line in head]
        size = sum(map(len, aligned.before))
        tail = old[aligned.first_char + size :].split("\n", context)
        self._tail = [line + "\n" for line in tail[:context]] if len(tail) > context else _with_ends(tail)

    def hunk(self, blocks: list[Block]) -> Iterator[str]:
        """The lines of a hunk, its header first."""
        aligned, first, last = self._aligned, blocks[0], blocks[-1]
        lead = [*self._head, *aligned.before[: first.a0]][-self._context :] if self._context else []
        lead = lead[-(first.a0 + len(self._head)) :] if first.a0 + len(self._head) else []
        trail = [*aligned.before[last.a1 :][: self._context], *self._tail][: self._context]
        body = [*_marked(" ", lead)]
        at = first.a0
        for block in blocks:
            body += _marked(" ", aligned.before[at : block.a0])
            body += _marked("-", aligned.before[block.a0 : block.a1])
            body += _marked("+", aligned.after[block.b0 : block.b1])
            at = block.a1
        body += _marked(" ", trail)
        old = _range(aligned.first_line + first.a0 - len(lead), last.a1 - first.a0 + len(lead) + len(trail))
        new = _range(aligned.first_line + first.b0 - len(lead), last.b1 - first.b0 + len(lead) + len(trail))
        yield f"@@ -{old} +{new} @@\n"
        yield from body


def _with_ends(pieces: list[str]) -> list[str]:
    return [*(piece + "\n" for piece in pieces[:-1]), *filter(None, pieces[-1:])]


def _marked(mark: str, lines: list[str]) -> Iterator[str]:
    for line in lines:
        yield mark + line if line.endswith("\n") else f"{mark}{line}\n\\ No newline at end of file\n"


def _range(begin: int, size: int) -> str:
    """Where a hunk is: its first line, or the one before where it has none, and how many lines it has."""
    return f"{begin + 1}" if size == 1 else f"{begin + (size > 0)},{size}"
