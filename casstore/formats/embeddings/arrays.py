"""Comparing two arrays of rows with NumPy, a stretch of rows at a time, so that memory is bounded whatever their size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from casstore import limits
from casstore.errors import Code, Invalid
from casstore.formats import npy

__all__ = ["Rows", "compared", "numpy", "read_npy"]

# How far numbers may be apart for noise, by their bytes: so many times their precision, times the largest of the row. What is
# computed anew in another order is some 10 times apart; numbers of 16 bits are computed with more, and rounded once.
NOISE: Final = {2: 2, 4: 64, 8: 64}
_EXACT: Final = 53  # bits of the numbers that are compared


def numpy() -> Any:
    """NumPy; raises Invalid (bad_config) that names the extra where it is not installed."""
    try:
        import numpy as np  # noqa: PLC0415 - an extra
    except ImportError as error:
        message = "comparing embeddings needs NumPy, which is not installed"
        raise Invalid(Code.BAD_CONFIG, message, hint="Install the extra casstore[embeddings].") from error
    return np


@dataclass(frozen=True, slots=True)
class Rows:
    """What was found of pairs of rows, all in their order."""

    changed: list[int]  # indices of pairs that differ by more than noise
    noisy: list[int]  # indices of those that differ by noise, in signs of zero, or in bits of what is no number
    shifts: list[
        float | None
    ]  # 1 - cosine of each that changed; None where a row is zero or has numbers that are not finite
    largest: float  # difference of two numbers, where both are finite


def read_npy(data: bytes, which: str) -> Any:
    """The array, as a view of these bytes, one row for each index of its first axis; raises Invalid (not_comparable)."""
    np = numpy()
    try:
        header = npy.header_of(data[: npy.HEAD_BYTES], len(data))
    except npy.Malformed as error:
        raise refusal(which, str(error)) from None
    if len(data) > limits.COMPARED_ARRAY_BYTES:
        raise refusal(which, f"has {len(data):,} bytes, and up to {limits.COMPARED_ARRAY_BYTES:,} are compared")
    if header.kind == "c" or (header.kind, header.size) in (("f", 12), ("f", 16)):
        raise refusal(which, f"is of {header.kind}{header.size}, numbers that are not compared")
    flat = np.frombuffer(data, np.dtype(f"{header.endian}{header.kind}{header.size}"), offset=header.begin)
    _check_exact(flat, which)
    array = flat.reshape(header.shape, order="F" if header.fortran else "C")
    return array if array.ndim > 1 else array.reshape(-1, 1)


def refusal(which: str, why: str) -> Invalid:
    """Why it cannot be compared."""
    return Invalid(Code.NOT_COMPARABLE, f"the {which} {why}", hint="Compare them as bytes, or download both.")


def compared(old: Any, new: Any, pairs: Sequence[tuple[int, int]] | range) -> Rows:
    """Compare rows of two arrays whose rows are of one shape: those of these pairs, or in a range of the same index."""
    np = numpy()
    found = Rows([], [], [], 0.0)
    largest = 0.0
    precision = _precision(old.dtype, new.dtype)
    for first, a, b in _stretches(old, new, pairs):
        with np.errstate(all="ignore"):
            gap = np.abs(a - b)
            finite = np.isfinite(a) & np.isfinite(b)
            alike = (a == b) | (np.isnan(a) & np.isnan(b))
            scale = np.maximum(np.abs(np.where(finite, a, 0)), np.abs(np.where(finite, b, 0))).max(axis=1, initial=0)
            quiet = alike | (finite & (gap <= precision * scale[:, None]))
            exact = (alike & ((a != 0) | (np.signbit(a) == np.signbit(b)))).all(axis=1)
        still = quiet.all(axis=1)
        largest = max(largest, float(np.where(finite, gap, 0).max(initial=0)))
        found.noisy.extend((first + np.flatnonzero(still & ~exact)).tolist())
        moved = np.flatnonzero(~still)
        found.changed.extend((first + moved).tolist())
        found.shifts.extend(_shifts(a[moved], b[moved], finite[moved]))
    return Rows(found.changed, found.noisy, found.shifts, largest)


def _precision(*dtypes: Any) -> float:
    """How far apart numbers may be for noise, by the coarser type, in parts of the largest; whole numbers have none."""
    np = numpy()
    floats = [dtype for dtype in dtypes if dtype.kind == "f"]
    return max((NOISE[dtype.itemsize] * float(np.finfo(dtype).eps) for dtype in floats), default=0.0)


def _stretches(old: Any, new: Any, pairs: Sequence[tuple[int, int]] | range) -> Iterator[tuple[int, Any, Any]]:
    """The rows of the pairs that are not equal bit by bit, in float64, some at a time: index of the first, both sides."""
    np = numpy()
    width = max(1, int(np.prod(old.shape[1:])))
    step = max(1, limits.COMPARED_NUMBERS // width)
    for first in range(0, len(pairs), step):
        some = pairs[first : first + step]
        if isinstance(some, range):
            a, b = old[some.start : some.stop], new[some.start : some.stop]
        else:
            a, b = old[[i for i, _ in some]], new[[j for _, j in some]]
        if a.dtype == b.dtype and a.tobytes() == b.tobytes():
            continue
        yield first, _wide(a).reshape(len(some), -1), _wide(b).reshape(len(some), -1)


def _wide(array: Any) -> Any:
    return array.astype("f8")


def _check_exact(array: Any, which: str) -> None:
    """Whole numbers above 2^53 are no float64, in which numbers are compared."""
    whole = array.dtype.kind in "iu" and array.size > 0
    if whole and max(abs(int(array.max())), abs(int(array.min()))) > 2**_EXACT:
        raise refusal(which, "has whole numbers above 2^53, which are not compared")


def _shifts(a: Any, b: Any, finite: Any) -> Iterator[float | None]:
    """1 - cosine of each pair of rows."""
    np = numpy()
    lengths = np.linalg.norm(np.where(finite, a, 0), axis=1) * np.linalg.norm(np.where(finite, b, 0), axis=1)
    told = finite.all(axis=1) & (lengths > 0)
    dots = np.einsum("ij,ij->i", np.where(finite, a, 0), np.where(finite, b, 0))
    for value, length, known in zip(dots.tolist(), lengths.tolist(), told.tolist(), strict=True):
        yield min(2.0, max(0.0, 1 - value / length)) if known else None
