"""migrating: bring a catalog, and nothing else, to this release; or hand its migrations to whoever applies them by other means."""

from __future__ import annotations

import errno
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from casstore.catalog.migrate import Migration, migrations
from casstore.catalog.visit import visit
from casstore.config import Settings
from casstore.errors import Code, Invalid, Unavailable

__all__ = ["Exported", "Migrated", "export", "migrate"]


class Migrated(BaseModel):
    """Where the catalog is, without credentials, and the migrations that were applied just now."""

    model_config = ConfigDict(frozen=True)

    catalog: str
    applied: tuple[str, ...]


class Exported(BaseModel):
    """The folder, and the files of this release that were written just now; the others were there."""

    model_config = ConfigDict(frozen=True)

    folder: Path
    written: tuple[str, ...]


async def migrate(settings: Settings) -> Migrated:
    """Apply what the catalog lacks; again does no harm.

    Raises:
        Invalid: A catalog that does not fit this release (migration_*), or a URL of no known kind (bad_config).
        Denied: The role may not do it (not_permitted); the hint says what an administrator has to do.
        Unavailable: The server cannot be reached or started.
    """
    async with visit(settings.catalog, binaries=settings.postgres_binaries, owner=settings.postgres_owner) as catalog:
        applied = await catalog.migrate()
    return Migrated(catalog=settings.redacted().catalog, applied=tuple(applied))


def export(folder: Path) -> Exported:
    """Write this release's migrations into `folder`, the supabase/migrations of a project; again does no harm.

    Raises:
        Invalid: A file there has the version of one of ours and is another (migration_edited), and nothing was written; or the
            folder cannot be written to (unwritable_target).
        Unavailable: No space (disk_full).
    """
    try:
        missing = [migration for migration in migrations() if not _is_there(folder, migration)]
        folder.mkdir(parents=True, exist_ok=True)
        for migration in missing:
            _write(folder / migration.file_name, migration.sql)
    except OSError as error:
        message = f"cannot write to {folder}: {error.strerror or error}"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Unavailable(Code.DISK_FULL, message, hint="Free some space.") from error
        raise Invalid(Code.UNWRITABLE_TARGET, message, hint="Check the path and its permissions.") from error
    return Exported(folder=folder, written=tuple(migration.file_name for migration in missing))


def _is_there(folder: Path, migration: Migration) -> bool:
    found = sorted(folder.glob(f"{migration.version}_*.sql"))
    for path in found:
        if path.name != migration.file_name or path.read_bytes() != migration.sql.encode():
            message = f"{path} has the version of {migration.file_name}, and is not what this release has under it"
            hint = "Restore the file as released; one of yours needs another version in its name."
            raise Invalid(Code.MIGRATION_EDITED, message, hint=hint)
    return bool(found)


def _write(path: Path, text: str) -> None:
    """Whole or not at all: half a file would be refused the next time."""
    temp = path.with_suffix(".tmp")
    try:
        temp.write_bytes(text.encode())
        temp.replace(path)
    finally:
        temp.unlink(missing_ok=True)
