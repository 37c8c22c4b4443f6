"""casstore rebuild."""

from __future__ import annotations

from casstore.cli.options import Where
from casstore.cli.options import command as define

__all__ = ["command"]


@define("rebuild", "Make a lost catalog again, from the journal beside the blobs.")
async def command(where: Where) -> None:
    """Make a lost catalog again, in an empty database, from the journal and the blobs alone. Takes the role that owns the schema.

    casstore init && casstore rebuild

    Everything that `casstore journal export` has written comes back, or nothing does: an interrupted rebuild leaves the
    database empty.
    """
    store = where.store()
    async with where.out.busy("rebuilding", when=True):
        done = await store.rebuild()
    lines = [f"rebuilt  {done.versions} versions from {done.records} records, {done.blobs} blobs are there"]
    if done.missing:
        lines.append(f"missing  {done.missing} blobs: put their bytes again, or restore them from a backup")
    where.out.show(done, [*lines, f"digest   {done.digest}"])
