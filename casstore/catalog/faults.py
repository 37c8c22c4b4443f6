"""Postgres' errors become ours here and nowhere else: by constraint name where there is one, else by SQLSTATE."""

from __future__ import annotations

import json
from typing import Any, Final

import psycopg
from psycopg_pool import PoolClosed, PoolTimeout

from casstore.errors import CasstoreError, Code, Conflict, Corrupt, Denied, Invalid, NotFound, Unavailable, UsageError

__all__ = ["FOREIGN", "is_lost_connection", "is_retryable", "is_timeout", "translate"]

FOREIGN: Final = (psycopg.Error, PoolTimeout, PoolClosed, OSError)

_REFUSALS: Final[dict[str, tuple[type[CasstoreError], str, str]]] = {
    # code: (reaction, message, hint); the fields come from the error's DETAIL
    "artifact_not_found": (NotFound, "there is no artifact {name!r}", ""),
    "version_not_found": (NotFound, "there is no such version", ""),
    "pointer_not_found": (
        NotFound,
        "{name!r} has no alias or tag {text!r}",
        "`casstore alias {name} --list` shows what there is.",
    ),
    "ambiguous_digest": (Conflict, "{matches} contents of {name!r} begin with b3:{prefix}", "Give more digits."),
    "name_case": (
        Conflict,
        "{name!r} differs only in case from {existing!r}",
        "Use the existing spelling, or another name.",
    ),
    "type_mismatch": (
        Conflict,
        "{name!r} is of type {existing!r}, not {type!r}",
        "Leave the type out, or use another name.",
    ),
    "head_moved": (
        Conflict,
        "{name!r} is at version {actual}, not {expected} as expected",
        "Look at what changed (`casstore log {name}`), then put again with expect={actual}.",
    ),
    "same_content": (
        Conflict,
        "{name}@{number} has this content already",
        "Use on_same='reuse' to be given that version.",
    ),
    "idempotency_key_reused": (
        Conflict,
        "idempotency key {key!r} was used for another request",
        "Use a new key for a new request; repeat a request with exactly the same arguments.",
    ),
    "alias_moved": (
        Conflict,
        "{pointer!r} of {name!r} is at version {actual}, not {expected} as expected",
        "Look, then retry.",
    ),
    "tag_frozen": (
        Conflict,
        "tag {pointer!r} of {name!r} is written once: it is version {number}",
        "Choose another tag, or an alias.",
    ),
    "pointer_kind": (
        Conflict,
        "{pointer!r} of {name!r} is a {kind} already",
        "A word is an alias or a tag for ever: choose another.",
    ),
    "not_permitted": (Denied, "the catalog refuses this change", "Versions and the log are never changed."),
}
_GRAMMAR: Final = {
    "artifact_name_grammar": Code.BAD_NAME,
    "pointer_name_grammar": Code.BAD_POINTER,
    "role_name_grammar": Code.BAD_ROLE,
    "tenant_name_grammar": Code.BAD_TENANT,
    "type_name_grammar": Code.BAD_TYPE,
    "digest_length": Code.BAD_DIGEST,
    "components_media_type": Code.BAD_MEDIA_TYPE,
    "requests_key_length": Code.BAD_IDEMPOTENCY_KEY,
    "versions_labels": Code.BAD_LABEL,
    "versions_title": Code.BAD_TITLE,
}
_MISSING_OBJECTS: Final = ("3F000", "42P01", "42883", "42704")  # schema, table, function, type


def translate(error: BaseException) -> CasstoreError:
    """The error of ours that says what this one of psycopg's means."""
    if isinstance(error, PoolTimeout):
        message = "no connection to the catalog within the time limit"
        return Unavailable(Code.CATALOG_BUSY, message, hint="Is the database up, and are there enough connections?")
    if isinstance(error, PoolClosed):
        return UsageError(Code.STORE_CLOSED, "the store is closed", hint="Use it inside its `with` block.")
    if not isinstance(error, psycopg.Error):
        return Unavailable(Code.CATALOG_UNAVAILABLE, f"the catalog cannot be reached: {error}", hint=_REACH)
    constraint = error.diag.constraint_name or ""
    if constraint in _REFUSALS:
        return _refusal(constraint, error.diag.message_detail)
    if constraint in _GRAMMAR:
        message = f"the catalog refuses a value: {error.diag.message_primary}"
        return Invalid(_GRAMMAR[constraint], message, hint="docs/format.md says what a value may be.")
    return _by_state(error)


