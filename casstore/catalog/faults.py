"""Postgres' errors become ours here and nowhere else: by constraint name where there is one, else by SQLSTATE."""

from __future__ import annotations

import json
from typing import Any, Final, TypeAlias

import psycopg
from psycopg_pool import PoolClosed, PoolTimeout

from casstore import limits
from casstore.errors import CasstoreError, Code, Conflict, Corrupt, Denied, Invalid, NotFound, Unavailable, UsageError

__all__ = ["FOREIGN", "NoAnswer", "is_lost_connection", "is_retryable", "refusal", "translate"]


class NoAnswer(psycopg.OperationalError):
    """A statement was neither done nor cancelled in time, and its connection was given up."""


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
    "version_deleted": (
        NotFound,
        "{what} was deleted",
        "`casstore trash` lists what was deleted, `casstore undelete` takes it back.",
    ),
    "tenant_not_found": (NotFound, "there is no tenant {tenant!r}", "A tenant begins with its first put."),
    "tenant_deleted": (
        NotFound,
        "the tenant {tenant!r} was deleted",
        "`casstore tenant show {tenant}` tells by whom, `casstore tenant undelete {tenant}` brings it back.",
    ),
    "hold_not_found": (
        NotFound,
        "there is no hold {hold!r} on it",
        "A hold is released from just what it was placed on: `casstore holds` lists them.",
    ),
    "webhook_not_found": (NotFound, "there is no webhook {id}", "`casstore webhook ls` tells the ids."),
    "too_many_webhooks": (Invalid, "a tenant has at most {most} webhooks", "Remove one: `casstore webhook rm`."),
    "content_not_found": (
        NotFound,
        "no version of the tenant has a component {digest}",
        "`casstore show REF` tells the digests of a version's components.",
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
    "type_unchecked": (Conflict, "{name!r} is of type {type!r}, which has a kind", "Put it with type={type!r}."),
    "transaction_refused": (
        Conflict,
        "nothing was stored: {told}",
        "Mend what is refused, then repeat the transaction.",
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
    "still_used": (
        Conflict,
        "{what} is still used: {told}",
        "Take away what points at it; delete, or purge, what was made from it first. A hold wins until it is released.",
    ),
    "tenant_not_deleted": (
        Conflict,
        "the tenant {tenant!r} is not deleted",
        "Delete it first (`casstore tenant delete {tenant}`): that can be undone.",
    ),
    "not_deleted": (
        Conflict,
        "{what} is not in the trash",
        "Only what was deleted can be purged: `casstore delete` first.",
    ),
    "version_purged": (Conflict, "{what} was purged, and cannot come back", "Put its content again, if you have it."),
    "source_deleted": (
        Conflict,
        "{name!r} was made from what is in the trash: {told}",
        "Take that back first (`casstore undelete`).",
    ),
    "bad_transition": (
        Conflict,
        "{name}@{number} is {before}, and does not become {state}",
        "draft → accepted → obsolete is the only way; put a new version instead.",
    ),
    "operation_not_found": (NotFound, "there is no operation {id}", "`casstore op log` tells the ids."),
    "undo_superseded": (
        Conflict,
        "operation {id} ({op} of {name!r}) was followed by {by} ({by_op})",
        "Undo that one first, or do by hand what is wanted: `casstore op log {name}` tells what was.",
    ),
    "not_undoable": (Invalid, "operation {id} cannot be undone: {told}", "Moves of aliases, deletes and states can."),
    "domain_changed": (
        Conflict,
        "the isolation domain of tenant {tenant!r} is another than this put was hashed in",
        "Nothing was stored. Put it again.",
    ),
    "retention_moved": (
        Conflict,
        "the policy of retention has revision {actual}, not {expected} as expected",
        "Look at what it says now (`casstore retention show`), then repeat this.",
    ),
    "tenant_not_empty": (
        Conflict,
        "tenant {tenant!r} has artifacts, and its digests stay as they are",
        "Make a new tenant in the domain, and copy what it is to have.",
    ),
    "domain_key_wrong": (
        Denied,
        "the catalog knows the isolation domain {name!r} by another key, or its key by another name",
        "Find the right key: CASSTORE_DOMAINS. A new key is a new domain, with another name.",
    ),
    "not_permitted": (Denied, "the catalog refuses this change", "Versions and the log are never changed."),
}

_FOR_EVER: Final = {  # why
    "put": "a version is for ever; `casstore delete` hides it",
    "tag": "a tag is written once",
    "purge": "the content is let go of",
    "erase_content": "the content is let go of",
    "delete_tenant": "`casstore tenant undelete` brings it back",
    "undo": "what it did is in the log before it, and can be undone as what it is; a state is entered again",
    "transaction": "it is the key of the operations before it, which can be undone one by one",
}
_GRAMMAR: Final = {
    "artifact_name_grammar": Code.BAD_NAME,
    "hold_name_grammar": Code.BAD_HOLD,
    "pointer_name_grammar": Code.BAD_POINTER,
    "role_name_grammar": Code.BAD_ROLE,
    "tenant_name_grammar": Code.BAD_TENANT,
    "type_name_grammar": Code.BAD_TYPE,
    "digest_length": Code.BAD_DIGEST,
    "components_media_type": Code.BAD_MEDIA_TYPE,
    "requests_key_length": Code.BAD_IDEMPOTENCY_KEY,
    "versions_labels": Code.BAD_LABEL,
    "versions_metadata": Code.BAD_METADATA,
    "versions_title": Code.BAD_TITLE,
}
_REACH: Final = "Check CASSTORE_CATALOG and that the server is running (`casstore doctor`)."
_BUSY: Final = "Repeat it later. pg_stat_activity tells who holds locks, and since when."
_TLS: Final = "Check sslmode, sslrootcert and the name of the host in CASSTORE_CATALOG, and the server's certificate."

_Reaction: TypeAlias = tuple[type[CasstoreError], Code, str, str]  # the error's class and code, its message and hint
_UNREACHABLE: Final[_Reaction] = (Unavailable, Code.CATALOG_UNAVAILABLE, "the catalog is not available", _REACH)
_FULL: Final[_Reaction] = (
    Unavailable,
    Code.CATALOG_BUSY,
    "the catalog takes no more connections",
    "Close some, or let the server or its pooler have more.",
)
_UNSAFE: Final[_Reaction] = (Invalid, Code.BAD_CONFIG, "the catalog and its URL do not agree on TLS", _TLS)
_SILENT: Final[_Reaction] = (
    Unavailable,
    Code.CATALOG_BUSY,
    "the catalog does not answer",
    "Is its server, or the pooler before it, overloaded or gone? Look (`casstore doctor`), then repeat.",
)
_BY_STATE: Final[dict[tuple[str, ...], _Reaction]] = {  # by the first characters of the SQLSTATE; the first that fits
    ("3F000", "42P01", "42883", "42704"): (  # no such schema, table, function, type
        Unavailable,
        Code.CATALOG_UNAVAILABLE,
        "the catalog has not been set up, or by another release",
        "Run `casstore init` once.",
    ),
    ("42501",): (
        Denied,
        Code.NOT_PERMITTED,
        "the catalog's role lacks a right",
        "Ask whoever runs the database.",
    ),
    ("53100",): (Unavailable, Code.DISK_FULL, "the catalog's disk is full", "Free some space, then retry."),
    ("53300",): _FULL,
    ("57014", "55P03"): (Unavailable, Code.CATALOG_BUSY, "the catalog gave up a statement", _BUSY),  # cancelled, locked
    ("22", "23"): (Corrupt, Code.CATALOG_INCONSISTENT, "the catalog refuses a row", "Please report this."),
    ("42",): (
        Corrupt,
        Code.CATALOG_INCONSISTENT,
        "the catalog does not fit this release",
        "Run `casstore doctor`.",
    ),
}
# While connecting there is no SQLSTATE: libpq keeps the text only. In lower case:
_BY_TEXT: Final[dict[tuple[str, ...], _Reaction]] = {
    (
        "too many clients",  # Postgres: max_connections
        "too many connections",  # Postgres: the limit of the role or of the database
        "connection slots are reserved",  # Postgres
        "no more connections allowed",  # PgBouncer: max_client_conn
        "max client",  # Supavisor: "Max client connections reached", "MaxClientsInSessionMode: max clients reached"
        "unable to check out",  # Supavisor: its connections to the server are all in use
    ): _FULL,
    (
        "certificate",  # of another authority, of another host, expired, or no file to check it with
        "does not support ssl",
        "ssl required",  # PgBouncer
        "ssl connection is required",  # Supavisor
        "no encryption",  # Postgres: pg_hba.conf
    ): _UNSAFE,
}


def translate(error: BaseException) -> CasstoreError:
    """The error of ours that says what this one of psycopg's means."""
    if isinstance(error, PoolTimeout):
        message = f"all connections to the catalog stayed in use for {limits.CONNECT_TIMEOUT.total_seconds():g} s"
        return Unavailable(Code.CATALOG_BUSY, message, hint="Ask for less at once, or repeat it later.")
    if isinstance(error, PoolClosed):
        return UsageError(Code.STORE_CLOSED, "the store is closed", hint="Use it inside its `with` block.")
    if not isinstance(error, psycopg.Error):
        return Unavailable(Code.CATALOG_UNAVAILABLE, f"the catalog cannot be reached: {error}", hint=_REACH)
    constraint = error.diag.constraint_name or ""
    if constraint in _REFUSALS:
        return refusal(constraint, json.loads(error.diag.message_detail or "{}"))
    if constraint in _GRAMMAR:
        message = f"the catalog refuses a value: {error.diag.message_primary}"
        return Invalid(_GRAMMAR[constraint], message, hint="docs/format.md says what a value may be.")
    return _by_table(error)


def cause_of(error: BaseException) -> BaseException | None:
    """What to name as the cause of ours: of a refusal nothing, since it says all, and people read the end of what is printed."""
    return None if isinstance(error, psycopg.Error) and error.diag.constraint_name in _REFUSALS else error


def refusal(code: str, fields: dict[str, Any]) -> CasstoreError:
    """The error the catalog names by its code and the fields it is about."""
    kind, message, hint = _REFUSALS[code]
    if code == "pointer_kind":
        fields["kind"] = "tag" if fields["is_tag"] else "alias"
    if code == "not_undoable":
        fields["told"] = _FOR_EVER.get(fields["op"], f"{fields['op']} is not among what can")
    if code == "transaction_refused":
        losers = [refusal(loser.pop("code"), loser) for loser in fields["refused"]]
        fields = {"refused": [loser.as_dict() for loser in losers]}
        return kind(Code(code), message.format(told="; ".join(loser.message for loser in losers)), hint=hint, **fields)
    if code in ("still_used", "source_deleted", "version_deleted", "not_deleted", "version_purged"):
        if fields.get("purged"):
            message, hint = (
                "{what} was purged",
                "It cannot come back. `casstore trash --purged` tells what is left of it.",
            )
        message, hint = message.format(**_told(fields)), hint.format(**_told(fields))
    if fields.get("actual") == 0 and " is at " in message:
        message, hint = message.split(" is at ")[0] + " does not exist, though version {expected} was expected", ""
    if code == "pointer_not_found" and fields.get("as_of"):
        message = "{name!r} had no alias or tag {text!r} at {as_of}"
    if code == "version_not_found":
        message, hint = _no_version(fields)
    if code == "artifact_not_found" and fields.get("similar"):
        hint = "Names are exact: there is {similar!r}."
    return kind(Code(code), message.format(**fields), hint=hint.format(**fields), **fields)


def _told(fields: dict[str, Any]) -> dict[str, Any]:
    """What the fields of a refusal about the trash say, in words."""
    number, sources = fields.get("number"), fields.get("sources", [])
    used = [f"the hold {hold!r} keeps it" for hold in fields.get("holds", [])]
    used += [f"{pointer!r} points at it" for pointer in fields.get("pointers", [])]
    used += [f"{ref} was made from it" for ref in fields.get("dependants", [])]
    shown = [*used, *sources][: limits.BLOCKERS_SHOWN]
    more = max(fields.get("count", 0), len(shown), len(sources)) - len(shown)
    what = f"{fields['name']}@{number}" if number else fields["name"]
    return {**fields, "what": what, "told": "; ".join([*shown, *([f"and {more} more"] if more else [])])}


def _no_version(fields: dict[str, Any]) -> tuple[str, str]:
    if "id" in fields:
        return "there is no version with id {id}", "Ids belong to one tenant: is it this one's?"
    hint = "Its newest version is {head}."
    if fields.get("as_of"):
        return "{name!r} had no version at {as_of}", hint
    if fields["kind"] == "digest":
        return "{name!r} has no version with digest b3:{text}", hint
    return "{name!r} has no version {number}", hint


def _by_table(error: psycopg.Error) -> CasstoreError:
    kind, code, message, hint = _reaction_to(error)
    fields = {"sqlstate": error.sqlstate} if kind is Corrupt else {}
    text = error.diag.message_primary or str(error).strip()
    if kind is Denied:  # our migrations say what an administrator has to do
        hint = error.diag.message_hint or hint
    return kind(code, f"{message}: {text}", hint=hint, **fields)


def _reaction_to(error: psycopg.Error) -> _Reaction:
    if isinstance(error, NoAnswer):
        return _SILENT
    state, said = error.sqlstate or "", str(error).lower()
    for states, reaction in _BY_STATE.items():
        if state.startswith(states):
            return reaction
    for texts, reaction in _BY_TEXT.items():
        if any(text in said for text in texts):
            return reaction
    return _UNREACHABLE


def is_lost_connection(error: BaseException) -> bool:
    """Whether the connection broke, so that it is unknown if the statement took effect."""
    if isinstance(error, PoolTimeout | PoolClosed) or not isinstance(error, psycopg.Error):
        return False  # the pool's are OperationalErrors too, but nothing was sent
    if _reaction_to(error) in (_FULL, _UNSAFE):
        return False  # nor here: we were not let in, and shall not be in a second
    # FATAL ends the session, whatever the reason; a pooler says it with states of its own.
    if error.diag.severity_nonlocalized == "FATAL":
        return True
    # No SQLSTATE: libpq lost the socket. 57P0x: the server is shutting down, starting up or was killed. 08: connection.
    return isinstance(error, psycopg.OperationalError) and (error.sqlstate or "08000").startswith(("08", "57P"))


def is_retryable(error: BaseException) -> bool:
    """Whether the same statement may succeed when sent again: a lost connection, a deadlock, a serialization failure."""
    return is_lost_connection(error) or (isinstance(error, psycopg.Error) and error.sqlstate in ("40001", "40P01"))
