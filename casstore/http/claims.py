"""JSON Web Tokens, such as Supabase gives its users: verified by a key that says the algorithm, and read as a principal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Protocol

import jwt

from casstore import grammar, limits
from casstore.errors import Code, Denied, Invalid
from casstore.http.access import SCOPES, Principal, Scope

__all__ = ["ROLES", "Claims", "Jwt", "Key", "Keys", "Secret"]

_READS: Final[frozenset[Scope]] = frozenset({"read", "add", "write"})
ROLES: Final[Mapping[str, frozenset[Scope]]] = {"authenticated": _READS, "service_role": SCOPES}
_REQUIRED: Final = ["exp", "aud", "iss", "sub"]
_SECRET_MIN_BYTES: Final = 32  # RFC 7518, 3.2: as long as the hash


@dataclass(frozen=True, slots=True)
class Key:
    """A key, and the one algorithm that it is for: what a token says of its algorithm never decides."""

    algorithm: str
    key: Any


class Keys(Protocol):
    """Where keys are had."""

    async def find(self, kid: str | None) -> Key | None:
        """The key of this id; None where there is none."""
        ...


class Secret:
    """One secret, shared with who makes the tokens: HS256. Raises Invalid (bad_config) for a short one."""

    def __init__(self, secret: str) -> None:
        if len(secret.encode()) < _SECRET_MIN_BYTES:
            message = f"a secret of tokens has at least {_SECRET_MIN_BYTES} bytes"
            raise Invalid(Code.BAD_CONFIG, message, hint="Take the one of the project's settings.")
        self._key = Key("HS256", secret)

    async def find(self, kid: str | None) -> Key:  # noqa: ARG002 - there is one
        """The secret, whatever the id."""
        return self._key


@dataclass(frozen=True, slots=True)
class Claims:
    """What tokens must say, and where they say whose they are. A dot leads into an object."""

    issuer: str
    audience: str = "authenticated"
    tenant: str = "app_metadata.tenant_id"  # never of `user_metadata`, which users write themselves
    role: str = "role"


class Jwt:
    """A `Verifier` of JWTs.

    Args:
        keys: A `Secret`, or keys that are fetched (`casstore.http.jwks`).
        claims: What is looked for.
        roles: The scopes of each role. Tokens of other roles are not good.
    """

    def __init__(self, keys: Keys, claims: Claims, *, roles: Mapping[str, frozenset[Scope]] = ROLES) -> None:
        self._keys = keys
        self._claims = claims
        self._roles = roles

    async def principal(self, token: str) -> Principal | None:
        """Who the token stands for; None if it is no JWT; raises Denied (not_authenticated), Unavailable (keys_unavailable)."""
        if token.count(".") != 2:  # noqa: PLR2004 - header, claims, signature
            return None
        try:
            header = jwt.get_unverified_header(token)
            key = await self._keys.find(header.get("kid"))
            if key is None:
                raise _bad("nobody knows its key")
            return self._read(self._verified(token, key))
        except (jwt.PyJWTError, ValueError, RecursionError) as error:  # the last two: of what is no token at all
            raise _bad(type(error).__name__) from error

    def _verified(self, token: str, key: Key) -> dict[str, Any]:
        found: dict[str, Any] = jwt.decode(
            token,
            key.key,
            algorithms=[key.algorithm],
            audience=self._claims.audience,
            issuer=self._claims.issuer,
            leeway=_leeway(limits.CLOCK_SKEW_MAX),
            options={"require": _REQUIRED},
        )
        return found

    def _read(self, claims: Mapping[str, Any]) -> Principal:
        tenant, role = _at(claims, self._claims.tenant), _at(claims, self._claims.role)
        scopes = self._roles.get(role) if isinstance(role, str) else None
        if scopes is None:
            raise _bad(f"nothing is known of its role, {self._claims.role}")
        try:
            return Principal(grammar.check_tenant(tenant), grammar.check_actor(claims["sub"]), scopes)
        except Invalid as error:
            raise _bad(f"it names no tenant, {self._claims.tenant}, or nobody, sub") from error


def _leeway(skew: timedelta) -> float:
    return skew.total_seconds()


def _at(claims: Mapping[str, Any], path: str) -> Any:
    value: Any = claims
    for step in path.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _bad(why: str) -> Denied:
    return Denied(Code.NOT_AUTHENTICATED, f"the token is not good: {why}", hint="Get a new one.")
