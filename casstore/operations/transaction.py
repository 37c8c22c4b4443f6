"""transaction: any number of puts and pointers, stored together or not at all: stage each → commit → (upload → commit).

Staging happens as the caller goes along; nothing reaches the store before the end of the block. The commit is one call under one
idempotency key, so whoever repeats it (this process after a lost answer, another one after a crash) gets the same versions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

import msgpack

from casstore import grammar, kinds, limits
from casstore.catalog import puts
from casstore.catalog.puts import Missing, Move, PutRequest, Step, TransactionRequest, Upload
from casstore.errors import Code, Conflict, Invalid, UsageError
from casstore.model import Digest, PutOptions, State, Stored
from casstore.operations import Context
from casstore.operations.direct import arriving
from casstore.operations.ids import uuid7
from casstore.operations.lifecycle import checked_step
from casstore.operations.pending import Pending
from casstore.operations.pointing import checked_move
from casstore.operations.put import OnSame, check_options, close, contended, request_for, upload
from casstore.operations.sources import SourceLike, links
from casstore.refs import Ref
from casstore.staging import Data, Staged, stage

__all__ = ["AsyncTransaction"]


@dataclass(frozen=True, slots=True)
class Put:
    """A put as it was asked for, and what is staged of it."""

    pending: Pending
    staged: Mapping[str, Staged]
    options: PutOptions


class AsyncTransaction:
    """Collects puts and pointers inside its block, and stores all of them at its end, or nothing: see `AsyncTenant.transaction`."""

    def __init__(self, context: Context, idempotency_key: str | None, by: str | None = None) -> None:
        self._context = context
        self._key = grammar.check_key(idempotency_key) if idempotency_key is not None else f"transaction {uuid7()}"
        self._is_keyed = idempotency_key is not None
        self._by = grammar.check_by(by)
        self._puts: list[Put] = []
        self._requests: list[PutRequest] = []
        self._moves: list[Move | Step] = []
        self._is_open = False

    async def put(
        self,
        name: str,
        data: Data,
        *,
        type: str | None = None,  # noqa: A002 - the field's word
        title: str | None = None,
        labels: Mapping[str, str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        sources: Iterable[SourceLike] | None = None,
        expect: int | None = None,
        on_same: OnSame = "reuse",
        ttl: timedelta | None = None,
        media_type: str | None = None,
    ) -> Pending:
        """Add a put, whose arguments are those of `AsyncTenant.put`. The data is read now; nothing is stored yet.

        Among the sources may be what earlier puts of this transaction have answered.

        Raises:
            Invalid: As `AsyncTenant.put`; also for a composition that is not of its kind (bad_composition).
            UsageError: The block is over (transaction_over).
        """
        self._check_open()
        grammar.check_name(name)
        options = check_options(
            type=type,
            title=title,
            labels=labels,
            metadata=metadata,
            expect=expect,
            idempotency_key=None,
            on_same=on_same,
            ttl=ttl,
        ).model_copy(update={"sources": await links(self._context, sources, self._pendings)})
        staged = await stage(arriving(self._context, data), media_type, domain=await self._context.domain())
        try:
            request = await request_for(self._context, name, staged, options, type)
        except BaseException:
            close(staged)
            raise
        pending = Pending(name, request.id, len(self._puts))
        self._puts.append(Put(pending, staged, options))
        self._requests.append(request)
        return pending

    def alias(self, ref: str | Ref, alias: str, *, expect: int | None = None) -> None:
        """Add a move of an alias. `name` alone means the version that this transaction leaves as its newest."""
        self._point(ref, alias, is_tag=False, expect=expect)

    def tag(self, ref: str | Ref, tag: str) -> None:
        """Add a tag, likewise."""
        self._point(ref, tag, is_tag=True, expect=None)

    def transition(self, ref: str | Ref, state: State, *, by: str, reason: str | None = None) -> None:
        """Add a step of a version in its lifecycle, likewise."""
        self._check_open()
        step = checked_step(self._context, ref, state, by, reason)
        if step.target.id:
            message = f"{step.target} has no name, and a transaction goes by names"
            raise Invalid(Code.BAD_REFERENCE, message, hint="Give a name and a selector: name@3.")
        self._moves.append(step)

    async def __aenter__(self) -> Self:
        self._is_open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_open = False
        try:
            if kind is None and (self._puts or self._moves):
                await self._commit()
        finally:
            for each in self._puts:
                close(each.staged)

    def _point(self, ref: str | Ref, pointer: str, *, is_tag: bool, expect: int | None) -> None:
        self._check_open()
        self._moves.append(checked_move(self._context, ref, pointer, is_tag=is_tag, expect=expect))

    @property
    def _pendings(self) -> list[Pending]:
        return [each.pending for each in self._puts]

    def _check_open(self) -> None:
        if not self._is_open:
            raise UsageError(
                Code.TRANSACTION_OVER, "the transaction is not open", hint="Use it inside its `with` block."
            )

    async def _commit(self) -> None:
        for each, version in zip(self._puts, await self._store_checked(), strict=True):
            # Under a key of its own nothing is repeated but a lost answer.
            told = version if self._is_keyed else version.model_copy(update={"repeated": False})
            each.pending._stored = told  # noqa: SLF001 - the two belong together

    async def _store_checked(self) -> list[Stored]:
        while True:  # types are for ever: each time fewer are unchecked
            try:
                return await self._store()
            except Conflict as error:
                if not await self._check_types(error):
                    raise

    async def _store(self) -> list[Stored]:
        request = self._request()
        blobs = {digest: staged for each in self._requests for digest, staged in each.blobs.items()}
        uploads: dict[Digest, Upload] = {}
        for _ in range(limits.COMMIT_ROUNDS):
            async with self._context.domains.asked_again(self._context.catalog, self._context.tenant):
                answer = await _shielded(self._context, request, uploads)
            missing = [each for each in answer if isinstance(each, Missing)]
            if not missing:
                return [each for each in answer if isinstance(each, Stored)]
            uploads |= await upload(self._context, blobs, missing)
        raise contended(self._key)

    def _request(self) -> TransactionRequest:
        return TransactionRequest(
            key=self._key,
            fingerprint=_fingerprint(self._requests, self._moves),
            tenant=self._context.tenant,
            kinds=kinds.names(),
            puts=tuple(self._requests),
            moves=tuple(self._moves),
            by=self._by,
        )

    async def _check_types(self, error: Conflict) -> bool:
        """Let the kinds of artifacts that are there already look at puts that named no type; False when there are none."""
        unchecked = [each for each in error.fields.get("refused", []) if each["error"] == Code.TYPE_UNCHECKED]
        for refused in unchecked:
            place = refused["put"]
            put = self._puts[place]
            self._requests[place] = await request_for(
                self._context,
                put.pending.name,
                put.staged,
                put.options,
                refused["type"],
                identity=self._requests[place].id,
            )
        return bool(unchecked)


async def _shielded(
    context: Context, request: TransactionRequest, uploads: Mapping[Digest, Upload]
) -> list[Stored] | list[Missing]:
    """Commit as a task of its own: a caller that goes away leaves all of it or nothing, never an aborted connection."""
    task = asyncio.ensure_future(puts.put_transaction(context.catalog, request, uploads))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def _fingerprint(requests: list[PutRequest], moves: list[Move | Step]) -> Digest:
    """What the key stands for: every put and move, in their order."""
    asked = [[bytes(request.fingerprint) for request in requests], list(map(_asked, moves))]
    return Digest.of(msgpack.packb(asked))


def _asked(move: Move | Step) -> list[Any]:
    if isinstance(move, Step):
        return [str(move.target), move.state, move.by, move.reason]
    return [move.name, str(move.target), move.pointer, move.is_tag, move.expect]
