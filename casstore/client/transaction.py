"""Transactions over HTTP: collected here, sent as one request under one idempotency key."""

from __future__ import annotations

from typing import Any, Final, cast

from casstore import grammar, limits
from casstore.client.line import KEY, Line, Request
from casstore.client.problems import no_casstore
from casstore.client.putting import Contents, compare, told_options, told_sources
from casstore.client.routes import all_of, header, ref_text
from casstore.client.twins import like
from casstore.model import State, Stored
from casstore.operations import Asking, Context
from casstore.operations.ids import uuid7
from casstore.operations.pending import Pending
from casstore.operations.put import check_options
from casstore.operations.transaction import AsyncTransaction, Put
from casstore.refs import Ref
from casstore.staging import Data, stage

__all__ = ["PUT_DEFAULTS", "RemoteTransaction"]

_ALL_STORED: Final = all_of(Stored)


class RemoteTransaction(AsyncTransaction):
    """What `AsyncTransaction` promises. What only the server can see is refused at the end of the block, not by `put`."""

    def __init__(self, line: Line, asking: Asking, idempotency_key: str | None, by: str | None) -> None:
        # All that the twin asks of its context before the commit, which is ours, is whose it is.
        super().__init__(cast(Context, asking), idempotency_key, by)
        self._line = line
        self._asking = asking
        self._contents = Contents(limits.CLIENT_INLINE_BYTES)
        self._steps: list[dict[str, Any]] = []
        header(self._key)

    @like(AsyncTransaction.put)
    async def put(self, name: str, data: Data, **options: Any) -> Pending:
        """Add a put; its data is read now."""
        self._check_open()
        grammar.check_name(name)
        sources = told_sources(self._asking, options.pop("sources", None), self._pendings)
        media_type = options.pop("media_type", None)
        checked = check_options(**PUT_DEFAULTS | options, idempotency_key=None, by=None)
        staged = await stage(data, media_type)
        pending = Pending(name, uuid7(), len(self._puts))
        self._puts.append(Put(pending, staged, checked))
        told = {"name": name, "expect": checked.expect, "sources": sources or []} | told_options(checked)
        self._steps.append({"put": told | {"components": self._contents.add(name, staged)}})
        return pending

    @like(AsyncTransaction.alias)
    def alias(self, ref: str | Ref, alias: str, *, expect: int | None = None) -> None:
        """Add a move of an alias."""
        super().alias(ref, alias, expect=expect)
        told = {"ref": ref_text(self._asking, ref), "pointer": alias, "expect": expect}
        self._steps.append({"alias": told})

    @like(AsyncTransaction.tag)
    def tag(self, ref: str | Ref, tag: str) -> None:
        """Add a tag."""
        super().tag(ref, tag)
        self._steps.append({"tag": {"ref": ref_text(self._asking, ref), "pointer": tag}})

    @like(AsyncTransaction.transition)
    def transition(self, ref: str | Ref, state: State, *, by: str, reason: str | None = None) -> None:
        """Add a step of a lifecycle."""
        super().transition(ref, state, by=by, reason=reason)
        told = {"ref": ref_text(self._asking, ref), "state": state, "by": by, "reason": reason}
        self._steps.append({"transition": told})

    async def _commit(self) -> None:
        body = self._contents.body({"steps": self._steps, "by": self._by})
        answer = await self._line.ask(Request("POST", "/transactions", (), {KEY: self._key}, body))
        stored = _ALL_STORED(answer.body)
        if [each.name for each in stored] != [each.pending.name for each in self._puts]:
            raise no_casstore("a transaction was answered with other puts than it had")
        for each, version in zip(self._puts, stored, strict=True):
            await compare(self._line, version, each.staged, each.options)
            # Under a key of its own nothing is repeated but a lost answer.
            told = version if self._is_keyed else version.model_copy(update={"repeated": False})
            each.pending._stored = told  # noqa: SLF001 - the two belong together


PUT_DEFAULTS: Final[dict[str, Any]] = {
    "type": None,
    "title": None,
    "labels": None,
    "metadata": None,
    "expect": None,
    "on_same": "reuse",
    "ttl": None,
}
