"""casstore hold."""

from __future__ import annotations

import click

from casstore.cli import custody
from casstore.cli.options import Where
from casstore.cli.options import command as define

__all__ = ["command"]


@define(
    "hold",
    "Keep a version, or a whole artifact, from being deleted, purged or erased.",
    exits={5: "conflict: it was purged, and there is nothing to be kept"},
)
@click.argument("hold")
@click.argument("target", required=False)
@click.option("--everything", is_flag=True, help="Instead of TARGET: all that is the tenant's, and will be.")
@click.option("--by", required=True, metavar="WHO", help="Who does it: kept with it, rather a role than a name.")
@click.option("--reason", metavar="TEXT", help="Why: kept with it.")
async def command(
    where: Where, hold: str, target: str | None, *, everything: bool, by: str, reason: str | None
) -> None:
    """Place HOLD, such as case-17, on the version that TARGET is, such as sop/login@3, or on a whole artifact by its name.

    Until `casstore release` nobody, and no rule, deletes, purges or erases it. `casstore holds` lists what is held.
    """
    if (target is None) != everything:
        raise click.UsageError("Give a TARGET, or --everything.")
    async with where.open() as tenant:
        done = await tenant.hold(target, hold, by=by, reason=reason)
    where.out.show(done, custody.held([done]))
