"""Markdown as HTML that does nothing: HTML in it is text, pictures of elsewhere are links, and links are http, https or mailto."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from markupsafe import Markup

__all__ = ["html_of"]

_SCHEMES: Final = ("http://", "https://", "mailto:", "#")
_HEADING_STEPS: Final = 2  # headings of the page come before those of its content
_HEADING_MAX: Final = 6


class _Renderer(RendererHTML):
    def image(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        """A picture is named, and nothing is fetched for it."""
        token = tokens[idx]
        words = self.renderInlineAsText(token.children or [], options, env) or token.attrs.get("src", "")
        return str(
            Markup('<span class="picture-of" title="{}">picture: {}</span>').format(token.attrs.get("src", ""), words)
        )


class _Reader(MarkdownIt):
    def validateLink(self, url: str) -> bool:  # noqa: N802 - its name there
        """Whether an address may be a link. Others are shown as they were written."""
        return url.strip().lower().startswith(_SCHEMES)


def html_of(text: str) -> Markup:
    """The HTML of a document in CommonMark, with tables."""
    reader = _Reader("commonmark", {"html": False}, renderer_cls=_Renderer).enable(["table", "strikethrough"])
    reader.core.ruler.push("place", _place)
    return Markup(reader.render(text))  # noqa: S704 - everything of the document is escaped by the renderer


def _place(state: Any) -> None:
    """Let headings begin below those of the page, and links lead out of it without telling from where."""
    for token in state.tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1:]) + _HEADING_STEPS, _HEADING_MAX)}"
        for child in token.children or []:
            if child.type == "link_open":
                child.attrSet("rel", "noopener noreferrer nofollow")
