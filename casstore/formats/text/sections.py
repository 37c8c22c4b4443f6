"""The sections of a Markdown document, and which of an older one became which of a newer one.

A section is a heading (CommonMark 0.31.2: ATX, 4.2, or setext, 4.3, of one line) and what follows it up to the next one. What is
in a fenced block of code (4.5) is no heading. What comes before the first heading is a section without a title; a block between
lines `---` at the very beginning is the front matter.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final

from casstore.formats.text.alignment import longest_rising
from casstore.formats.text.lines import BOM, in_text

__all__ = ["FRONT_MATTER", "Section", "matched", "moved", "sections"]

FRONT_MATTER: Final = "front matter"
_ATX: Final = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$")
_SETEXT: Final = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_MARKS: Final = frozenset("#=-`~")  # what the lines begin with that the patterns here look for
_FENCE: Final = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})")
_NO_PARAGRAPH: Final = re.compile(r" {4}|\t| {0,3}(?:>|[-+*](?:\s|$)|\d{1,9}[.)](?:\s|$)|#{1,6}(?:\s|$)|\|)")
_ALIKE: Final = 0.5  # of the lines, and a section with another title is the same one
_COMPARISONS_MAX: Final = 10_000  # of sections without a partner; beyond, only equal ones are found


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a document."""

    title: str  # "" before the first heading
    level: int  # of the heading, 1 to 6; 0 where there is none
    path: tuple[str, ...]  # the titles of the sections it is in, and its own
    parent: int | None  # the index of the section it is in
    line: int  # index of its first line
    heading: str  # its lines
    body: str

    @property
    def name(self) -> str:
        """As people call it."""
        return self.title or ("the beginning" if not self.level else "a section without a title")


def sections(lines: list[str]) -> list[Section]:
    """The sections of a document, in order."""
    found: list[Section] = []
    ancestors: list[int] = []
    starts = [*_headings(lines), (len(lines), 0, 0, "")]
    if starts[0][0] > 0:
        starts.insert(0, (0, 0, 0, ""))
    for (at, size, level, title), (end, *_) in itertools.pairwise(starts):
        while ancestors and (level == 0 or found[ancestors[-1]].level >= level):
            ancestors.pop()
        parent = ancestors[-1] if ancestors else None
        path = (*(found[parent].path if parent is not None else ()), title)
        heading, body = "".join(lines[at : at + size]), "".join(lines[at + size : end])
        if level:
            ancestors.append(len(found))
        found.append(Section(title, level, path, parent, at, heading, body))
    return found


def _headings(lines: list[str]) -> list[tuple[int, int, int, str]]:
    """Index of the first line, number of lines, level and title of each heading."""
    found: list[tuple[int, int, int, str]] = []
    start = _front_matter(lines)
    if start:
        found.append((0, 0, 0, FRONT_MATTER))
        found.append((start, 0, 0, ""))
    fence = ""
    for index in range(start, len(lines)):
        line = in_text(lines[index])
        if fence:
            stripped = line.strip()
            if stripped.startswith(fence) and not stripped.strip(fence[0]):
                fence = ""
        elif line.lstrip(f"{BOM} ")[:1] not in _MARKS:
            continue  # nearly every line
        elif opened := _FENCE.match(line):
            fence = opened[1]
        elif (atx := _ATX.match(line.removeprefix(BOM))) and not line.startswith("    "):
            found.append((index, 1, len(atx[1]), (atx[2] or "").strip()))
        elif (setext := _SETEXT.match(line)) and index > start and _is_paragraph(lines, index - 1, found):
            found.append((index - 1, 2, 1 if setext[1][0] == "=" else 2, lines[index - 1].strip()))
    if start and (start == len(lines) or any(at == start for at, _, level, _ in found[2:] if level)):
        del found[1]  # nothing is between the front matter and the first heading
    return found