_REACH: Final = "Check CASSTORE_CATALOG and that the server is running (`casstore doctor`)."


def _refusal(code: str, detail: str | None) -> CasstoreError:
    kind, message, hint = _REFUSALS[code]
    fields: dict[str, Any] = json.loads(detail or "{}")
    if code == "pointer_kind":
        fields["kind"] = "tag" if fields["is_tag"] else "alias"
    if fields.get("actual") == 0:
        message, hint = message.split(" is at ")[0] + " does not exist, though version {expected} was expected", ""
    if code == "pointer_not_found" and fields.get("as_of"):
        message = "{name!r} had no alias or tag {text!r} at {as_of}"
    if code == "version_not_found":
        message, hint = _no_version(fields)
    if code == "artifact_not_found" and fields.get("similar"):
        hint = "Names are exact: there is {similar!r}."
    return kind(Code(code), message.format(**fields), hint=hint.format(**fields), **fields)


def _no_version(fields: dict[str, Any]) -> tuple[str, str]:
    if "id" in fields:
        return "there is no version with id {id}", "Ids belong to one tenant: is it this one's?"
    hint = "Its newest version is {head}."
    if fields.get("as_of"):
        return "{name!r} had no version at {as_of}", hint
    if fields["kind"] == "digest":
        return "{name!r} has no version with digest b3:{text}", hint
    return "{name!r} has no version {number}", hint


def _by_state(error: psycopg.Error) -> CasstoreError:
    state, text = error.sqlstate or "", error.diag.message_primary or str(error).strip()
    if state in _MISSING_OBJECTS:
        message = f"the catalog has not been set up, or by another release: {text}"
        return Unavailable(Code.CATALOG_UNAVAILABLE, message, hint="Run `casstore init` once.")
    if state == "42501":
        return Denied(
            Code.NOT_PERMITTED, f"the catalog's role lacks a right: {text}", hint="Ask whoever runs the database."
        )
    if state == "53100":
        return Unavailable(Code.DISK_FULL, f"the catalog's disk is full: {text}", hint="Free some space, then retry.")
    if state.startswith(("22", "23")):
        return Corrupt(
            Code.CATALOG_INCONSISTENT, f"the catalog refuses a row: {text}", hint="Please report this.", sqlstate=state
        )
    if state.startswith("42"):
        return Corrupt(
            Code.CATALOG_INCONSISTENT, f"the catalog does not fit this release: {text}", hint="Run `casstore doctor`."
        )
    return Unavailable(Code.CATALOG_UNAVAILABLE, f"the catalog is not available: {text}", hint=_REACH)


def is_timeout(error: BaseException) -> bool:
    """Whether the pool had no connection to give in time: all are in use, or none can be made."""
    return isinstance(error, PoolTimeout)


def is_lost_connection(error: BaseException) -> bool:
    """Whether the connection broke, so that it is unknown if the statement took effect."""
    if isinstance(error, PoolTimeout | PoolClosed):  # OperationalErrors too, but nothing was sent
        return False
    # No SQLSTATE: libpq lost the socket. 57P0x: the server is shutting down, starting up or was killed. 08: connection.
    return isinstance(error, psycopg.OperationalError) and (error.sqlstate or "08000").startswith(("08", "57P"))


def is_retryable(error: BaseException) -> bool:
    """Whether the same statement may succeed when sent again: a lost connection, a deadlock, a serialization failure."""
    return is_lost_connection(error) or (isinstance(error, psycopg.Error) and error.sqlstate in ("40001", "40P01"))
