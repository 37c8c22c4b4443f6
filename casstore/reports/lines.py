"""A comparison as lines for a terminal: what has changed, component by component, in words and in context."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from casstore.formats.comparison import Change, Comparison
from casstore.operations.differences import ComponentDiff, Diff
from casstore.operations.diffing import Compared

__all__ = ["Line", "Style", "lines_of", "stat_of"]

Style: TypeAlias = Literal["plain", "title", "added", "removed", "changed", "note"]
_SIGNS: Final[dict[str, tuple[str, Style]]] = {"added": ("+", "added"), "removed": ("-", "removed")}
_CHANGES_SHOWN: Final = 200  # of one component; --format json has all
_VALUE_CHARS: Final = 60


@dataclass(frozen=True, slots=True)
class Line:
    """A line, and what it is, which a terminal may show by a colour."""

    text: str
    style: Style = "plain"


def lines_of(compared: Compared) -> Iterator[Line]:
    """Everything that has changed; components that are the same are counted."""
    diff = compared.diff
    yield _heading(diff)
    yield from (Line(f"  {line}") for line in diff.summary)
    for part in diff.changed:
        yield Line("")
        yield Line(f"{part.role}  {_facts(part)}", "title")
        yield from _body(part, compared.contents.get(part.role, (None, None)))
    if beside := (*diff.relations, *diff.fields):
        yield Line("")
        yield Line("beside the content", "title")
        yield from (_line(change) for change in beside)


def stat_of(diff: Diff) -> Iterator[Line]:
    """One line for each component, and one for all."""
    yield _heading(diff)
    width = max((len(part.role) for part in diff.components), default=0)
    for part in diff.components:
        style: Style = _SIGNS.get(part.op, ("~", "changed"))[1] if part.op != "same" else "plain"
        yield Line(f"  {part.role:{width}}  {_facts(part)}", style)
    yield from (_line(change) for change in (*diff.relations, *diff.fields))


def _heading(diff: Diff) -> Line:
    verdict = "no difference in content" if diff.depth == "same" else f"differ in {diff.depth}"
    return Line(f"{diff.a.label} → {diff.b.label}: {verdict}", "title")


def _facts(part: ComponentDiff) -> str:
    """What became of a component, how deep, and how large it is."""
    words: list[str] = [part.op if part.op != "changed" else f"changed in {part.depth}"]
    if part.op == "renamed":
        words = [f"was {part.renamed_from}"]
    if part.comparison and part.comparison.total:
        words.append(_counts(part.comparison))
    sizes = [f"{each.size_bytes} B" for each in (part.before, part.after) if each]
    words.append(" → ".join(dict.fromkeys(sizes)))
    types = [each.media_type for each in (part.before, part.after) if each]
    words.append(" → ".join(dict.fromkeys(types)))
    return ", ".join(words)


def _counts(comparison: Comparison) -> str:
    return f"{comparison.total} change{'s' if comparison.total != 1 else ''}"


def _body(part: ComponentDiff, contents: tuple[bytes | None, bytes | None]) -> Iterator[Line]:
    if part.refused:
        yield Line(f"  not compared as {(part.after or part.before).media_type}: {part.refused}", "note")  # type: ignore[union-attr]
    comparison = part.comparison
    if comparison is None:
        return
    before, after = contents
    if comparison.format in ("text", "markdown") and before is not None and after is not None:
        yield from _in_context(before, after)
        return
    yield from (_line(change) for change in comparison.changes[:_CHANGES_SHOWN])
    if comparison.total > _CHANGES_SHOWN:
        yield Line(f"  … and {comparison.total - _CHANGES_SHOWN} more: --format json has them", "note")


def _in_context(before: bytes, after: bytes) -> Iterator[Line]:
    """Changed lines among unchanged ones, as a unified diff has them."""
    from casstore.formats.text.unified import unified  # noqa: PLC0415 - only text needs it

    styles: dict[str, Style] = {"+": "added", "-": "removed", "@": "note"}
    for line in unified(before, after).splitlines():
        if not line.startswith(("---", "+++")):
            yield Line(f"  {line}", styles.get(line[:1], "plain"))


def _line(change: Change) -> Line:
    sign, style = _SIGNS.get(change.op, ("~", "changed"))
    note = f"  [{change.depth}]" if change.depth != "meaning" else ""
    return Line(f"  {sign} {change.text or _told(change)}{note}", style)


def _told(change: Change) -> str:
    values = " → ".join(_value(each) for each in (change.before, change.after) if each is not None)
    return f"{change.what} {change.path} {change.op} {values}".rstrip()


def _value(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _VALUE_CHARS else f"{text[: _VALUE_CHARS - 1]}…"
