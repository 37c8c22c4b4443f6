"""casstore trash."""

from __future__ import annotations

import click

from casstore.cli import custody
from casstore.cli.options import Where
from casstore.cli.options import command as define
from casstore.limits import PAGE_DEFAULT

__all__ = ["command"]


@define("trash", "List what was deleted and can be taken back.")
@click.option("--limit", type=int, default=PAGE_DEFAULT, metavar="N", help=f"At most so many [{PAGE_DEFAULT}].")
@click.option("--cursor", help="Go on where an earlier list ended.")
@click.option("--purged", is_flag=True, help="What was purged instead: what is left of it.")
async def command(where: Where, limit: int, cursor: str | None, purged: bool) -> None:  # noqa: FBT001 - click's
    """List the versions in the trash, the last deleted first, with who deleted them and why."""
    async with where.open() as tenant:
        page = await tenant.trash(purged=purged, limit=limit, cursor=cursor)
    items = [custody.dump_deleted(deleted) for deleted in page]
    where.out.show({"items": items, "cursor": page.cursor}, custody.trash(page))
    if page.cursor:
        where.out.note(f"There are more: --cursor {page.cursor}")
    if not items:
        where.out.note("Nothing was purged." if purged else "The trash is empty.")
