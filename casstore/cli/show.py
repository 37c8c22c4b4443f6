"""casstore show."""

from __future__ import annotations

import click

from casstore.cli import render
from casstore.cli.options import Where
from casstore.cli.options import command as define

__all__ = ["command"]


@define("show", "Tell everything about one version.")
@click.argument("ref")
async def command(where: Where, ref: str) -> None:
    """Tell everything about the version that REF means: fields, parts, and the aliases and tags that point at it."""
    async with where.open() as tenant:
        version = await tenant.resolve(ref)
        points = [point for point in await tenant.pointers(version.name) if point.number == version.number]
    where.out.show(render.dump(version, pointers=points), render.version(version, points))
