"""domains: which key the digests of a tenant are made with; giving a tenant one.

A put has to know it before it hashes. Where no keys are configured every put hashes without one, and the catalog refuses it for
a tenant in a domain. Where there are keys the catalog is asked once for each tenant, and what it says is remembered; every put
carries the check value of the key it was hashed with, so that nothing is made by what is remembered wrongly.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from casstore import grammar, limits
from casstore.catalog import assigning, domains
from casstore.catalog.connection import Catalog
from casstore.domains import Domain, Keyring
from casstore.errors import Code, Conflict, Denied, Invalid
from casstore.model import Digest

__all__ = ["Assigned", "DomainInfo", "Domains", "NewKey", "assign", "known", "new_key"]


class DomainInfo(BaseModel):
    """An isolation domain as the catalog knows it, and whether its key is at hand."""

    model_config = ConfigDict(frozen=True)

    name: str
    check: Digest  # what its key is known by; it gives nothing of the key away
    made_at: datetime
    tenants: tuple[str, ...]
    has_key: bool


class Assigned(BaseModel):
    """A tenant that is in a domain now."""

    model_config = ConfigDict(frozen=True)

    tenant: str
    domain: str
    check: Digest
    changed: bool  # False: it was in it already


class NewKey(BaseModel):
    """A key that was made: what it is known by, and where it is; never the key."""

    model_config = ConfigDict(frozen=True)

    name: str
    check: Digest
    path: str


class Domains:
    """The keys of one open store, and what is known of the domains of its tenants."""

    def __init__(self, keys: Keyring | None = None) -> None:
        self.keys = keys or Keyring()
        self._known: dict[str, Digest | None] = {}

    async def of_tenant(self, catalog: Catalog, tenant: str) -> Domain | None:
        """The domain to hash a tenant's bytes in; raises Denied (domain_key_missing, domain_key_wrong)."""
        if not self.keys:
            return None
        if tenant not in self._known:
            return await self.ask(catalog, tenant)
        check = self._known[tenant]
        return self.keys.checked_by(check) if check else None

    async def ask(self, catalog: Catalog, tenant: str) -> Domain | None:
        """The same by what the catalog says now, which is remembered."""
        self._known.pop(tenant, None)
        found = await domains.of_tenant(catalog, tenant)
        domain = self._at_hand(*found) if found else None
        if len(self._known) >= limits.TENANTS_REMEMBERED:
            self._known.clear()
        self._known[tenant] = domain.check if domain else None
        return domain

    async def to_verify(self, catalog: Catalog, tenant: str, check: Digest | None) -> Domain | None:
        """The domain that a check value of a tenant's stands for; raises Denied (domain_key_missing, domain_key_wrong)."""
        domain = self.keys.checked_by(check) if check else None
        return await self.ask(catalog, tenant) if check and not domain else domain

    @asynccontextmanager
    async def asked_again(self, catalog: Catalog, tenant: str) -> AsyncIterator[None]:
        """Around a put: where the catalog refuses its domain, say what key is lacking, or know better the next time."""
        try:
            yield
        except Conflict as error:
            if error.code is Code.DOMAIN_CHANGED:
                await self.ask(catalog, tenant)
            raise

    def _at_hand(self, name: str, check: Digest) -> Domain:
        if domain := self.keys.checked_by(check):
            return domain
        fields = {"domain": name, "check": str(check)}
        if self.keys.named(name):
            message = f"the key that is configured for the isolation domain {name!r} is not the domain's"
            raise Denied(Code.DOMAIN_KEY_WRONG, message, hint="Find the right one: CASSTORE_DOMAINS.", **fields)
        message = f"the tenant is in the isolation domain {name!r}, whose key is not configured"
        raise Denied(Code.DOMAIN_KEY_MISSING, message, hint="Add it to the file that CASSTORE_DOMAINS names.", **fields)


async def known(catalog: Catalog, keys: Keyring) -> tuple[DomainInfo, ...]:
    """All domains; see `AsyncStore.domains`."""
    return tuple(
        DomainInfo(**each._asdict(), has_key=keys.checked_by(each.check) is not None)
        for each in await assigning.known(catalog)
    )


async def assign(catalog: Catalog, known: Domains, tenant: str, name: str, by: str) -> Assigned:
    """Put a tenant into a domain; see `AsyncStore.set_domain` for the promise."""
    grammar.check_tenant(tenant)
    grammar.check_actor(by)
    domain = known.keys.named(grammar.check_domain(name))
    if domain is None:
        message = f"the key of the isolation domain {name!r} is not configured"
        raise Denied(Code.DOMAIN_KEY_MISSING, message, hint=f"`casstore domain new {name}` makes one.", domain=name)
    changed = await assigning.assign(catalog, tenant, name, domain.check, by)
    await known.ask(catalog, tenant)
    return Assigned(tenant=tenant, domain=name, check=domain.check, changed=changed)


def new_key(place: Path, name: str) -> NewKey:
    """Make a key of 32 random bytes and add it to a file of keys, durably; the file is made if it is not there.

    Raises:
        Invalid: A name (bad_domain), one that the file has (bad_argument), a file that is not as it must be (bad_config) or
            that cannot be written (unwritable_target).
    """
    grammar.check_domain(name)
    there = Keyring.load(place) if place.exists() else Keyring()
    if there.named(name):
        message = f"{place} has a key of domain {name!r} already"
        raise Invalid(Code.BAD_ARGUMENT, message, hint="A new key is a new domain: choose another name.")
    key = secrets.token_bytes(32)
    with _appending(place, name) as descriptor:
        begin = "\n" if there and not place.read_bytes().endswith(b"\n") else ""
        os.write(descriptor, f"{begin}{name}: {key.hex()}\n".encode())
        os.fsync(descriptor)
    return NewKey(name=name, check=Domain.of(name, key).check, path=str(place))


@contextlib.contextmanager
def _appending(path: Path, name: str) -> Iterator[int]:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            yield descriptor
        finally:
            os.close(descriptor)
    except OSError as error:
        message = f"the key of domain {name!r} cannot be written to {path}: {error.strerror or error}"
        raise Invalid(Code.UNWRITABLE_TARGET, message, hint="Check the folder and its permissions.") from error
