"""casstore fsck."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from casstore.cli import defects
from casstore.cli.options import Where
from casstore.cli.options import command as define
from casstore.errors import Code, Invalid

if TYPE_CHECKING:
    from casstore.operations.defects import Checked

__all__ = ["command"]


@define(
    "fsck",
    "Check the whole store: catalog against blobs, and the catalog by itself.",
    exits={0: "no defect, or all are mended", 1: "defects (or a bug in casstore)"},
)
@click.option("--repair", is_flag=True, help="Correct the ledger where the bytes that were read prove it wrong.")
@click.option("--resume", metavar="FILE", help="Remember in FILE how far it is; go on from there if FILE is there.")
async def command(where: Where, repair: bool, resume: str | None) -> int:  # noqa: FBT001 - click passes by name
    """Check the whole store, of all tenants: that every object the catalog relies on is there and looks right, that no object is
    unknown, and that the catalog keeps its own laws. Bytes are not read; that is what `casstore scrub` does.

    It may run while others work, and stops nobody. What it tells is so: whatever looks wrong is looked at again.

    It takes the role that owns the catalog, not that of a service.
    """
    kept = _Kept(Path(resume)) if resume else None
    cursor = kept.read() if kept else None
    with where.out.progress("checking") as progress:

        def report(so_far: Checked) -> None:
            progress.told(f"{so_far.objects} objects, {so_far.versions} versions")
            if kept and so_far.cursor:
                where.out.flush()  # what was found up to there is told
                kept.write(so_far.cursor)

        async with where.whole() as store:
            check = store.fsck(repair=repair, cursor=cursor, progress=report)
            await defects.show(where.out, check)
    if kept:
        kept.remove()
    return _sum_up(where, check.summary)


def _sum_up(where: Where, summary: Checked) -> int:
    is_well = summary.defects == summary.mended
    told = (
        f"checked {summary.objects} objects, {summary.blobs} blobs, {summary.versions} versions of {summary.artifacts} artifacts, "
        f"{summary.requests} requests: {summary.defects or 'no'} defects"
        + (f", {summary.mended} mended" if summary.mended else "")
    )
    defects.end(where.out, {"ok": is_well, "summary": summary}, [told])
    return 0 if is_well else 1


class _Kept:
    """A cursor in a file, whole or not at all."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> str | None:
        with self._translated("read"):
            return self._path.read_text("ascii").strip() if self._path.exists() else None

    def write(self, cursor: str) -> None:
        with self._translated("write"):
            temp = self._path.with_name(f"{self._path.name}.tmp")
            temp.write_text(f"{cursor}\n", "ascii")
            temp.replace(self._path)

    def remove(self) -> None:
        with self._translated("remove"):
            self._path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:
            message = f"cannot {what} {self._path}: {getattr(error, 'strerror', None) or error}"
            raise Invalid(Code.UNWRITABLE_TARGET, message, hint="Name a file that can be written.") from error
