"""Three-way merges of BPMN, element by element and field by field, written into the document of ours.

What is neither new nor changed by theirs alone stays in ours byte for byte. docs/diff.md says what merges and what is a conflict.
"""

from __future__ import annotations

import codecs
import re
from typing import Final

from casstore.formats.bpmn.carrying import carry_out
from casstore.formats.bpmn.drawing import draw
from casstore.formats.bpmn.editing import Editor
from casstore.formats.bpmn.lineup import Lineup
from casstore.formats.bpmn.model import read
from casstore.formats.bpmn.planning import plan
from casstore.formats.bpmn.spelling import Speller
from casstore.formats.bpmn.xml import refuse
from casstore.formats.comparison import Decide, Merged, undecided

__all__ = ["merge"]

_DECLARED: Final = re.compile(rb"""^<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (b"<\0", "utf-16-le"),
    (b"\0<", "utf-16-be"),
)


def merge(base: bytes, ours: bytes, theirs: bytes, decide: Decide = undecided) -> Merged:
    """Merge what two sides made of a document; what is merged is written as ours is.

    Raises Invalid: not_comparable if any of the three cannot be read, bad_argument if a value was decided that cannot be.
    """
    models = [read(each) for each in (base, theirs)]
    if theirs in (base, ours):
        read(ours)
        return Merged(data=ours)
    mark, codec, data = _decoded(ours)
    model = read(data, "utf-8")
    if base == ours:
        return Merged(data=theirs)
    planned = plan(Lineup(models[0], model, models[1]), decide)
    if planned.conflicts:
        return Merged(data=None, conflicts=tuple(planned.conflicts))
    editor = Editor(data, model.root, Speller(each.root for each in (models[1], models[0])))
    draw(planned, editor, carry_out(planned, editor))
    return Merged(data=mark + editor.write().decode().encode(codec, "xmlcharrefreplace"))


def _decoded(data: bytes) -> tuple[bytes, str, bytes]:
    """The mark of an encoding at the begin, the encoding, and the text after the mark in UTF-8."""
    mark, codec = next((pair for pair in _MARKS if data.startswith(pair[0])), (b"", ""))
    if mark[:1] in (b"<", b"\0"):
        mark = b""
    if not codec:
        found = _DECLARED.match(data)
        codec = found[1].decode() if found else "utf-8"
    try:
        return mark, codec, data[len(mark) :].decode(codec).encode()
    except (ValueError, LookupError) as error:
        raise refuse(f"its text cannot be read: {error}") from error
