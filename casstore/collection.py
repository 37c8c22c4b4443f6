"""What a collection would do, and what it did: values."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

from casstore.errors import Code
from casstore.model import Digest

__all__ = ["Candidate", "Collected", "Step", "Uncollected"]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


Step: TypeAlias = Literal["condemn", "wait", "delete"]


class Candidate(_Value):
    """A blob that a collection would do something about, as it was when it was looked at."""

    digest: Digest
    size_bytes: int
    step: Step  # what comes next; "wait" until `due_at`
    reason: str
    state_at: datetime  # since when it is as it is: applied only to that
    due_at: datetime | None  # when its next step may be taken; None: at any time


class Uncollected(_Value):
    """A blob that could not be deleted."""

    digest: Digest
    code: Code
    message: str


class Collected(_Value):
    """What a collection did. After a connection was lost on the way the figures may be too low, never too high."""

    registered: int  # objects that the ledger did not know
    condemned: int
    condemned_bytes: int
    waiting: int  # condemned before, and not due yet
    deleted: int
    deleted_bytes: int
    kept: int  # changed since they were looked at, held by a put, or taken back
    failed: int  # not deleted, for a reason that may pass; they are due again later
    failures: tuple[Uncollected, ...]  # the first of these
