"""deliver: send events to webhooks, each until it has arrived, those of one webhook in order.

A worker claims a webhook for a while, sends what it was not yet sent, and writes down after each event that it has arrived. Between
the two it may die: then the event is sent again, by whoever claims the webhook next. No lock is held while a request is under way.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from pydantic import BaseModel, ConfigDict

from casstore import __version__, limits
from casstore.catalog import webhooks as hooks
from casstore.catalog.connection import Catalog
from casstore.catalog.events import Event, Place
from casstore.catalog.webhooks import Claim
from casstore.errors import NotFound, Unavailable
from casstore.operations import Context, following
from casstore.operations.following import Pauses
from casstore.operations.posting import Answer, Guard, post
from casstore.operations.subscribing import webhook_id
from casstore.webhooks import sign

__all__ = ["Delivered", "WebhookTest", "deliver", "test"]

_LOG: Final = logging.getLogger("casstore.webhooks")
_GONE: Final = 410  # by Standard Webhooks: nobody is there any more
_SOON: Final = timedelta(seconds=1)


class Delivered(BaseModel):
    """What one run of a worker has done."""

    model_config = ConfigDict(frozen=True)

    arrived: int  # events
    failed: int  # attempts


class WebhookTest(BaseModel):
    """What came of a test message."""

    model_config = ConfigDict(frozen=True)

    arrived: bool
    status: int | None  # what was answered; None: nothing
    fault: str | None


class _Run:
    """One run: its rules, and what it has done so far."""

    def __init__(self, catalog: Catalog, guard: Guard, lease: timedelta, *, forever: bool) -> None:
        self.catalog = catalog
        self.guard = guard
        self.lease = lease
        self.forever = forever
        self.arrived = 0
        self.failed = 0


async def deliver(catalog: Catalog, guard: Guard, *, forever: bool, lease: timedelta) -> Delivered:
    """Send what there is to be sent; or go on until cancelled."""
    run = _Run(catalog, guard, lease, forever=forever)
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(limits.WEBHOOKS_AT_ONCE):
                group.create_task(_work(run))
    except ExceptionGroup as several:  # they fail for one reason, and a caller knows that one
        raise several.exceptions[0] from several
    return Delivered(arrived=run.arrived, failed=run.failed)


async def test(context: Context, identity: str | UUID, guard: Guard) -> WebhookTest:
    """Send a message that is about nothing."""
    url, secret = await hooks.secret_of(context.catalog, context.tenant, webhook_id(identity))
    body = _body("casstore.test", None, {"tenant": context.tenant})
    answer = await _send(url, secret, f"test_{uuid4().hex}", body, guard)
    return WebhookTest(arrived=answer.fault is None, status=answer.status, fault=answer.fault)


async def _work(run: _Run) -> None:
    pauses = Pauses()
    while True:
        try:
            claim = await hooks.claim(run.catalog, uuid4(), run.lease)
            if claim:
                pauses.begin()
                await _serve(run, claim)
                continue
        except Unavailable as error:
            if not run.forever:
                raise
            _LOG.warning("webhooks wait for the catalog: %s", error.code.value)
        if not run.forever:
            return
        await pauses.wait()


async def _serve(run: _Run, claim: Claim) -> None:
    """Send a batch of one webhook's events, and give the webhook back."""
    start = Place(claim.position)
    try:
        events, place, more = await following.read(run.catalog, claim.tenant, start, limits.WEBHOOK_BATCH)
    except NotFound:  # the tenant was deleted just now: its events wait until it is brought back
        await hooks.leave(run.catalog, claim, claim.position, _SOON)
        return
    for event in filter(claim.wish.is_for, events):
        if not await _deliver(run, claim, event):
            return
    got_on = place.after > claim.position
    await hooks.leave(run.catalog, claim, place.after, timedelta() if got_on or more else _SOON)


async def _deliver(run: _Run, claim: Claim, event: Event) -> bool:
    """Whether an event has arrived, and the webhook is still ours."""
    body = _body(f"casstore.{event.op}", event, {"tenant": claim.tenant, "ref": event.ref})
    answer = await _send(claim.url, claim.secret, f"evt_{claim.store.hex}_{event.id}", body, run.guard)
    if answer.fault is None:
        run.arrived += 1
        return await hooks.advance(run.catalog, claim, event.id, run.lease)
    run.failed += 1
    _LOG.info("webhook %s: %s", claim.id, answer.fault)
    patience = timedelta() if answer.status == _GONE else limits.WEBHOOK_PATIENCE
    await hooks.fail(run.catalog, claim, answer.fault, _pause(claim.failures, answer), patience)
    return False


def _pause(failures: int, answer: Answer) -> timedelta:
    """Twice as long each time, up to a bound, and never the same for all who failed together; or as long as we were asked to."""
    longest_s = limits.WEBHOOK_LONGEST_PAUSE.total_seconds()
    pause_s = min(limits.WEBHOOK_FIRST_PAUSE.total_seconds() * 2 ** min(failures, 30), longest_s)
    pause_s *= random.uniform(0.5, 1)  # noqa: S311 - no secret
    return timedelta(seconds=max(pause_s, min(answer.retry_after_s, longest_s)))


def _body(kind: str, event: Event | None, more: Mapping[str, Any]) -> bytes:
    told = event.model_dump(mode="json") if event else {}
    at = told.get("at") or time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return json.dumps({"type": kind, "timestamp": at, "data": {**told, **more}}, separators=(",", ":")).encode()


async def _send(url: str, secret: bytes, message_id: str, body: bytes, guard: Guard) -> Answer:
    now = int(time.time())
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"casstore/{__version__}",
        "webhook-id": message_id,
        "webhook-timestamp": str(now),
        "webhook-signature": sign(secret, message_id, now, body),
    }
    return await post(url, headers, body, guard, limits.WEBHOOK_TIMEOUT.total_seconds())
