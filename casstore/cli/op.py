"""casstore op."""

from __future__ import annotations

import click

from casstore.cli import render
from casstore.cli.options import Where, named, who
from casstore.cli.options import command as define
from casstore.limits import PAGE_DEFAULT

__all__ = ["command"]


@define(
    "op",
    "List what was done, newest first, or undo it.",
    exits={5: "conflict: something came after what is to be undone, or its opposite is refused"},
)
@click.argument("action", type=click.Choice(["log", "undo"]))
@click.argument("what", metavar="[NAME|ID]", required=False)
@click.option("--op", metavar="OP", help="With log: only these, such as alias or delete.")
@click.option(
    "--limit", type=int, default=PAGE_DEFAULT, metavar="N", help=f"With log: at most so many [{PAGE_DEFAULT}]."
)
@click.option("--cursor", help="With log: go on where an earlier list ended.")
@who("required with undo")
@click.option("--reason", metavar="TEXT", help="With undo: why; kept in the log.")
async def command(  # noqa: PLR0917 - each is an option
    where: Where,
    action: str,
    what: str | None,
    op: str | None,
    limit: int,
    cursor: str | None,
    by: str | None,
    reason: str | None,
) -> None:
    """List the operations of a tenant, or of a NAME or NAME@3, with what was before and after; or take one back.

    casstore op log sop/login

    casstore op undo 17 --by ops --reason "the wrong one"

    Moves of aliases, deletes, undeletes and states can be undone, unless something came after them. The log keeps both.
    """
    async with where.open() as tenant:
        if action == "undo":
            undone = await tenant.undo(_id(what), by=named(by), reason=reason)
            where.out.show(undone, render.undone(undone))
            return
        page = await tenant.operations(what, op=op, limit=limit, cursor=cursor)
    items = [{"ref": each.ref, **each.model_dump(mode="json")} for each in page]
    where.out.show({"items": items, "cursor": page.cursor}, render.operations(page))
    if page.cursor:
        where.out.note(f"There are more: --cursor {page.cursor}")


def _id(what: str | None) -> int:
    if what is None or not (what.isascii() and what.isdecimal()):
        raise click.UsageError("Missing argument 'ID': the number that `casstore op log` tells.")
    return int(what)
