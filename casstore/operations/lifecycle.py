"""The lifecycle of versions: draft → accepted → obsolete, one way, each step with who, when and why, kept for ever."""

from __future__ import annotations

from typing import get_args

from casstore import grammar
from casstore.catalog import lifecycle
from casstore.catalog.puts import Step
from casstore.errors import Code, Invalid
from casstore.model import State, Transition
from casstore.operations import Asking, Context
from casstore.operations.get import whole
from casstore.refs import Ref

__all__ = ["check_state", "checked_step", "transition", "transitions"]


async def transition(context: Context, ref: str | Ref, state: State, *, by: str, reason: str | None) -> Transition:
    """Take the version that `ref` means now a step on."""
    return await lifecycle.set_state(context.catalog, context.tenant, checked_step(context, ref, state, by, reason))


async def transitions(context: Context, ref: str | Ref) -> tuple[Transition, ...]:
    """Every step of a version, in their order."""
    return await lifecycle.transitions(context.catalog, context.tenant, whole(context, ref))


def checked_step(context: Asking, ref: str | Ref, state: State, by: str, reason: str | None) -> Step:
    """A step as it was asked for, within the rules; raises Invalid (bad_reference, bad_argument, bad_text)."""
    if check_state(state) == "draft":
        message = "a version is a draft from its beginning, and never again"
        raise Invalid(Code.BAD_ARGUMENT, message, hint="Put a new version instead.")
    return Step(
        whole(context, ref), state, grammar.check_actor(by), None if reason is None else grammar.check_reason(reason)
    )


def check_state(state: str) -> State:
    """Return `state` if it is one; raise Invalid (bad_argument) otherwise."""
    for known in get_args(State):
        if state == known:
            return known  # type: ignore[no-any-return]
    raise Invalid(Code.BAD_ARGUMENT, f"state={state!a} is unknown", hint="draft, accepted or obsolete")
