"""casstore undelete."""

from __future__ import annotations

import click

from casstore.cli import render
from casstore.cli.options import Where
from casstore.cli.options import command as define

__all__ = ["command"]


@define(
    "undelete",
    "Take a version, or a whole artifact, back from the trash.",
    exits={5: "conflict: it was made from what is in the trash"},
)
@click.argument("ref")
@click.option("--all", "every", is_flag=True, help="REF is a name: take all of its versions back.")
@click.option("--by", required=True, metavar="WHO", help="Who does it: kept in the log.")
@click.option("--reason", metavar="TEXT", help="Why: kept in the log.")
async def command(where: Where, ref: str, every: bool, by: str, reason: str | None) -> None:  # noqa: FBT001 - click's
    """Make the version that REF is, such as sop/login@3, as it was before it was deleted."""
    async with where.open() as tenant:
        if every:
            versions = await tenant.undelete_artifact(ref, by=by, reason=reason)
        else:
            versions = (await tenant.undelete(ref, by=by, reason=reason),)
    where.out.show({"items": [render.dump(version) for version in versions]}, render.heads(versions))
