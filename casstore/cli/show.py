"""casstore show."""

from __future__ import annotations

import click

from casstore.cli import custody, render
from casstore.cli.options import Where
from casstore.cli.options import command as define

__all__ = ["command"]


@define("show", "Tell everything about one version.")
@click.argument("ref")
async def command(where: Where, ref: str) -> None:
    """Tell everything about the version that REF means: fields, parts, the aliases and tags that point at it, its lifecycle,
    what it was made from, the holds that keep it and when it expires.
    """
    async with where.open() as tenant:
        version = await tenant.resolve(ref)
        points = [point for point in await tenant.pointers(version.name) if point.number == version.number]
        steps = await tenant.transitions(f"id:{version.id}")
        (node,) = await tenant.lineage(f"id:{version.id}", depth=0)
        keeping = await tenant.custody(f"id:{version.id}")
    sources = render.sources(node)
    where.out.show(
        render.dump(version, pointers=points, transitions=steps, sources=sources, custody=keeping),
        render.version(version, points, steps, sources, custody.kept(keeping)),
    )