def _front_matter(lines: list[str]) -> int:
    """How many lines of front matter there are."""
    if not lines or in_text(lines[0].removeprefix(BOM)) != "---":
        return 0
    return next((index + 1 for index in range(1, len(lines)) if in_text(lines[index]) == "---"), 0)


def _is_paragraph(lines: list[str], index: int, found: list[tuple[int, int, int, str]]) -> bool:
    """Whether this line alone is a paragraph, which an underline makes a heading."""
    after_heading = bool(found) and found[-1][0] + found[-1][1] == index
    alone = index == 0 or after_heading or not in_text(lines[index - 1])
    is_heading = bool(found) and found[-1][1] > 0 and found[-1][0] + found[-1][1] > index
    line = in_text(lines[index])
    return alone and not is_heading and line != "" and not _NO_PARAGRAPH.match(line) and not _SETEXT.match(line)


def matched(old: list[Section], new: list[Section]) -> dict[int, int]:
    """Which older section is which newer one, by index: by place and content, then by either, then by likeness."""
    pairs: dict[int, int] = {}
    ways: tuple[Callable[[Section], Hashable], ...] = (
        lambda section: (section.path, section.body),
        lambda section: (section.title, section.body) if section.level else None,
        lambda section: section.path,
        lambda section: section.title or None,
        lambda section: section.body if section.level and len(section.body.split()) > 2 else None,  # noqa: PLR2004
    )
    for key in ways:
        _match(old, new, pairs, key)
    _match_alike(old, new, pairs)
    return pairs


def _match(old: list[Section], new: list[Section], pairs: dict[int, int], key: Callable[[Section], Hashable]) -> None:
    """Pair what has no partner yet and the same key, in order; a key of None is none."""
    taken = set(pairs.values())
    waiting: dict[Hashable, list[int]] = defaultdict(list)
    for index in range(len(new) - 1, -1, -1):
        if index not in taken and (found := key(new[index])) is not None:
            waiting[found].append(index)
    for index, section in enumerate(old):
        if index not in pairs and (found := key(section)) is not None and waiting.get(found):
            pairs[index] = waiting[found].pop()


def _match_alike(old: list[Section], new: list[Section], pairs: dict[int, int]) -> None:
    taken = set(pairs.values())
    left = [(i, Counter(map(in_text, section.body.split("\n")))) for i, section in enumerate(old) if i not in pairs]
    right = [(j, Counter(map(in_text, section.body.split("\n")))) for j, section in enumerate(new) if j not in taken]
    if len(left) * len(right) > _COMPARISONS_MAX:
        return
    scored = [(_likeness(a, b), -i, -j) for i, a in left for j, b in right if old[i].level and new[j].level]
    for score, minus_i, minus_j in sorted(scored, reverse=True):
        if score >= _ALIKE and -minus_i not in pairs and -minus_j not in taken:
            pairs[-minus_i] = -minus_j
            taken.add(-minus_j)


def _likeness(a: Counter[str], b: Counter[str]) -> float:
    """The part of the lines that are not blank which both have."""
    size = a.total() + b.total() - a[""] - b[""]
    both = (a & b).total() - min(a[""], b[""])
    return 2 * both / size if size else 0.0


def moved(old: list[Section], new: list[Section], pairs: dict[int, int]) -> set[int]:
    """Which newer sections are in another section than before, or in another order among those of theirs that stayed."""
    origin = {j: i for i, j in pairs.items()}
    found: set[int] = set()
    siblings: dict[int | None, list[int]] = defaultdict(list)
    for j, section in enumerate(new):
        if j not in origin:
            continue
        before = old[origin[j]].parent
        if (pairs.get(before) if before is not None else None) == section.parent and (before is None) == (
            section.parent is None
        ):
            siblings[section.parent].append(j)
        elif before is None or section.parent is None or before in pairs or section.parent in origin:
            found.add(j)
        else:
            siblings[section.parent].append(j)
    for group in siblings.values():
        stayed = {group[index] for index in longest_rising([origin[j] for j in group])}
        found.update(set(group) - stayed)
    return found
