"""casstore db."""

from __future__ import annotations

from pathlib import Path

import click

from casstore.cli.options import Where
from casstore.cli.options import command as define
from casstore.cli.output import plain

__all__ = ["command"]


@define("db", "Bring a catalog to this release, or hand its migrations to the Supabase CLI.")
@click.argument("action", type=click.Choice(["migrate", "export-migrations"]))
@click.argument("folder", required=False)
async def command(where: Where, action: str, folder: str | None) -> None:
    """Bring a catalog, and nothing else, to this release. It takes the role that owns the schema.

    casstore db migrate --catalog postgresql://…

    Where the Supabase CLI applies the migrations of a project, write ours beside the project's own, and let it apply them with
    `supabase db push` (--include-all if newer ones are applied already). Files that are there stay; one that differs is refused.

    casstore db export-migrations supabase/migrations
    """
    if (folder is None) != (action == "migrate"):
        raise click.UsageError("migrate takes no FOLDER." if folder else "Missing argument 'FOLDER'.")
    from casstore.operations import migrating  # noqa: PLC0415 - help and wrong arguments need no database driver

    if folder is None:
        done = await migrating.migrate(where.store().settings)
        applied = [f"applied  {name}" for name in done.applied] or ["the catalog is up to date"]
        where.out.show(done, [f"catalog  {plain(done.catalog)}", *applied])
    else:
        exported = migrating.export(Path(folder))
        written = [f"written  {name}" for name in exported.written] or ["all migrations are there"]
        where.out.show(exported, [f"folder   {plain(str(exported.folder))}", *written])
