"""What has changed within lines that do not stay: which line became which, and which words of it are new."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, NamedTuple

from casstore import limits
from casstore.formats.text.alignment import Budget, align, differing
from casstore.formats.text.lines import in_common

__all__ = ["Edit", "Refined", "refine", "spans", "tokens"]

_TOKEN: Final = re.compile(r"\w+|[^\S\n]+|\n|[^\w\s]")
_WORDS: Final = re.compile(r"\w")
_WORD_MAX: Final = 100  # characters; a cut may go through a longer one


class Edit(NamedTuple):
    """Characters `a0` to `a1` of the older text become `b0` to `b1` of the newer one."""

    a0: int
    a1: int
    b0: int
    b1: int


@dataclass(frozen=True, slots=True)
class Refined:
    """Of two runs of lines: what is new within them, and which older line became which newer one."""

    edits: list[Edit]  # in characters of each run
    pairs: dict[int, int]  # rising; a line that has no partner is all removed, or all added


def tokens(text: str) -> list[str]:
    """Words, runs of white space, line ends and single signs, which make the text again when joined."""
    return _TOKEN.findall(text)


def refine(before: list[str], after: list[str], budget: Budget) -> Refined:
    """Compare two runs of lines word by word; above `limits.COMPARED_WORDS_CHARS`, or the budget, only from both ends."""
    old, new = "".join(before), "".join(after)
    head, tail = _ends(old, new)
    inner_old, inner_new = old[head : len(old) - tail], new[head : len(new) - tail]
    long = len(inner_old) + len(inner_new) > limits.COMPARED_WORDS_CHARS or budget.left <= 0
    if not inner_old or not inner_new or long:
        edits = [Edit(head, len(old) - tail, head, len(new) - tail)]
    else:
        edits = _by_words(inner_old, inner_new, head, budget)
    return Refined(edits, _paired(before, after, edits))


def spans(edits: list[Edit], starts_before: list[int], starts_after: list[int]) -> tuple[list[list[list[int]]], ...]:
    """For each line of both runs, which of its characters are in an edit: pairs of begin and end."""
    return (
        _cut_at([(edit.a0, edit.a1) for edit in edits], starts_before),
        _cut_at([(edit.b0, edit.b1) for edit in edits], starts_after),
    )


def _ends(old: str, new: str) -> tuple[int, int]:
    """Characters in common at the beginning and at the end of the rest, in whole words where these are not too long."""
    most = min(len(old), len(new))
    head = in_common(most, lambda low, high: old[low:high] == new[low:high])
    head = _to_a_gap(range(head, max(0, head - _WORD_MAX), -1), old, new, 0)
    most -= head
    ends = len(old), len(new)
    tail = in_common(most, lambda low, high: old[ends[0] - high : ends[0] - low] == new[ends[1] - high : ends[1] - low])
    size = _to_a_gap(range(ends[0] - tail, min(ends[0], ends[0] - tail + _WORD_MAX)), old, new, ends[1] - ends[0])
    return head, ends[0] - size


def _to_a_gap(places: range, old: str, new: str, shift: int) -> int:
    """The first place where a cut goes through no word of both; the first of all where there is none."""
    if not places:
        return places.start
    fine = (at for at in places if not (_within(old, at) or _within(new, at + shift)))
    return next(fine, places.start if len(places) == _WORD_MAX else places.stop)


def _within(text: str, at: int) -> bool:
    """Whether a cut here goes through a word."""
    return 0 < at < len(text) and _WORDS.match(text, at - 1) is not None and _WORDS.match(text, at) is not None


def _by_words(old: str, new: str, first: int, budget: Budget) -> list[Edit]:
    a, b = tokens(old), tokens(new)
    at_a, at_b = list(accumulate(map(len, a), initial=first)), list(accumulate(map(len, b), initial=first))
    edits: list[Edit] = []
    for block in differing(align(a, b, budget), len(b)):
        edit = Edit(at_a[block.a0], at_a[block.a1], at_b[block.b0], at_b[block.b1])
        if edits and not _WORDS.search(old, edits[-1].a1 - first, edit.a0 - first):
            edits[-1] = Edit(edits[-1].a0, edit.a1, edits[-1].b0, edit.b1)  # nobody sees that a space between stays
        else:
            edits.append(edit)
    return edits


def _paired(before: list[str], after: list[str], edits: list[Edit]) -> dict[int, int]:
    """Lines that have half of what can be seen of them in common."""
    starts_a, starts_b = list(accumulate(map(len, before), initial=0)), list(accumulate(map(len, after), initial=0))
    shared: Counter[tuple[int, int]] = Counter()
    for a0, a1, b0 in _kept(edits, starts_a[-1], starts_b[-1]):
        at = a0
        while at < a1:
            i = bisect_right(starts_a, at) - 1
            j = bisect_right(starts_b, b0 + at - a0) - 1
            end = min(a1, starts_a[i + 1], starts_b[j + 1] - b0 + a0)
            shared[i, j] += _weight(before[i][at - starts_a[i] : end - starts_a[i]])
            at = end
    pairs: dict[int, int] = {}
    last = -1
    for (i, j), weight in sorted(shared.items()):
        if i not in pairs and j > last and 4 * weight >= _weight(before[i]) + _weight(after[j]) > 0:
            pairs[i] = last = j
    return pairs


def _kept(edits: list[Edit], size_before: int, size_after: int) -> list[tuple[int, int, int]]:
    """What is between the edits: begin and end in the older text, begin in the newer one."""
    ends = [*edits, Edit(size_before, size_before, size_after, size_after)]
    kept, a, b = [], 0, 0
    for edit in ends:
        if edit.a0 > a:
            kept.append((a, edit.a0, b))
        a, b = edit.a1, edit.b1
    return kept


def _weight(text: str) -> int:
    """Characters that are not white space."""
    return len(text) - sum(map(text.count, " \t\r\n"))


def _cut_at(ranges: list[tuple[int, int]], starts: list[int]) -> list[list[list[int]]]:
    """Ranges of a text as ranges of each of its lines."""
    lines: list[list[list[int]]] = [[] for _ in starts[1:]]
    for begin, end in ranges:
        at = begin
        while at < end:
            line = bisect_right(starts, at) - 1
            stop = min(end, starts[line + 1])
            lines[line].append([at - starts[line], stop - starts[line]])
            at = stop
    return lines
