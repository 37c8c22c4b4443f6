"""One object: its bytes, its metadata, and how the two show in JSON and in headers."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Final
from urllib.parse import quote

import google_crc32c

from casstore.testing.gcs.refusals import bad_request, unsupported

__all__ = [
    "StoredObject",
    "as_text",
    "check_hashes",
    "merge_patch",
    "metadata_of",
    "new_object",
    "parse_hashes",
    "writable",
]

MD5_BYTES: Final = (
    8 << 20
)  # larger objects get no md5Hash, like composite ones: MD5 is slower than all the rest together
_HEADERS: Final = {
    "contentEncoding": "content-encoding",
    "cacheControl": "cache-control",
    "contentDisposition": "content-disposition",
    "contentLanguage": "content-language",
}
_WRITABLE: Final = frozenset(
    {*_HEADERS, "contentType", "metadata", "customTime", "storageClass", "temporaryHold", "eventBasedHold"}
)
_IDENTITY: Final = frozenset({"name", "bucket", "crc32c", "md5Hash"})
_OUTPUT_ONLY: Final = frozenset(
    {"kind", "id", "selfLink", "mediaLink", "generation", "metageneration", "size", "etag", "componentCount", "owner"}
    | {"timeCreated", "updated", "timeDeleted", "timeStorageClassUpdated", "timeFinalized"}
    | {"softDeleteTime", "hardDeleteTime", "retentionExpirationTime"}
)


@dataclass(slots=True, eq=False)
class StoredObject:
    """One generation of an object. The bytes never change, the metadata does, and is counted by `metageneration`.

    Attributes:
        metadata: The fields of the resource that a client may write, those that were written.
        components: How many objects it was composed of; None if it was uploaded.
        retained_from: When the bucket's retention period began for it.
    """

    bucket: str
    name: str
    data: bytes
    metadata: dict[str, Any]
    generation: int
    crc32c: str
    md5: str | None
    components: int | None
    created_at: datetime
    updated_at: datetime
    retained_from: datetime
    metageneration: int = 1
    noncurrent_at: datetime | None = None
    deleted_at: datetime | None = None
    gone_at: datetime | None = None

    @property
    def etag(self) -> str:
        """Differs between any two states of any object of this name."""
        return _base64(f"{self.generation}/{self.metageneration}".encode())

    @property
    def held(self) -> bool:
        """Whether a hold keeps it from being replaced or deleted."""
        return bool(self.metadata.get("temporaryHold") or self.metadata.get("eventBasedHold"))

    def resource(self, origin: str, retention: timedelta | None = None) -> dict[str, Any]:
        """The object resource, as the JSON API answers it. `origin` is where its links lead."""
        path = f"storage/v1/b/{self.bucket}/o/{quote(self.name, safe='~')}"
        found: dict[str, Any] = {
            "kind": "storage#object",
            "id": f"{self.bucket}/{self.name}/{self.generation}",
            "selfLink": f"{origin}/{path}",
            "mediaLink": f"{origin}/download/{path}?generation={self.generation}&alt=media",
            "name": self.name,
            "bucket": self.bucket,
            "generation": str(self.generation),
            "metageneration": str(self.metageneration),
            "size": str(len(self.data)),
            "crc32c": self.crc32c,
            "etag": self.etag,
            "timeCreated": as_text(self.created_at),
            "updated": as_text(self.updated_at),
            **self.metadata,
        }
        if self.md5:
            found["md5Hash"] = self.md5
        if self.components:
            found["componentCount"] = self.components
        if retention and not self.metadata.get("eventBasedHold"):
            found["retentionExpirationTime"] = as_text(self.retained_from + retention)
        instants = {
            "timeDeleted": self.noncurrent_at,
            "softDeleteTime": self.deleted_at,
            "hardDeleteTime": self.gone_at,
        }
        return found | {name: as_text(at) for name, at in instants.items() if at}

    def headers(self) -> dict[str, str]:
        """What a download says about the object."""
        md5 = f",md5={self.md5}" if self.md5 else ""
        found = {
            "etag": f'"{self.etag}"',
            "last-modified": format_datetime(self.updated_at, usegmt=True),
            "content-type": self.metadata.get("contentType", "application/octet-stream"),
            "x-goog-generation": str(self.generation),
            "x-goog-metageneration": str(self.metageneration),
            "x-goog-hash": f"crc32c={self.crc32c}{md5}",
            "x-goog-storage-class": self.metadata["storageClass"],
            "x-goog-stored-content-encoding": self.metadata.get("contentEncoding", "identity"),
            "x-goog-stored-content-length": str(len(self.data)),
        }
        found |= {header: self.metadata[name] for name, header in _HEADERS.items() if name in self.metadata}
        custom = self.metadata.get("metadata", {})
        return found | {f"x-goog-meta-{name}": quote(value, safe=" /:=.,") for name, value in custom.items()}


def new_object(
    bucket: str, name: str, data: bytes, metadata: Mapping[str, Any], *, generation: int, components: int | None = None
) -> StoredObject:
    """An object made now.

    Raises:
        Refusal: 400, it cannot be called so.
    """
    _check_name(name)
    now = datetime.now(UTC)
    small = components is None and len(data) <= MD5_BYTES
    return StoredObject(
        bucket=bucket,
        name=name,
        data=data,
        metadata=merge_patch({"storageClass": "STANDARD"}, metadata_of(metadata)),
        generation=generation,
        crc32c=_base64(google_crc32c.value(data).to_bytes(4, "big")),
        md5=_md5(data) if small else None,
        components=components,
        created_at=now,
        updated_at=now,
        retained_from=now,
    )


def _check_name(name: str) -> None:
    if not name:
        raise bad_request("Required: the name of the object")
    if len(name.encode()) > 1024 or "\r" in name or "\n" in name or name in (".", ".."):  # noqa: PLR2004 - GCS's limit
        raise bad_request(f"Invalid object name: {name[:100]!r}")


def writable(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an object resource a client sent that it may write, with its name and declared checksums.

    Raises:
        Refusal: 400, custom metadata is not text; 501, a field nothing here knows.
    """
    if unknown := fields.keys() - _WRITABLE - _IDENTITY - _OUTPUT_ONLY:
        raise unsupported(f"the object field {min(unknown)!r}")
    custom = fields.get("metadata") or {}
    if not all(value is None or isinstance(value, str) for value in custom.values()):
        raise bad_request("Invalid argument: custom metadata must be text")
    return {name: value for name, value in fields.items() if name not in _OUTPUT_ONLY}


