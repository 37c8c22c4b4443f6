"""Roadmaps in words: phases that came, went, moved or were renamed, dates that shifted, dependencies that were rewired."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from typing import Any, Final, TypeAlias

from casstore.errors import Invalid
from casstore.formats import json
from casstore.kinds.roadmap import ID_KEYS, NEED_KEYS, phases_of

__all__ = ["words"]

Phase: TypeAlias = Mapping[str, Any]
_SHIFTS_MIN: Final = 2  # phases that shift by the same time: said once
_NAMES_SHOWN: Final = 5


def words(before: bytes, after: bytes) -> Iterator[str]:
    """What has changed from one roadmap to another, a line each; nothing of what is no roadmap, or has no phases."""
    try:
        old, new = _by_id(json.decode(before)), _by_id(json.decode(after))
    except Invalid:  # the comparison itself says what is wrong with it
        return
    if not old or not new:
        return
    yield from (f"phase {_name(old[key])} removed" for key in old if key not in new)
    yield from (f"phase {_name(new[key])} added{_place(key, new)}" for key in new if key not in old)
    yield from _moves([key for key in old if key in new], [key for key in new if key in old], new)
    both = [key for key in new if key in old]
    for key in both:
        if _name(old[key]) != _name(new[key]):
            yield f"phase {_name(old[key])} renamed to {_name(new[key])}"
    yield from _shifts([(old[key], new[key]) for key in both])
    for key in both:
        yield from _rewired(new[key], _needs(old[key]), _needs(new[key]), {**old, **new})


def _by_id(value: Any) -> dict[Any, Phase]:
    found: dict[Any, Phase] = {}
    for phase in phases_of(value):
        if isinstance(phase, dict) and (key := _id(phase)) is not None:
            found.setdefault(key, phase)
    return found


def _id(phase: Phase) -> Any:
    return next((phase[key] for key in ID_KEYS if isinstance(phase.get(key), str | int)), None)


def _name(phase: Phase) -> str:
    shown = next((phase[key] for key in ("name", "title", "id") if isinstance(phase.get(key), str | int)), "?")
    return f"{str(shown)!a:.60}" if isinstance(shown, str) and not shown.isprintable() else f"'{shown!s:.60}'"


def _place(key: Any, phases: Mapping[Any, Phase]) -> str:
    order = list(phases)
    at = order.index(key)
    return f" after {_name(phases[order[at - 1]])}" if at else " as the first"


def _moves(old: list[Any], new: list[Any], phases: Mapping[Any, Phase]) -> Iterator[str]:
    """Those that are not where they were among the others: all but a longest run that kept its order."""
    rank = {key: place for place, key in enumerate(old)}
    kept = _longest_increasing([rank[key] for key in new])
    for place, key in enumerate(new):
        if rank[key] not in kept:
            where = f"after {_name(phases[new[place - 1]])}" if place else "to the front"
            yield f"phase {_name(phases[key])} moved {where}"


def _longest_increasing(numbers: list[int]) -> set[int]:
    """The numbers of a longest increasing subsequence (patience sorting; Schensted, 1961)."""
    tops: list[int] = []
    before: dict[int, int | None] = {}
    for number in numbers:
        at = bisect_left(tops, number)
        before[number] = tops[at - 1] if at else None
        tops[at : at + 1] = [number]
    kept, each = set[int](), tops[-1] if tops else None
    while each is not None:
        kept.add(each)
        each = before[each]
    return kept


def _shifts(pairs: Iterable[tuple[Phase, Phase]]) -> Iterator[str]:
    """Dates by how far they moved, those that moved alike in one line."""
    alike: dict[tuple[str, int], list[str]] = {}
    for old, new in pairs:
        for key in new:
            was, now = _date(old.get(key)), _date(new[key])
            if was and now and was != now:
                alike.setdefault((key, (now - was).days), []).append(f"{_name(new)} ({was} → {now})")
    for (key, days), phases in alike.items():
        by = f"{abs(days)} day{'s' if abs(days) != 1 else ''} {'later' if days > 0 else 'earlier'}"
        shown = ", ".join(phases[:_NAMES_SHOWN])
        more = f" and {len(phases) - _NAMES_SHOWN} more" if len(phases) > _NAMES_SHOWN else ""
        count = f" of {len(phases)} phases" if len(phases) >= _SHIFTS_MIN else ""
        yield f"{key.replace('_', ' ')}{count} {by}: {shown}{more}"


def _date(value: Any) -> date | None:
    if not isinstance(value, str):
        return None
    try:
        return datetime.fromisoformat(value).date()
    except ValueError:
        return None


def _needs(phase: Phase) -> list[Any]:
    return [
        each
        for key in NEED_KEYS
        if isinstance(phase.get(key), list)
        for each in phase[key]
        if isinstance(each, str | int)
    ]


def _rewired(phase: Phase, old: list[Any], new: list[Any], phases: Mapping[Any, Phase]) -> Iterator[str]:
    lost = [_told(each, phases) for each in old if each not in new]
    found = [_told(each, phases) for each in new if each not in old]
    if lost and found:
        yield f"phase {_name(phase)} now depends on {', '.join(found)} instead of {', '.join(lost)}"
    elif found:
        yield f"phase {_name(phase)} now depends on {', '.join(found)}"
    elif lost:
        yield f"phase {_name(phase)} no longer depends on {', '.join(lost)}"


def _told(key: Any, phases: Mapping[Any, Phase]) -> str:
    return _name(phases[key]) if key in phases else f"'{key}'"
