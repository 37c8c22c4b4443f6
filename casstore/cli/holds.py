"""casstore holds."""

from __future__ import annotations

import click

from casstore.cli import custody
from casstore.cli.options import Where
from casstore.cli.options import command as define
from casstore.limits import PAGE_DEFAULT

__all__ = ["command"]


@define("holds", "List the holds there are.")
@click.option("--limit", type=int, default=PAGE_DEFAULT, metavar="N", help=f"At most so many [{PAGE_DEFAULT}].")
@click.option("--cursor", help="Go on where an earlier list ended.")
@click.option("--released", is_flag=True, help="Those that were released instead.")
async def command(where: Where, limit: int, cursor: str | None, released: bool) -> None:  # noqa: FBT001 - click's
    """List the holds, the last placed first, with what each is on, who placed it and why."""
    async with where.open() as tenant:
        page = await tenant.holds(released=released, limit=limit, cursor=cursor)
    where.out.show({"items": list(page), "cursor": page.cursor}, custody.held(page))
    if page.cursor:
        where.out.note(f"There are more: --cursor {page.cursor}")
    if not page.items:
        where.out.note("No hold was released." if released else "Nothing is held.")
