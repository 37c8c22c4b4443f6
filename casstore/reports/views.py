"""What a page shows of one component, by its format: changes in words, texts side by side, pictures, diagrams, figures."""

from __future__ import annotations

import json as stdjson
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from markupsafe import Markup

from casstore.errors import Invalid
from casstore.formats import json, media_types
from casstore.formats.comparison import Change, Comparison
from casstore.model import Component
from casstore.operations.differences import ComponentDiff
from casstore.operations.diffing import Compared
from casstore.reports import pictures
from casstore.reports.pictures import Side, Slider
from casstore.reports.rows import Block, blocks_of

__all__ = ["Diagram", "View", "views_of"]

_CHANGES_SHOWN: Final = 500
_SIDE_BYTES: Final = 2**20  # of a text that is shown side by side


@dataclass(frozen=True, slots=True)
class Diagram:
    """A diagram to be drawn, and what became of its elements."""

    id: str
    short: str
    caption: str
    source: Markup  # JSON: the XML, and a mark by element


@dataclass(slots=True)
class View:
    """One component on the page."""

    part: ComponentDiff
    changes: tuple[Change, ...] = ()
    total: int = 0
    note: str = ""
    rows: list[Block] = field(default_factory=list)
    rows_caption: str = ""
    pictures: list[tuple[str, str]] = field(default_factory=list)
    slider: Slider | None = None
    diagrams: list[Diagram] = field(default_factory=list)
    figures: list[tuple[str, Any]] = field(default_factory=list)

    def element_of(self, change: Change, side: int) -> str:
        """The id of the diagram's element that a change is about, on one side."""
        others: dict[str, str] = self.part.comparison.details.get("regenerated", {}) if self.part.comparison else {}
        if side == 0:  # changes are told by the ids of the newer one
            return {new: old for old, new in others.items()}.get(change.path, change.path)
        return change.path


def views_of(compared: Compared) -> Iterator[View]:
    """The components that are not the same, each as its format is best seen."""
    for part in compared.diff.changed:
        before, after = compared.contents.get(part.role, (None, None))
        view = View(part)
        if part.comparison:
            view.changes, view.total = part.comparison.changes[:_CHANGES_SHOWN], part.comparison.total
            view.figures = list(_figures(part.comparison))
        _show(view, before, after)
        yield view


def _show(view: View, before: bytes | None, after: bytes | None) -> None:
    component = view.part.after or view.part.before
    form = view.part.comparison.format if view.part.comparison else None
    sides = list(_sides(view.part, before, after))
    view.note = pictures.told(sides)
    if any(map(pictures.is_picture, sides)):
        _show_pictures(view, sides)
    elif form == "bpmn":
        _show_diagrams(view, before, after)
    elif form == "json":
        _show_side_by_side(view, _pretty(before), _pretty(after), "as indented JSON")
    elif form in ("text", "markdown"):
        view.changes, view.total = (), 0  # the lines say it
        _show_side_by_side(view, before, after, "side by side")
    elif component and form is None:
        _show_single(view, component, after if after is not None else before)


def _sides(part: ComponentDiff, before: bytes | None, after: bytes | None) -> Iterator[Side]:
    for name, component, content in (("older", part.before, before), ("newer", part.after, after)):
        if component is not None and content is not None:
            yield Side(name, component, content)


def _show_side_by_side(view: View, before: bytes | None, after: bytes | None, caption: str) -> None:
    from casstore.formats.text.unified import unified  # noqa: PLC0415 - only text needs it

    if before is None or after is None or max(len(before), len(after)) > _SIDE_BYTES:
        return
    try:
        text = unified(before, after, context=len(before) + len(after))
    except Invalid:  # no text: what there is to say has been said
        return
    view.rows, view.rows_caption = blocks_of(text, f"fold-{view.part.role}"), caption


def _show_single(view: View, component: Component, content: bytes | None) -> None:
    """What was added or removed, all of it."""
    is_json = component.media_type == media_types.JSON
    shown = _pretty(content) if is_json else content
    before, after = (b"", shown) if view.part.after else (shown, b"")
    if is_json or component.media_type.startswith("text/"):
        _show_side_by_side(view, before, after, "all of it")


def _pretty(content: bytes | None) -> bytes | None:
    if content is None:
        return None
    try:
        return (stdjson.dumps(json.decode(content), ensure_ascii=False, indent=2) + "\n").encode()
    except (Invalid, UnicodeEncodeError, RecursionError):
        return None


def _show_pictures(view: View, sides: Sequence[Side]) -> None:
    view.pictures = pictures.shown(sides)
    if len(view.pictures) == 2 and (found := pictures.slider_of(*(side.content for side in sides))):  # noqa: PLR2004 - both
        view.slider, heat = found
        view.pictures.append(("where they differ, as a heat map", heat))


def _show_diagrams(view: View, before: bytes | None, after: bytes | None) -> None:
    told = view.part.comparison.details if view.part.comparison else {}
    sides = (("older", before, told.get("before", {})), ("newer", after, told.get("after", {})))
    for name, content, marked in sides:
        text = _xml(content)
        if text is not None:
            # An element that is only drawn elsewhere and has changed, too, has changed.
            marks = {
                element: mark for mark in ("layout", "changed", "removed", "added") for element in marked.get(mark, ())
            }
            source = _script_json({"xml": text, "marks": marks})
            view.diagrams.append(Diagram(f"{name}-{view.part.role}", name, f"the {name} diagram", source))


def _xml(content: bytes | None) -> str | None:
    """XML as text, whatever it is encoded in; None where that is not known."""
    if content is None:
        return None
    for encoding in ("utf-8-sig", "utf-16"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return None


def _script_json(value: Mapping[str, Any]) -> Markup:
    """JSON that may stand in a script element."""
    return Markup(stdjson.dumps(value).replace("<", "\\u003c"))  # noqa: S704 - nothing in it can end the element


def _figures(comparison: Comparison) -> Iterator[tuple[str, Any]]:
    """What the format has to say in plain values."""
    for name, value in comparison.details.items():
        if name != "patch_bytes" and isinstance(value, str | int | float | bool):
            yield name.replace("_", " "), f"{value:.4g}" if isinstance(value, float) else value