def metadata_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the writable fields that an object keeps: not its name, nor the checksums declared."""
    return {name: value for name, value in fields.items() if name in _WRITABLE}


def check_hashes(stored: StoredObject, declared: Mapping[str, Any]) -> None:
    """Compare with the checksums a client declared, under the names the resource has for them.

    Raises:
        Refusal: 400, one of them is another.
    """
    crc32c, md5 = declared.get("crc32c"), declared.get("md5Hash")
    if crc32c and crc32c != stored.crc32c:
        raise bad_request(f'Provided CRC32C "{crc32c}" doesn\'t match calculated CRC32C "{stored.crc32c}".')
    if md5 and md5 != (found := stored.md5 or _md5(stored.data)):
        raise bad_request(f'Provided MD5 hash "{md5}" doesn\'t match calculated MD5 hash "{found}".')


def parse_hashes(header: str) -> dict[str, str]:
    """The checksums of an `x-goog-hash` header, under the names the resource has for them."""
    pairs = (one.strip().partition("=") for one in header.split(",") if one.strip())
    names = {"crc32c": "crc32c", "md5": "md5Hash"}
    try:
        return {names[kind]: value for kind, _, value in pairs}
    except KeyError:
        raise bad_request(f"Invalid x-goog-hash: {header[:100]!r}") from None


def merge_patch(target: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """What `patch` makes of `target`: null takes away, objects are merged, all else replaces (RFC 7396)."""
    merged = dict(target)
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict):
            before = merged.get(name)
            merged[name] = merge_patch(before if isinstance(before, dict) else {}, value)
        else:
            merged[name] = value
    return merged


def as_text(instant: datetime) -> str:
    """An instant as the JSON API writes it."""
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _md5(data: bytes) -> str:
    return _base64(hashlib.md5(data, usedforsecurity=False).digest())


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
