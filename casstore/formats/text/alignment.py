"""Which items of two sequences stay, and in which order: E. Myers' O(ND) algorithm (Algorithmica 1, 1986), with a bound.

Where more than a few edits are needed, the longest common subsequence is found by the bits of large integers instead (H. Hyyrö,
"Bit-parallel LCS-length computation revisited", 2004). Where that would take too much too, the sequences are cut at the items that
each of them has once (Bram Cohen's patience diff), and what has no such item is told as replaced. So an answer is always right,
and nearly always the shortest.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

from casstore import limits

__all__ = ["Block", "Budget", "align", "differing", "longest_rising"]

_NONE: Final = -1  # has no partner
_SHARE: Final = 4  # one attempt may take a quarter of the steps that are left
_FEW: Final = 12  # edits that are found sooner one by one
_ROW: Final = 4  # steps that a row of bits takes, and
_BITS: Final = 4_000  # so many bits take one more
_COPIED: Final = 4  # items that are counted in the time of one step


class Block(NamedTuple):
    """Items `a0` to `a1` of the older sequence stand where `b0` to `b1` of the newer one do; either may be none."""

    a0: int
    a1: int
    b0: int
    b1: int


@dataclass(slots=True)
class Budget:
    """What one comparison may still spend on all its alignments, in steps of the innermost loop."""

    left: int = limits.ALIGNMENT_STEPS


def align(before: Sequence[Hashable], after: Sequence[Hashable], budget: Budget) -> array[int]:
    """For each item of `before` the index of its partner in `after`, which is equal and further on than the last; else -1."""
    budget.left -= (len(before) + len(after)) // _COPIED
    partners = array("q", [_NONE]) * len(before)
    known_before, known_after = set(before), set(after)
    # What the other side does not have at all cannot stay; without it, the search is short.
    at_a = [index for index, item in enumerate(before) if item in known_after]
    at_b = [index for index, item in enumerate(after) if item in known_before]
    numbers: dict[Hashable, int] = {}
    a = [numbers.setdefault(before[index], len(numbers)) for index in at_a]
    b = [numbers.setdefault(after[index], len(numbers)) for index in at_b]
    for x, y, length in _Search(a, b, budget).runs():
        for step in range(length):
            partners[at_a[x + step]] = at_b[y + step]
    return partners


def differing(partners: Sequence[int], size_after: int) -> Iterator[Block]:
    """The blocks between items that stay, in order, from the answer of `align`."""
    a = b = 0
    for index, partner in enumerate(partners):
        if partner != _NONE:
            if index > a or partner > b:
                yield Block(a, index, b, partner)
            a, b = index + 1, partner + 1
    if a < len(partners) or b < size_after:
        yield Block(a, len(partners), b, size_after)


class _Search:
    """For runs of equal items, within a budget of steps."""

    def __init__(self, a: list[int], b: list[int], budget: Budget) -> None:
        self._a, self._b, self._budget = a, b, budget

    def runs(self) -> Iterator[tuple[int, int, int]]:
        """Runs of items that stay, as (index in a, index in b, length), in no order."""
        todo = [Block(0, len(self._a), 0, len(self._b))]
        while todo:
            block = todo.pop()
            head, tail = self._trimmed(block)
            yield block.a0, block.b0, head
            yield block.a1 - tail, block.b1 - tail, tail
            block = Block(block.a0 + head, block.a1 - tail, block.b0 + head, block.b1 - tail)
            if block.a0 == block.a1 or block.b0 == block.b1:
                continue
            ways = partial(self._shortest, most=_FEW), self._by_bits, self._shortest
            shortest = next((found for way in ways if (found := way(block)) is not None), None)
            if shortest is not None:
                yield from shortest
            elif self._budget.left > (block.a1 - block.a0 + block.b1 - block.b0) // _COPIED:
                todo.extend(self._cut(block))

    def _trimmed(self, block: Block) -> tuple[int, int]:
        """How many items are equal at the beginning, and of the others at the end."""
        a, b = self._a, self._b
        most = min(block.a1 - block.a0, block.b1 - block.b0)
        head = tail = 0
        while head < most and a[block.a0 + head] == b[block.b0 + head]:
            head += 1
        while tail < most - head and a[block.a1 - 1 - tail] == b[block.b1 - 1 - tail]:
            tail += 1
        return head, tail

    def _by_bits(self, block: Block) -> list[tuple[int, int, int]] | None:
        """The runs of a shortest script; None where it takes too much memory or too many steps."""
        a, b = self._a[block.a0 : block.a1], self._b[block.b0 : block.b1]
        steps = len(a) * (_ROW + len(b) // _BITS)
        if len(a) * len(b) > limits.ALIGNMENT_BITS or steps > self._budget.left // _SHARE:
            return None
        self._budget.left -= steps
        return _traced_bits(a, b, _rows(a, b), block)

    def _shortest(self, block: Block, most: int = limits.ALIGNMENT_EDITS) -> list[tuple[int, int, int]] | None:
        """The runs of the shortest script; None where it has more edits, or finding it takes too many steps."""
        a, b = self._a[block.a0 : block.a1], self._b[block.b0 : block.b1]
        size_a, size_b = len(a), len(b)
        share = left = self._budget.left // _SHARE
        reached = [0] * (2 * min(most, size_a + size_b) + 3)  # by diagonal; negative ones at the end
        history: list[list[int]] = []  # per number of edits, what was reached on diagonals -edits, …, edits, by twos
        for edits in range(min(most, size_a + size_b) + 1):
            row = []
            for k in range(-edits, edits + 1, 2):
                down = k == -edits or (k != edits and reached[k - 1] < reached[k + 1])
                x = start = reached[k + 1] if down else reached[k - 1] + 1
                y = x - k
                while x < size_a and y < size_b and a[x] == b[y]:
                    x += 1
                    y += 1
                reached[k] = x
                row.append(x)
                left -= 1 + x - start
                if left < 0 or (x >= size_a and y >= size_b):
                    break
            history.append(row)
            if left < 0 or (x >= size_a and y >= size_b):
                break
        self._budget.left -= share - left
        return _traced(history, block, k) if x >= size_a and y >= size_b else None

    def _cut(self, block: Block) -> Iterator[Block]:
        """The blocks between the items that each side has once."""
        a, b = self._a[block.a0 : block.a1], self._b[block.b0 : block.b1]
        self._budget.left -= (len(a) + len(b)) // _COPIED
        count_a, count_b = Counter(a), Counter(b)
        place_b = {item: index for index, item in enumerate(b) if count_b[item] == 1}
        places = [(x, place_b[item]) for x, item in enumerate(a) if count_a[item] == 1 and item in place_b]
        anchors = [places[index] for index in longest_rising([y for _, y in places])]
        x0 = y0 = 0
        for x, y in anchors:
            yield Block(block.a0 + x0, block.a0 + x + 1, block.b0 + y0, block.b0 + y + 1)
            x0, y0 = x + 1, y + 1
        if anchors:
            yield Block(block.a0 + x0, block.a1, block.b0 + y0, block.b1)


def _traced(history: list[list[int]], block: Block, k: int) -> list[tuple[int, int, int]]:
    """The runs of the script that ends on diagonal `k`, from its end."""
    runs = []
    for edits in range(len(history) - 1, -1, -1):
        x = history[edits][(k + edits) // 2]
        if edits == 0:
            start = 0
        else:
            before = history[edits - 1]
            # Diagonal k-1 has index (k + edits) / 2 - 1 in the row before, and k+1 the one after.
            index = (k + edits) // 2
            down = k == -edits or (k != edits and before[index - 1] < before[index])
            start = before[index] if down else before[index - 1] + 1
        if x > start:
            runs.append((block.a0 + start, block.b0 + start - k, x - start))
        if edits:
            k += 1 if down else -1
    return runs


def _rows(a: list[int], b: list[int]) -> list[int]:
    """After each item of `a`, the bits of those places in `b` where the longest common subsequence so far grows: 0, elsewhere 1."""
    where: dict[int, int] = {}
    for index, item in enumerate(b):
        where[item] = where.get(item, 0) | 1 << index
    every = row = (1 << len(b)) - 1
    rows = []
    for item in a:
        met = row & where.get(item, 0)
        row = ((row + met) | (row - met)) & every
        rows.append(row)
    return rows


def _traced_bits(a: list[int], b: list[int], rows: list[int], block: Block) -> list[tuple[int, int, int]]:
    """The runs that these rows stand for, from their end."""
    runs: list[tuple[int, int, int]] = []
    x, y = len(a), len(b)
    while x and y:
        if rows[x - 1] >> (y - 1) & 1:
            y -= 1
        elif x > 1 and not rows[x - 2] >> (y - 1) & 1:
            x -= 1
        else:
            x, y = x - 1, y - 1
            runs.append((block.a0 + x, block.b0 + y, 1))
    return runs


def longest_rising(values: list[int]) -> list[int]:
    """The indices of a longest subsequence that rises strictly."""
    tops: list[int] = []  # the smallest last value of a rising subsequence of each length
    at: list[int] = []  # its index
    before = [_NONE] * len(values)
    for index, value in enumerate(values):
        length = bisect_left(tops, value)
        if length == len(tops):
            tops.append(value)
            at.append(index)
        else:
            tops[length], at[length] = value, index
        before[index] = at[length - 1] if length else _NONE
    found = []
    index = at[-1] if at else _NONE
    while index != _NONE:
        found.append(index)
        index = before[index]
    return found[::-1]
