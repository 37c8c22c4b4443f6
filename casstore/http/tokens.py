"""Service tokens: long random words, of which a file has the hashes, each with its tenant and scopes."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from casstore import grammar
from casstore.errors import Code, Denied, Invalid
from casstore.http.access import Principal, Scope

__all__ = ["Entry", "ServiceTokens", "add"]

PREFIX: Final = "cst_"
_RANDOM_BYTES: Final = 32


def _check_name(name: str) -> str:
    if "/" in grammar.check_actor(name):
        message = f"the name {name!r} of a token has a /, behind which it is told on whose behalf it acts"
        raise Invalid(Code.BAD_ARGUMENT, message, hint="Such as orchestrator.eu.")
    return name


def _actor(name: str) -> str:
    try:
        return _check_name(name)
    except Invalid as error:  # of a file that somebody has edited
        raise ValueError(error.message) from error


class Entry(BaseModel):
    """A token as the file has it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, AfterValidator(_actor)]  # kept with what is done
    tenant: str
    scopes: frozenset[Scope]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    expires_at: AwareDatetime | None = None


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    tokens: list[Entry] = []


class ServiceTokens:
    """A `Verifier` of service tokens. The file is read again when it has changed: who is struck out is out at once.

    Raises Invalid (bad_config) where the file cannot be read, or is not one.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._entries: dict[str, Entry] = {}
        self._read()

    async def principal(self, token: str) -> Principal | None:
        """Who the token stands for; None if it is no service token; raises Denied (not_authenticated)."""
        if not token.startswith(PREFIX):
            return None
        self._read()
        entry = self._entries.get(_hash(token))
        if entry is None or (entry.expires_at and entry.expires_at <= datetime.now(UTC)):
            raise Denied(Code.NOT_AUTHENTICATED, "the token is not good", hint="Ask for a new one.")
        return Principal(entry.tenant, entry.name, entry.scopes)

    def _read(self) -> None:
        stamp = _stamp(self._path)
        if stamp != self._stamp:
            self._entries = {entry.sha256: entry for entry in _entries(self._path)}
            self._stamp = stamp


def add(path: Path, name: str, tenant: str, scopes: Iterable[Scope], *, expires_at: datetime | None = None) -> str:
    """Make a token, write its hash into the file, durably, and return it: nobody can tell it again.

    Raises:
        Invalid: The name, the tenant, or a file that cannot be read (bad_config) or written (unwritable_target).
    """
    entries = _entries(path) if path.exists() else []
    token = PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
    entry = Entry(
        name=_check_name(name),
        tenant=grammar.check_tenant(tenant),
        scopes=frozenset(scopes),
        sha256=_hash(token),
        expires_at=expires_at,
    )
    document = [{**each.model_dump(mode="json"), "scopes": sorted(each.scopes)} for each in [*entries, entry]]
    _write(path, json.dumps({"tokens": document}, indent=2).encode() + b"\n")
    return token


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()  # of 256 random bits: no salt is needed


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    return found.st_ino, found.st_mtime_ns, found.st_size


def _entries(path: Path) -> list[Entry]:
    try:
        return _File.model_validate_json(path.read_bytes()).tokens
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    except ValidationError as error:
        raise _unreadable(path, f"{error.error_count()} faults, first {error.errors()[0]['msg']}") from error


def _unreadable(path: Path, why: str) -> Invalid:
    return Invalid(
        Code.BAD_CONFIG, f"the file of tokens, {path}, cannot be read: {why}", hint="See docs/how-to/serve.md."
    )


def _write(path: Path, data: bytes) -> None:
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".tokens-")  # only its owner may read it
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except OSError as error:
        message = f"cannot write {path}: {error.strerror or error}"
        raise Invalid(Code.UNWRITABLE_TARGET, message, hint="Name a file in a folder you may write to.") from error
