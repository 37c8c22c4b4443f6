"""casstore erase."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from casstore.cli import custody
from casstore.cli.files import appearing
from casstore.cli.options import Where, duration, named, who
from casstore.cli.options import command as define
from casstore.cli.receipts import read
from casstore.errors import Code, Invalid

if TYPE_CHECKING:
    from casstore.operations.receipts import ContentReceipt

__all__ = ["command"]


@define(
    "erase",
    "Erase one content from all versions that have it, for ever.",
    exits={4: "not found: no version has it, or had", 5: "conflict: a version that has it is held"},
)
@click.argument("digest")
@who("required without --explain")
@click.option("--reason", "--why", metavar="TEXT", help="Why: kept with it.")
@click.option("--receipt", metavar="FILE", help="Where the receipt goes; the same one may be there already.")
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
        where.out.show(impact, custody.impact(impact))
        return
    await _erase(where, digest, Path(receipt), by=named(by), reason=reason, backups=backups or timedelta())


async def _erase(where: Where, digest: str, file: Path, **why: Any) -> None:
    """Nothing is erased where the file cannot be made. One that has the receipt already, of a call before, is left as it is."""
    if known := _known(file, digest):
        async with where.open() as tenant:
            told = await tenant.erase_content(digest, **why)
        where.out.show(told, custody.content_receipt(told))
        if told != known:
            message = f"{file} has an earlier receipt of this content, which is another"
            raise Invalid(
                Code.UNWRITABLE_TARGET, message, hint="It is erased: name another file, and the call gives its receipt."
            )
        return
    with appearing(file, force=False) as lines:
        async with where.open() as tenant:
            told = await tenant.erase_content(digest, **why)
        where.out.show(told, custody.content_receipt(told))
        lines.write(told.model_dump_json(indent=2).encode() + b"\n")


def _known(file: Path, digest: str) -> ContentReceipt | None:
    """The receipt of this content that is in the file already; None where there is none, or something else."""
    from casstore.model import Digest  # noqa: PLC0415 - help needs none
    from casstore.operations.receipts import ContentReceipt  # noqa: PLC0415

    if not file.is_file():
        return None
    meant = Digest.parse(digest)
    try:
        found = read(file)
    except Invalid:  # what it is instead is told by `appearing`, which does not replace it
        return None
    return found if isinstance(found, ContentReceipt) and found.is_of(meant) else None
