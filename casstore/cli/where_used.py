"""casstore where-used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from casstore.cli import render
from casstore.cli.options import Where
from casstore.cli.options import command as define
from casstore.limits import PAGE_DEFAULT
from casstore.refs import Ref

if TYPE_CHECKING:
    from casstore.tenant import AsyncTenant

__all__ = ["command"]


@define("where-used", "List the versions that hold some content.")
@click.argument("what", metavar="DIGEST|REF")
@click.option("--pixels", is_flag=True, help="The same picture as the PNG that REF means, however it is encoded.")
@click.option("--limit", type=int, default=PAGE_DEFAULT, metavar="N", help=f"At most so many [{PAGE_DEFAULT}].")
@click.option("--cursor", help="Go on where an earlier list ended.")
async def command(where: Where, what: str, pixels: bool, limit: int, cursor: str | None) -> None:  # noqa: FBT001
    """List the versions that hold the same content, newest first.

    A DIGEST is b3: and at least 12 digits, of a part's bytes or of a version as a whole. A REF with #ROLE (#main where
    there is one part) stands for the bytes of that part, without it for the whole version.
    """
    if pixels and what.startswith("b3:"):
        raise click.UsageError("--pixels takes a REF.")
    async with where.open() as tenant:
        if pixels:
            digest = str((await tenant.get(what)).component.pixels)
            page = await tenant.same_pixels_as(what, limit=limit, cursor=cursor)
        else:
            digest = await _digest(tenant, what)
            page = await tenant.where_used(digest, limit=limit, cursor=cursor)
    items = [render.dump(version) for version in page]
    document = {"pixels" if pixels else "digest": digest, "items": items, "cursor": page.cursor}
    where.out.show(document, render.heads(page))
    if page.cursor:
        where.out.note(f"There are more: --cursor {page.cursor}")
    if not items:
        where.out.note("No version holds it.")


async def _digest(tenant: AsyncTenant, what: str) -> str:
    if what.startswith("b3:"):
        return what
    artifact = await tenant.get(what)
    return str(artifact.component.digest if Ref.parse(what).role else artifact.version.digest)
