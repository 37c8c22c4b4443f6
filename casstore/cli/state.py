"""casstore state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from casstore.cli import render
from casstore.cli.options import Where, named, who
from casstore.cli.options import command as define

if TYPE_CHECKING:
    from casstore.model import State
    from casstore.tenant import AsyncTenant

__all__ = ["command"]


@define(
    "state",
    "Tell the lifecycle state of a version, or take it a step on.",
    exits={5: "conflict: the state does not follow the present one"},
)
@click.argument("ref")
@click.argument("state", required=False, type=click.Choice(["accepted", "obsolete"]), metavar="[STATE]")
@who("required with STATE")
@click.option("--reason", metavar="TEXT", help="Why; kept for ever.")
async def command(where: Where, ref: str, state: State | None, by: str | None, reason: str | None) -> None:
    """Take the version that REF means a step on, to the STATE accepted or obsolete; without one tell its state and history.

    A version is a draft, then accepted, then obsolete; a draft may become obsolete at once. There is no way back but
    op undo, and every step is recorded:

    casstore state sop/login@3 accepted --by reviewer-7 --reason "tried it"
    """
    if state is None and (by is not None or reason is not None):
        raise click.UsageError("--by and --reason go with a STATE.")
    actor = "" if state is None else named(by)
    async with where.open() as tenant:
        if state is None:
            await _tell(where, tenant, ref)
            return
        step = await tenant.transition(ref, state, by=actor, reason=reason)
    where.out.show(step, render.stepped(step))
    if (step.by, step.reason) != (actor, reason):
        where.out.note(f"It was {state} already: nothing was changed.")


async def _tell(where: Where, tenant: AsyncTenant, ref: str) -> None:
    version = await tenant.resolve(ref)
    steps = await tenant.transitions(f"id:{version.id}")
    state = steps[-1].state if steps else "draft"
    where.out.show({"ref": version.ref, "state": state, "items": steps}, render.steps(version.ref, state, steps))
