"""Which old documents are versions of one name, in which order, and what has to be stored before what. Pure functions.

Documents of one tenant and type belong together when they say the same `artifact_id`, or one says that another is its parent. A
parent comes before its children; beyond that the order is that of their version numbers, then of `created_at`, then of paths.
"""

from __future__ import annotations

import heapq
import itertools
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Final

from casstore import grammar, limits
from casstore.errors import Code, Invalid
from casstore.integrations.moving_in.layout import Place, Told
from casstore.model import Digest

__all__ = ["Step", "in_order"]

_SEGMENT: Final = re.compile(grammar.SEGMENT, re.ASCII)
_FOREIGN: Final = re.compile(r"[^A-Za-z0-9_-]+", re.ASCII)


@dataclass(eq=False, slots=True)
class Step:
    """A document that is to become a version.

    Attributes:
        fault: Why it cannot be moved; it keeps its place, so that no other gets its number.
        name, number: Of the version it becomes.
        before: The version before it, of the same name.
        parent: The version it was made from, which is before it, if not directly.
        sources: The documents it was made from, by the ids that it has for them.
        remarks: What has to be said though it is moved.
    """

    path: str
    place: Place
    told: Told
    size_bytes: int = 0
    digest: Digest | None = None  # of its bytes
    fault: Exception | None = None
    name: str = ""
    number: int = 1
    before: Step | None = None
    parent: Step | None = None
    sources: dict[str, Step] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    @property
    def rank(self) -> tuple[float, str, str]:
        """What orders it where nothing else does."""
        return self.told.version, self.told.created_at, self.path

    @property
    def needs(self) -> list[Step]:
        """What has to be stored before it."""
        return [each for each in (self.before, self.parent, *self.sources.values()) if each]


def in_order(steps: Sequence[Step]) -> list[Step]:
    """Find out of each step its name and number, what it follows and what it was made from; each comes after what it needs."""
    known = _by_id(steps)
    for step in steps:
        _find_parent(step, known)
    lines = [_line(together) for together in _components(steps)]
    _name(lines)
    for line in lines:
        for number, (before, step) in enumerate(zip([None, *line], line, strict=False), 1):
            step.number, step.before = number, before
    for step in steps:
        _find_sources(step, known)
    return _after_what_they_need(steps)


_Known = Mapping[tuple[str, str], list[Step]]  # by tenant and id


def _by_id(steps: Iterable[Step]) -> _Known:
    """By what a document says its id is, and by that in its path."""
    known: dict[tuple[str, str], list[Step]] = defaultdict(list)
    for step in steps:
        for each in {step.told.id, step.place.id}:
            known[step.place.tenant, each].append(step)
    return known


# -- versions of one name --------------------------------------------------------------------------------------------------


def _find_parent(step: Step, known: _Known) -> None:
    wanted = step.told.parent
    if wanted is None:
        return
    others = [each for each in known.get((step.place.tenant, wanted), ()) if each.place.type == step.place.type]
    earlier = [each for each in others if each.rank < step.rank]
    # Versions may share one id: then only an earlier one can be meant.
    found = earlier or [each for each in others if each is not step and each.told.id != step.told.id]
    if found:
        step.parent = max(found, key=lambda each: each.rank)
    else:
        step.remarks.append(f"its parent {wanted!a:.80} is not here")


def _components(steps: Sequence[Step]) -> list[list[Step]]:
    """Those that belong together."""
    neighbours: dict[Step, list[Step]] = {step: [] for step in steps}
    first: dict[tuple[str, str, str], Step] = {}
    for step in steps:
        same = first.setdefault((step.place.tenant, step.place.type, step.told.id), step)
        for other in (same, step.parent):
            if other:
                neighbours[step].append(other)
                neighbours[other].append(step)
    found = []
    while neighbours:
        todo, together = [next(iter(neighbours))], []
        while todo:
            step = todo.pop()
            if step in neighbours:
                together.append(step)
                todo += neighbours.pop(step)
        found.append(together)
    return found


def _line(together: list[Step]) -> list[Step]:
    """Versions in their order."""
    sorter = TopologicalSorter({step: [step.parent] if step.parent else [] for step in together})
    try:
        sorter.prepare()
    except CycleError:
        fault = Invalid(
            Code.BAD_METADATA, "the parents of the document lead back to it", hint="Mend parent_artifact_id."
        )
        for step in together:
            step.fault = step.fault or fault
            step.parent = None
        return sorted(together, key=lambda step: step.rank)
    line: list[Step] = []
    ready: list[tuple[tuple[float, str, str], Step]] = []
    while sorter.is_active():
        for step in sorter.get_ready():
            heapq.heappush(ready, (step.rank, step))
        line.append(heapq.heappop(ready)[1])
        sorter.done(line[-1])
    return line


def _name(lines: Iterable[Sequence[Step]]) -> None:
    """Name each line by the id in the path of its first document. Names that differ in case alone are told apart, too."""
    by_name: dict[tuple[str, str], list[Sequence[Step]]] = defaultdict(list)
    for line in lines:
        place = line[0].place
        by_name[place.tenant, f"{place.type}/{_legal(place.id)}".lower()].append(line)
    for alike in by_name.values():
        for line in alike:
            place = line[0].place
            segment = _legal(place.id) if len(alike) == 1 else _marked(place.id)
            for step in line:
                step.name = f"{place.type}/{segment}"
                if segment != place.id:
                    step.remarks.append(f"as {step.name}, its id not being fit for a name")


def _legal(text: str) -> str:
    return text if _SEGMENT.fullmatch(text) and ".." not in text else _marked(text)


def _marked(text: str) -> str:
    """A segment of a name with what can be read of `text`, and 12 digits of its digest."""
    digits = Digest.of(text.encode()).hex()[: limits.DIGEST_PREFIX_MIN_HEX]
    plain = _FOREIGN.sub("-", text).strip("-_")[: limits.SEGMENT_MAX_CHARS - len(digits) - 1]
    return f"{plain}-{digits}" if plain else digits


# -- sources ---------------------------------------------------------------------------------------------------------------


def _find_sources(step: Step, known: _Known) -> None:
    for wanted in step.told.sources:
        found = [each for each in known.get((step.place.tenant, wanted), ()) if each is not step]
        if len({each.place.type for each in found}) == 1:
            step.sources[wanted] = max(found, key=lambda each: each.rank)
        else:
            step.remarks.append(
                f"its source {wanted!a:.80} is not here" if not found else f"its source {wanted!a:.80} may be several"
            )


def _after_what_they_need(steps: Iterable[Step]) -> list[Step]:
    while True:
        try:
            return list(TopologicalSorter({step: step.needs for step in steps}).static_order())
        except CycleError as error:
            _cut(error.args[1])


def _cut(cycle: Sequence[Step]) -> None:
    """Let one of these go without a source that was made from it; versions of one name follow each other in any case."""
    for source, step in itertools.pairwise(cycle):
        if source not in (step.before, step.parent):
            for wanted in [each for each, found in step.sources.items() if found is source]:
                del step.sources[wanted]
                step.remarks.append(f"its source {wanted!a:.80} was made from it")
            return
