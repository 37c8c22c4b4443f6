"""The part of a tenant's door that tells what is being changed, and who is sent it. No logic."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from uuid import UUID

from casstore import limits
from casstore.operations import delivering, following, subscribing
from casstore.operations.delivering import WebhookTest
from casstore.operations.following import Event, Events
from casstore.operations.posting import Guard
from casstore.operations.subscribing import NewWebhook, Webhook
from casstore.tenant.door import Door

__all__ = ["Following"]


class Following(Door):
    """Events, and webhooks."""

    async def events(self, *, after: str | None = None, limit: int = limits.PAGE_DEFAULT) -> Events:
        """What was changed, oldest first: each change once, none missing, those of one artifact in the order they were committed.

        A change is told when everything before it is final. A transaction that stays open on the catalog's server, whatever it is
        about, may so hold events up: then there is nothing for a while, and nothing is lost.

        Args:
            after: The `cursor` of an answer or of an event. None, or "start": from the first change. "now": no events,
                and the cursor to go on with.
            limit: How many.

        Raises:
            Invalid: The cursor is from elsewhere (bad_cursor).
            NotFound: The tenant was deleted (tenant_deleted). Of one that was erased there are no events any more.
        """
        return await following.events(self._context, after=after, limit=limit)

    def follow(self, *, after: str | None = None) -> AsyncIterator[Event]:
        """Each event after a cursor, and then each that comes: `async for event in tenant.follow(after=…)`. It never ends.

        Keep the `cursor` of the last event that was dealt with, and go on with it. Arguments and errors are those of `events`.
        """
        return following.follow(self._context, after=after)

    async def add_webhook(
        self,
        url: str,
        *,
        by: str,
        ops: Iterable[str] = (),
        types: Iterable[str] = (),
        prefix: str | None = None,
        after: str = "now",
        secret: str | None = None,
        allow_private: bool = False,
        allow_http: bool = False,
    ) -> NewWebhook:
        """Have events posted to a URL, signed, each at least once and in order; `deliver_webhooks` does it.

        The secret in the answer is told this once. It is kept in the catalog, and nothing else tells it.

        Args:
            url: Where to: https, and a public address.
            by: Who asks for it.
            ops: Only these operations, such as "put" and "alias".
            types: Only artifacts of these types.
            prefix: Only artifacts whose names begin so.
            after: Begin after this cursor; "start": at the first event there is.
            secret: One of yours: `whsec_` and the base64 of 24 to 64 bytes.
            allow_private: Take a URL with a private address. Whoever delivers must allow it too.
            allow_http: Take one without TLS, likewise.

        Raises:
            Invalid: The URL, the secret or an operation (bad_webhook), a type or prefix, the cursor; the tenant has as many as it
                may (too_many_webhooks).
        """
        guard = Guard(allow_private=allow_private, allow_http=allow_http)
        return await subscribing.add(
            self._context,
            url,
            by=by,
            ops=ops,
            types=types,
            prefix=prefix,
            after=after,
            secret=secret,
            guard=guard,
        )

    async def webhooks(self) -> tuple[Webhook, ...]:
        """Who is sent events, and how that goes; the oldest first."""
        return await subscribing.webhooks(self._context)

    async def remove_webhook(self, webhook_id: str | UUID) -> None:
        """Send nothing more there. A request under way may still arrive. Raises NotFound (webhook_not_found)."""
        await subscribing.remove(self._context, webhook_id)

    async def replay_webhook(self, webhook_id: str | UUID, *, after: str | None = None) -> Webhook:
        """Try at once, also one that was disabled; with a cursor, or "start", all events after it are sent again, by the same ids.

        Raises:
            NotFound: webhook_not_found.
            Invalid: bad_cursor, bad_webhook.
        """
        return await subscribing.replay(self._context, webhook_id, after)

    async def test_webhook(
        self, webhook_id: str | UUID, *, allow_private: bool = False, allow_http: bool = False
    ) -> WebhookTest:
        """Send a signed message of the type `casstore.test`, and tell what came of it; raises NotFound (webhook_not_found)."""
        guard = Guard(allow_private=allow_private, allow_http=allow_http)
        return await delivering.test(self._context, webhook_id, guard)
