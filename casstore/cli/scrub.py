"""casstore scrub."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from casstore.cli import defects
from casstore.cli.options import Where, duration, size_bytes
from casstore.cli.options import command as define
from casstore.cli.output import size

if TYPE_CHECKING:
    from casstore.operations.defects import Scrubbed

__all__ = ["command"]


@define(
    "scrub",
    "Read blobs and verify them, those that were not read for longest first.",
    exits={0: "no defect, or all are mended", 1: "defects (or a bug in casstore)"},
)
@click.option(
    "--cycle", default="30d", metavar="TIME", callback=duration, help="In which every blob is to be read [30d]."
)
@click.option(
    "--share", type=click.FloatRange(0, 100, min_open=True), metavar="PERCENT", help="Read so much, whatever is due."
)
@click.option("--rate", metavar="BYTES", callback=size_bytes, help="At most so many a second, such as 50MB.")
async def command(where: Where, cycle: timedelta, share: float | None, rate: int | None) -> int:
    """Read what is due of the store and compare it with the digests. Call it from a daily job: what each call has read is
    remembered, and each reads as much as the time since the last one is of the cycle.

    Where bytes are wrong or gone, the next put of the same bytes heals the blob, and `casstore repair` does it from a copy.

    It takes the role that owns the catalog, not that of a service.
    """
    with where.out.progress("reading") as progress:
        async with where.whole() as store:
            rest = None if share is None else share / 100
            check = store.scrub(
                cycle=cycle, share=rest, rate=rate, progress=lambda so_far: progress.bytes(so_far.bytes)
            )
            await defects.show(where.out, check)
    summary = check.summary
    is_well = summary.defects == summary.mended
    defects.end(where.out, {"ok": is_well, "summary": summary}, [_read(summary), _coverage(summary)])
    return 0 if is_well else 1


def _read(summary: Scrubbed) -> str:
    mended = f", {summary.mended} mended" if summary.mended else ""
    return f"read {summary.blobs} blobs, {size(summary.bytes)}: {summary.defects or 'no'} defects{mended}"


def _coverage(summary: Scrubbed) -> str:
    if summary.oldest is None:
        return f"oldest unverified: never read, {summary.unread:.0%} of the store"
    age = datetime.now(UTC) - summary.oldest
    return f"oldest unverified: {age / timedelta(days=1):.1f} days"
