"""casstore undelete."""

from __future__ import annotations

import click

from casstore.cli import render
from casstore.cli.options import Where, named, who
from casstore.cli.options import command as define

__all__ = ["command"]


@define(
    "undelete",
    "Take a version, or a whole artifact, back from the trash.",
    exits={5: "conflict: it was made from what is in the trash"},
)
@click.argument("ref")
@click.option("--all", "every", is_flag=True, help="REF is a name: take all of its versions back.")
@who("required")
@click.option("--reason", metavar="TEXT", help="Why: kept in the log.")
async def command(where: Where, ref: str, every: bool, by: str | None, reason: str | None) -> None:  # noqa: FBT001 - click's
    """Make the version that REF is, such as sop/login@3, as it was before it was deleted."""
    actor = named(by)
    async with where.open() as tenant:
        if every:
            versions = await tenant.undelete_artifact(ref, by=actor, reason=reason)
        else:
            versions = (await tenant.undelete(ref, by=actor, reason=reason),)
    where.out.show({"items": [render.dump(version) for version in versions]}, render.heads(versions))
