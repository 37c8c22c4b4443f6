"""Once: what is made of versions as they are now, under an idempotency key that stands for the request as it was given.

A put can be compared with an earlier one by what it puts. A patch or a merge by name cannot: when it is repeated the name means
another version, of which the same would make something else, or nothing. So what was asked is told apart by its arguments, and
the key is looked up before anything is resolved. It is recorded with the version, by the put that ends the request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import msgpack

from casstore import grammar
from casstore.catalog import puts
from casstore.errors import Conflict, Invalid, NotFound
from casstore.formats import json
from casstore.model import Digest, Stored
from casstore.operations import Context
from casstore.operations.get import own
from casstore.refs import Ref

__all__ = ["Keyed", "content_digest", "given", "once"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Keyed:
    """An idempotency key, and the request that it stands for."""

    key: str
    fingerprint: Digest

    @classmethod
    def of(cls, key: str, verb: str, asked: list[Any]) -> Self:
        """The key of a request with these arguments; raises Invalid (bad_idempotency_key)."""
        return cls(grammar.check_key(key), Digest.of(msgpack.packb([verb, asked])))

    async def answer(self, context: Context) -> Stored | None:
        """The version that answered the request; raises Conflict (idempotency_key_reused) where it was another."""
        return await puts.find_answer(context.catalog, context.tenant, self.key, self.fingerprint)


async def once(
    context: Context,
    keyed: Keyed | None,
    make: Callable[[], Awaitable[T]],
    repeat: Callable[[Stored], Awaitable[T]],
) -> T:
    """What a request makes, or, where it was made before under its key, the answer that `repeat` gives for that version."""
    if keyed is None:
        return await make()
    if found := await keyed.answer(context):
        return await repeat(found)
    try:
        return await make()
    except (Conflict, Invalid, NotFound):
        # A twin may have been answered meanwhile, and what it has stored be in the way of this one.
        if found := await keyed.answer(context):
            return await repeat(found)
        raise


def given(context: Context, ref: str | Ref) -> str:
    """A reference as it was given, whoever may have written the tenant before it; raises Invalid, and NotFound for another's."""
    return str(own(context, ref).model_copy(update={"tenant": None}))


async def content_digest(context: Context, value: Any) -> bytes:
    """The digest of content in a request, made as those of stored bytes are: nobody tests a guess by it without the domain's key.

    Keys of objects count in their order, which a patch keeps. Raises Invalid (bad_json) for what JSON cannot say.
    """
    domain = await context.domain()
    digest = domain.digest if domain else Digest.of
    return bytes(await asyncio.to_thread(lambda: digest(json.encode(value))))
