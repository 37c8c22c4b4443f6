"""Signatures of webhooks, as Standard Webhooks has them (github.com/standard-webhooks/standard-webhooks, 1.0): for who receives.

A message has the headers `webhook-id` (the same however often it is sent), `webhook-timestamp` (seconds since 1970, of this
attempt) and `webhook-signature` (`v1,` and the base64 of HMAC-SHA256 over "id.timestamp.body"; several with spaces between).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Final

from casstore import limits
from casstore.errors import Code, Denied, Invalid

__all__ = ["new_secret", "secret_bytes", "sign", "verify"]

_PREFIX: Final = "whsec_"
_LENGTHS: Final = range(24, 65)  # bytes, as the standard has it


def new_secret() -> str:
    """A secret nobody can guess."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def secret_bytes(secret: str) -> bytes:
    """The key in a secret, `whsec_` and the base64 of 24 to 64 bytes; raises Invalid (bad_webhook)."""
    try:
        found = base64.b64decode(secret.strip().removeprefix(_PREFIX), validate=True)
        if len(found) in _LENGTHS:
            return found
    except (binascii.Error, ValueError, AttributeError):
        pass  # refused below, and without its text: it may be nearly right
    hint = "whsec_ and the base64 of 24 to 64 random bytes; without one, one is made."
    raise Invalid(Code.BAD_WEBHOOK, "this is no secret of a webhook", hint=hint) from None


def sign(secret: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """The signature of a message, as the header has it."""
    signed = b".".join((message_id.encode(), str(timestamp).encode(), body))
    return "v1," + base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()


def verify(
    body: bytes,
    headers: Mapping[str, str],
    secret: str | Iterable[str],
    *,
    tolerance: timedelta = limits.WEBHOOK_TOLERANCE,
    now: float | None = None,
) -> dict[str, Any]:
    """The message in a request that was signed with the secret, lately; remember its `webhook-id`, for it may come again.

    Args:
        body: As it came, before anything was parsed.
        headers: Of the request, in any case.
        secret: The webhook's, or several while one is being replaced.
        tolerance: How old, or how far ahead, the attempt may be by your clock.
        now: Seconds since 1970, if not those of this machine's clock.

    Raises:
        Denied: It is not signed so, or not lately (bad_signature).
        Invalid: A secret is none (bad_webhook).
    """
    given = {name.lower(): value for name, value in headers.items()}
    keys = [secret_bytes(each) for each in ([secret] if isinstance(secret, str) else secret)]
    message_id, stamp = given.get("webhook-id", ""), given.get("webhook-timestamp", "")
    if not (message_id and stamp.isascii() and stamp.isdecimal() and len(stamp) <= 12):  # noqa: PLR2004 - the year 33658
        raise _unsigned("its headers are missing, or are none")
    if abs((time.time() if now is None else now) - int(stamp)) > tolerance.total_seconds():
        raise _unsigned("it was signed too long ago, or ahead of time")
    signatures = [text.encode() for text in given.get("webhook-signature", "").split(" ")]
    matches = [
        hmac.compare_digest(sign(key, message_id, int(stamp), body).encode(), signature)
        for key in keys
        for signature in signatures
    ]
    if not any(matches):
        raise _unsigned("it was altered, or signed with another secret")
    message: dict[str, Any] = json.loads(body)
    return message


def _unsigned(why: str) -> Denied:
    return Denied(Code.BAD_SIGNATURE, f"this is no message of the webhook: {why}", hint="Answer 400, and do nothing.")
