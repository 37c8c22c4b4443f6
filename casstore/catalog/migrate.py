"""Apply `sql/migrations` in order: each file once, in one transaction with its history row, whoever starts at the same time.

The history table is the Supabase CLI's own, so that `supabase db push` and this runner see the same state. It keeps the text of
each file: one that was edited after it was applied is refused.
"""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg

from casstore import limits
from casstore.catalog import faults
from casstore.errors import Code, Invalid

__all__ = ["Migration", "check", "migrate", "migrations"]

_FILE: Final = re.compile(r"(\d{14})_(\w+)\.sql")
_CONNECT_TIMEOUT_S: Final = math.ceil(limits.CONNECT_TIMEOUT.total_seconds())
_LOCK: Final = int.from_bytes(hashlib.sha256(b"casstore migrations").digest()[:8], "big", signed=True)

_CREATE_HISTORY = """
create schema if not exists supabase_migrations;
create table if not exists supabase_migrations.schema_migrations (version text not null primary key, statements text[], name text)
"""
# The Supabase CLI keeps a file split into statements: only what was recorded whole, as we do, can be compared.
_HISTORY = """
select version, case when cardinality(statements) = 1 then sha256(convert_to(statements[1], 'UTF8')) end
  from supabase_migrations.schema_migrations
"""
# The same for the role of an application, which may not read that table. The function is as old as the schema.
_IS_SET_UP = "select to_regprocedure('casstore.applied_migrations()') is not null"
_APPLIED = "select version, sha256 from casstore.applied_migrations()"
_RECORD = "insert into supabase_migrations.schema_migrations (version, name, statements) values (%s, %s, %s)"


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of `sql/migrations`."""

    version: str  # 14 digits, a UTC time
    name: str
    sql: str

    @property
    def file_name(self) -> str:
        """Its name in `sql/migrations`, and in a Supabase project."""
        return f"{self.version}_{self.name}.sql"


def migrations() -> list[Migration]:
    """All migrations of this release, in order. In a wheel they lie in this package, in a source tree in `sql/` beside it."""
    packaged = Path(__file__).parent / "migrations"
    folder = packaged if packaged.is_dir() else Path(__file__).parents[2] / "sql" / "migrations"
    found = [(match, path) for path in folder.iterdir() if (match := _FILE.fullmatch(path.name))]
    return sorted((Migration(m[1], m[2], path.read_text("utf-8")) for m, path in found), key=lambda m: m.version)


async def migrate(dsn: str) -> list[Migration]:
    """Bring the database at `dsn` to this release; return what was applied. Safe to run many at once.

    It needs no session, so any pooler will do. A crash leaves whole files applied.

    Raises:
        Invalid: An applied file was edited (migration_edited), or one older than an applied one is missing (migration_missing).
        Denied: There is something to apply, and the role may not do it.
        Unavailable: The database cannot be reached.
    """
    try:
        async with await psycopg.AsyncConnection.connect(
            dsn, autocommit=True, prepare_threshold=None, connect_timeout=_CONNECT_TIMEOUT_S
        ) as connection:
            if not await check(connection):
                return []  # who has nothing to do needs no right to do it
            applied = []
            while migration := await _apply_next(connection):
                applied.append(migration)
            return applied
    except faults.FOREIGN as error:
        raise faults.translate(error) from error


async def check(connection: psycopg.AsyncConnection[Any]) -> list[Migration]:
    """What is still to be applied; raises as `migrate` does. One or two round trips."""
    row = await (await connection.execute(_IS_SET_UP)).fetchone()
    if not row or not row[0]:
        return migrations()
    return _todo(await (await connection.execute(_APPLIED)).fetchall())


async def _apply_next(connection: psycopg.AsyncConnection[Any]) -> Migration | None:
    """Apply the oldest missing one, if there is one, under a lock that ends with the transaction: it needs no session."""
    async with connection.transaction():
        await connection.execute(
            "select set_config('statement_timeout', '0', true), pg_advisory_xact_lock(%s)", (_LOCK,)
        )
        await connection.execute(_CREATE_HISTORY)
        todo = _todo(await (await connection.execute(_HISTORY)).fetchall())
        if not todo:
            return None
        await connection.execute("select set_config('lock_timeout', '10s', true)")
        await connection.execute(todo[0].sql.encode())  # our own file; without parameters it may hold many statements
        await connection.execute(_RECORD, (todo[0].version, todo[0].name, [todo[0].sql]))
        return todo[0]


def _todo(history: list[tuple[str, bytes | None]]) -> list[Migration]:
    applied = dict(history)
    known = migrations()
    ours = {m.version for m in known}
    for migration in known:
        found = applied.get(migration.version)
        if found and found != hashlib.sha256(migration.sql.encode()).digest():
            message = f"migration {migration.file_name} was edited after it was applied"
            raise Invalid(Code.MIGRATION_EDITED, message, hint="Restore the file as released; changes are new files.")
    todo = [m for m in known if m.version not in applied]
    newest = max((v for v in applied if v in ours), default="")
    if any(m.version < newest for m in todo):
        message = f"migration {todo[0].file_name} is older than one that was applied"
        raise Invalid(
            Code.MIGRATION_MISSING, message, hint="Restore the release this database was made with, then upgrade."
        )
    return todo
