"""casstore delete."""

from __future__ import annotations

import click

from casstore.cli import render
from casstore.cli.options import Where
from casstore.cli.options import command as define

__all__ = ["command"]


@define(
    "delete",
    "Put a version, or a whole artifact, into the trash.",
    exits={5: "conflict: an alias or tag points at it, or a version was made from it"},
)
@click.argument("ref")
@click.option("--all", "every", is_flag=True, help="REF is a name: delete all of its versions, aliases and tags.")
@click.option("--by", required=True, metavar="WHO", help="Who does it: kept with it, rather a role than a name.")
@click.option("--reason", metavar="TEXT", help="Why: kept with it.")
async def command(where: Where, ref: str, every: bool, by: str, reason: str | None) -> None:  # noqa: FBT001 - click's
    """Hide the version that REF is, such as sop/login@3, from every reading. `casstore undelete` takes it back.

    Nothing of it is gone, and its number stays taken. NAME means the newest version that is left.
    """
    async with where.open() as tenant:
        if every:
            deleted = await tenant.delete_artifact(ref, by=by, reason=reason)
        else:
            deleted = (await tenant.delete(ref, by=by, reason=reason),)
    where.out.show({"items": [render.dump_deleted(each) for each in deleted]}, render.trash(deleted))
