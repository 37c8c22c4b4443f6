"""Every error casstore raises, grouped by what the caller does next.

```
CasstoreError(code, message, hint)
├── NotFound      look again: does it exist?              exit 4
├── Conflict      someone else was first: look, retry     exit 5
├── Invalid       fix the call (also a ValueError)        exit 2
├── Denied        ask someone for the right               exit 6
├── Corrupt       page a human: what is stored is wrong   exit 7
├── Unavailable   wait, then retry                        exit 8
└── UsageError    a bug in the calling program            exit 1
```

One class per reaction, one append-only code per cause. Codes are listed in `docs/reference/errors.md`; a test holds that page,
this file and the exit codes together. Foreign exceptions are translated in two places only: each blob backend, and
`catalog/faults.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from typing import Any, ClassVar, Final

__all__ = [
    "KINDS",
    "CasstoreError",
    "Code",
    "Conflict",
    "Corrupt",
    "Denied",
    "Invalid",
    "NotFound",
    "Unavailable",
    "UsageError",
    "kind_of",
    "needed_for",
]


class Code(StrEnum):
    """The cause of an error. Append-only: a code is never renamed, reused or removed."""

    # NotFound
    ARTIFACT_NOT_FOUND = "artifact_not_found"
    VERSION_NOT_FOUND = "version_not_found"
    POINTER_NOT_FOUND = "pointer_not_found"
    COMPONENT_NOT_FOUND = "component_not_found"
    VERSION_DELETED = "version_deleted"
    TENANT_NOT_FOUND = "tenant_not_found"
    TENANT_DELETED = "tenant_deleted"
    JOURNAL_NOT_FOUND = "journal_not_found"
    OPERATION_NOT_FOUND = "operation_not_found"
    HOLD_NOT_FOUND = "hold_not_found"
    WEBHOOK_NOT_FOUND = "webhook_not_found"
    ROUTE_NOT_FOUND = "route_not_found"
    CONTENT_NOT_FOUND = "content_not_found"
    CONTENT_ERASED = "content_erased"
    UPLOAD_NOT_FOUND = "upload_not_found"
    # Conflict
    HEAD_MOVED = "head_moved"
    SAME_CONTENT = "same_content"
    NAME_CASE = "name_case"
    TYPE_MISMATCH = "type_mismatch"
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused"
    ALIAS_MOVED = "alias_moved"
    TAG_FROZEN = "tag_frozen"
    POINTER_KIND = "pointer_kind"
    AMBIGUOUS_DIGEST = "ambiguous_digest"
    BLOB_CONTENDED = "blob_contended"
    TYPE_UNCHECKED = "type_unchecked"
    TRANSACTION_REFUSED = "transaction_refused"
    BAD_TRANSITION = "bad_transition"
    STILL_USED = "still_used"
    SOURCE_DELETED = "source_deleted"
    NOT_DELETED = "not_deleted"
    TENANT_NOT_DELETED = "tenant_not_deleted"
    VERSION_PURGED = "version_purged"
    CATALOG_NOT_EMPTY = "catalog_not_empty"
    UNDO_SUPERSEDED = "undo_superseded"
    DOMAIN_CHANGED = "domain_changed"
    TENANT_NOT_EMPTY = "tenant_not_empty"
    RETENTION_MOVED = "retention_moved"
    # Invalid
    BAD_NAME = "bad_name"
    BAD_TENANT = "bad_tenant"
    BAD_DOMAIN = "bad_domain"
    BAD_REFERENCE = "bad_reference"
    BAD_SELECTOR = "bad_selector"
    BAD_ROLE = "bad_role"
    BAD_POINTER = "bad_pointer"
    BAD_HOLD = "bad_hold"
    BAD_RETENTION = "bad_retention"
    BAD_TYPE = "bad_type"
    BAD_DIGEST = "bad_digest"
    BAD_TITLE = "bad_title"
    BAD_LABEL = "bad_label"
    BAD_METADATA = "bad_metadata"
    BAD_MEDIA_TYPE = "bad_media_type"
    BAD_IDEMPOTENCY_KEY = "bad_idempotency_key"
    BAD_CURSOR = "bad_cursor"
    BAD_JSON = "bad_json"
    BAD_PICTURE = "bad_picture"
    BAD_TEXT = "bad_text"
    BAD_DATA = "bad_data"
    BAD_COMPONENTS = "bad_components"
    BAD_COMPOSITION = "bad_composition"
    NOT_COMPARABLE = "not_comparable"
    BAD_PATCH = "bad_patch"
    BAD_ARGUMENT = "bad_argument"
    BAD_CONFIG = "bad_config"
    WRONG_BLOBS = "wrong_blobs"
    TOO_LARGE = "too_large"
    UNREADABLE_SOURCE = "unreadable_source"
    SOURCE_CHANGED = "source_changed"
    UNWRITABLE_TARGET = "unwritable_target"
    MIGRATION_EDITED = "migration_edited"
    MIGRATION_MISSING = "migration_missing"
    NOT_UNDOABLE = "not_undoable"
    NO_HISTORY = "no_history"
    BAD_WEBHOOK = "bad_webhook"
    TOO_MANY_WEBHOOKS = "too_many_webhooks"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    REQUEST_TIMEOUT = "request_timeout"
    UPLOAD_ALTERED = "upload_altered"
    NOT_DIRECT = "not_direct"
    # Denied
    NOT_PERMITTED = "not_permitted"
    NOT_AUTHENTICATED = "not_authenticated"
    DOMAIN_KEY_MISSING = "domain_key_missing"
    DOMAIN_KEY_WRONG = "domain_key_wrong"
    BAD_SIGNATURE = "bad_signature"
    # Corrupt
    BLOB_MISSING = "blob_missing"
    BLOB_ALTERED = "blob_altered"
    CATALOG_INCONSISTENT = "catalog_inconsistent"
    JOURNAL_BROKEN = "journal_broken"
    JOURNAL_AHEAD = "journal_ahead"
    # Unavailable
    BLOBS_UNAVAILABLE = "blobs_unavailable"
    DISK_FULL = "disk_full"
    CATALOG_UNAVAILABLE = "catalog_unavailable"
    CATALOG_BUSY = "catalog_busy"
    NO_POSTGRES = "no_postgres"
    POSTGRES_FAILED = "postgres_failed"
    PROCESS_FAILED = "process_failed"
    KEYS_UNAVAILABLE = "keys_unavailable"
    SERVER_BUSY = "server_busy"
    TOO_MANY_REQUESTS = "too_many_requests"
    SERVER_UNAVAILABLE = "server_unavailable"
    # UsageError
    STORE_CLOSED = "store_closed"
    STORE_OPEN = "store_open"
    STORE_BUSY = "store_busy"
    KIND_EXISTS = "kind_exists"
    KIND_FAILED = "kind_failed"
    TRANSACTION_OVER = "transaction_over"
    NOT_OVER_HTTP = "not_over_http"
    INTERNAL_ERROR = "internal_error"


class CasstoreError(Exception):
    """Base of all errors of this package: a stable `code`, a message for people, a `hint` what to do, and `fields`."""

    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False

    def __init__(self, code: Code, message: str, *, hint: str = "", **fields: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.fields = fields

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by value, so that errors cross process boundaries whole."""
        return _rebuild, (type(self), self.code, self.message, self.hint, self.fields)

    def as_dict(self) -> dict[str, Any]:
        """The error as plain JSON values, the shape `--json` prints."""
        return {"error": self.code.value, "message": self.message, "hint": self.hint, **self.fields}


