"""Objects below a prefix of a bucket of Google Cloud Storage that somebody else keeps. Every request only reads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from google.api_core.exceptions import NotFound

from casstore import limits
from casstore.blobs.gcs_attempts import Attempts, Patience
from casstore.blobs.gcs_client import Bucket
from casstore.blobs.gcs_errors import translated
from casstore.blobs.gcs_reader import Download
from casstore.blobs.gcs_url import Location
from casstore.blobs.objects import SourceObject, Stranger, check_size
from casstore.errors import Code, Invalid, Unavailable
from casstore.hashing import Hasher

__all__ = ["GcsObjects"]

Result = TypeVar("Result")


class GcsObjects:
    """`Objects` of a bucket."""

    def __init__(self, location: Location, patience: Patience) -> None:
        self.url = location.url
        # A path that was written down may be one in the bucket, wherever in it the root is now.
        self.bases: tuple[str, ...] = (f"{location.url}/", "/", *([location.prefix] if location.prefix else []))
        self._location = location
        self._patience = patience
        self._closing = threading.Event()
        with translated(location, is_store=False):
            self._bucket = Bucket(location, patience)
        self._threads = ThreadPoolExecutor(limits.GCS_THREADS, thread_name_prefix="casstore-source")

    @classmethod
    async def connect(cls, url: str, patience: Patience | None = None) -> GcsObjects:
        """Find the credentials, which may take a request to Google; raises Invalid (bad_config)."""
        return await asyncio.to_thread(cls, Location.parse(url), patience or Patience())

    async def find(self) -> tuple[list[SourceObject], list[Stranger]]:  # noqa: D102 - the protocol has the prose
        return await self._run(self._find), []

    async def read(self, name: str, max_bytes: int) -> bytes:  # noqa: D102
        return await self._run(self._read, name, max_bytes)

    async def aclose(self) -> None:  # noqa: D102
        self._closing.set()
        await asyncio.to_thread(self._threads.shutdown)
        self._bucket.close()

    async def _run(self, work: Callable[..., Result], *arguments: object) -> Result:
        def in_our_words() -> Result:
            with translated(self._location, is_store=False):
                return work(*arguments)

        return await asyncio.wrap_future(self._threads.submit(in_our_words))

    # -- blocking halves, in a thread --------------------------------------------------------------------------------

    def _find(self) -> list[SourceObject]:
        found: list[SourceObject] = []
        attempts = Attempts(self._patience, self._closing)
        while page := attempts.request(self._after, found[-1].name if found else ""):
            found += page
        return found

    def _after(self, last: str) -> list[SourceObject]:
        """The next objects, from the first page of a listing that has any: it begins with `last` itself."""
        for page in self._bucket.pages("", last, limits.PAGE_MAX):
            found = [SourceObject(name, object_.size_bytes) for name, object_ in page if name and name != last]
            if found:
                return found
        return []

    def _read(self, name: str, max_bytes: int) -> bytes:
        attempts = Attempts(self._patience, self._closing)
        try:
            download = Download(self._bucket, name, 0, None, attempts)
        except NotFound as error:
            attempts.request(self._bucket.check_absent, error)
            message = f"{self.url}/{name} is not there any more"
            raise Invalid(Code.UNREADABLE_SOURCE, message, hint="Run it again when nobody changes it.") from error
        try:
            check_size(name, download.size_bytes, max_bytes)
            data = b"".join(iter(download.read, b""))
        finally:
            download.close()
        hasher = Hasher()
        hasher.update(data)
        if download.crc32c not in (None, hasher.crc32c):
            message = f"the bytes of {self.url}/{name} did not get here unaltered"
            raise Unavailable(
                Code.BLOBS_UNAVAILABLE, message, hint="Run it again. If that does not help, check the proxy."
            )
        return data
