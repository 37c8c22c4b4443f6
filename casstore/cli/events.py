"""casstore events."""

from __future__ import annotations

import asyncio

import click

from casstore.cli import render
from casstore.cli.options import Where
from casstore.cli.options import command as define
from casstore.limits import PAGE_DEFAULT

__all__ = ["command"]


@define("events", "List what was changed, oldest first, and follow what is being changed.")
@click.option("--after", metavar="CURSOR", help="Go on after this place; now: after all there is [start].")
@click.option(
    "--limit", type=int, default=PAGE_DEFAULT, metavar="N", help=f"At most so many; all with --follow [{PAGE_DEFAULT}]."
)
@click.option("--follow", is_flag=True, help="Go on with what comes, until interrupted; --json: one line each.")
async def command(where: Where, after: str | None, limit: int, follow: bool) -> None:  # noqa: FBT001 - click's
    """List the changes of a tenant in the order in which they were made, each once.

    casstore events --after now --follow

    Each has a cursor: keep that of the last one you dealt with, and go on with --after.
    """
    async with where.open() as tenant:
        if not follow:
            page = await tenant.events(after=after, limit=limit)
            where.out.show(page, render.events(page.items))
            where.out.note(f"{'There are more' if page.more else 'Go on later'}: --after {page.cursor}")
            return
        try:
            async for event in tenant.follow(after=after):
                where.out.stream(event, render.event(event))
        except asyncio.CancelledError:
            where.out.flush()
            raise
