"""casstore domain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import click

from casstore.cli.options import Where, named, who
from casstore.cli.options import command as define
from casstore.cli.output import plain

if TYPE_CHECKING:
    from casstore.operations.domains import DomainInfo

__all__ = ["command"]

_ARGUMENTS: Final = {"new": ["NAME"], "assign": ["TENANT", "NAME"], "show": []}


@define(
    "domain",
    "Make keys of isolation domains, put tenants into them, and tell which there are.",
    exits={5: "conflict: the tenant has artifacts", 6: "not permitted, or the key is not at hand"},
)
@click.argument("action", type=click.Choice(list(_ARGUMENTS)))
@click.argument("names", nargs=-1)
@who("required with assign")
@click.option("--keys", metavar="FILE", help="With new: the file that the key is added to [CASSTORE_DOMAINS].")
async def command(where: Where, action: str, names: Sequence[str], by: str | None, keys: str | None) -> None:
    """Tenants in an isolation domain share no bytes with others, and nobody else can tell by a digest what they have.

    casstore domain new NAME makes a key and adds it to the file of keys. Keep a copy of that file in another place.

    casstore domain assign TENANT NAME --by WHO puts a tenant that has no artifacts into a domain, for ever.

    casstore domain show lists the domains, and whether their keys are at hand.

    The last two take the role that owns the schema. CASSTORE_DOMAINS names the file of keys.
    """
    wanted = _ARGUMENTS[action]
    if len(names) != len(wanted):
        raise click.UsageError(f"{action} takes {' '.join(wanted) or 'no argument'}.")
    if action == "new":
        _new(where, names[0], keys)
        return
    async with where.whole() as store:
        if action == "show":
            found = await store.domains()
            where.out.show({"items": found}, [_line(each) for each in found])
        else:
            done = await store.set_domain(names[0], names[1], by=named(by))
            verb = "is in" if done.changed else "was in"
            where.out.show(done, [f"{plain(done.tenant)} {verb} {plain(done.domain)}  {done.check}"])


def _new(where: Where, name: str, keys: str | None) -> None:
    from casstore.config import keys_file  # noqa: PLC0415 - help and wrong arguments need no settings
    from casstore.operations.domains import new_key  # noqa: PLC0415

    made = new_key(keys_file(keys), name)
    where.out.show(made, [f"{plain(made.name)}  {made.check}", f"added to {plain(made.path)}: keep a copy elsewhere"])


def _line(info: DomainInfo) -> str:
    key = "key at hand" if info.has_key else "KEY MISSING"
    return f"{plain(info.name)}  {key}  {info.check}  {plain(' '.join(info.tenants))}"
