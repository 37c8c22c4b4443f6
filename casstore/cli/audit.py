"""casstore audit."""

from __future__ import annotations

import click

from casstore.cli.options import Where
from casstore.cli.options import command as define
from casstore.cli.output import plain

__all__ = ["command"]

_DAMAGED = 7


@define("audit", "Prove that no exported row was altered, removed or added.", exits={7: "something was"})
@click.argument("action", type=click.Choice(["verify"]))
async def command(where: Where, action: str) -> int:  # noqa: ARG001 - there is one
    """Prove that the journal is whole, each segment with the digest of the one before, and that the catalog agrees with it, row by
    row. Takes the role that owns the schema.

    casstore audit verify

    Names each row that is not as it was exported, and each that the operation log does not account for. Writers need not stop.
    """
    async with where.store() as store, where.out.busy("verifying", when=True):
        audit = await store.verify_journal()
    told = [f"{plain(fault.table)}: {plain(fault.place)}: {plain(fault.what)}" for fault in audit.faults]
    summary = f"{audit.segments} segments, {audit.records} records: {f'{audit.count} faults' if audit.count else 'all as written'}"
    where.out.show({"ok": audit.ok, **audit.model_dump(mode="json")}, [*told, summary, f"digest   {audit.digest}"])
    return 0 if audit.ok else _DAMAGED
