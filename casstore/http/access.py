"""Who may come in: from a token to a principal, which is one tenant, an actor and scopes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, Protocol, TypeAlias, get_args

from casstore import grammar
from casstore.errors import Code, Denied

__all__ = ["COOKIE", "SCOPES", "Access", "Principal", "Scope", "Verifier"]

Scope: TypeAlias = Literal["read", "add", "write", "admin"]
SCOPES: Final[frozenset[Scope]] = frozenset(get_args(Scope))
COOKIE: Final = "casstore_token"  # what a browser sends in place of an Authorization header


@dataclass(frozen=True, slots=True)
class Principal:
    """On whose behalf a request is made: for one tenant, as an actor (kept with what is done), with scopes."""

    tenant: str
    actor: str
    scopes: frozenset[Scope]

    def check(self, scope: Scope) -> None:
        """Raise Denied (not_permitted) without this scope."""
        if scope not in self.scopes:
            hint = f"It takes a token with the scope {scope!r}."
            raise Denied(Code.NOT_PERMITTED, f"this token may not {scope}", hint=hint, scope=scope)


class Verifier(Protocol):
    """One kind of token."""

    async def principal(self, token: str) -> Principal | None:
        """Who the token stands for; None if it is not of this kind; raises Denied (not_authenticated) if it is not good."""
        ...


class Access:
    """All kinds of tokens that are taken, in turn; or, for development, no token at all.

    Args:
        verifiers: Each kind.
        dev_tenant: Whoever comes without a token is this tenant, with all scopes. Only where nobody else can connect.
    """

    def __init__(self, verifiers: Iterable[Verifier] = (), *, dev_tenant: str | None = None) -> None:
        self._verifiers = tuple(verifiers)
        self._nobody = Principal(grammar.check_tenant(dev_tenant), "dev", SCOPES) if dev_tenant else None

    @property
    def is_open(self) -> bool:
        """Whether who has no token is let in."""
        return self._nobody is not None

    async def principal(self, token: str | None) -> Principal:
        """Who comes with this token; raises Denied (not_authenticated)."""
        if token is None:
            if self._nobody:
                return self._nobody
            raise _stranger("there is no token", "Send it as `Authorization: Bearer …`.")
        if not (token.isascii() and token.isprintable()):  # no token is, and no cookie can be
            raise _stranger("the token is not good", "It has characters that no token has.")
        for verifier in self._verifiers:
            if found := await verifier.principal(token):
                return found
        raise _stranger("the token is not good", "It may have expired, or be meant for another service.")


def _stranger(message: str, hint: str) -> Denied:
    return Denied(Code.NOT_AUTHENTICATED, message, hint=hint)
