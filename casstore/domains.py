"""Isolation domains: keys that digests are made with, so that tenants of different domains share nothing and can probe nothing.

What is derived from a key, and how, is in docs/format.md ("Isolation domains"), which is normative.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self, TypeAlias

from blake3 import blake3

from casstore import grammar
from casstore.errors import Code, Invalid
from casstore.model import Digest

__all__ = ["Domain", "Keyring", "Keys"]

_KEY_BYTES: Final = 32
_CONTEXT: Final = "casstore 2026-11-28 isolation domain: {purpose}"
_OPEN_TO_OTHERS: Final = stat.S_IRWXO | stat.S_IWGRP
_HINT: Final = "A line for each: a name, a colon and 64 hex digits. `casstore domain new` writes one."


@dataclass(frozen=True, slots=True)
class Domain:
    """An isolation domain whose key is at hand."""

    name: str
    check: Digest  # what the catalog knows the key by
    blob_key: bytes = field(repr=False)
    pixel_key: bytes = field(repr=False)
    meaning_key: bytes = field(repr=False)

    @classmethod
    def of(cls, name: str, key: bytes) -> Self:
        """The domain of a key of 32 random bytes; raises Invalid (bad_domain, bad_config)."""
        grammar.check_domain(name)
        if len(key) != _KEY_BYTES:
            message = f"the key of domain {name!r} has {len(key)} bytes, not {_KEY_BYTES}"
            raise Invalid(Code.BAD_CONFIG, message, hint=_HINT)
        check, *others = (_derived(key, purpose) for purpose in ("check value", "blobs", "pixels", "meanings"))
        return cls(name, Digest(check), *others)

    def digest(self, data: bytes) -> Digest:
        """The digest of `data` in this domain."""
        return Digest(blake3(data, key=self.blob_key).digest())

    def pixels(self, plain: Digest) -> Digest:
        """The pixel digest in this domain of a picture that has this one outside of it."""
        return Digest(blake3(plain, key=self.pixel_key).digest())

    def meaning(self, plain: Digest) -> Digest:
        """The semantic digest, or that of a layout, in this domain of what has this one outside of it."""
        return Digest(blake3(plain, key=self.meaning_key).digest())


def _derived(key: bytes, purpose: str) -> bytes:
    return blake3(key, derive_key_context=_CONTEXT.format(purpose=purpose)).digest()


Keys: TypeAlias = "Keyring | Mapping[str, bytes] | str | os.PathLike[str]"


class Keyring:
    """The domains whose keys are at hand. Its text never shows a key."""

    def __init__(self, domains: Mapping[str, bytes] | None = None) -> None:
        found = [Domain.of(name, key) for name, key in (domains or {}).items()]
        self._by_name = {each.name: each for each in found}
        self._by_check = {each.check: each for each in found}
        if len(self._by_check) < len(found):
            raise Invalid(Code.BAD_CONFIG, "two domains have the same key", hint="Give each domain a key of its own.")

    @classmethod
    def load(cls, keys: Keys | None) -> Self:
        """From a mapping of names to keys, or from a file of lines `name: <64 hex digits>`.

        Raises:
            Invalid: A file that cannot be read, or that others may read (bad_config), a name (bad_domain), a key (bad_config).
        """
        if isinstance(keys, cls):
            return keys
        return cls(_read(Path(keys)) if isinstance(keys, str | os.PathLike) else keys)  # type: ignore[arg-type]

    def __repr__(self) -> str:
        return f"<keys of {', '.join(self._by_name) or 'no domain'}>"

    def __bool__(self) -> bool:
        return bool(self._by_name)

    def __iter__(self) -> Iterator[Domain]:
        return iter(self._by_name.values())

    def named(self, name: str) -> Domain | None:
        """The domain of this name."""
        return self._by_name.get(name)

    def checked_by(self, check: bytes) -> Domain | None:
        """The domain with this check value."""
        return self._by_check.get(Digest(check))


def _read(path: Path) -> dict[str, bytes]:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read().decode()
    except (OSError, UnicodeDecodeError) as error:
        message = f"the keys of domains in {path} cannot be read: {getattr(error, 'strerror', None) or 'no text'}"
        raise Invalid(Code.BAD_CONFIG, message, hint="Check CASSTORE_DOMAINS.") from None  # what was read may be a key
    if mode & _OPEN_TO_OTHERS:
        message = f"{path} holds keys, and others may read or change it"
        raise Invalid(Code.BAD_CONFIG, message, hint=f"chmod 600 {path}")
    found: dict[str, bytes] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, _, digits = (part.strip() for part in line.partition(":"))
        if name in found:
            raise Invalid(Code.BAD_CONFIG, f"line {number} of {path} names a domain twice", hint=_HINT)
        found[name] = _key(path, number, digits)
    return found


def _key(path: Path, number: int, digits: str) -> bytes:
    try:
        key = bytes.fromhex(digits)
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES or len(digits) != 2 * _KEY_BYTES:  # the line is not shown: it may hold a key
        raise Invalid(Code.BAD_CONFIG, f"line {number} of {path} has no key of 64 hex digits", hint=_HINT)
    return key
