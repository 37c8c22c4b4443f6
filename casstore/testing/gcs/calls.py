"""A request that was understood: which operation, on what, done by whom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from casstore.testing.gcs.storage import Storage
from casstore.testing.gcs.wire import Answer, Request

__all__ = ["Call", "Handler"]

Handler: TypeAlias = Callable[[Storage, "Call"], Answer]


@dataclass(frozen=True, slots=True)
class Call:
    """One operation that a client asks for.

    Attributes:
        operation: `upload` (in one request), `upload_start`, `upload_chunk`, `upload_status` (a chunk without bytes,
            which may be the end), `upload_cancel`,
            `download`, `stat`, `patch`, `delete`, `list`, `compose`, `rewrite`, `copy`, `move`, `restore`, `batch`;
            `bucket_create`, `bucket_stat`, `bucket_patch`, `bucket_delete`, `bucket_list`.
        name: Of the object, also where it stands in the body or belongs to a session.
        target_bucket: Where a copy or a move goes, with `target_name`.
    """

    request: Request
    operation: str
    handler: Handler
    bucket: str = ""
    name: str = ""
    target_bucket: str = ""
    target_name: str = ""
