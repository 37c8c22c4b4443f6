"""casstore release."""

from __future__ import annotations

import click

from casstore.cli import custody
from casstore.cli.options import Where
from casstore.cli.options import command as define

__all__ = ["command"]


@define("release", "Release a hold.", exits={4: "not found, or there never was such a hold on it"})
@click.argument("hold")
@click.argument("target", required=False)
@click.option("--everything", is_flag=True, help="Instead of TARGET: all that is the tenant's, and will be.")
@click.option("--by", required=True, metavar="WHO", help="Who does it: kept with it, rather a role than a name.")
@click.option("--reason", metavar="TEXT", help="Why: kept with it.")
async def command(
    where: Where, hold: str, target: str | None, *, everything: bool, by: str, reason: str | None
) -> None:
    """Release HOLD from just what it was placed on. Others on the same, or on more, go on holding."""
    if (target is None) != everything:
        raise click.UsageError("Give a TARGET, or --everything.")
    async with where.open() as tenant:
        done = await tenant.release(target, hold, by=by, reason=reason)
    where.out.show(done, custody.held([done]))
