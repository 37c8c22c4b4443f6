"""Three-way merges of texts: diff3 by lines (Khanna, Kunal, Pierce 2007), then by words where both sides changed the same lines.

A place that only one side changed is as that side has it, and one that both changed alike is as both have it. Where both
changed a line differently, it is merged word by word if a whole word that nobody changed is between any two changes of
different sides; else it is a conflict.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from re import Pattern
from typing import Final, Literal, NamedTuple

from casstore import limits
from casstore.errors import Code, Invalid
from casstore.formats.comparison import Decide, MergeConflict, Merged, Taken, undecided
from casstore.formats.text.alignment import Budget, align
from casstore.formats.text.lines import read, split
from casstore.formats.text.words import tokens

__all__ = ["merge"]

_WORD: Final = re.compile(r"\w")
_ANYTHING: Final = re.compile("")


class Chunk(NamedTuple):
    """What the three have in one place."""

    at: int  # index of the first item of base
    base: Sequence[str]
    ours: Sequence[str]
    theirs: Sequence[str]

    def decided(self) -> Sequence[str] | None:
        """The side that changed it, or what both made of it; None where they made different things."""
        if self.theirs in (self.ours, self.base):
            return self.ours
        return self.theirs if self.ours == self.base else None


def merge(base: bytes, ours: bytes, theirs: bytes, decide: Decide = undecided) -> Merged:
    """Merge what two sides made of a text. A value that is decided for a conflict is text.

    Raises Invalid: not_comparable if any of the three is none, or too long; bad_argument if a value was decided that is no text.
    """
    names = "common ancestor", "content of ours", "content of theirs"
    o, a, b = (split(read(data, name), name) for data, name in zip((base, ours, theirs), names, strict=True))
    merged: list[str] = []
    conflicts: list[MergeConflict] = []
    for chunk in _chunks(o, a, b, _ANYTHING):
        decided = chunk.decided()
        if decided is None:
            decided = _by_words(chunk)
        if decided is None:
            conflict = _conflict(chunk)
            decided = _taken(decide(conflict), chunk)
            conflicts += [conflict] if decided is None else []
        merged.extend(decided or ())
    return Merged(data=None if conflicts else "".join(merged).encode(), conflicts=tuple(conflicts))


def _chunks(base: Sequence[str], ours: Sequence[str], theirs: Sequence[str], stays: Pattern[str]) -> Iterator[Chunk]:
    """What all three have, if it matches `stays`, and what is between that, in turns."""
    to_ours, to_theirs = align(base, ours, Budget()), align(base, theirs, Budget())
    o = a = b = 0
    for index, (x, y) in enumerate(zip(to_ours, to_theirs, strict=True)):
        if x < 0 or y < 0 or not stays.match(base[index]):
            continue
        if index > o or x > a or y > b:
            yield Chunk(o, base[o:index], ours[a:x], theirs[b:y])
        yield Chunk(index, *([item] for item in (base[index], ours[x], theirs[y])))
        o, a, b = index + 1, x + 1, y + 1
    if o < len(base) or a < len(ours) or b < len(theirs):
        yield Chunk(o, base[o:], ours[a:], theirs[b:])


def _by_words(chunk: Chunk) -> list[str] | None:
    """The chunk merged word by word; None where that is not safe, or too long."""
    texts = ["".join(side) for side in (chunk.base, chunk.ours, chunk.theirs)]
    if not all(texts) or sum(map(len, texts)) > limits.COMPARED_WORDS_CHARS:
        return None
    base, ours, theirs = map(tokens, texts)
    merged: list[str] = []
    for piece in _chunks(base, ours, theirs, _WORD):
        decided = piece.decided()
        if decided is None:
            return None
        merged.extend(decided)
    return merged


def _taken(taken: Taken | None, chunk: Chunk) -> Sequence[str] | None:
    """What was decided for a chunk; None where nothing was."""
    if taken is None:
        return None
    if taken.side != "value":
        return {"base": chunk.base, "ours": chunk.ours, "theirs": chunk.theirs}[taken.side]
    if isinstance(taken.value, str):
        return [taken.value]
    message = f"a {type(taken.value).__name__} was decided for lines of a text"
    raise Invalid(Code.BAD_ARGUMENT, message, hint="Give the lines as one text, with their ends.")


def _conflict(chunk: Chunk) -> MergeConflict:
    sides: list[tuple[Literal["base", "ours", "theirs"], Sequence[str]]] = [
        ("base", chunk.base),
        ("ours", chunk.ours),
        ("theirs", chunk.theirs),
    ]
    values = {name: "".join(lines) for name, lines in sides if lines}
    first, last = chunk.at + 1, chunk.at + len(chunk.base)
    if not chunk.base:
        path, text = f"+{first}", f"both sides put different lines before line {first}"
    elif first == last:
        path, text = f"-{first}", f"both sides changed line {first} differently"
    else:
        path, text = f"-{first}-{last}", f"both sides changed lines {first} to {last} differently"
    return MergeConflict(path=path, text=text, present=tuple(name for name, lines in sides if lines), **values)
