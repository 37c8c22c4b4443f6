"""casstore tenant."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from casstore.cli import custody
from casstore.cli.files import appearing
from casstore.cli.options import Where, duration, named, who
from casstore.cli.options import command as define

if TYPE_CHECKING:
    from casstore.model import TenantState
    from casstore.store import AsyncStore

__all__ = ["command"]


@define(
    "tenant",
    "Delete all of a tenant, bring it back, erase it, or tell what became of it.",
    exits={5: "conflict: what is to be erased is not deleted"},
)
@click.argument("action", type=click.Choice(["show", "delete", "undelete", "erase"]))
@click.argument("name")
@who("required but for show")
@click.option("--reason", metavar="TEXT", help="Why: kept with it.")
@click.option("--receipt", metavar="FILE", help="Of erase: where the receipt goes. It has the only copy of the salt.")
@click.option(
    "--backups", metavar="TIME", callback=duration, help="Of erase: how long you keep backups of the catalog."
)
async def command(
    where: Where,
    action: str,
    name: str,
    *,
    by: str | None,
    reason: str | None,
    receipt: str | None,
    backups: timedelta | None,
) -> None:
    """Hide all of the tenant NAME at once, bring it back as it was, erase it for ever, or tell whether it is deleted.

    casstore tenant delete acme --by ops --reason "contract ended"

    casstore tenant erase acme --by ops --backups 30d --receipt acme.receipt.json

    Deleting loses nothing: artifacts and bytes stay, and numbers, names and aliases come back as they were. Erasing takes a
    tenant that is deleted, and what it begins cannot be undone. Interrupted, it is finished by the same call. It takes the role
    that owns the schema.
    """
    if action == "show" and (by is not None or reason is not None):
        raise click.UsageError("--by and --reason go with delete, undelete and erase.")
    if (action == "erase") != (receipt is not None) or (backups is not None and action != "erase"):
        raise click.UsageError("--receipt FILE goes with erase, which needs it, and --backups with it.")
    actor = "" if action == "show" else named(by)
    if receipt is not None:
        await _erase(where, name, Path(receipt), by=actor, reason=reason, backups=backups or timedelta())
        return
    async with where.whole() as store:
        state = await _done(store, action, name, actor, reason)
    where.out.show(state, custody.tenant(state))


async def _erase(where: Where, name: str, file: Path, **why: Any) -> None:
    """Nothing is erased where the file cannot be made; a receipt that cannot be written to it in the end is shown."""
    with appearing(file, force=False) as lines:
        async with where.whole() as store:
            receipt = await store.erase_tenant(name, **why)
        where.out.show(receipt, custody.receipt(receipt))
        lines.write(receipt.model_dump_json(indent=2).encode() + b"\n")


async def _done(store: AsyncStore, action: str, name: str, by: str, reason: str | None) -> TenantState:
    if action == "show":
        return await store.show_tenant(name)
    if action == "delete":
        return await store.delete_tenant(name, by=by, reason=reason)
    return await store.undelete_tenant(name, by=by, reason=reason)
