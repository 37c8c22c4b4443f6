"""casstore tag."""

from __future__ import annotations

import click

from casstore.cli import render
from casstore.cli.options import Where, who, whoever
from casstore.cli.options import command as define

__all__ = ["command"]


@define(
    "tag", "Name a version once and for ever.", exits={5: "conflict: the word means another version, or is an alias"}
)
@click.argument("ref")
@click.argument("tag")
@who()
async def command(where: Where, ref: str, tag: str, by: str | None) -> None:
    """Make NAME@TAG mean the version that REF means now, for ever. A tag cannot be moved or removed."""
    async with where.open() as tenant:
        point = await tenant.tag(ref, tag, by=whoever(by))
    where.out.show(point, render.pointed(point))
