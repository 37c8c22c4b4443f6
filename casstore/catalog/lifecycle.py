"""Steps of versions in their lifecycle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from casstore.catalog.connection import Catalog
from casstore.catalog.puts import Step
from casstore.catalog.versions import reference_arguments
from casstore.model import Transition
from casstore.refs import Ref

__all__ = ["set_state", "transitions"]

_SET: Final = "select * from casstore.set_state(%s, %s, %s, %s::int, %s, %s, %s, %s, %s)"


async def set_state(catalog: Catalog, tenant: str, step: Step) -> Transition:
    """Take the version a step on; one that is in the state already is a success, and its earlier step the answer.

    Raises:
        NotFound: The artifact or the version.
        Conflict: The state does not follow the present one (bad_transition).
    """
    arguments = (tenant, *reference_arguments(step.target), step.state, step.by, step.reason)
    return _transition_of(await catalog.one(_SET, arguments))


_TRANSITIONS: Final = "select * from casstore.transitions_of(%s, %s, %s, %s::int, %s, %s)"


async def transitions(catalog: Catalog, tenant: str, ref: Ref) -> tuple[Transition, ...]:
    """Every step of the version that a reference means, in their order; raises NotFound."""
    rows = await catalog.call(_TRANSITIONS, (tenant, *reference_arguments(ref)))
    return tuple(map(_transition_of, rows))


def _transition_of(row: Sequence[Any]) -> Transition:
    state, before, actor, reason, at, number, name = row
    return Transition(name=name, number=number, before=before, state=state, by=actor, reason=reason, at=at)
