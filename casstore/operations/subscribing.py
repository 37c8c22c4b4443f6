"""webhooks: who is sent a tenant's events. What is sent, and when, is `delivering`'s."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from casstore import grammar
from casstore.catalog import events
from casstore.catalog import webhooks as hooks
from casstore.catalog.events import Place
from casstore.catalog.webhooks import Webhook, Wish
from casstore.errors import Code, Invalid, NotFound
from casstore.operations import Context, following
from casstore.operations.ids import uuid7
from casstore.operations.posting import Guard
from casstore.webhooks import new_secret, secret_bytes

__all__ = ["NewWebhook", "Webhook", "add", "remove", "replay", "webhook_id", "webhooks"]


class NewWebhook(BaseModel):
    """A webhook that was made, and its secret, which is told now and never again."""

    model_config = ConfigDict(frozen=True)

    webhook: Webhook
    secret: str = Field(repr=False)


async def add(
    context: Context,
    url: str,
    *,
    by: str,
    ops: Iterable[str],
    types: Iterable[str],
    prefix: str | None,
    after: str,
    secret: str | None,
    guard: Guard,
) -> NewWebhook:
    """Make a webhook."""
    guard.check_url(url)
    secret = new_secret() if secret is None else secret
    wish = _checked(ops, types, prefix)
    actor, key = grammar.check_actor(by), secret_bytes(secret)
    place = await _place(context, after)
    made = await hooks.add(context.catalog, context.tenant, uuid7(), url, key, wish, actor, place)
    return NewWebhook(webhook=made, secret=secret)


async def webhooks(context: Context) -> tuple[Webhook, ...]:
    """Those of the tenant."""
    return await hooks.webhooks(context.catalog, context.tenant)


async def remove(context: Context, identity: str | UUID) -> None:
    """Take one away."""
    if not await hooks.remove(context.catalog, context.tenant, webhook_id(identity)):
        message, hint = f"there is no webhook {identity}", "`casstore webhook ls` tells the ids."
        raise NotFound(Code.WEBHOOK_NOT_FOUND, message, hint=hint)


async def replay(context: Context, identity: str | UUID, after: str | None) -> Webhook:
    """Enable one, and begin again after a cursor."""
    place = None if after is None else await _place(context, after)
    return await hooks.replay(context.catalog, context.tenant, webhook_id(identity), place)


def webhook_id(identity: str | UUID) -> UUID:
    """The id of a webhook, as text or not; raises Invalid (bad_webhook)."""
    try:
        return identity if isinstance(identity, UUID) else UUID(identity)
    except (ValueError, AttributeError, TypeError):
        message = f"{identity!a:.80} is no id of a webhook"
        raise Invalid(Code.BAD_WEBHOOK, message, hint="`casstore webhook ls` tells the ids.") from None


async def _place(context: Context, after: str) -> int:
    """The row of the log to begin after. What a cursor waits for is looked at anew."""
    if after == following.NOW:
        after = (await following.events(context, after=after, limit=1)).cursor
    return Place.parse(None if after == following.START else after).after


def _checked(ops: Iterable[str], types: Iterable[str], prefix: str | None) -> Wish:
    wish = Wish(
        tuple(ops), tuple(grammar.check_type(each) for each in types), grammar.check_name_prefix(prefix or "") or None
    )
    for op in wish.ops:
        if op not in events.OPS:
            hint = f"One of {', '.join(events.OPS)}."
            raise Invalid(Code.BAD_WEBHOOK, f"{op!a:.80} is no operation that is told", hint=hint)
    return wish
