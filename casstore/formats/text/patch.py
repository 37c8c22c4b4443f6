"""Patches of texts: a list of what to copy, what to leave out and what to put in.

`["casstore/text-patch/1", crc, [copy, drop, "put", copy, drop, "put", …]]`: the CRC-32 of the older content, then numbers of
characters (Unicode code points) and text, from the beginning; what follows the last is copied.
"""

from __future__ import annotations

import json
import zlib
from typing import Any, Final, NoReturn

from casstore.errors import Code, Invalid
from casstore.formats.text.lines import Aligned, in_text, read, starts
from casstore.formats.text.words import Edit, Refined

__all__ = ["apply", "is_patch", "made"]

_NAME: Final = "casstore/text-patch/1"
_GAP: Final = 6  # characters that cost no more to say again than to step over
_HINT: Final = "Make the patch anew, from this very content."


def made(before: bytes, aligned: Aligned, refined: list[Refined]) -> list[Any]:
    """The patch for this alignment, its blocks refined in order."""
    a, b = starts(aligned.before), starts(aligned.after)
    edits = []
    for i, j in aligned.respelt():
        seen = len(in_text(aligned.before[i]))
        edits.append(Edit(a[i] + seen, a[i + 1], b[j] + seen, b[j + 1]))
    for block, words in zip(aligned.blocks(), refined, strict=True):
        at_a, at_b = a[block.a0], b[block.b0]
        edits += [Edit(at_a + e.a0, at_a + e.a1, at_b + e.b0, at_b + e.b1) for e in words.edits]
    old, new = "".join(aligned.before), "".join(aligned.after)
    steps: list[int | str] = []
    done = -aligned.first_char
    for edit in _joined(sorted(_narrowed(edit, old, new) for edit in edits)):
        steps += [edit.a0 - done, edit.a1 - edit.a0, new[edit.b0 : edit.b1]]
        done = edit.a1
    return [_NAME, zlib.crc32(before), steps]


def _narrowed(edit: Edit, old: str, new: str) -> Edit:
    """Without the characters that both have at the beginning or at the end."""
    a0, a1, b0, b1 = edit
    while a0 < a1 and b0 < b1 and old[a0] == new[b0]:
        a0, b0 = a0 + 1, b0 + 1
    while a0 < a1 and b0 < b1 and old[a1 - 1] == new[b1 - 1]:
        a1, b1 = a1 - 1, b1 - 1
    return Edit(a0, a1, b0, b1)


def _joined(edits: list[Edit]) -> list[Edit]:
    """Edits with so little between them that one is shorter."""
    joined: list[Edit] = []
    for edit in edits:
        if edit.a0 == edit.a1 and edit.b0 == edit.b1:
            continue
        if joined and edit.a0 - joined[-1].a1 <= _GAP:
            joined[-1] = Edit(joined[-1].a0, edit.a1, joined[-1].b0, edit.b1)
        else:
            joined.append(edit)
    return joined


def is_patch(value: Any) -> bool:
    """Whether it says that it is a patch of a text."""
    return isinstance(value, list) and value[:1] == [_NAME]


def apply(before: bytes, patch: Any) -> bytes:
    """The newer content; raises Invalid: bad_patch if the patch is none, or was made from another content; not_comparable."""
    text = read(before, "content to be patched")
    match patch:
        case [str(name), int(crc), list(steps)] if name == _NAME and len(steps) % 3 == 0:
            if crc != zlib.crc32(before):
                _refuse("was made from another content")
        case _:
            _refuse(f"does not begin with {json.dumps(_NAME)}, a checksum and steps")
    pieces, at = [], 0
    for index in range(0, len(steps), 3):
        copied, dropped, put = steps[index : index + 3]
        if not (_is_size(copied) and _is_size(dropped) and isinstance(put, str)) or at + copied + dropped > len(text):
            _refuse(f"has a step that cannot be taken, the one at {index}")
        pieces += [text[at : at + copied], put]
        at += copied + dropped
    try:
        return "".join((*pieces, text[at:])).encode()
    except UnicodeEncodeError:
        _refuse("puts in a lone surrogate, which is no text")


def _is_size(value: Any) -> bool:
    return type(value) is int and value >= 0


def _refuse(why: str) -> NoReturn:
    raise Invalid(Code.BAD_PATCH, f"the patch {why}", hint=_HINT)
