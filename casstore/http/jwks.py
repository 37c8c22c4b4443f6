"""Public keys of tokens, fetched from where they are published, kept for a while, and fetched again when there are new ones."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import jwt

from casstore import limits
from casstore.errors import Code, Invalid, Unavailable
from casstore.http.claims import Key
from casstore.urls import is_loopback

__all__ = ["Published"]

_ALGORITHMS: Final = {("EC", "P-256"): "ES256", ("RSA", None): "RS256"}  # by the key's type and curve
_RSA_MIN_BITS: Final = 2048


class Published:
    """The keys at a URL (RFC 7517). A key that is no longer there is no longer good once the set was fetched again.

    Raises Invalid (bad_config) for a URL that is not https, or of this machine.
    """

    def __init__(self, url: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "")):
            raise Invalid(
                Code.BAD_CONFIG, "the keys of tokens are fetched over https", hint="CASSTORE_JWT_KEYS=https://…"
            )
        self._url = url
        self._clock = clock
        self._keys: Mapping[str | None, Key] = {}
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._lock = asyncio.Lock()

    async def find(self, kid: str | None) -> Key | None:
        """The key of this id, None where there is none; raises Unavailable (keys_unavailable) where none could be had for long."""
        if self._is_older(self._fetched_at, limits.JWKS_FRESH.total_seconds()) or kid not in self._keys:
            await self._refresh(kid)
        if self._is_older(self._fetched_at, limits.JWKS_STALE.total_seconds()):
            message = "the public keys of tokens cannot be fetched"
            raise Unavailable(Code.KEYS_UNAVAILABLE, message, hint="Is CASSTORE_JWT_KEYS reachable from here?")
        return self._keys.get(kid)

    def _is_older(self, instant: float | None, seconds: float) -> bool:
        return instant is None or self._clock() - instant > seconds

    async def _refresh(self, kid: str | None) -> None:
        """Fetch the keys again, but not more often than a stranger's tokens may make us."""
        async with self._lock:
            is_done = kid in self._keys and not self._is_older(self._fetched_at, limits.JWKS_FRESH.total_seconds())
            if is_done or not self._is_older(self._tried_at, limits.JWKS_PAUSE.total_seconds()):
                return
            self._tried_at = self._clock()
            try:
                self._keys = _keys_of(await asyncio.to_thread(_fetch, self._url))
            except (OSError, ValueError, jwt.PyJWTError):
                return  # those we have are good for a while: `find` raises when they are not
            self._fetched_at = self._tried_at


def _fetch(url: str) -> bytes:
    request = urllib.request.Request(url, headers={"Accept": "application/json"})  # noqa: S310 - https, see above
    with urllib.request.urlopen(request, timeout=limits.JWKS_TIMEOUT.total_seconds()) as answer:  # noqa: S310
        data: bytes = answer.read(limits.JWKS_BYTES + 1)
    if len(data) > limits.JWKS_BYTES:
        raise ValueError("this is no set of keys")
    return data


def _keys_of(data: bytes) -> dict[str | None, Key]:
    """The keys of a set that are for signatures of a kind we take; others are left out. Raises ValueError."""
    document = json.loads(data)
    found = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(found, list):
        raise ValueError("this is no set of keys")  # noqa: TRY004 - of what was fetched
    return {each.get("kid"): key for each in found if isinstance(each, dict) and (key := _key(each))}


def _key(described: Mapping[str, Any]) -> Key | None:
    algorithm = _ALGORITHMS.get((str(described.get("kty")), described.get("crv")))
    if algorithm is None or described.get("use", "sig") != "sig" or described.get("alg", algorithm) != algorithm:
        return None
    key = jwt.PyJWK(dict(described), algorithm).key
    return (
        None
        if getattr(key, "key_size", _RSA_MIN_BITS) < _RSA_MIN_BITS and algorithm == "RS256"
        else Key(algorithm, key)
    )
