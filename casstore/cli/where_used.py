"""casstore where-used."""

from __future__ import annotations

import click

from casstore.cli import render
from casstore.cli.options import Where
from casstore.cli.options import command as define
from casstore.limits import PAGE_DEFAULT
from casstore.refs import Ref

__all__ = ["command"]


@define("where-used", "List the versions that hold some content.")
@click.argument("what", metavar="DIGEST|REF")
@click.option("--limit", type=int, default=PAGE_DEFAULT, metavar="N", help=f"At most so many [{PAGE_DEFAULT}].")
@click.option("--cursor", help="Go on where an earlier list ended.")
async def command(where: Where, what: str, limit: int, cursor: str | None) -> None:
    """List the versions that hold the same content, newest first.

    A DIGEST is b3: and at least 12 digits, of a part's bytes or of a version as a whole. A REF with #ROLE (#main where
    there is one part) stands for the bytes of that part, without it for the whole version.
    """
    async with where.open() as tenant:
        digest = what
        if not what.startswith("b3:"):
            artifact = await tenant.get(what)
            digest = str(artifact.component.digest if Ref.parse(what).role else artifact.version.digest)
        page = await tenant.where_used(digest, limit=limit, cursor=cursor)
    items = [render.dump(version) for version in page]
    where.out.show({"digest": digest, "items": items, "cursor": page.cursor}, render.heads(page))
    if page.cursor:
        where.out.note(f"There are more: --cursor {page.cursor}")
    if not items:
        where.out.note("No version holds it.")
