"""BPMN 2.0: the graph of a process, what has changed in it, and what it means however it is written or drawn. Pure functions.

What counts is in docs/diff.md, the digests in docs/format.md. BPMN 2.0 is OMG formal/2011-01-03, ISO/IEC 19510:2013.
"""

from __future__ import annotations

from typing import Final

from casstore.errors import Invalid
from casstore.formats.bpmn.canonical import Canonical
from casstore.formats.bpmn.diff import diff
from casstore.formats.bpmn.merging import merge
from casstore.formats.bpmn.model import read
from casstore.formats.comparison import Format, Meaning

__all__ = ["FORMAT", "diff", "is_bpmn", "meaning", "merge"]


def meaning(data: bytes) -> Meaning | None:
    """The digests of what a document says, and of that and how it is drawn; None of what cannot be read as BPMN."""
    try:
        canonical = Canonical(read(data))
    except Invalid:
        return None
    return Meaning(canonical.meaning(), canonical.layout())


def is_bpmn(data: bytes) -> bool:
    """Whether this is a BPMN document that can be compared: XML whose root is BPMN's `definitions`."""
    try:
        read(data)
    except Invalid:
        return False
    return True


FORMAT: Final = Format(
    name="bpmn", media_types=frozenset(("application/bpmn+xml",)), diff=diff, meaning=meaning, merge=merge
)
