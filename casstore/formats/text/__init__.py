"""Text and Markdown: compared by lines and words, patched, merged. Pure functions."""

from __future__ import annotations

from typing import Final

from casstore.errors import Invalid
from casstore.formats.comparison import Format, Meaning
from casstore.formats.text import comparing, markdown, merging, patch
from casstore.formats.text.lines import MARKDOWN_ENDS, TEXT_ENDS, meaning_of, read
from casstore.formats.text.patch import is_patch
from casstore.formats.text.unified import unified

__all__ = ["MARKDOWN", "TEXT", "is_patch", "unified"]


def _meaning(data: bytes) -> Meaning | None:
    try:
        return Meaning(meaning_of(read(data), comparing.HEADER, TEXT_ENDS))
    except Invalid:
        return None


def _meaning_of_markdown(data: bytes) -> Meaning | None:
    try:
        return Meaning(meaning_of(read(data), markdown.HEADER, MARKDOWN_ENDS))
    except Invalid:
        return None


TEXT: Final = Format(
    name="text",
    media_types=frozenset({"text/plain"}),
    diff=comparing.diff,
    meaning=_meaning,
    apply=patch.apply,
    merge=merging.merge,
)
MARKDOWN: Final = Format(
    name="markdown",
    media_types=frozenset({"text/markdown"}),
    diff=markdown.diff,
    meaning=_meaning_of_markdown,
    apply=patch.apply,
    merge=merging.merge,
)
