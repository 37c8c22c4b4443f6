"""Text as lines: read strictly, and what of a line counts.

A line ends with U+000A; a carriage return before it is white space at its end. Two lines are the same line where they differ
in white space at the end alone.
"""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from re import Pattern
from typing import Final, NoReturn, TypeAlias

from casstore import limits
from casstore.errors import Code, Invalid
from casstore.formats.text.alignment import Block, Budget, align, differing
from casstore.model import Digest

__all__ = [
    "BOM",
    "MARKDOWN_ENDS",
    "TEXT_ENDS",
    "Aligned",
    "Normal",
    "align_lines",
    "in_common",
    "in_markdown",
    "in_text",
    "meaning_of",
    "read",
    "split",
    "starts",
]

BOM: Final = "\ufeff"
_HINT: Final = "Compare them as bytes, or download both."
_BLANK: Final = " \t\r\n\v\f"
_HARD_BREAK: Final = "  "

# White space at the end of a line, found at its first character only, so that a long run is passed once; and what is put there.
_FIRST: Final = r"[ \t\r\v\f](?<![ \t\r\v\f][ \t\r\v\f])"
_REST: Final = r"[ \t\r\v\f]"
TEXT_ENDS: Final = ((re.compile(rf"{_FIRST}{_REST}*+(?=\n|\Z)"), ""),)
MARKDOWN_ENDS: Final = (
    (re.compile(rf"{_FIRST}(?<=[^\n].){_REST}*?(?<=  )\r*+(?=\n|\Z)", re.DOTALL), "  "),
    (re.compile(rf"{_FIRST}(?!(?<=[^\n] ) (?:\n|\Z)){_REST}*+(?=\n|\Z)"), ""),
)

Normal: TypeAlias = Callable[[str], str]  # a line without what does not count


def read(data: bytes, which: str = "content") -> str:
    """The text of these bytes, with a byte order mark if it has one; raises Invalid (not_comparable) if it is none."""
    if len(data) > limits.COMPARED_MAX_BYTES:
        _refuse(which, f"has {len(data):,} bytes, and up to {limits.COMPARED_MAX_BYTES:,} are compared")
    if b"\0" in data:
        _refuse(which, f"has a zero byte at {data.index(0)}, so it is no text")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        _refuse(which, f"is no UTF-8 at byte {error.start}")


def split(text: str, which: str = "content") -> list[str]:
    """The lines, each with its end; raises Invalid (not_comparable) above `limits.COMPARED_LINES_MAX`."""
    if (count := text.count("\n")) > limits.COMPARED_LINES_MAX:
        _refuse(which, f"has {count:,} lines that may differ, and up to {limits.COMPARED_LINES_MAX:,} are compared")
    return list(io.StringIO(text))


def in_text(line: str) -> str:
    """A line of text without white space at its end."""
    return line.rstrip(_BLANK)


def in_markdown(line: str) -> str:
    """The same, but two or more spaces at the end of a line that is not blank are a hard break, and stay as two."""
    bare = line.rstrip("\r\n")
    words = line.rstrip(_BLANK)
    return words + _HARD_BREAK if words and bare.endswith(_HARD_BREAK) else words


def meaning_of(text: str, header: bytes, ends: tuple[tuple[Pattern[str], str], ...]) -> Digest:
    """The digest of the text without a byte order mark, what does not count in each line, and blank lines at the end.

    `ends` is TEXT_ENDS, which leaves of every line what `in_text` does, or MARKDOWN_ENDS, as `in_markdown`.
    """
    text = text.removeprefix(BOM).rstrip("\n")
    for pattern, stays in ends:
        text = pattern.sub(stays, text)
    return Digest.of(header + text.rstrip("\n").encode())


@dataclass(frozen=True, slots=True)
class Aligned:
    """The lines of two texts between their common beginning and end, and which of them stay."""

    before: list[str]
    after: list[str]
    partners: Sequence[int]  # of the lines of `before`
    first_line: int  # lines of the common beginning
    first_char: int  # characters of it

    def blocks(self) -> list[Block]:
        """What does not stay."""
        return list(differing(self.partners, len(self.after)))

    def respelt(self) -> list[tuple[int, int]]:
        """The lines that stay, but with other white space at the end."""
        return [(a, b) for a, b in enumerate(self.partners) if b >= 0 and self.before[a] != self.after[b]]


def align_lines(before: str, after: str, budget: Budget) -> Aligned:
    """Find the lines that stay. What the texts have in common at both ends is not even split."""
    head, tail = _common_lines(before, after)
    old = split(before[head : len(before) - tail], "older content")
    new = split(after[head : len(after) - tail], "newer content")
    partners = align([in_text(line) for line in old], [in_text(line) for line in new], budget)
    return Aligned(old, new, partners, before.count("\n", 0, head), head)


def starts(lines: Sequence[str], first: int = 0) -> list[int]:
    """Where each line begins, in characters, and where the last one ends."""
    return list(itertools.accumulate(map(len, lines), initial=first))


def in_common(most: int, equal: Callable[[int, int], bool]) -> int:
    """How far two sequences are equal, up to `most`; `equal` compares one piece of them. Takes time as that is long."""
    low, step = 0, 1
    while low < most and equal(low, min(low + step, most)):
        low, step = min(low + step, most), 2 * step
    high = min(low + step, most)  # the piece up to here is not equal, or empty
    while low < high - 1:
        middle = (low + high) // 2
        if equal(low, middle):
            low = middle
        else:
            high = middle
    return low


def _common_lines(before: str, after: str) -> tuple[int, int]:
    """How many characters of whole lines the texts have in common at the beginning, and at the end of the rest."""
    sizes = len(before), len(after)
    head = in_common(min(sizes), lambda low, high: before[low:high] == after[low:high])
    head = before.rfind("\n", 0, head) + 1
    tail = in_common(
        min(sizes) - head,
        lambda low, high: before[sizes[0] - high : sizes[0] - low] == after[sizes[1] - high : sizes[1] - low],
    )
    line_end = before.find("\n", sizes[0] - tail) if tail else -1
    return head, sizes[0] - line_end - 1 if line_end >= 0 else 0


def _refuse(which: str, why: str) -> NoReturn:
    raise Invalid(Code.NOT_COMPARABLE, f"the {which} {why}", hint=_HINT)
