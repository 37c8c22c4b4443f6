"""casstore alias."""

from __future__ import annotations

import click

from casstore.cli import render
from casstore.cli.options import Where, who, whoever
from casstore.cli.options import command as define
from casstore.limits import PAGE_DEFAULT

__all__ = ["command"]


@define(
    "alias",
    "Set, move, delete or list aliases: names for versions that may change their meaning.",
    exits={5: "conflict: --expect does not hold, or the word is a tag"},
)
@click.argument("ref")
@click.argument("alias", required=False)
@click.option("--delete", "what", flag_value="delete", help="Remove the alias; its history stays.")
@click.option("--list", "what", flag_value="list", help="List the aliases and tags of a name.")
@click.option("--history", "what", flag_value="history", help="List what the alias meant, newest first.")
@click.option("--expect", type=int, metavar="N", help="Only if it means version N now; 0: only if it does not exist.")
@click.option("--limit", type=int, default=PAGE_DEFAULT, metavar="N", help=f"With --history: so many [{PAGE_DEFAULT}].")
@click.option("--cursor", help="With --history: go on where an earlier list ended.")
@who()
async def command(  # noqa: PLR0917 - each is an option
    where: Where,
    ref: str,
    alias: str | None,
    what: str | None,
    expect: int | None,
    by: str | None,
    limit: int,
    cursor: str | None,
) -> None:
    """Make NAME@ALIAS mean the version that REF means now: `casstore alias sop/login@3 prod`.

    With --delete, --list and --history REF is just the NAME.

    Earlier meanings can be read: NAME@ALIAS~2026-08-01T00:00:00Z.
    """
    if (alias is None) != (what == "list"):
        raise click.UsageError("Missing argument 'ALIAS'." if alias is None else "--list takes no ALIAS.")
    if what in ("list", "history") and (by is not None or expect is not None):
        raise click.UsageError("--by and --expect go with setting and deleting.")
    async with where.open() as tenant:
        if what == "list":
            points = await tenant.pointers(ref)
            where.out.show({"items": points}, render.pointers(points))
        elif what == "history":
            page = await tenant.pointer_history(ref, alias or "", limit=limit, cursor=cursor)
            where.out.show(page, render.moves(page))
            if page.cursor:
                where.out.note(f"There are more: --cursor {page.cursor}")
        else:
            verb = tenant.unalias if what == "delete" else tenant.alias
            point = await verb(ref, alias or "", expect=expect, by=whoever(by))
            where.out.show(point, render.pointed(point))
