"""Webhooks in the catalog: who is sent events, how far they were told, and who is delivering just now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from casstore import limits
from casstore.catalog.connection import Catalog
from casstore.catalog.events import Event, Place

__all__ = [
    "Claim",
    "Webhook",
    "Wish",
    "add",
    "advance",
    "claim",
    "fail",
    "leave",
    "remove",
    "replay",
    "secret_of",
    "webhooks",
]


class Webhook(BaseModel):
    """Who is sent a tenant's events, which of them, and how that goes. Its secret is told once, when it is made."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    url: str
    ops: tuple[str, ...]  # only these operations; empty: all
    types: tuple[str, ...]  # only artifacts of these types; empty: all
    prefix: str | None  # only artifacts whose names begin so
    made_at: datetime
    made_by: str
    cursor: str  # after the last event that was told, or not asked for
    failures: int  # attempts since the last that succeeded
    failing_since: datetime | None
    fault: str | None  # of the last attempt
    next_at: datetime  # not tried before
    told_at: datetime | None  # when an event last arrived
    disabled_at: datetime | None  # when it was given up


@dataclass(frozen=True, slots=True)
class Wish:
    """Which events are sent."""

    ops: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    prefix: str | None = None

    def is_for(self, event: Event) -> bool:
        """Whether this one is."""
        return (
            (not self.ops or event.op in self.ops)
            and (not self.types or event.type in self.types)
            and (not self.prefix or (event.name or "").startswith(self.prefix))
        )


@dataclass(frozen=True, slots=True)
class Claim:
    """A webhook that one worker delivers, until its lease ends."""

    lease: UUID
    tenant: str
    id: UUID
    url: str
    secret: bytes = field(repr=False)
    wish: Wish
    position: int
    failures: int
    store: UUID


_ADD: Final = "select * from casstore.add_webhook(%s, %s, %s, %s, %s::text[], %s::text[], %s, %s, %s::bigint, %s::int)"


async def add(  # noqa: PLR0917 - each is a column
    catalog: Catalog, tenant: str, webhook_id: UUID, url: str, secret: bytes, wish: Wish, by: str, position: int
) -> Webhook:
    """Make one; raises Invalid where the tenant has as many as it may (too_many_webhooks)."""
    wishes = list(wish.ops) or None, list(wish.types) or None, wish.prefix
    row = await catalog.one(_ADD, (tenant, webhook_id, url, secret, *wishes, by, position, limits.WEBHOOKS_MAX))
    return _webhook_of(row)


_WEBHOOKS: Final = "select * from casstore.webhooks_of(%s)"


async def webhooks(catalog: Catalog, tenant: str) -> tuple[Webhook, ...]:
    """Those of a tenant, the oldest first."""
    return tuple(_webhook_of(row) for row in await catalog.call(_WEBHOOKS, (tenant,)))


_REMOVE: Final = "select casstore.remove_webhook(%s, %s::uuid)"


async def remove(catalog: Catalog, tenant: str, webhook_id: UUID) -> bool:
    """Take one away; whether it was there."""
    (was_there,) = await catalog.one(_REMOVE, (tenant, webhook_id))
    return bool(was_there)


_REPLAY: Final = "select * from casstore.replay_webhook(%s, %s::uuid, %s::bigint)"


async def replay(catalog: Catalog, tenant: str, webhook_id: UUID, position: int | None) -> Webhook:
    """Enable one, and let it begin again after a row of the log; raises NotFound (webhook_not_found)."""
    return _webhook_of(await catalog.one(_REPLAY, (tenant, webhook_id, position)))


_SECRET: Final = "select url, secret from casstore.webhook_secret(%s, %s::uuid)"  # noqa: S105 - a statement


async def secret_of(catalog: Catalog, tenant: str, webhook_id: UUID) -> tuple[str, bytes]:
    """Where to, and what it is signed with; raises NotFound (webhook_not_found)."""
    url, secret = await catalog.one(_SECRET, (tenant, webhook_id))
    return url, secret


_CLAIM: Final = """
select tenant, id, url, secret, ops, types, prefix, position, failures, store from casstore.claim_webhook(%s::uuid, %s)
"""


async def claim(catalog: Catalog, lease: UUID, time: timedelta) -> Claim | None:
    """A webhook of any tenant that has something to be told; None: there is none."""
    for tenant, identity, url, secret, ops, types, prefix, position, failures, store in await catalog.call(
        _CLAIM, (lease, time)
    ):
        wish = Wish(tuple(ops or ()), tuple(types or ()), prefix)
        return Claim(lease, tenant, identity, url, secret, wish, position, failures, store)
    return None


_ADVANCE: Final = "select casstore.advance_webhook(%s::uuid, %s::uuid, %s::bigint, %s)"


async def advance(catalog: Catalog, held: Claim, position: int, time: timedelta) -> bool:
    """Write down that an event has arrived, and renew the lease; False: somebody else has it by now."""
    (is_held,) = await catalog.one(_ADVANCE, (held.id, held.lease, position, time))
    return bool(is_held)


_LEAVE: Final = "select casstore.leave_webhook(%s::uuid, %s::uuid, %s::bigint, %s)"


async def leave(catalog: Catalog, held: Claim, position: int, pause: timedelta) -> None:
    """Give it back, up to where everything was told."""
    await catalog.call(_LEAVE, (held.id, held.lease, position, pause))


_FAIL: Final = "select casstore.fail_webhook(%s::uuid, %s::uuid, %s, %s, %s)"


async def fail(catalog: Catalog, held: Claim, fault: str, pause: timedelta, patience: timedelta) -> None:
    """Give it back untold; one that has failed for longer than the patience is disabled."""
    await catalog.call(_FAIL, (held.id, held.lease, fault, pause, patience))


def _webhook_of(row: Sequence[Any]) -> Webhook:
    identity, url, ops, types, prefix, made_at, made_by, position, failures, *rest = row
    failing_since, fault, next_at, told_at, disabled_at = rest
    return Webhook(
        id=identity,
        url=url,
        ops=tuple(ops or ()),
        types=tuple(types or ()),
        prefix=prefix,
        made_at=made_at,
        made_by=made_by,
        cursor=str(Place(position)),
        failures=failures,
        failing_since=failing_since,
        fault=fault,
        next_at=next_at,
        told_at=told_at,
        disabled_at=disabled_at,
    )
