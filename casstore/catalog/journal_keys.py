"""The keys that seal what the journal says of each tenant. For the role that owns the schema."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from casstore.catalog.connection import Catalog

__all__ = ["KnownKey", "all_keys", "removed", "store", "to_remove", "to_store"]


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key as the catalog has it; without a secret, that of an erased tenant."""

    id: UUID
    secret: bytes | None
    is_stored: bool


_TO_STORE: Final = "select * from casstore.keys_to_store()"


async def to_store(catalog: Catalog) -> list[UUID]:
    """Keys whose objects are to be written; makes those of tenants that have none."""
    return [key for (key,) in await catalog.call(_TO_STORE, ())]


_LOCK: Final = """
select secret from casstore.journal_keys where id = %s and secret is not null and not is_stored for update
"""
_STORED: Final = "update casstore.journal_keys set is_stored = true where id = %s"


async def store(catalog: Catalog, key: UUID, write: Callable[[bytes], Awaitable[None]]) -> None:
    """Have a key's object written, and remember that. Who would erase the tenant waits: no object comes after the key's end."""
    async with catalog.transaction() as connection:
        rows = await (await connection.execute(_LOCK, (key,))).fetchall()
        for (secret,) in rows:
            await write(bytes(secret))
            await connection.execute(_STORED, (key,))


_TO_REMOVE: Final = "select * from casstore.keys_to_remove()"


async def to_remove(catalog: Catalog) -> list[UUID]:
    """Keys of erased tenants whose objects may still be there."""
    return [key for (key,) in await catalog.call(_TO_REMOVE, ())]


_REMOVED: Final = "select casstore.key_removed(%s)"


async def removed(catalog: Catalog, key: UUID) -> None:
    """Remember that such an object is gone."""
    await catalog.call(_REMOVED, (key,))


_ALL: Final = "select id, secret, is_stored from casstore.journal_keys"


async def all_keys(catalog: Catalog) -> dict[UUID, KnownKey]:
    """Every key, by its id."""
    return {row[0]: KnownKey(*row) for row in await catalog.call(_ALL, ())}
