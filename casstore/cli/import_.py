"""casstore import."""

from __future__ import annotations

import click

from casstore.cli import render
from casstore.cli.options import Where, who, whoever
from casstore.cli.options import command as define
from casstore.errors import Code, Invalid

__all__ = ["command"]


@define(
    "import",
    "Store a whole folder of versions; may be repeated.",
    exits={0: "done, nothing was refused", 1: "done, but something was refused (or a bug in casstore)"},
)
@click.argument("folder")
@click.option(
    "--layout",
    type=click.Choice(["versions", "platform"]),
    default="versions",
    help="How it is laid out [versions].",
)
@click.option("--prefix", default="", help="Put before every name, such as acme/.")
@click.option("--at-once", type=int, default=8, metavar="N", help="Names worked on in parallel, by each process [8].")
@click.option("--processes", type=int, default=1, metavar="N", help="Processes that share the names [1].")
@who()
async def command(
    where: Where, folder: str, *, layout: str, prefix: str, at_once: int, processes: int, by: str | None
) -> int:
    """Store every version in FOLDER, laid out as TYPE/NAME/v0001.EXT, or TYPE/NAME/v0001/ROLE.EXT for several parts.

    The n-th version of a name becomes version n of TYPE/NAME, or is refused and with it those after it. Interrupted, or
    when there are new versions: run it again; what is stored stays as it is. What does not fit the layout is skipped,
    and listed. A NAME of more than 63 characters is shortened, and listed; the title keeps the whole.

    With --layout platform, FOLDER (or gs://bucket/prefix) holds artifacts/TYPE/TENANT/ID.json and pictures, as the platform kept
    them: each document becomes a version of TYPE/ID of its TENANT, or only those of the one that --tenant names. It takes
    neither --prefix nor --processes nor --by: a document was put by its execution, or the platform.
    """
    if layout == "platform":
        return await _move_in(where, folder, at_once, plain=(prefix, processes, by) == ("", 1, None))
    with where.out.progress("importing") as progress:
        async with where.open() as tenant:
            report = await tenant.import_tree(
                folder, prefix=prefix, at_once=at_once, processes=processes, by=whoever(by), progress=progress.count
            )
    if report.entries and report.skipped == len(report.entries):
        message = f"none of the {report.skipped} files in {folder} is where a version would be, such as {report.entries[0].path}"
        raise Invalid(
            Code.BAD_ARGUMENT, message, hint="Name the folder that holds TYPE/NAME/v0001.EXT, perhaps the one above."
        )
    where.out.show(report, render.report(report))
    return 1 if report.refused else 0


async def _move_in(where: Where, source: str, at_once: int, *, plain: bool) -> int:
    from casstore.integrations.moving_in import move_in  # noqa: PLC0415 - this layout alone needs it

    if not plain:
        message = "--prefix, --processes and --by are not for the platform's layout"
        raise Invalid(Code.BAD_ARGUMENT, message, hint="Leave them out.")
    with where.out.progress("moving in") as progress:
        async with where.store() as store:
            report = await move_in(store, source, tenant=where.tenant, at_once=at_once, progress=progress.count)
    where.out.show(report, render.report(report))
    return 1 if report.refused else 0
