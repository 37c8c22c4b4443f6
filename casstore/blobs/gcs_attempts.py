"""How long to wait for Google Cloud Storage, and how to ask again."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from casstore import limits
from casstore.blobs.gcs_errors import FOREIGN, passes
from casstore.errors import Code, Unavailable

__all__ = ["Attempts", "Patience"]

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for Google; see `casstore.limits`."""

    connect: timedelta = limits.GCS_CONNECT
    silence: timedelta = limits.GCS_SILENCE
    deadline: timedelta = limits.GCS_DEADLINE
    first_pause: timedelta = limits.GCS_FIRST_PAUSE
    longest_pause: timedelta = limits.GCS_LONGEST_PAUSE


class Attempts:
    """The requests of one call of ours: each is repeated while what went wrong may pass (full jitter, doubling pauses).

    Attributes:
        lost: A request has failed that may have had its effect.
    """

    def __init__(self, patience: Patience, closing: threading.Event, abandoned: threading.Event | None = None) -> None:
        self.lost = False
        self._patience = patience
        self._closing = closing
        self._abandoned = abandoned

    def request(self, work: Callable[..., Answer], *arguments: object) -> Answer:
        """What `work` answers, in the end; raises its last error when it may not pass, or does not before the deadline."""
        deadline = time.monotonic() + self._patience.deadline.total_seconds()
        pause = self._patience.first_pause.total_seconds()
        while True:
            self.check_wanted()
            try:
                return work(*arguments)
            except FOREIGN as error:
                if not passes(error):
                    raise
                self.lost = True
                wait = random.random() * pause  # noqa: S311 - no secret
                if time.monotonic() + wait > deadline or self._closing.wait(wait):
                    raise
            pause = min(2 * pause, self._patience.longest_pause.total_seconds())

    def check_wanted(self) -> None:
        """Raise Unavailable when the caller has gone: nobody waits for what would be done."""
        if self._abandoned and self._abandoned.is_set():
            raise Unavailable(Code.BLOBS_UNAVAILABLE, "the put was cancelled while its bytes were on their way")
