"""casstore diff."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from casstore.cli.files import write
from casstore.cli.options import Where, target
from casstore.cli.options import command as define
from casstore.cli.output import document
from casstore.errors import Code, Invalid, NotFound

if TYPE_CHECKING:
    from casstore.operations.diffing import Compared
    from casstore.operations.sides import Target

__all__ = ["command"]


@define(
    "diff",
    "Tell what has changed between two versions, components or files.",
    exits={0: "done; with --exit-code: no difference", 1: "with --exit-code: a difference (or a bug in casstore)"},
)
@click.argument("old", metavar="REF|FILE", callback=target)
@click.argument("new", metavar="REF|FILE", callback=target)
@click.option("--component", metavar="ROLE", help="Only this one.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "html", "patch"]),
    help="For people, for programs, as one page, or as a patch that makes the new of the old [text].",
)
@click.option("--stat", is_flag=True, help="As text, one line for each component.")
@click.option("-o", "--output", metavar="FILE", help="Where to write it [standard output].")
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@click.option("--exit-code", "tells", is_flag=True, help="Exit with 1 if the contents differ, in whatever depth.")
async def command(
    where: Where,
    old: Target,
    new: Target,
    *,
    component: str | None,
    form: str | None,
    stat: bool,
    output: str | None,
    force: bool,
    tells: bool,
) -> int:
    """Tell what has changed from the first to the second, component by component, in words and in context.

    A REF is a version or, with #ROLE, one component of it. A FILE begins with . or /, such as ./order.bpmn; a folder is
    taken for an artifact whose components are its files, as `casstore get -o FOLDER` writes them.

    casstore diff workflow/order-intake@2 workflow/order-intake --format html -o changes.html
    """
    form = form or ("json" if where.out.as_json else "text")
    if where.out.as_json and (form in ("text", "html") or output):
        message = "--json is the comparison itself on standard output, and no --format text or html, nor -o FILE"
        raise Invalid(
            Code.BAD_ARGUMENT, message, hint="Leave --json out. --format json -o FILE writes the same into a file."
        )
    async with where.open() as tenant:
        try:
            compared = await tenant.compare(old, new, component=component)
        except NotFound as error:
            error.hint = _for_a_file(old, new) or error.hint
            raise
    if form == "text":
        _tell(where, compared, stat=stat, output=output, force=force)
    else:
        text = _written(compared, form).removesuffix("\n")
        if output:
            write(Path(output), f"{text}\n", force=force)
        else:
            where.out.lines([text])
    return int(tells and compared.diff.depth != "same")


def _for_a_file(*sides: Target) -> str:
    """What to do where a file of this folder was given as names are."""
    files = [side for side in sides if isinstance(side, str) and os.path.isfile(side)]  # noqa: PTH113 - as a shell has it
    return f"A file is written with its folder: ./{files[0]}" if files else ""


def _tell(where: Where, compared: Compared, *, stat: bool, output: str | None, force: bool) -> None:
    from casstore import reports  # noqa: PLC0415 - help and wrong arguments need no formats

    lines = reports.stat_of(compared.diff) if stat else reports.lines_of(compared)
    if output:
        write(Path(output), "".join(f"{line.text}\n" for line in lines), force=force)
    else:
        where.out.painted((line.style, line.text) for line in lines)


def _written(compared: Compared, form: str) -> str:
    from casstore import reports  # noqa: PLC0415 - help and wrong arguments need no formats

    if form == "html":
        return reports.page_of(compared)
    return document(compared.diff if form == "json" else reports.patch_of(compared.diff))
