"""casstore gc."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from casstore.cli import render
from casstore.cli.files import appearing
from casstore.cli.options import Where, duration
from casstore.cli.options import command as define
from casstore.cli.output import size
from casstore.errors import Code, Invalid, Unavailable
from casstore.limits import COLLECT_RATE, QUARANTINE

if TYPE_CHECKING:
    from casstore.collection import Candidate, Collected
    from casstore.store import AsyncStore

__all__ = ["command"]

_FAILED: Final = 8  # the exit code


@define(
    "gc",
    "Free the bytes that no version refers to any more.",
    exits={8: "some could not be deleted, or a half is unavailable: try again later"},
)
@click.option("--plan", "plan_file", metavar="FILE", help="Write what it would do to FILE, and do nothing.")
@click.option("--apply", "apply_file", metavar="FILE", help="Do what FILE says, and nothing else.")
@click.option("--full", is_flag=True, help="Look at every blob, not only at those that lost a reference.")
@click.option("--orphans", is_flag=True, help="First look for objects that the catalog does not know.")
@click.option(
    "--quarantine",
    metavar="TIME",
    callback=duration,
    help=f"From condemned to deleted [{QUARANTINE.days}d]: not less than the age of the oldest backup you would restore.",
)
@click.option(
    "--rate",
    type=float,
    default=COLLECT_RATE,
    metavar="N",
    help=f"At most so many deletes a second [{COLLECT_RATE:g}].",
)
@click.option("--daemon", is_flag=True, help="Go on until interrupted.")
@click.option("--every", metavar="TIME", callback=duration, help="With --daemon: so often [10m].")
async def command(
    where: Where,
    *,
    plan_file: str | None,
    apply_file: str | None,
    quarantine: timedelta | None,
    every: timedelta | None,
    daemon: bool,
    **options: Any,
) -> int:
    """Condemn blobs of all tenants that nothing refers to, and delete those condemned long enough ago.

    Deleting needs a quarantine first: so what is purged today is condemned by the next run, and gone a week later. A put of the
    same bytes takes them back. Run it as often as you like, more than one at once too.
    """
    if sum(map(bool, (plan_file, apply_file, daemon))) > 1 or (every and not daemon):
        raise click.UsageError("--plan, --apply and --daemon exclude each other, and --every goes with --daemon.")
    if (apply_file and (options["full"] or options["orphans"])) or (plan_file and options["orphans"]):
        raise click.UsageError("--full goes with --plan or alone, --orphans alone.")
    options["quarantine"] = QUARANTINE if quarantine is None else quarantine
    planned = _checked(Path(apply_file)) if apply_file else None
    async with where.store() as store:
        if plan_file:
            return await _plan(where, store, Path(plan_file), full=options["full"], quarantine=options["quarantine"])
        if daemon:
            return await _keep_collecting(where, store, every or timedelta(minutes=10), options)
        return _told(where, await store.collect(_lines(planned) if planned else None, **options))


def _told(where: Where, report: Collected) -> int:
    where.out.show(report, render.collected(report))
    return _FAILED if report.failed else 0


async def _keep_collecting(where: Where, store: AsyncStore, every: timedelta, options: dict[str, Any]) -> int:
    """Until somebody interrupts it; what is unavailable now may be there the next time."""
    while True:
        try:
            _told(where, await store.collect(**options))
        except Unavailable as error:
            where.out.error(error.as_dict())
        where.out.flush()
        await asyncio.sleep(every.total_seconds())


async def _plan(where: Where, store: AsyncStore, file: Path, *, full: bool, quarantine: timedelta) -> int:
    """Write a line for each blob that something would be done about."""
    counts, sizes = Counter[str](), Counter[str]()
    with appearing(file, force=True) as lines:
        cursor, more = None, True
        while more:
            page = await store.plan_collection(full=full, quarantine=quarantine, cursor=cursor)
            for candidate in page:
                counts[candidate.step] += 1
                sizes[candidate.step] += candidate.size_bytes
                lines.write(candidate.model_dump_json().encode() + b"\n")
            cursor, more = page.cursor, page.cursor is not None
    figures = {step: {"blobs": counts[step], "bytes": sizes[step]} for step in ("condemn", "wait", "delete")}
    told = [f"{step:8} {each['blobs']} blob(s), {size(each['bytes'])}" for step, each in figures.items()]
    where.out.show({"file": str(file), **figures}, told)
    return 0


def _checked(file: Path) -> Path:
    """Read a plan to its end, so that a damaged one does nothing at all."""
    for _ in _lines(file):
        pass
    return file


def _lines(file: Path) -> Iterator[Candidate]:
    from casstore.collection import Candidate  # noqa: PLC0415 - only a plan needs it

    try:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    yield Candidate.model_validate_json(line)
                except ValueError as error:
                    message = f"line {number} of {file} is no part of a plan"
                    raise Invalid(Code.BAD_DATA, message, hint="Make the plan anew: --plan FILE.") from error
    except OSError as error:
        message = f"cannot read {file}: {error.strerror or error}"
        raise Invalid(Code.UNREADABLE_SOURCE, message, hint="Check the path.") from error
