"""casstore purge."""

from __future__ import annotations

from datetime import timedelta

import click

from casstore.cli import custody
from casstore.cli.options import Where, duration, named, who
from casstore.cli.options import command as define

__all__ = ["command"]


@define(
    "purge",
    "Let go of what is in the trash, for ever.",
    exits={5: "conflict: it is not in the trash, held, or something that can come back was made from it"},
)
@click.argument("ref", required=False)
@click.option("--all", "every", is_flag=True, help="REF is a name: purge what of it is in the trash.")
@click.option(
    "--older-than", metavar="TIME", callback=duration, help="Instead of REF: all deleted so long ago, as 30d or 0."
)
@who("required without --explain")
@click.option("--reason", metavar="TEXT", help="Why: kept in the log.")
@click.option("--explain", is_flag=True, help="Say what this would do, and what blocks it, and do nothing.")
async def command(
    where: Where,
    ref: str | None,
    *,
    every: bool,
    older_than: timedelta | None,
    by: str | None,
    reason: str | None,
    explain: bool,
) -> None:
    """Let go of the content of the version that REF is, such as sop/login@3, which has to be in the trash.

    Its number, digest and history stay. It cannot be taken back. `casstore gc` frees the bytes that nothing else refers to.
    """
    if (ref is None) == (older_than is None) or (older_than is not None and (every or explain)):
        raise click.UsageError("Give a REF, with or without --all or --explain, or --older-than alone.")
    actor = "" if explain else named(by)
    async with where.open() as tenant:
        if ref is None:
            count = await tenant.empty_trash(older_than or timedelta(), by=actor, reason=reason)
            where.out.show({"purged": count}, [f"{count} version(s) purged"])
        elif explain:
            impact = await tenant.explain("purge_artifact" if every else "purge", ref)
            where.out.show(impact, custody.impact(impact))
        else:
            once = (await tenant.purge(ref, by=actor, reason=reason),) if not every else ()
            purged = once or await tenant.purge_artifact(ref, by=actor, reason=reason)
            where.out.show({"items": [custody.dump_deleted(each) for each in purged]}, custody.trash(purged))
