"""casstore delete."""

from __future__ import annotations

import click

from casstore.cli import custody
from casstore.cli.options import Where, named, who
from casstore.cli.options import command as define

__all__ = ["command"]


@define(
    "delete",
    "Put a version, or a whole artifact, into the trash.",
    exits={5: "conflict: it is held, an alias or tag points at it, or a version was made from it"},
)
@click.argument("ref")
@click.option("--all", "every", is_flag=True, help="REF is a name: delete all of its versions, aliases and tags.")
@who("required without --explain")
@click.option("--reason", metavar="TEXT", help="Why: kept with it.")
@click.option("--explain", is_flag=True, help="Say what this would do, and what blocks it, and do nothing.")
async def command(
    where: Where,
    ref: str,
    *,
    every: bool,
    by: str | None,
    reason: str | None,
    explain: bool,
) -> None:
    """Hide the version that REF is, such as sop/login@3, from every reading. `casstore undelete` takes it back.

    Nothing of it is gone, and its number stays taken. NAME means the newest version that is left.
    """
    actor = "" if explain else named(by)
    async with where.open() as tenant:
        if explain:
            impact = await tenant.explain("delete_artifact" if every else "delete", ref)
            where.out.show(impact, custody.impact(impact))
            return
        if every:
            deleted = await tenant.delete_artifact(ref, by=actor, reason=reason)
        else:
            deleted = (await tenant.delete(ref, by=actor, reason=reason),)
    where.out.show({"items": [custody.dump_deleted(each) for each in deleted]}, custody.trash(deleted))
