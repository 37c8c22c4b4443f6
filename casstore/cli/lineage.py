"""casstore lineage."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from casstore.cli import files, render
from casstore.cli.options import Where
from casstore.cli.options import command as define
from casstore.cli.output import document, plain, size
from casstore.cli.tree import tree

if TYPE_CHECKING:
    from casstore.model import Lineage

__all__ = ["command"]


@define("lineage", "Tell what a version was made from, or what was made from it, and what is stale.")
@click.argument("ref")
@click.option("--down", is_flag=True, help="What was made from it, instead of what it was made from.")
@click.option("--depth", type=int, metavar="N", help="At most so many steps from it [all].")
@click.option("--stale", is_flag=True, help="Only what is stale, as a list.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "prov"]),
    help="prov is W3C PROV-JSON [text; json with --json].",
)
@click.option("-o", "--output", metavar="FILE", help="Where to: a file, or - for standard output.")
@click.option("--force", is_flag=True, help="Replace a file that exists.")
async def command(  # noqa: PLR0917 - each is an option
    where: Where,
    ref: str,
    down: bool,  # noqa: FBT001 - click passes by name
    depth: int | None,
    stale: bool,  # noqa: FBT001
    form: str | None,
    output: str | None,
    force: bool,  # noqa: FBT001
) -> None:
    """Tell what the version that REF means was made from, and what that was made from, or with --down what was made from it.

    A version is stale if one of the versions it was made from has a newer one that is accepted. So after something was
    accepted, `casstore lineage NAME@OLD --down --stale` lists what to make anew.
    """
    form = form or ("json" if where.out.as_json else "text")
    if stale and form == "prov":
        raise click.UsageError("--stale does not go with --format prov, which tells only what never changes.")
    async with where.open() as tenant:
        found = await tenant.lineage(ref, "down" if down else "up", depth=depth)
    lines = [document(_document(found, form, stale=stale))] if form != "text" else None
    _say(where, lines or list(_text(found, down=down, stale=stale)), output, force=force)
    for remark in _remarks(found, down=down, stale=stale):
        where.out.note(remark)


def _document(found: Lineage, form: str, *, stale: bool) -> dict[str, Any]:
    if form == "prov":
        from casstore.formats.prov import to_prov  # noqa: PLC0415 - only this form needs it

        return to_prov(found)
    items = [render.node(each) for each in found if each.is_stale or not stale]
    return {"items": items, "is_complete": found.is_complete}


def _text(found: Lineage, *, down: bool, stale: bool) -> Any:
    return render.stale(found) if stale else tree(found, down=down)


def _remarks(found: Lineage, *, down: bool, stale: bool) -> Iterator[str]:
    version = found.versions[0].version
    if len(found) == 1 and down:
        yield "Nothing was made from it."
    elif len(found) == 1 and not found.versions[0].sources:
        yield "Nobody said what it was made from (casstore put --source)."
    elif stale and not any(node.is_stale for node in found):
        yield "Nothing is stale."
    if stale and down and version.number > 1:
        yield f"What was made from an older version is below that one: {version.name}@{version.number - 1}."
    if not found.is_complete:
        yield f"There is more: these are the nearest {len(found):,} versions."


def _say(where: Where, lines: list[str], output: str | None, *, force: bool) -> None:
    if output in (None, "-"):
        where.out.lines(lines)
        return
    target = Path(output or "")
    written = files.write(target, "".join(f"{line}\n" for line in lines), force=force)
    where.out.show({"path": str(target), "size_bytes": written}, [f"{plain(str(target))}  {size(written)}"])
