"""casstore token."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from casstore.cli.options import Where, duration
from casstore.cli.options import command as define
from casstore.errors import Code, Invalid

__all__ = ["command"]


@define("token", "Make a token for a service that speaks to `casstore serve`.")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice(["read", "add", "write", "admin"]),
    help="What it may do; repeatable.",
)
@click.option("--tokens", metavar="FILE", help="The file of tokens [CASSTORE_TOKENS].")
@click.option("--expires", metavar="TIME", callback=duration, help="In 12h, 90d, 2w … [never].")
async def command(
    where: Where, name: str, scopes: tuple[str, ...], tokens: str | None, expires: timedelta | None
) -> None:
    """Make a token that stands for --tenant, with NAME as who does things, and write its hash into the file of tokens.

    The token is told this once. To take it back, strike its entry out of the file: servers notice by themselves.
    """
    from casstore.config import ServerSettings, Settings  # noqa: PLC0415 - help needs neither
    from casstore.http.tokens import add  # noqa: PLC0415

    file = ServerSettings.load(tokens=Path(tokens) if tokens else None).tokens
    if file is None:
        raise Invalid(Code.BAD_CONFIG, "no file of tokens is named", hint="--tokens FILE, or CASSTORE_TOKENS.")
    tenant = where.tenant or Settings.load(home=where.home).tenant
    expires_at = None if expires is None else datetime.now(UTC) + expires
    token = add(file, name, tenant, scopes, expires_at=expires_at)  # type: ignore[arg-type]  # click has looked
    where.out.show({"token": token, "tenant": tenant, "name": name, "scopes": sorted(scopes)}, [token])
