"""casstore log."""

from __future__ import annotations

import itertools

import click

from casstore.cli import render
from casstore.cli.options import Where
from casstore.cli.options import command as define
from casstore.formats.meanings import depth_between
from casstore.limits import PAGE_DEFAULT

__all__ = ["command"]


@define("log", "List the versions of a name, newest first.")
@click.argument("name")
@click.option("--limit", type=int, default=PAGE_DEFAULT, metavar="N", help=f"At most so many [{PAGE_DEFAULT}].")
@click.option("--cursor", help="Go on where an earlier list ended.")
async def command(where: Where, name: str, limit: int, cursor: str | None) -> None:
    """List the versions of NAME, newest first, with the aliases and tags that point at them.

    A digest marked with = is that of the version before: the same content was stored again. Versions that differ from the one
    before in how they are encoded, written or laid out, and mean the same, say so.
    """
    async with where.open() as tenant:
        page = await tenant.history(name, limit=limit, cursor=cursor)
        older = await tenant.history(name, limit=1, cursor=page.cursor) if page.cursor else ()
        points = await tenant.pointers(name)
    depths = [depth_between(before, newer) for newer, before in itertools.pairwise((*page, *older))]
    depths += [None] * (1 - len(older))
    items = [
        render.dump(
            version,
            same_as_previous=depth == "same",
            differs=depth,
            pointers=[point for point in points if point.number == version.number],
        )
        for version, depth in zip(page, depths, strict=True)
    ]
    where.out.show({"items": items, "cursor": page.cursor}, render.history(page.items, points, depths))
    if page.cursor:
        where.out.note(f"There are more: --cursor {page.cursor}")
