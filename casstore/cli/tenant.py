"""casstore tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from casstore.cli import render
from casstore.cli.options import Where, named
from casstore.cli.options import command as define

if TYPE_CHECKING:
    from casstore.model import TenantState
    from casstore.store import AsyncStore

__all__ = ["command"]


@define("tenant", "Delete all of a tenant, bring it back, or tell what became of it.")
@click.argument("action", type=click.Choice(["show", "delete", "undelete"]))
@click.argument("name")
@click.option("--by", metavar="WHO", help="Who does it: kept with it, rather a role than a name.")
@click.option("--reason", metavar="TEXT", help="Why: kept with it.")
async def command(where: Where, action: str, name: str, by: str | None, reason: str | None) -> None:
    """Hide all of the tenant NAME at once, bring it back as it was, or tell whether it is deleted.

    casstore tenant delete acme --by ops --reason "contract ended"

    Nothing is lost by it: artifacts and bytes stay, and numbers, names and aliases come back as they were.
    """
    if action == "show" and (by is not None or reason is not None):
        raise click.UsageError("--by and --reason go with delete and undelete.")
    who = "" if action == "show" else named(by)
    async with where.whole() as store:
        state = await _done(store, action, name, who, reason)
    where.out.show(state, render.tenant(state))


async def _done(store: AsyncStore, action: str, name: str, by: str, reason: str | None) -> TenantState:
    if action == "show":
        return await store.show_tenant(name)
    if action == "delete":
        return await store.delete_tenant(name, by=by, reason=reason)
    return await store.undelete_tenant(name, by=by, reason=reason)
