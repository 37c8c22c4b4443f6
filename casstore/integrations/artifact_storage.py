"""The platform's storage protocol, served by a store: thin, so that what it promises is what the store promises.

    storage = ArtifactStorage(store)
    answer = await storage.store_artifact("blueprint", result, tenant_id="acme", metadata={"execution_id": "e-7"})
    await storage.get_artifact(answer["artifact_id"], "acme", include_visuals=True) == result

An artifact is one version of `<artifact_type>/<hex digits>`: its document, its parts and its pictures together, or not at all.
"""

from __future__ import annotations

import asyncio
import logging
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID, uuid4

from casstore import grammar, limits
from casstore.errors import CasstoreError, Code, Invalid, NotFound
from casstore.formats import media_types
from casstore.integrations.reading import read_result, storage_path
from casstore.integrations.registry import Entry, entry_of, identity_of, listed, wanted
from casstore.integrations.results import ResultComponents, to_components
from casstore.model import Stored, Version
from casstore.operations.get import AsyncArtifact
from casstore.refs import Ref
from casstore.store import AsyncStore
from casstore.tenant import AsyncTenant

__all__ = ["ArtifactStorage", "put_result"]

_LOG: Final = logging.getLogger("casstore.integrations")


class ArtifactStorage:
    """Artifacts of the platform, in an open store.

    What does not exist, what another tenant has, and what is no id or path at all, is None or an empty list. What is
    damaged or cannot be reached raises: an artifact that is there is never answered as if it were not.

    Args:
        store: Open, and closed by whoever opened it.
        strict: Whether what cannot be stored is raised, instead of answered and logged.
    """

    def __init__(self, store: AsyncStore, *, strict: bool = False) -> None:
        self._store = store
        self._strict = strict

    async def store_artifact(
        self,
        artifact_type: str,
        artifact_data: dict[str, Any],
        tenant_id: str,
        metadata: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Store a result with all its pictures; when this answers success it is durable, and can be read by everyone.

        Args:
            artifact_type: Such as "blueprint". If it has a kind, the result has to be of it (docs/kinds.md).
            artifact_data: A dictionary of JSON values, and pictures below keys that end in `_visual` or `_chart`.
            tenant_id: Whose it is.
            metadata: Fields of the registry, and any others. `parent_artifact_id` makes it the next version of that artifact, which
                has to be the newest; `source_artifact_ids` are kept as its sources; in `lifecycle_state` other than draft it
                is stored at once. What the store knows itself, such as `version`, is not taken from here.

        Returns:
            `success` True with `artifact_id`, `storage_path` and `visual_paths`, each picture's by its key; or `success` False
            with `error`, `code` and nothing stored. (What the catalog refuses where a state is given is transaction_refused.)
            A failure is logged once; if `strict`, it is raised instead.
        """
        try:
            tenant = self._tenant(tenant_id)
            entry = entry_of(metadata)
            components = await asyncio.to_thread(to_components, grammar.check_type(artifact_type), artifact_data)
            stored = await _put(tenant, artifact_type, components, entry)
        except Exception as error:
            if self._strict:
                raise
            return _failure(error, artifact_type, tenant_id)
        path = storage_path(stored, tenant.name)
        visuals = {key: {"storage_path": f"{path}#{role}", "format": "png"} for key, role in components.visuals.items()}
        return {"success": True, "artifact_id": str(stored.id), "storage_path": path, "visual_paths": visuals}

    async def store_composite_artifact(
        self,
        artifact_type: str,
        artifact_data: dict[str, Any],
        tenant_id: str,
        metadata: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """As `store_artifact`: whether a result has parts is told by its type."""
        return await self.store_artifact(artifact_type, artifact_data, tenant_id, metadata)

    async def get_artifact(
        self,
        artifact_id: str,
        tenant_id: str,
        include_visuals: bool = False,  # noqa: FBT001, FBT002 - the protocol's
    ) -> dict[str, Any] | None:
        """The result as it was stored; without `include_visuals` each picture is told by its `storage_path`.

        Raises:
            Invalid: It was not stored as a result (bad_components); or the tenant is none (bad_tenant).
            Corrupt, Unavailable: It is there, and cannot be read.
        """
        artifact = await self._found(artifact_id, tenant_id)
        if artifact is None:
            return None
        return await read_result(artifact, tenant_id, visuals=include_visuals)

    async def get_metadata(self, artifact_id: str, tenant_id: str) -> dict[str, Any] | None:
        """The registry's entry of an artifact, as `list_artifacts` has those of newest versions."""
        artifact = await self._found(artifact_id, tenant_id)
        if artifact is None:
            return None
        tenant, version = self._tenant(tenant_id), artifact.version
        newest = await tenant.resolve(version.name)
        return await _listed(tenant, version, is_current=newest.id == version.id)

    async def get_visual(self, visual_path: str, tenant_id: str) -> bytes | None:
        """The PNG at a path that an answer told, `cas://tenant/name@3#role`, or at `id:<uuid>#role`.

        Raises:
            Invalid: The tenant is none (bad_tenant).
            Corrupt, Unavailable: It is there, and cannot be read.
        """
        tenant = self._tenant(tenant_id)
        try:
            ref = Ref.parse(visual_path)
            if ref.tenant is None and ref.id is None:
                return None
            picture = await tenant.get(ref)
            if picture.component.media_type != media_types.PNG:
                return None
        except (NotFound, Invalid):
            return None
        return await picture.bytes()

    async def get_visual_base64(self, visual_path: str, tenant_id: str) -> str | None:
        """As `get_visual`, in base64."""
        data = await self.get_visual(visual_path, tenant_id)
        return None if data is None else b64encode(data).decode()

    async def list_artifacts(
        self,
        artifact_type: str | None,
        tenant_id: str,
        limit: int | None = None,
        offset: int | None = None,
        **fields: Any,
    ) -> list[dict[str, Any]]:
        """The registry's entries of artifacts of a type (None: of all), by their newest versions, newest first.

        Args:
            artifact_type: Such as "roadmap".
            tenant_id: Whose.
            limit: At most so many; None for all.
            offset: Leave out so many first. What is stored between two calls moves those after it.
            **fields: Of the metadata, each as it has to be: `session_id="s-1"`. A list has to contain these items. Also
                `lifecycle_state`, as it is now. One that is None does not matter.

        Raises:
            Invalid: An argument (bad_argument, bad_type, bad_tenant, bad_metadata).
            Unavailable: The catalog does not answer; no list is ever cut short by it.
        """
        tenant, filters = self._tenant(tenant_id), wanted(fields)
        skip, most = _whole_number("offset", offset) or 0, _whole_number("limit", limit)
        end = None if most is None else skip + most
        versions: list[Version] = []
        cursor: str | None = None
        while end is None or len(versions) < end:
            size = limits.PAGE_MAX if end is None else min(limits.PAGE_MAX, end - len(versions))
            page = await tenant.list(type=artifact_type, cursor=cursor, limit=size, **filters)
            versions += page.items
            cursor = page.cursor
            if cursor is None:
                break
        return [await _listed(tenant, version, is_current=True) for version in versions[skip:]]

    async def delete_artifact(
        self, artifact_id: str, tenant_id: str, *, by: str = "platform", reason: str | None = None
    ) -> bool:
        """Put an artifact with all its parts and pictures into the trash; earlier and later versions stay.

        Returns:
            Whether there is such an artifact, be it in the trash already: a call whose answer was lost may be repeated.

        Raises:
            Conflict: A tag or an alias points at it, or another artifact was made from it (still_used).
            Invalid: The tenant is none (bad_tenant), or an argument (bad_argument).
            Unavailable: The catalog does not answer.
        """
        tenant, identity = self._tenant(tenant_id), identity_of(artifact_id)
        if identity is None:
            return False
        try:
            await tenant.delete(f"id:{identity}", by=by, reason=reason)
        except NotFound:
            return False
        return True

    def _tenant(self, tenant_id: str) -> AsyncTenant:
        return self._store.tenant(grammar.check_tenant(tenant_id))  # None is nobody, not the store's default

    async def _found(self, artifact_id: str, tenant_id: str) -> AsyncArtifact | None:
        tenant, identity = self._tenant(tenant_id), identity_of(artifact_id)
        try:
            return await tenant.get(f"id:{identity}") if identity else None
        except NotFound:
            return None


async def _put(tenant: AsyncTenant, artifact_type: str, components: ResultComponents, entry: Entry) -> Stored:
    name, number = f"{artifact_type}/{uuid4().hex}", 0
    if entry.parent:
        parent = await tenant.resolve(f"id:{entry.parent}")
        name, number = parent.name, parent.number
    return await put_result(tenant, name, components, entry, type=artifact_type, expect=number)


async def put_result(
    tenant: AsyncTenant,
    name: str,
    components: ResultComponents,
    entry: Entry,
    *,
    type: str,  # noqa: A002 - the field's word
    expect: int,
    idempotency_key: str | None = None,
) -> Stored:
    """Make a result the version after `expect` of a name, in the state its entry asks for: one put, or one transaction."""
    asked: dict[str, Any] = {"type": type, "metadata": entry.metadata, "sources": entry.sources, "expect": expect}
    if entry.state == "draft":
        return await tenant.put(name, components, idempotency_key=idempotency_key, by=entry.actor, **asked)
    async with tenant.transaction(idempotency_key=idempotency_key, by=entry.actor) as tx:
        pending = await tx.put(name, components, **asked)
        tx.transition(name, entry.state, by=entry.actor, reason=f"stored as {entry.state}")
    return pending.stored


def _failure(error: Exception, artifact_type: object, tenant_id: object) -> dict[str, Any]:
    if isinstance(error, CasstoreError):
        code, message = error.code.value, error.message
        _LOG.error("%.80r of %.80r was not stored: %s (%s)", artifact_type, tenant_id, message, code)
    else:
        code, message = "unexpected", f"{type(error).__name__}: {error}"
        _LOG.error("%.80r of %.80r was not stored: %s", artifact_type, tenant_id, message, exc_info=error)
    return {"success": False, "error": message, "code": code}


async def _listed(tenant: AsyncTenant, version: Version, *, is_current: bool) -> dict[str, Any]:
    return listed(version, tenant.name, parent=await _parent(tenant, version), is_current=is_current)


async def _parent(tenant: AsyncTenant, version: Version) -> UUID | None:
    """The version before this one. It was noted where it was given, for then it was looked at; else it is looked up."""
    if version.number == 1:
        return None
    if noted := identity_of(version.metadata.get("parent_artifact_id")):
        return noted
    try:
        return (await tenant.resolve(f"{version.name}@{version.number - 1}")).id
    except NotFound:
        return None


def _whole_number(name: str, value: int | None) -> int | None:
    if value is None or (type(value) is int and value >= 0):
        return value
    raise Invalid(Code.BAD_ARGUMENT, f"{name}={value!r} is no whole number from 0 on", hint="None means no limit.")
