"""casstore journal."""

from __future__ import annotations

import click

from casstore.cli.options import Where
from casstore.cli.options import command as define

__all__ = ["command"]


@define("journal", "Write the operation log beside the blobs, so that a lost catalog can be rebuilt.")
@click.argument("action", type=click.Choice(["export"]))
async def command(where: Where, action: str) -> None:  # noqa: ARG001 - there is one
    """Write what was committed of the operation log beside the blobs, in segments that are never changed. Takes the role that
    owns the schema.

    casstore journal export

    What was exported survives the loss of the catalog: run it every minute or so. It writes what is new, may be interrupted,
    and may run many times at once. The digest it tells stands for the whole journal: written down elsewhere it proves
    later that nothing before it was changed.
    """
    async with where.store() as store:
        done = await store.export_journal()
    lines = [f"exported {done.records} records in {done.segments} segments, {done.last} in all"]
    where.out.show(done, [*lines, f"digest   {done.digest}"] if done.digest else lines)
