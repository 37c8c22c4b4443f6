"""Bytes that nothing is known of: equal, or different from some place on."""

from __future__ import annotations

from typing import Final

from casstore.formats.comparison import Change, Comparison, Format

__all__ = ["FORMAT", "diff"]

_STEP: Final = 2**16


def diff(before: bytes, after: bytes) -> Comparison:
    """Whether the bytes are equal; else where they first differ. `details`: `first_difference`, in bytes from the start."""
    if before == after:
        return Comparison(format="binary", depth="same")
    place = _first_difference(before, after)
    text = f"the bytes differ from byte {place} on; {len(before)} became {len(after)}"
    change = Change(op="changed", path=str(place), what="bytes", text=text)
    return Comparison(
        format="binary",
        depth="meaning",
        changes=(change,),
        total=1,
        summary=(text,),
        details={"first_difference": place},
    )


def _first_difference(before: bytes, after: bytes) -> int:
    shorter = min(len(before), len(after))
    for start in range(0, shorter, _STEP):
        ours, theirs = before[start : start + _STEP], after[start : start + _STEP]
        if ours[: shorter - start] != theirs[: shorter - start]:
            return start + next(n for n, (x, y) in enumerate(zip(ours, theirs, strict=False)) if x != y)
    return shorter


FORMAT: Final = Format(name="binary", media_types=frozenset({"application/octet-stream"}), diff=diff)
