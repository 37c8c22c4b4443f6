"""All that one server stores: buckets, resumable sessions, and the count of generations."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from casstore.testing.gcs.buckets import Bucket
from casstore.testing.gcs.preconditions import Preconditions
from casstore.testing.gcs.refusals import Refusal, not_found

__all__ = ["Options", "Session", "Storage"]


@dataclass(slots=True, eq=False)
class Session:
    """A resumable upload under way.

    Attributes:
        declared: The object resource its start declared: metadata and checksums.
        pieces: What has been kept so far, `size_bytes` together.
        total_bytes: How many there will be; None while nobody has said.
        done: The resource of the object it became. Whoever asks again is answered so again.
    """

    id: str
    bucket: str
    name: str
    declared: dict[str, Any]
    conditions: Preconditions
    total_bytes: int | None
    pieces: list[bytes] = field(default_factory=list)
    size_bytes: int = 0
    done: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """What a server may do one way or another.

    Attributes:
        page_items: The most entries that a page of a listing has, whatever is asked for.
        conditions_at_start: Whether the conditions of a resumable upload are looked at already when it starts; they
            are when it ends.
        signing_keys: The RSA keys, modulus and exponent, of the accounts whose signed URLs are good, by their
            addresses. Without any no signature is looked at.
    """

    page_items: int = 1000
    conditions_at_start: bool = False
    signing_keys: Mapping[str, tuple[int, int]] = field(default_factory=dict)


class Storage:
    """Not for several threads at once: whoever uses it takes turns."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.buckets: dict[str, Bucket] = {}
        self.sessions: dict[str, Session] = {}
        self._generation = 0

    def next_generation(self) -> int:
        """A number greater than any before it, also before a restart: about the microseconds since 1970."""
        self._generation = max(self._generation + 1, time.time_ns() // 1000)
        return self._generation

    def bucket(self, name: str) -> Bucket:
        """A bucket that exists.

        Raises:
            Refusal: 404.
        """
        try:
            return self.buckets[name]
        except KeyError:
            raise not_found(f"The specified bucket does not exist: {name!r}") from None

    def create_bucket(self, name: str, properties: Mapping[str, Any]) -> Bucket:
        """A new bucket.

        Raises:
            Refusal: 409, there is one; 400, it cannot be called so; 501, a property nothing here knows.
        """
        if name in self.buckets:
            raise Refusal(HTTPStatus.CONFLICT, "Your previous request to create the named bucket succeeded.")
        self.buckets[name] = Bucket(name, properties)
        return self.buckets[name]

    def start_session(
        self, bucket: str, name: str, declared: dict[str, Any], conditions: Preconditions, total_bytes: int | None
    ) -> Session:
        """A new resumable upload, of nothing yet."""
        session = Session(uuid.uuid4().hex, bucket, name, declared, conditions, total_bytes)
        self.sessions[session.id] = session
        return session

    def session(self, session_id: str) -> Session:
        """A resumable upload that was started and not cancelled.

        Raises:
            Refusal: 404.
        """
        try:
            return self.sessions[session_id]
        except KeyError:
            raise not_found(f"No such upload: {session_id!r}") from None
