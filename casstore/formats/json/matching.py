"""Which items of two lists are the same item: by identity, else by equality, else by what they have in common.

Nothing here is quadratic but a look at small gaps.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import eq
from typing import Any, Final

from casstore import limits
from casstore.formats.json.exact import alike, fingerprint

__all__ = ["IDENTITY", "Alignment", "align", "identities"]

IDENTITY: Final = ("id", "@id", "key", "name")
_NONE: Final = -1
Ids = Sequence[Hashable | None]


@dataclass(slots=True)
class Alignment:
    """Of each item of the newer list, which of the older one it was; and which of them kept their order."""

    source: list[int]  # by the newer index, the older one, or -1 for a new item
    stays: list[bool]  # by the newer index: a longest run of those that kept their order
    first: int  # so many items at the beginning are the same,
    end: int  # and so many at the end
    in_place: bool  # every item is where it was, and there are no others

    def removed(self, count: int) -> list[int]:
        """The indexes of an older list of so many items that nothing has come from."""
        kept = set(self.source)
        return [index for index in range(count) if index not in kept]


def align(older: Sequence[Any], newer: Sequence[Any], identity: Sequence[str], *, rest: bool = False) -> Alignment:
    """Match two lists. With `rest`, pair also items of different identity that stand in the same place."""
    first, end = _trim(older, newer)
    one, other = len(older), len(newer)
    before, after = older[first : one - end], newer[first : other - end]
    if one == other and len(before) <= rest:
        return Alignment(list(range(one)), [True] * one, first, end, in_place=True)
    source = [*range(first), *[_NONE] * len(after), *range(one - end, one)]
    if before and after:
        known = _known(before, after, identity)
        if one == other and _in_place(known):
            return Alignment(list(range(one)), [True] * one, first, end, in_place=True)
        ids = _telling(known) or ([None] * len(before), [None] * len(after))
        middle = _by_keys(before, after, *ids)
        _pair_gaps(before, after, middle, *(((), ()) if rest else ids))
        source[first : first + len(after)] = [index + first if index != _NONE else _NONE for index in middle]
    return Alignment(source, _longest_run(source), first, end, in_place=one == other and source == list(range(one)))


def identities(older: Sequence[Any], newer: Sequence[Any], identity: Sequence[str]) -> tuple[Ids, Ids]:
    """The identity of each item, or None, by the first of these keys that most have and that is unique in both lists."""
    return _telling(_known(older, newer, identity)) or ([None] * len(older), [None] * len(newer))


def _known(older: Sequence[Any], newer: Sequence[Any], identity: Sequence[str]) -> list[tuple[Ids, Ids]]:
    """What the items of both lists have under each of these keys that any has."""
    one, other = ({key for item in items if type(item) is dict for key in item} for items in (older, newer))
    return [(_values(older, key), _values(newer, key)) for key in identity if key in one or key in other]


def _in_place(known: list[tuple[Ids, Ids]]) -> bool:
    """Whether each item has the identity of the one at its place: the most frequent case, found out at once."""
    for one, other in known:
        if None not in one and one == other and len(set(one)) == len(one):
            return True
        if any(each is not None for each in one):
            return False
    return False


def _telling(known: list[tuple[Ids, Ids]]) -> tuple[Ids, Ids] | None:
    return next((pair for pair in known if _identifies(pair[0]) and _identifies(pair[1])), None)


def _values(items: Sequence[Any], key: str) -> Ids:
    found: list[Hashable | None] = []
    for item in items:
        value = item.get(key) if type(item) is dict else None
        found.append(value if type(value) is str or type(value) is int else None)
    return found


def _identifies(values: Ids) -> bool:
    known = len(values) - values.count(None)
    return 2 * known >= len(values) and len({*values, None}) == known + 1


def _trim(older: Sequence[Any], newer: Sequence[Any]) -> tuple[int, int]:
    """How many items at the beginning, and then at the end, are the same."""
    shorter = min(len(older), len(newer))
    first = _run(older, newer, shorter)
    return first, _run(older[first:][::-1], newer[first:][::-1], shorter - first)


def _run(older: Sequence[Any], newer: Sequence[Any], most: int) -> int:
    """How many items at the beginning are the same, at most so many."""
    count = 0
    while count < most and older[count] == newer[count]:
        count += 1
    if count and not alike(older[:count], newer[:count]):
        count = next(place for place in range(count) if not alike(older[place], newer[place]))
    return count


def _by_keys(older: Sequence[Any], newer: Sequence[Any], old_ids: Ids, new_ids: Ids) -> list[int]:
    """By identity, or of items without one, by value: the first of a value with the first, the second with the second."""
    places: dict[Hashable, list[int]] = {}
    for index in range(len(older) - 1, -1, -1):
        known = old_ids[index]
        name = (None, fingerprint(older[index])) if known is None else known
        if name in places:
            places[name].append(index)
        else:
            places[name] = [index]
    source = []
    for item, known in zip(newer, new_ids, strict=True):
        found = places.get((None, fingerprint(item)) if known is None else known)
        source.append(found.pop() if found else _NONE)
    return source


def _longest_run(source: Sequence[int]) -> list[bool]:
    """Mark a longest increasing subsequence (Fredman 1975), leaving out what is new."""
    ends: list[int] = []  # of the runs of each length, the least last value
    tails: list[int] = []  # and where it is
    previous = [_NONE] * len(source)
    for place, value in enumerate(source):
        if value == _NONE:
            continue
        length = bisect_left(ends, value)
        if length == len(ends):
            ends.append(value)
            tails.append(place)
        else:
            ends[length], tails[length] = value, place
        previous[place] = tails[length - 1] if length else _NONE
    stays = [False] * len(source)
    place = tails[-1] if tails else _NONE
    while place != _NONE:
        stays[place] = True
        place = previous[place]
    return stays


def _pair_gaps(older: Sequence[Any], newer: Sequence[Any], source: list[int], old_ids: Ids, new_ids: Ids) -> None:
    """Pair what is left over between items that kept their order, each with its like, or where there are many, in order.

    Only items without an identity are paired; any, where no ids are given.
    """
    for olds, news in _gaps(len(older), source):
        free_olds = [index for index in olds if old_ids[index] is None] if old_ids else olds
        free_news = [index for index in news if new_ids[index] is None] if new_ids else news
        if 1 < len(free_olds) * len(free_news) <= limits.JSON_GAP_PAIRS_MAX:
            pairs: Iterable[tuple[int, int]] = _likest(older, newer, free_olds, free_news)
        else:
            pairs = _by_a_key(older, newer, free_olds, free_news)
        for old, new in pairs:
            source[new] = old


def _gaps(count: int, source: Sequence[int]) -> Iterator[tuple[list[int], list[int]]]:
    """Unmatched indexes of both sides by the gap they are in."""
    kept = set(source)
    removed = [index for index in range(count) if index not in kept]
    added = [place for place, value in enumerate(source) if value == _NONE]
    if not removed or not added:
        return
    if len(removed) == count or len(added) == len(source):
        yield removed, added
        return
    stays = _longest_run(source)
    new_anchors = [place for place, stay in enumerate(stays) if stay]
    old_anchors = [source[place] for place in new_anchors]
    olds: dict[int, list[int]] = defaultdict(list)
    for index in removed:
        olds[bisect_left(old_anchors, index)].append(index)
    news: dict[int, list[int]] = defaultdict(list)
    for place in added:
        news[bisect_left(new_anchors, place)].append(place)
    for gap, indexes in olds.items():
        if gap in news:
            yield indexes, news[gap]


def _by_a_key(
    older: Sequence[Any], newer: Sequence[Any], olds: list[int], news: list[int]
) -> Iterable[tuple[int, int]]:
    """Pairs by the key whose values, each there once, tell most items apart; or in order, if these have more in common."""
    best: dict[int, int] = {}
    first = older[olds[0]] if olds else None
    for key in islice(first if type(first) is dict else (), limits.JSON_TELLING_KEYS_MAX):
        old, new = (
            _once(indexes, _values([items[index] for index in indexes], key))
            for items, indexes in ((older, olds), (newer, news))
        )
        shared = {old[value]: new[value] for value in old if value in new}
        best = max(best, shared, key=len)
    in_order = [*zip(olds, news, strict=False)]
    known, unknown = (
        sum(_likeness(older[old], newer[new]) for old, new in pairs) for pairs in (best.items(), in_order)
    )
    return best.items() if known > unknown else in_order


def _once(indexes: list[int], values: Ids) -> dict[Hashable, int]:
    """The index of each value that is there just once."""
    found: dict[Hashable, int] = {}
    twice: set[Hashable] = {None}
    for index, value in zip(indexes, values, strict=True):
        if value in found:
            twice.add(value)
        found[value] = index
    return {value: index for value, index in found.items() if value not in twice}


def _likest(older: Sequence[Any], newer: Sequence[Any], olds: list[int], news: list[int]) -> Iterator[tuple[int, int]]:
    """The pairs in order with the most in common, by the table of the longest common subsequence."""
    best = [[0] * (len(news) + 1) for _ in range(len(olds) + 1)]
    likeness = [[_likeness(older[old], newer[new]) for new in news] for old in olds]
    for row in range(len(olds) - 1, -1, -1):
        for column in range(len(news) - 1, -1, -1):
            paired = likeness[row][column] + best[row + 1][column + 1]
            best[row][column] = max(paired, best[row + 1][column], best[row][column + 1])
    row = column = 0
    while row < len(olds) and column < len(news):
        alike = likeness[row][column]
        if alike and best[row][column] == alike + best[row + 1][column + 1]:
            yield olds[row], news[column]
            row, column = row + 1, column + 1
        elif best[row][column] == best[row + 1][column]:
            row += 1
        else:
            column += 1


def _likeness(one: Any, other: Any) -> int:
    """How much two items have in common, at a glance."""
    kind = type(one)
    if kind is not type(other):
        return int(not isinstance(one, dict | list) and not isinstance(other, dict | list))
    if kind is dict:
        common = one.keys() & other.keys()
        equal: int = sum(map(eq, map(one.get, common), map(other.get, common)))
        return 2 + len(common) + 3 * equal
    if kind is list:
        return 2 + len([True for left, right in zip(one, other, strict=False) if left == right])
    return 2
