"""Two texts side by side: rows of lines that face each other, with what differs within them marked, and what is the same folded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from itertools import groupby
from typing import Final

from markupsafe import Markup

__all__ = ["Block", "Row", "blocks_of"]

_CONTEXT: Final = 3  # lines that are the same, around one that is not
_FOLD_MIN: Final = 4  # fewer are shown
_FOLD_MAX: Final = 2_000  # lines that are kept in a fold; of more only the number is told
_LINE_CHARS: Final = 4_000  # of a longer line the rest is cut
_HEADER_LINES: Final = 3  # of a unified diff: two names, and one hunk that has all lines
_TOKENS_MAX: Final = 400  # of a line whose words are compared
_TOKEN: Final = re.compile(r"\w+|\s+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the older text beside one of the newer; an empty side has no number."""

    old: str | Markup = ""
    new: str | Markup = ""
    old_number: int | None = None
    new_number: int | None = None
    old_class: str = ""
    new_class: str = ""


@dataclass(slots=True)
class Block:
    """Rows that are shown together."""

    lines: list[Row] = field(default_factory=list)
    changed: bool = False
    folded: bool = False
    skipped: int = 0  # lines that are the same and left out
    id: str = ""


def blocks_of(unified: str, prefix: str) -> list[Block]:
    """The blocks of a unified diff that has all lines; ids of folds begin with `prefix`."""
    blocks = list(_folded(_grouped(unified)))
    for place, block in enumerate(blocks):
        block.id = f"{prefix}-{place}"
    return blocks


def _grouped(unified: str) -> Iterator[Block]:
    """Runs of lines that are the same, and runs of lines that are not."""
    lines = [line for line in unified.split("\n")[_HEADER_LINES:] if line and not line.startswith("\\")]
    old_number = new_number = 0
    for is_changed, run in groupby(lines, lambda line: not line.startswith(" ")):
        found = list(run)
        removed = [line[1:] for line in found if line.startswith("-")]
        added = [line[1:] for line in found if line.startswith("+")]
        if is_changed:
            yield Block(list(_facing(removed, added, old_number, new_number)), changed=True)
        else:
            yield Block(list(_facing_same(found, old_number, new_number)))
        old_number += len(removed) if is_changed else len(found)
        new_number += len(added) if is_changed else len(found)


def _facing_same(lines: list[str], old_number: int, new_number: int) -> Iterator[Row]:
    for place, line in enumerate(lines, 1):
        text = _cut(line[1:])
        yield Row(text, text, old_number + place, new_number + place)


def _facing(removed: list[str], added: list[str], old_number: int, new_number: int) -> Iterator[Row]:
    for place in range(max(len(removed), len(added))):
        old = _cut(removed[place]) if place < len(removed) else None
        new = _cut(added[place]) if place < len(added) else None
        marked = _marked(old, new) if old is not None and new is not None else (old or "", new or "")
        yield Row(
            *marked,
            None if old is None else old_number + place + 1,
            None if new is None else new_number + place + 1,
            "none" if old is None else "old",
            "none" if new is None else "new",
        )


def _marked(old: str, new: str) -> tuple[str | Markup, str | Markup]:
    """Both lines with the words that are not in the other marked."""
    ours, theirs = _TOKEN.findall(old), _TOKEN.findall(new)
    if max(len(ours), len(theirs)) > _TOKENS_MAX:
        return old, new
    left, right = [], []
    for op, a0, a1, b0, b1 in SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes():
        before, after = "".join(ours[a0:a1]), "".join(theirs[b0:b1])
        left.append(Markup("<del>{}</del>").format(before) if op != "equal" and before else before)
        right.append(Markup("<ins>{}</ins>").format(after) if op != "equal" and after else after)
    return Markup("").join(left), Markup("").join(right)


def _folded(blocks: Iterator[Block]) -> Iterator[Block]:
    """What is the same, but for a few lines around what is not, as blocks that begin folded."""
    every = list(blocks)
    for place, block in enumerate(every):
        if block.changed:
            yield block
            continue
        head = _CONTEXT if place else 0
        tail = _CONTEXT if place + 1 < len(every) else 0
        middle = block.lines[head : len(block.lines) - tail]
        if len(middle) < _FOLD_MIN:
            yield block
            continue
        yield from (Block(part) for part in [block.lines[:head]] if part)
        if len(middle) > _FOLD_MAX:
            yield Block(skipped=len(middle))
        else:
            yield Block(middle, folded=True)
        yield from (Block(part) for part in [block.lines[len(block.lines) - tail :]] if part and tail)


def _cut(line: str) -> str:
    line = line.removesuffix("\r")
    return line if len(line) <= _LINE_CHARS else f"{line[:_LINE_CHARS]}… ({len(line)} characters)"
