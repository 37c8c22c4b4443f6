"""casstore expire."""

from __future__ import annotations

from datetime import datetime, timedelta

import click

from casstore.cli.options import Where, duration, named, who
from casstore.cli.options import command as define
from casstore.cli.output import plain

__all__ = ["command"]


@define("expire", "Say when a version expires.", exits={4: "not found"})
@click.argument("ref")
@click.option("--at", metavar="INSTANT", help="Then, such as 2027-01-31T12:00:00Z.")
@click.option("--after", metavar="TIME", callback=duration, help="So long from now: 90s, 10m, 12h, 7d, 2w.")
@click.option("--never", is_flag=True, help="Not at all.")
@who("required")
@click.option("--reason", metavar="TEXT", help="Why: kept with it.")
async def command(
    where: Where, ref: str, *, at: str | None, after: timedelta | None, never: bool, by: str | None, reason: str | None
) -> None:
    """From then on `casstore retention apply` drops REF, such as trace/x@3, whatever the rules say; what is held or used stays."""
    if [at is not None, after is not None, never].count(True) != 1:
        raise click.UsageError("Give one of --at, --after and --never.")
    async with where.open() as tenant:
        done = await tenant.expire(ref, _instant(at) if at else after, by=named(by), reason=reason)
    when = f"{done.at:%Y-%m-%d %H:%M:%S} UTC" if done.at else "never"
    where.out.show(done, [f"{plain(done.name)}@{done.number}  expires {when}"])


def _instant(text: str) -> datetime:
    from casstore.refs import parse_instant  # noqa: PLC0415 - help needs none

    return parse_instant(text)
