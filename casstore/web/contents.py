"""What a page shows of a component, by its format. What is large, not known or damaged is said to be so, and can be fetched."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

from markupsafe import Markup

from casstore import limits
from casstore.errors import CasstoreError, Invalid
from casstore.formats import json, media_types, npy
from casstore.model import Component, Version
from casstore.operations.get import AsyncArtifact
from casstore.web.markdown import html_of
from casstore.web.rendering import size, url
from casstore.web.tree import tree_of

__all__ = ["BPMN", "PICTURES", "View", "bytes_of", "kind_of", "views_of"]

PICTURES: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
BPMN: Final = "application/bpmn+xml"
_XML: Final = frozenset({"application/xml", "text/xml"})
_MARKDOWN: Final = "text/markdown"
_NPY: Final = "application/x-npy"
_SOURCES: Final = frozenset({"application/xml", "application/yaml", "image/svg+xml", "application/javascript"})


@dataclass(slots=True)
class View:
    """One component on the page."""

    component: Component
    address: str  # of its bytes
    html: Markup | None = None
    tree: Markup | None = None
    source: str | None = None
    is_diagram: bool = False
    is_plain: bool = False  # its source alone is shown
    picture: str | None = None
    facts: list[tuple[str, str]] = field(default_factory=list)
    note: str = ""

    @property
    def kind(self) -> str:
        """Its media type without parameters."""
        return kind_of(self.component)


def kind_of(component: Component) -> str:
    """The media type of a component, without its parameters."""
    return component.media_type.partition(";")[0].strip().lower()


def bytes_of(version: Version, component: Component) -> str:
    """The path of a component's bytes, by the digest of the whole, so that a browser keeps them."""
    return url(f"/v1/components/{version.name}@{version.digest}/{component.role}")


async def views_of(artifact: AsyncArtifact) -> list[View]:
    """All components, the first of them shown."""
    version = artifact.version
    views = [View(component, bytes_of(version, component)) for component in version.components]
    left = _Left()
    for view in views[: limits.PAGE_COMPONENTS]:
        try:
            await _show(view, artifact[view.component.role], left)
        except CasstoreError as error:
            view.note = f"It cannot be shown: {error.message}."
    for view in views[limits.PAGE_COMPONENTS :]:
        view.note = "It is not shown, because there are many."
    return views


@dataclass(slots=True)
class _Left:
    """How much may still be shown on a page, in bytes."""

    content: int = limits.PAGE_CONTENT_BYTES
    markdown: int = limits.PAGE_MARKDOWN_BYTES

    def take(self, view: View) -> str:
        """Why there is no room for a text, or "" after taking it."""
        count = view.component.size_bytes
        if count > self.content:
            return f"Up to {size(limits.PAGE_CONTENT_BYTES)} are shown on a page. Download it to look at it."
        self.content -= count
        if view.kind == _MARKDOWN and count > self.markdown:
            view.is_plain = True
            return "It is shown as text, because it is long."
        self.markdown -= count if view.kind == _MARKDOWN else 0
        return ""


async def _show(view: View, part: AsyncArtifact, left: _Left) -> None:
    kind = view.kind
    if kind in PICTURES:
        _show_picture(view)
    elif kind == _NPY:
        await _show_array(view, part)
    elif not _is_text(kind):
        view.note = "There is no view of this format. Download it to look at it."
    else:
        view.note = left.take(view)
        if not view.note or view.is_plain:
            await asyncio.to_thread(_show_text, view, await part.bytes())


def _is_text(kind: str) -> bool:
    return kind.startswith("text/") or kind in _SOURCES or kind == media_types.JSON or kind.endswith(("+xml", "+json"))


def _show_picture(view: View) -> None:
    component = view.component
    if component.size_bytes > limits.PAGE_PICTURE_BYTES:
        view.note = f"It is larger than {size(limits.PAGE_PICTURE_BYTES)}. Download it to look at it."
        return
    view.picture = view.address
    if component.width and component.height:
        view.facts.append(("size in pixels", f"{component.width:,} by {component.height:,}"))


async def _show_array(view: View, part: AsyncArtifact) -> None:
    """What the header of an array says; its numbers are not read."""
    async with await part.open(end=npy.HEAD_BYTES) as reader:
        head = b""
        while chunk := await reader.read():
            head += chunk
    try:
        header = npy.header_of(head, view.component.size_bytes)
    except npy.Malformed as error:
        view.note = f"The file {error}."
        return
    kinds = {"f": "floating point", "i": "integer", "u": "unsigned integer", "b": "boolean", "c": "complex"}
    view.facts += [
        ("vectors", f"{header.shape[0]:,}"),
        ("numbers in each", " by ".join(f"{length:,}" for length in header.shape[1:]) or "1"),
        ("kind of number", f"{kinds[header.kind]}, {8 * header.size} bits"),
    ]


def _show_text(view: View, content: bytes) -> None:
    text = content.decode("utf-8-sig", "replace") if not content.startswith((b"\xff\xfe", b"\xfe\xff")) else None
    text = content.decode("utf-16", "replace") if text is None else text
    if view.kind == media_types.JSON or view.kind.endswith("+json"):
        _show_json(view, content)
    elif view.kind == _MARKDOWN and not view.is_plain:
        view.html = html_of(text)
    elif view.kind == BPMN or (view.kind in _XML and "omg.org/spec/BPMN" in text[:4000]):
        view.is_diagram = True
    view.source = None if view.tree else text


def _show_json(view: View, content: bytes) -> None:
    try:
        view.tree, is_whole = tree_of(json.decode(content))
    except Invalid as error:
        view.note = f"It is shown as text: {error.message}."
        return
    if not is_whole:
        view.note = "This is the beginning of it. Download it for all."
