"""What a bucket has kept of a blob that was replaced or deleted: noncurrent generations, and soft-deleted ones.

A noncurrent generation is read like the live one. A soft-deleted one cannot be read: it must be restored, which makes a copy of it
the live object (https://cloud.google.com/storage/docs/json_api/v1/objects/restore). All of it blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future

from google.api_core.exceptions import BadRequest, NotFound, PreconditionFailed

from casstore.blobs import keys
from casstore.blobs.contract import Kept
from casstore.blobs.gcs_attempts import Attempts
from casstore.blobs.gcs_client import Bucket, Found
from casstore.blobs.gcs_errors import said
from casstore.blobs.gcs_reader import Download, Nothing, Reader
from casstore.model import Digest

__all__ = ["kept", "opened", "restore"]


def kept(bucket: Bucket, digest: Digest, attempts: Attempts) -> list[Kept]:
    """Generations of a blob besides the live one, the newest first; of one generation that is kept in both ways, the readable."""
    key = keys.key_of(digest)
    noncurrent = attempts.request(lambda: bucket.generations(key, soft_deleted=False))
    found = {each.generation: _kept(digest, each, must_be_restored=False) for each in noncurrent}
    for each in _soft_deleted(bucket, key, attempts):
        found.setdefault(each.generation, _kept(digest, each, must_be_restored=True))
    return [found[generation] for generation in sorted(found, reverse=True)]


def _soft_deleted(bucket: Bucket, key: str, attempts: Attempts) -> list[Found]:
    try:
        return attempts.request(lambda: bucket.generations(key, soft_deleted=True))
    except (BadRequest, PreconditionFailed) as error:
        if (
            "soft" in said(error).lower()
        ):  # the bucket has no such policy: https://cloud.google.com/storage/docs/soft-delete
            return []
        raise


def _kept(digest: Digest, found: Found, *, must_be_restored: bool) -> Kept:
    return Kept(digest, found.size_bytes, found.generation, found.crc32c, must_be_restored)


def opened(
    bucket: Bucket, one: Kept, attempts: Attempts, submit: Callable[..., Future[bytes]]
) -> Reader | Nothing | None:
    """A reader of a noncurrent generation; None when it is gone."""
    try:
        download = Download(bucket, keys.key_of(one.digest), 0, None, attempts, one.generation)
        return Reader(download, download.read(), submit)
    except NotFound as error:
        attempts.request(bucket.check_absent, error)
        return None


def restore(bucket: Bucket, one: Kept, over: int | None, attempts: Attempts) -> None:
    """Restore a soft-deleted generation over exactly that of the live object; nothing where that, or it, is another by now.

    A refused condition after a lost answer may be our own success: whoever restores looks at what is there.
    """
    try:
        attempts.request(bucket.restore, keys.key_of(one.digest), one.generation, over or 0)
    except PreconditionFailed:
        return
    except NotFound as error:
        attempts.request(bucket.check_absent, error)
