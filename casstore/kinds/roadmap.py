"""Roadmaps: phases that depend on one another. A roadmap that is no JSON, or has no phases, promises nothing."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any, Final, TypeAlias

from casstore.kinds.kind import Fault, parsed, pointer
from casstore.kinds.pieces import Piece

__all__ = ["ID_KEYS", "NEED_KEYS", "faults_of", "phases_of"]

Id: TypeAlias = str | int
Edge: TypeAlias = tuple[Id, str]  # the phase that is needed, and the place that says so
Graph: TypeAlias = dict[Id, list[Edge]]

_PLACES: Final = (
    (),
    ("semantic_payload",),
)  # of `phases`: in the roadmap itself, or in the platform's structured result
ID_KEYS: Final = ("id", "name")
NEED_KEYS: Final = ("dependencies", "depends_on")
_CYCLE_SHOWN: Final = 10  # phases of a cycle in a message
_DONE: Final = -1


def faults_of(piece: Piece) -> Iterator[Fault]:
    """What is wrong with the phases: ids that are missing or repeated, dependencies on phases that are not there, cycles."""
    if not piece.is_json:
        return
    roadmap = yield from parsed(piece)
    for place in _PLACES:
        inner = _inside(roadmap, place)
        if isinstance(inner, dict) and "phases" in inner:
            graph = yield from _read(piece.role, pointer(*place, "phases"), inner["phases"])
            yield from _dangling(piece.role, graph)
            yield from _cycles(piece.role, graph)


def phases_of(roadmap: Any) -> list[Any]:
    """All that stand where phases do; none in what is no roadmap."""
    found = (_inside(roadmap, (*place, "phases")) for place in _PLACES)
    return [phase for phases in found if isinstance(phases, list) for phase in phases]


def _inside(value: Any, place: tuple[str, ...]) -> Any:
    for key in place:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _read(role: str, place: str, phases: Any) -> Generator[Fault, None, Graph]:
    """The phases by id with what each depends on. Those of one id count as one phase, and those without are left out."""
    graph: Graph = {}
    if not isinstance(phases, list):
        yield Fault(role, place, "has to be a list of phases")
        return graph
    for index, phase in enumerate(phases):
        here = place + pointer(index)
        if not isinstance(phase, dict):
            yield Fault(role, here, "is no phase, which is an object")
            continue
        needs = yield from _needs(role, here, phase)
        key = next((key for key in ID_KEYS if _is_id(phase.get(key))), None)
        if key is None:
            yield Fault(role, here, "has no id: neither `id` nor `name` is text or an integer")
            continue
        if phase[key] in graph:
            yield Fault(role, here + pointer(key), f"repeats the id {_shown(phase[key])}")
        graph.setdefault(phase[key], []).extend(needs)
    return graph


def _needs(role: str, place: str, phase: dict[str, Any]) -> Generator[Fault, None, list[Edge]]:
    edges: list[Edge] = []
    for key in NEED_KEYS:
        needed = phase.get(key)
        if needed is None:
            continue
        if not isinstance(needed, list):
            yield Fault(role, place + pointer(key), "has to be a list of ids of phases")
            continue
        for index, each in enumerate(needed):
            here = place + pointer(key, index)
            if _is_id(each):
                edges.append((each, here))
            else:
                yield Fault(role, here, "is no id of a phase, which is text or an integer")
    return edges


def _is_id(value: Any) -> bool:
    return (isinstance(value, str) and value != "") or (isinstance(value, int) and not isinstance(value, bool))


def _dangling(role: str, graph: Graph) -> Iterator[Fault]:
    for edges in graph.values():
        for needed, place in edges:
            if needed not in graph:
                yield Fault(role, place, f"names the phase {_shown(needed)}, which is not there")


def _cycles(role: str, graph: Graph) -> Iterator[Fault]:
    """A fault for each dependency that closes a cycle: a depth-first search without recursion, so that any depth will do."""
    position: dict[Id, int] = {}  # on the way to where the search is; `_DONE` once all below a phase is known
    for start in graph:
        way: list[Id] = []
        todo: list[Iterator[Edge]] = []
        entering: Id | None = None if start in position else start
        while entering is not None or todo:
            if entering is not None:
                position[entering] = len(way)
                way.append(entering)
                todo.append(iter(graph[entering]))
                entering = None
            for needed, place in todo[-1]:
                at = position.get(needed)
                if at is None and needed in graph:
                    entering = needed
                    break
                if at is not None and at != _DONE:
                    yield Fault(role, place, _told(way[at:]))
            else:
                todo.pop()
                position[way.pop()] = _DONE


def _told(cycle: list[Id]) -> str:
    if len(cycle) == 1:
        return f"makes the phase {_shown(cycle[0])} depend on itself"
    shown = [_shown(phase) for phase in cycle[:_CYCLE_SHOWN]]
    more = [f"… {len(cycle) - _CYCLE_SHOWN} more …"] if len(cycle) > _CYCLE_SHOWN else []
    return f"closes a cycle: {' → '.join([*shown, *more, shown[0]])}"


def _shown(phase: Id) -> str:
    return f"{phase!a:.60}"
