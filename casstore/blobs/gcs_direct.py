"""Direct transfer to and from a bucket: V4 signed URLs (https://cloud.google.com/storage/docs/access-control/signed-urls)."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from datetime import timedelta
from typing import Final

from google.api_core.exceptions import NotFound

from casstore.blobs import keys
from casstore.blobs.contract import Signed
from casstore.blobs.gcs_attempts import Attempts
from casstore.blobs.gcs_client import Bucket
from casstore.blobs.gcs_reader import Download, Nothing, Reader
from casstore.model import Digest

__all__ = ["arrivals", "link", "offer", "opened"]

_TYPE: Final = "application/octet-stream"


def offer(bucket: Bucket, key: str, size_bytes: int, lifetime: timedelta) -> Signed:
    """See `TakesDirect`. All that is said here is signed, and so has to be sent."""
    headers = {
        "content-type": _TYPE,
        "x-goog-content-length-range": f"{size_bytes},{size_bytes}",
        "x-goog-if-generation-match": "0",
    }
    return Signed(bucket.sign(key, lifetime, method="PUT", headers=headers), headers)


def link(bucket: Bucket, digest: Digest, media_type: str, disposition: str, lifetime: timedelta) -> str:
    """See `TakesDirect`."""
    said = {"response_type": media_type, "response_disposition": disposition}
    return bucket.sign(keys.key_of(digest), lifetime, method="GET", **said)


def opened(
    bucket: Bucket, key: str, attempts: Attempts, submit: Callable[..., Future[bytes]]
) -> Reader | Nothing | None:
    """See `TakesDirect`. What has an encoding would be answered decoded: those bytes nobody has hashed."""
    found = attempts.request(bucket.look_arrived, key)
    if found is None:
        return None
    if not found.size_bytes:
        return Nothing(found.generation)
    try:
        download = Download(bucket, key, 0, None, attempts, found.generation)
        return Reader(download, download.read(), submit)
    except NotFound as error:
        attempts.request(bucket.check_absent, error)
        return None


def arrivals(bucket: Bucket, after: str) -> list[str]:
    """See `TakesDirect`."""
    for page in bucket.pages(keys.INCOMING, after.removeprefix(keys.INCOMING), 1000):
        found = [key for name, _ in page if (key := keys.INCOMING + name) > after]
        if found:
            return found
    return []
