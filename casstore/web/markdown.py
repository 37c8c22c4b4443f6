"""Markdown as HTML that does nothing: HTML in it is text, its pictures are named, and its links are http, https or mailto.

Files of a repository begin with YAML, point to their neighbours and have comments for their writers: the YAML is shown apart
from the text, links to what is not here are words, and comments are left out.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, Final

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.ruler import RuleOptionsType
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from markupsafe import Markup

__all__ = ["html_of"]

_SCHEMES: Final = ("http://", "https://", "mailto:", "#")
_HEADING_STEPS: Final = 2  # headings of the page come before those of its content
_HEADING_MAX: Final = 6
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*:", re.ASCII | re.IGNORECASE)
_CODE_INDENT: Final = 4  # so far in, a line is code
# A first line of dashes may be a rule, too; YAML follows if there is a key at once.
_FRONT: Final = re.compile(r"---[ \t\r]*\n(?=[\w.-]+[ \t]*:)(.*?)^(?:---|\.\.\.)[ \t\r]*$", re.DOTALL | re.MULTILINE)


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
        """Whether an address is understood. Others are shown as they were written; of those without a scheme, the words."""
        return url.strip().lower().startswith(_SCHEMES) or not _SCHEME.match(url.strip())


def html_of(text: str) -> Markup:
    """The HTML of a document in CommonMark, with tables."""
    reader = _Reader("commonmark", {"html": False}, renderer_cls=_Renderer).enable(["table", "strikethrough"])
    interrupted: RuleOptionsType = {"alt": ["paragraph", "reference", "blockquote"]}
    reader.block.ruler.before("html_block", "comment", _skip_lines, interrupted)
    reader.inline.ruler.before("autolink", "comment", _skip)
    reader.core.ruler.push("place", _place)
    front = _FRONT.match(text)
    shown = Markup('<pre class="front">{}</pre>\n').format(front[1]) if front else Markup()
    return shown + Markup(reader.render(text[front.end() :] if front else text))  # noqa: S704 - the renderer escapes all of it


def _skip(state: StateInline, silent: bool) -> bool:  # noqa: ARG001, FBT001 - as rules are called
    """A comment within a paragraph."""
    end = state.src.find("-->", state.pos, state.posMax) if state.src.startswith("<!--", state.pos) else -1
    if end < 0:
        return False
    state.pos = end + len("-->")
    return True


def _skip_lines(state: StateBlock, first: int, beyond: int, silent: bool) -> bool:  # noqa: FBT001 - as rules are called
    """A comment of whole lines, whatever is in it."""
    begin = state.bMarks[first] + state.tShift[first]
    if state.sCount[first] - state.blkIndent >= _CODE_INDENT or not state.src.startswith("<!--", begin):
        return False
    end = _end(state, begin)
    last = bisect_left(state.eMarks, end)
    if last >= beyond or state.src[end : state.eMarks[last]].strip():
        return False
    if not silent:
        state.line = last + 1
    return True


def _end(state: StateBlock, begin: int) -> int:
    """Where a comment ends. It is remembered: of a thousand that begin and do not end, each would look to the end."""
    seen, mark = state.env.get("comment", (0, -1))
    if not seen <= begin <= mark:
        found = state.src.find("-->", begin)
        mark = len(state.src) if found < 0 else found
        state.env["comment"] = begin, mark
    return int(mark) + len("-->")


def _place(state: Any) -> None:
    """Let headings begin below those of the page, and links lead out of it without telling from where."""
    for token in state.tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1:]) + _HEADING_STEPS, _HEADING_MAX)}"
        _place_links(token.children or [])


def _place_links(tokens: Sequence[Token]) -> None:
    """A link to a neighbour of the file is its words: what is stored has no neighbours."""
    is_link = True
    for token in tokens:
        if token.type == "link_open":
            address = str(token.attrs.get("href", ""))
            if is_link := address.lower().startswith(_SCHEMES):
                token.attrSet("rel", "noopener noreferrer nofollow")
            else:
                token.tag, token.attrs = "span", {"class": "address-of", "title": address}
        elif token.type == "link_close" and not is_link:
            token.tag = "span"
