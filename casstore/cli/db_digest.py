"""casstore db-digest."""

from __future__ import annotations

from casstore.cli.options import Where
from casstore.cli.options import command as define

__all__ = ["command"]


@define("db-digest", "Tell a digest of what the catalog says, to compare it with another.")
async def command(where: Where) -> None:
    """Tell a digest of what the catalog says about all tenants, by names: equal before a loss and after a rebuild. Takes the role
    that owns the schema.
    """
    async with where.store() as store:
        found = await store.catalog_digest()
    tables = [f"  {table:12} {count:>9}  {found.tables[table]}" for table, count in found.rows.items()]
    where.out.show(found, [str(found.digest), *tables])
