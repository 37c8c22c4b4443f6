"""Results read back: the components of a version that was stored as one, fetched at once and joined."""

from __future__ import annotations

import asyncio
from typing import Any

from casstore.formats import media_types
from casstore.integrations.results import to_result
from casstore.model import Version
from casstore.operations.get import AsyncArtifact

__all__ = ["read_result", "storage_path"]


def storage_path(version: Version, tenant: str) -> str:
    """Where a version is, for ever."""
    return f"cas://{tenant}/{version.ref}"


async def read_result(artifact: AsyncArtifact, tenant: str, *, visuals: bool) -> dict[str, Any]:
    """The result as it was stored; without `visuals` each picture is told by its storage path, and not read.

    Raises:
        Invalid: It was not stored as a result (bad_components).
        NotFound: A part of it was erased (content_erased).
        Corrupt, Unavailable: As any read.
    """
    version = artifact.version
    artifact.check_whole()
    roles = [each.role for each in version.components if visuals or each.media_type != media_types.PNG]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = {role: group.create_task(artifact[role].bytes()) for role in roles}
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from failures
    contents = {role: task.result() for role, task in tasks.items()}
    path = storage_path(version, tenant)
    return await asyncio.to_thread(to_result, contents, visuals=visuals, path_of=f"{path}#{{}}".format)
