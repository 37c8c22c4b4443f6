"""Reading from a bucket: one request for a blob of any size, and one more from where it was cut whenever it is cut."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future

from google.api_core.exceptions import NotFound

from casstore import limits
from casstore.blobs.gcs_attempts import Attempts
from casstore.blobs.gcs_client import Body, Bucket
from casstore.blobs.gcs_errors import FOREIGN
from casstore.errors import Code, Unavailable, UsageError

__all__ = ["Download", "Nothing", "Reader"]


class Download:
    """A range of one generation, piece by piece. Blocking, and used by one thread at a time.

    Raises, from its construction on, what is in `FOREIGN`, and what `Bucket.fetch` says.
    """

    def __init__(  # noqa: PLR0917 - a range of a generation, and how to ask for it
        self,
        bucket: Bucket,
        key: str,
        start: int,
        end: int | None,
        attempts: Attempts,
        generation: int | None = None,
    ) -> None:
        self._bucket = bucket
        self._key = key
        self._attempts = attempts
        self._body: Body | None = attempts.request(bucket.fetch, key, start, end, generation)
        self.generation = self._body.generation
        self.size_bytes = self._body.size_bytes
        self.crc32c = self._body.crc32c
        self._position = start
        self._end = start + self._body.size_bytes
        if not self.remaining:
            self.close()

    @property
    def remaining(self) -> int:
        """Bytes that were not read yet."""
        return self._end - self._position

    def read(self) -> bytes:
        """The next piece, of at most `limits.CHUNK_BYTES`; b"" at the end."""
        data = self._attempts.request(self._next) if self.remaining else b""
        self._position += len(data)
        return data

    def _next(self) -> bytes:
        body = self._body
        if body is None:
            body = self._body = self._resumed()
        try:
            data = body.read(min(limits.CHUNK_BYTES, self.remaining))
            if not data:  # urllib3 before 2.0 takes it for the end
                raise ConnectionError("the answer ended before its bytes did")
        except FOREIGN:
            self.close()
            raise
        return data

    def _resumed(self) -> Body:
        try:
            return self._bucket.fetch(self._key, self._position, self._end, self.generation)
        except NotFound as error:
            self._bucket.check_absent(error)
            message = f"{self._key} was deleted or replaced while it was being read"
            raise Unavailable(Code.BLOBS_UNAVAILABLE, message, hint="Read it again.") from error

    def close(self) -> None:
        """Give the connection back."""
        if self._body:
            self._body.close()
            self._body = None


class Reader:
    """A `BlobReader` that has one piece in hand, and fetches the next one, in a thread, when that is used up.

    Args:
        download: What is left of the range.
        first: The piece that was read before.
        submit: Runs a function in one of the store's threads; raises UsageError when it is closed.
    """

    def __init__(self, download: Download, first: bytes, submit: Callable[..., Future[bytes]]) -> None:
        self._download = download
        self._submit = submit
        self._piece = first
        self._at = 0
        self._fetching: Future[bytes] | None = None
        self._closed = False
        self.size_bytes = download.size_bytes
        self.generation = download.generation

    async def read(self, max_bytes: int) -> bytes:  # noqa: D102 - the contract has the prose
        if self._closed:
            raise UsageError(Code.STORE_CLOSED, "the reader is closed")
        if self._at == len(self._piece):
            self._piece, self._at = await self._next(), 0
        data = self._piece[self._at : self._at + max_bytes]
        self._at += len(data)
        return data

    async def _next(self) -> bytes:
        if self._fetching is None:
            if not self._download.remaining:
                return b""
            self._fetching = self._submit(self._download.read)
        try:
            piece = await asyncio.shield(asyncio.wrap_future(self._fetching))
        except asyncio.CancelledError:
            raise  # the piece that is on its way is the next read's
        except BaseException:
            self._fetching = None
            raise
        self._fetching = None
        return piece

    async def aclose(self) -> None:  # noqa: D102
        self._closed = True
        if self._fetching:  # a thread may be at it
            self._fetching.add_done_callback(lambda _: self._download.close())
        else:
            self._download.close()


class Nothing:
    """A `BlobReader` of a range without a byte."""

    size_bytes = 0

    def __init__(self, generation: int) -> None:
        self.generation = generation

    async def read(self, max_bytes: int) -> bytes:  # noqa: ARG002, D102
        return b""

    async def aclose(self) -> None:
        """There is nothing to give back."""