def _rebuild(kind: type[CasstoreError], code: Code, message: str, hint: str, fields: dict[str, Any]) -> CasstoreError:
    return kind(code, message, hint=hint, **fields)


class NotFound(CasstoreError, LookupError):
    """What was asked for does not exist, or belongs to another tenant: the two are indistinguishable."""

    exit_code = 4


class Conflict(CasstoreError):
    """The state is not what the caller expected. Look again, then decide."""

    exit_code = 5


class Invalid(CasstoreError, ValueError):
    """The call itself is wrong and will fail again until it is changed."""

    exit_code = 2


class Denied(CasstoreError, PermissionError):
    """The caller lacks a right."""

    exit_code = 6


class Corrupt(CasstoreError):
    """What is stored is not what was acknowledged. Nothing the caller can fix by trying again."""

    exit_code = 7


class Unavailable(CasstoreError):
    """A server, a disk or a network did not do its work; nothing was half-stored and the call may be repeated."""

    exit_code = 8
    retryable = True


class UsageError(CasstoreError):
    """The calling program uses the library in a way it cannot work, such as after `close()`."""


# By the names that are told where classes cannot be: over HTTP, in JSON.
KINDS: Final[Mapping[str, type[CasstoreError]]] = {
    kind.__name__: kind for kind in (NotFound, Conflict, Invalid, Denied, Corrupt, Unavailable, UsageError)
}


def kind_of(error: CasstoreError) -> str:
    """The name of an error's class, one of KINDS, whatever it was derived to."""
    return next((name for name, kind in KINDS.items() if isinstance(error, kind)), UsageError.__name__)


@contextmanager
def needed_for(what: str, *, extra: str) -> Iterator[None]:
    """Around an import: raise Invalid (bad_config), which names the extra, where a library that it brings is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "casstore":
            raise  # a bug of ours
        message = f"{what} needs {error.name}, which is not installed"
        raise Invalid(Code.BAD_CONFIG, message, hint=f"Install the extra casstore[{extra}].") from error
