"""casstore repair."""

from __future__ import annotations

import click

from casstore.cli.options import Where
from casstore.cli.options import command as define
from casstore.cli.output import plain
from casstore.model import Digest

__all__ = ["command"]

_OUTCOMES = {
    "good": "is good",
    "healed": "healed from",
    "no_bytes": "nobody has its bytes",
    "unknown": "no version needs it",
}


@define(
    "repair",
    "Give blobs that are missing or altered their bytes back.",
    exits={0: "all are good", 1: "some are not (or a bug in casstore)"},
)
@click.argument("digests", metavar="[DIGEST]...", nargs=-1)
@click.option(
    "--from",
    "places",
    multiple=True,
    metavar="PLACE",
    help="A file, a folder of files, or blobs: file:///… or gs://… (repeatable).",
)
@click.option(
    "--history", is_flag=True, help="First from what the bucket has kept: soft-deleted and noncurrent generations."
)
async def command(where: Where, digests: tuple[str, ...], places: tuple[str, ...], *, history: bool) -> int:
    """Give each DIGEST its bytes back; without any, all that versions need and that reads, `casstore scrub` or
    `casstore fsck --repair` have found missing or altered.

    casstore repair b3:… --from ~/backup --from gs://bucket-of-another-store

    What a PLACE gives is hashed before it is trusted, and an object that is good is never overwritten.

    It takes the role that owns the catalog, not that of a service.
    """
    wanted = [Digest.parse(digest) for digest in digests] or None
    async with where.whole() as store:
        done = await store.repair(wanted, sources=places, history=history)
    lines = [f"{each.digest}  {_OUTCOMES[each.outcome]} {plain(each.source)}".rstrip() for each in done]
    where.out.show({"repaired": done}, lines or ["nothing is to be repaired"])
    return 0 if all(each.outcome in ("good", "healed") for each in done) else 1
