"""casstore erase."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import click

from casstore.cli import custody, render
from casstore.cli.files import appearing
from casstore.cli.options import Where, duration, named
from casstore.cli.options import command as define

__all__ = ["command"]


@define(
    "erase",
    "Erase one content from all versions that have it, for ever.",
    exits={4: "not found: no version has it, or had", 5: "conflict: a version that has it is held"},
)
@click.argument("digest")
@click.option("--by", metavar="WHO", help="Who does it: kept with it, rather a role than a name.")
@click.option("--reason", "--why", metavar="TEXT", help="Why: kept with it.")
@click.option("--receipt", metavar="FILE", help="Where the receipt goes.")
@click.option("--backups", metavar="TIME", callback=duration, help="How long backups of the catalog are kept, as 30d.")
@click.option("--explain", is_flag=True, help="Say what this would do, and what blocks it, and do nothing.")
async def command(
    where: Where,
    digest: str,
    *,
    by: str | None,
    reason: str | None,
    receipt: str | None,
    backups: timedelta | None,
    explain: bool,
) -> None:
    """Erase the content that DIGEST (b3:…) is of, from every version of the tenant. It cannot be taken back.

    casstore erase b3:4f2c… --by dpo --reason "asked to, case 17" --backups 30d --receipt case-17.json

    The versions keep number, name, history and their other components; reading this one answers content_erased. A digest is what
    `casstore show` tells of a component. `casstore gc` frees the bytes, unless another tenant has them too.
    """
    if explain == (receipt is not None) or (explain and backups is not None):
        raise click.UsageError("Give --explain, or --receipt FILE and perhaps --backups.")
    if receipt is None:
        async with where.open() as tenant:
            impact = await tenant.explain("erase_content", digest)
        where.out.show(impact, render.impact(impact))
        return
    who = named(by)
    with appearing(Path(receipt), force=False) as lines:
        async with where.open() as tenant:
            told = await tenant.erase_content(digest, by=who, reason=reason, backups=backups or timedelta())
        where.out.show(told, custody.content_receipt(told))
        lines.write(told.model_dump_json(indent=2).encode() + b"\n")
