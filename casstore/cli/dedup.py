"""casstore dedup."""

from __future__ import annotations

import click

from casstore.cli import render
from casstore.cli.options import Where
from casstore.cli.options import command as define

__all__ = ["command"]

_LIMIT = 20


@define("dedup", "Tell what storing equal bytes once saves.")
@click.option("--limit", type=int, default=_LIMIT, metavar="N", help=f"At most so many contents [{_LIMIT}].")
async def command(where: Where, limit: int) -> None:
    """Tell what storing equal bytes once saves the tenant, and which contents save most: those that most components share.

    Names are those of up to four artifacts; `casstore where-used DIGEST` lists all versions.
    """
    async with where.open() as tenant:
        usage = await tenant.usage()
        shared = await tenant.shared(limit=limit)
    saved = usage.logical_bytes - usage.stored_bytes
    document = {**usage.model_dump(mode="json"), "saved_bytes": saved, "items": shared}
    where.out.show(document, render.shared(usage, shared))
