"""A bucket: its policies, its objects, and what may become of them. No HTTP."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

from casstore.testing.gcs.objects import StoredObject, as_text, merge_patch, metadata_of, writable
from casstore.testing.gcs.preconditions import UNCONDITIONAL, Preconditions
from casstore.testing.gcs.refusals import Refusal, bad_request, forbidden, not_found, unsupported

__all__ = ["Bucket"]

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]")
_STORED: Final = frozenset(  # kept and answered, without any effect
    {"name", "location", "storageClass", "lifecycle", "iamConfiguration", "labels", "cors", "website", "rpo"}
)
_HEEDED: Final = frozenset({"versioning", "retentionPolicy", "softDeletePolicy", "defaultEventBasedHold"})
_OUTPUT_ONLY: Final = frozenset(
    {"kind", "id", "selfLink", "projectNumber", "metageneration", "etag", "timeCreated", "updated", "locationType"}
)
_PERIODS: Final = {"retentionPolicy": "retentionPeriod", "softDeletePolicy": "retentionDurationSeconds"}
_WEEK: Final = timedelta(days=7)


class Bucket:
    """Objects by name: one live generation each, noncurrent ones where there is versioning, soft-deleted ones.

    Attributes:
        properties: The fields of the bucket resource that a client may write.
        live: The current generation of each name.
        noncurrent: The older ones of a versioned bucket, oldest first.
        deleted: The soft-deleted ones, oldest first.
    """

    def __init__(self, name: str, properties: Mapping[str, Any]) -> None:
        if not _NAME.fullmatch(name):
            raise bad_request(f"Invalid bucket name: {name!r}")
        self.name = name
        self.properties: dict[str, Any] = {}
        self.live: dict[str, StoredObject] = {}
        self.noncurrent: dict[str, list[StoredObject]] = {}
        self.deleted: dict[str, list[StoredObject]] = {}
        self.generation = 0  # buckets have conditions on their metageneration only
        self.metageneration = 0
        self.created_at = datetime.now(UTC)
        self._sorted: list[str] | None = None
        week = {"softDeletePolicy": {"retentionDurationSeconds": str(int(_WEEK.total_seconds()))}}  # Google's default
        self.change({"location": "US", "storageClass": "STANDARD", **week, **properties})

    # -- policies ----------------------------------------------------------------------------------------------------

    @property
    def versioned(self) -> bool:
        """Whether what is replaced or deleted stays as a noncurrent generation."""
        return bool(self.properties.get("versioning", {}).get("enabled"))

    @property
    def retention(self) -> timedelta:
        """How long an object can be neither replaced nor deleted."""
        return self._period("retentionPolicy")

    @property
    def soft_delete(self) -> timedelta:
        """How long what was deleted can be restored."""
        return self._period("softDeletePolicy")

    def _period(self, policy: str) -> timedelta:
        return timedelta(seconds=int(self.properties.get(policy, {}).get(_PERIODS[policy], 0)))

    def change(self, patch: Mapping[str, Any], *, whole: bool = False) -> None:
        """Apply a patch of the resource, or the whole of a new one.

        Raises:
            Refusal: 501, a field nothing here knows.
        """
        if unknown := patch.keys() - _STORED - _HEEDED - _OUTPUT_ONLY:
            raise unsupported(f"the bucket field {min(unknown)!r}")
        kept = {name: value for name, value in patch.items() if name not in _OUTPUT_ONLY}
        self.properties = merge_patch({} if whole else self.properties, kept)
        self.updated_at = datetime.now(UTC)
        self.metageneration += 1
        for name, period in _PERIODS.items():
            if policy := self.properties.get(name):
                policy.setdefault("effectiveTime", as_text(self.updated_at))
                policy[period] = _seconds(policy.get(period, 0))

    def resource(self, origin: str) -> dict[str, Any]:
        """The bucket resource, as the JSON API answers it."""
        return {
            "kind": "storage#bucket",
            "id": self.name,
            "selfLink": f"{origin}/storage/v1/b/{self.name}",
            "projectNumber": "1",
            "metageneration": str(self.metageneration),
            "etag": f"{self.metageneration}",
            "timeCreated": as_text(self.created_at),
            "updated": as_text(self.updated_at),
            "locationType": "multi-region",
            **self.properties,
            "name": self.name,
        }

    # -- finding -----------------------------------------------------------------------------------------------------

    def find(self, name: str, generation: str | None = None) -> StoredObject:
        """The live object, or the generation that is asked for.

        Raises:
            Refusal: 404.
        """
        live = self.live.get(name)
        if generation is None and live:
            return live
        versions = self.noncurrent.get(name, []) + ([live] if live else [])
        for stored in versions:
            if str(stored.generation) == generation:
                return stored
        raise not_found(f"No such object: {self.name}/{name}")

    def find_deleted(self, name: str, generation: str | None) -> StoredObject:
        """A soft-deleted generation.

        Raises:
            Refusal: 400, no generation was named; 404.
        """
        if generation is None:
            raise bad_request("Required: the generation of a soft-deleted object")
        for stored in self.recoverable(name):
            if str(stored.generation) == generation:
                return stored
        raise not_found(f"No such soft-deleted object: {self.name}/{name}#{generation}")

    def recoverable(self, name: str) -> Iterator[StoredObject]:
        """The soft-deleted generations of a name that are not gone for good yet."""
        now = datetime.now(UTC)
        return (stored for stored in self.deleted.get(name, ()) if stored.gone_at and stored.gone_at > now)

    def names(self) -> list[str]:
        """The names of the live objects, sorted. Not to be changed."""
        if self._sorted is None:
            self._sorted = sorted(self.live)
        return self._sorted

    # -- changing ----------------------------------------------------------------------------------------------------

    def put(self, new: StoredObject, conditions: Preconditions = UNCONDITIONAL) -> None:
        """Make `new` the live generation of its name.

        Raises:
            Refusal: 412, a condition does not hold; 403, the present one is held or retained.
        """
        current = self.live.get(new.name)
        conditions.check(current)
        if current:
            self._check_removable(current)
            self._retire(current)
        else:
            self._sorted = None
        if self.properties.get("defaultEventBasedHold"):
            new.metadata.setdefault("eventBasedHold", True)
        self.live[new.name] = new

    def delete(self, name: str, generation: str | None = None, conditions: Preconditions = UNCONDITIONAL) -> None:
        """Delete the live object; or, for good also in a versioned bucket, the named generation.

        Raises:
            Refusal: 404; 412, a condition does not hold; 403, it is held or retained.
        """
        stored = self.find(name, generation)
        conditions.check(stored)
        self._check_removable(stored)
        if self.live.get(name) is stored:
            self.remove(name)
            if generation is None:
                self._retire(stored)
                return
        else:
            self.noncurrent[name].remove(stored)
        self._soft_delete(stored)

    def move(self, source: StoredObject, new: StoredObject, conditions: Preconditions) -> None:
        """Put `new` and take `source` away, in one step. A moved object is not soft-deleted.

        Raises:
            Refusal: 400, the names are the same; 412 and 403 as for putting and deleting; 501, it is noncurrent.
        """
        if self.live.get(source.name) is not source:
            raise unsupported("moving a noncurrent generation")
        if source.name == new.name:
            raise bad_request("the source and the destination of a move are the same")
        self._check_removable(source)
        self.put(new, conditions)
        self.remove(source.name)

    def patch(self, stored: StoredObject, fields: Mapping[str, Any], *, whole: bool = False) -> None:
        """Change an object's metadata: a patch, or all of it."""
        kept = metadata_of(writable(fields))
        base = {"storageClass": stored.metadata["storageClass"]} if whole else stored.metadata
        changed = merge_patch(base, kept)
        released = stored.metadata.get("eventBasedHold") and not changed.get("eventBasedHold")
        stored.metadata = changed
        stored.metageneration += 1
        stored.updated_at = datetime.now(UTC)
        if released:
            stored.retained_from = stored.updated_at

    def check_empty(self) -> None:
        """Whether the bucket may be deleted.

        Raises:
            Refusal: 409.
        """
        if self.live or any(self.noncurrent.values()):
            raise Refusal(HTTPStatus.CONFLICT, "The bucket you tried to delete is not empty.")

    def remove(self, name: str) -> None:
        """Take the live generation of a name away if there is one, without asking and without a trace."""
        if self.live.pop(name, None):
            self._sorted = None

    def _check_removable(self, stored: StoredObject) -> None:
        path = f"{self.name}/{stored.name}"
        if stored.held:
            raise forbidden(f"Object '{path}' is under active hold and cannot be deleted, overwritten or archived.")
        until = stored.retained_from + self.retention
        if datetime.now(UTC) < until:
            raise forbidden(
                f"Object '{path}' is subject to bucket's retention policy and cannot be deleted, overwritten or"
                f" archived until {as_text(until)}"
            )

    def _retire(self, stored: StoredObject) -> None:
        if self.versioned:
            stored.noncurrent_at = datetime.now(UTC)
            self.noncurrent.setdefault(stored.name, []).append(stored)
        else:
            self._soft_delete(stored)

    def _soft_delete(self, stored: StoredObject) -> None:
        if self.soft_delete:
            stored.deleted_at = datetime.now(UTC)
            stored.gone_at = stored.deleted_at + self.soft_delete
            self.deleted.setdefault(stored.name, []).append(stored)


def _seconds(value: object) -> str:
    if not (text := str(value)).isdecimal():
        raise bad_request(f"Invalid argument: {text[:100]!r} is not a number of seconds")
    return text
