"""casstore init."""

from __future__ import annotations

from casstore.cli.options import Where
from casstore.cli.options import command as define
from casstore.cli.output import plain

__all__ = ["command"]


@define("init", "Set up a store, or bring its catalog to this release.")
async def command(where: Where) -> None:
    """Make the folder for blobs and bring the catalog to this release. Again does no harm.

    An embedded catalog does not need it: it is set up when it is first used. A postgresql:// catalog does,
    once for each release.
    """
    done = await where.store().init()
    applied = [f"applied  {name}" for name in done.applied] or ["the catalog is up to date"]
    where.out.show(done, [f"blobs    {plain(done.blobs)}", f"catalog  {plain(done.catalog)}", *applied])
