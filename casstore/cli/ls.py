"""casstore ls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from casstore.cli import render
from casstore.cli.options import Where, json_object, pairs
from casstore.cli.options import command as define
from casstore.limits import PAGE_DEFAULT

if TYPE_CHECKING:
    from casstore.model import State, Version

__all__ = ["command"]


@define("ls", "List artifacts by their newest version.")
@click.argument("prefix", required=False)
@click.option("--type", "kind", metavar="TYPE", help="Only of this type.")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", callback=pairs, help="Only with it; repeatable.")
@click.option(
    "--metadata", metavar="JSON|@FILE", callback=json_object, help="Only where the metadata contain this JSON object."
)
@click.option("--state", type=click.Choice(["draft", "accepted", "obsolete"]), help="Only in this state now.")
@click.option("--limit", type=int, default=PAGE_DEFAULT, metavar="N", help=f"At most so many [{PAGE_DEFAULT}].")
@click.option("--cursor", help="Go on where an earlier list ended.")
@click.option("--all", "every", is_flag=True, help="All there are; --limit is then what is asked for at once.")
async def command(  # noqa: PLR0917 - each is an option
    where: Where,
    prefix: str | None,
    kind: str | None,
    labels: dict[str, str],
    metadata: dict[str, Any] | None,
    state: State | None,
    limit: int,
    cursor: str | None,
    every: bool,  # noqa: FBT001 - click passes by name
) -> None:
    """List the artifacts whose names begin with PREFIX (or all) by their newest version, most recent first."""
    items: list[Version] = []
    async with where.open() as tenant:
        while True:
            page = await tenant.list(
                name_prefix=prefix,
                type=kind,
                label=labels or None,
                metadata=metadata,
                state=state,
                limit=limit,
                cursor=cursor,
            )
            items += page.items
            cursor = page.cursor
            if not (every and cursor):
                break
    where.out.show({"items": [render.dump(version) for version in items], "cursor": cursor}, render.heads(items))
    if cursor:
        where.out.note(f"There are more: --all, or --cursor {cursor}")
    if not items:
        where.out.note("There are no such artifacts.")
