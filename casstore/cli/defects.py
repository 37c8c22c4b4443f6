"""Defects on a screen, as they are found: a store may have more than fit into memory."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterator
from typing import TYPE_CHECKING, Any

from casstore.cli.output import Output, document, plain

if TYPE_CHECKING:
    from casstore.operations.defects import Defect

__all__ = ["end", "show"]


async def show(out: Output, found: AsyncIterable[Defect]) -> None:
    """Each defect; for programs the beginning of a JSON document that `end` ends."""
    separator = '{"defects": ['
    async for defect in found:
        if out.as_json:
            out.lines([separator, document(defect)])
            separator = ","
        else:
            out.lines(_lines(defect))
    if out.as_json:
        out.lines([f"{separator if separator != ',' else ''}],"])


def end(out: Output, summary: dict[str, Any], lines: list[str]) -> None:
    """What the check came to, after its defects."""
    out.lines([document(summary).removeprefix("{")] if out.as_json else lines)


def _lines(defect: Defect) -> Iterator[str]:
    mended = ", mended" if defect.mended else ""
    yield plain(f"{defect.severity:5}  {defect.code:17}  {defect.where}  {defect.what}{mended}")
    for use in defect.uses:
        yield plain(f"       needed by {use}")
    if defect.use_count > len(defect.uses):
        yield f"       and by {defect.use_count - len(defect.uses)} more"
    if defect.hint:
        yield f"       → {defect.hint}"
