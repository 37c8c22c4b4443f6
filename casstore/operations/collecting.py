"""collect: plan → condemn → quarantine → sweep. What no version refers to goes, in steps that a put may undo until the last.

A blob is condemned, left alone for the quarantine, claimed, and then its object is deleted, of the generation the ledger knows;
its row goes last. The catalog decides, by its own clock; here is only the order. A crash leaves rows that say how far it came, and
any number of collectors may work at once.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import islice

from casstore import limits
from casstore.blobs import BlobStore
from casstore.catalog import collecting
from casstore.catalog.collecting import Claim
from casstore.catalog.connection import Catalog
from casstore.collection import Candidate, Collected, Uncollected
from casstore.errors import CasstoreError, Code, Invalid
from casstore.model import Digest, Page
from casstore.operations import direct

__all__ = ["collect", "plan"]


async def plan(catalog: Catalog, *, full: bool, quarantine: timedelta, cursor: str | None) -> Page[Candidate]:
    """What a collection would do; see `AsyncStore.plan_collection` for the promise."""
    stretch = await collecting.plan(catalog, _after(cursor), full=full, quarantine=_checked(quarantine))
    return Page[Candidate](items=stretch.candidates, cursor=str(Digest(stretch.last)) if stretch.last else None)


async def collect(
    catalog: Catalog,
    blobs: BlobStore,
    candidates: Iterable[Candidate] | None,
    *,
    full: bool,
    orphans: bool,
    quarantine: timedelta,
    rate: float,
) -> Collected:
    """Do what a plan says, or what there is to do; see `AsyncStore.collect` for the promise."""
    work = _Collection(catalog, blobs, _checked(quarantine), rate)
    await direct.sweep(blobs)
    if orphans:
        await work.register_orphans()
    if candidates is None:
        await work.go_through(full=full)
    else:
        for batch in _batches(candidates):
            await work.apply(batch)
    return work.report()


class _Collection:
    """One collection: what it works on, and what it has done so far."""

    def __init__(self, catalog: Catalog, blobs: BlobStore, quarantine: timedelta, rate: float) -> None:
        if not rate > 0:
            raise Invalid(Code.BAD_ARGUMENT, f"rate={rate!r} is out of range", hint="Objects a second, above zero.")
        self._catalog = catalog
        self._blobs = blobs
        self._quarantine = quarantine
        self._rate = rate
        self._slots = asyncio.Semaphore(limits.COLLECT_AT_ONCE)
        self._counts = Counter[str]()
        self._failures: list[Uncollected] = []

    async def register_orphans(self) -> None:
        """Make rows for objects that have none, as if their uploads had not been finished: from there they go the usual way.

        Deleting them at once could hit the object of a put that is under way.
        """
        after = None
        while page := await self._blobs.page(after=after):
            after = page[-1].digest
            found = {thing.digest: thing.size_bytes for thing in page}
            self._counts["registered"] += await collecting.register(self._catalog, found)

    async def go_through(self, *, full: bool) -> None:
        """Plan and apply, one stretch of the ledger after the other."""
        after: bytes | None = b""
        while after is not None:
            stretch = await collecting.plan(self._catalog, after, full=full, quarantine=self._quarantine)
            for batch in _batches(stretch.candidates):
                await self.apply(batch)
            await collecting.strike(self._catalog, stretch)
            after = stretch.last

    async def apply(self, batch: Sequence[Candidate]) -> None:
        """Take each a step on, unless it has changed since it was planned."""
        new = [each for each in batch if each.step == "condemn"]
        due = [each for each in batch if each.step == "delete"]
        failed = self._counts["failed"]
        marked = await collecting.mark(self._catalog, new) if new else set()
        gone = await self._sweep(await collecting.claim(self._catalog, due, self._quarantine)) if due else set()
        self._count("condemned", [each for each in new if each.digest in marked])
        self._count("deleted", [each for each in due if each.digest in gone])
        self._counts["waiting"] += len(batch) - len(new) - len(due)
        self._counts["kept"] += len(new) + len(due) - len(marked) - len(gone) - (self._counts["failed"] - failed)

    async def _sweep(self, claims: Sequence[Claim]) -> set[Digest]:
        """Delete the objects, then the rows. What cannot be deleted keeps its row, and is due again later."""
        begin = time.monotonic()
        try:
            async with asyncio.TaskGroup() as group:
                work = [
                    group.create_task(self._delete(claim, begin + place / self._rate))
                    for place, claim in enumerate(claims, 1)
                ]
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from failures
        held = [claim for claim, task in zip(claims, work, strict=True) if task.result()]
        return await collecting.done(self._catalog, held) if held else set()

    async def _delete(self, claim: Claim, begin: float) -> bool:
        """Delete the object, not before `begin`; whether the claim is still ours, as far as we know."""
        await asyncio.sleep(begin - time.monotonic())
        try:
            async with self._slots:
                if claim.dead is not None and await self._blobs.delete(claim.digest, generation=claim.dead):
                    return True
                # Of an unknown generation, or another than was known: an upload that was never finished.
                found = await self._blobs.stat(claim.digest)
        except CasstoreError as error:
            return self._fail(claim, error)
        if found is None:
            return True
        if not await collecting.target(self._catalog, claim, found.generation):
            return False
        try:
            async with self._slots:
                await self._blobs.delete(claim.digest, generation=found.generation)
        except CasstoreError as error:
            return self._fail(claim, error)
        return True

    def _fail(self, claim: Claim, error: CasstoreError) -> bool:
        self._counts["failed"] += 1
        if len(self._failures) < limits.COLLECT_FAILURES_MAX:
            self._failures.append(Uncollected(digest=claim.digest, code=error.code, message=error.message))
        return False

    def _count(self, what: str, some: Sequence[Candidate]) -> None:
        self._counts[what] += len(some)
        self._counts[f"{what}_bytes"] += sum(each.size_bytes for each in some)

    def report(self) -> Collected:
        """What has been done."""
        figures = {name: self._counts[name] for name in Collected.model_fields if name != "failures"}
        return Collected(**figures, failures=tuple(self._failures))


def _batches(candidates: Iterable[Candidate]) -> Iterator[list[Candidate]]:
    items = iter(candidates)
    while batch := list(islice(items, limits.COLLECT_BATCH)):
        yield batch


def _after(cursor: str | None) -> bytes:
    try:
        return b"" if cursor is None else bytes(Digest.parse(cursor))
    except Invalid as error:
        message = "this cursor is not from a page of a plan"
        raise Invalid(Code.BAD_CURSOR, message, hint="Start again without a cursor.") from error


def _checked(quarantine: timedelta) -> timedelta:
    if isinstance(quarantine, timedelta) and quarantine >= timedelta():
        return quarantine
    raise Invalid(Code.BAD_ARGUMENT, f"quarantine={quarantine!r} is no time", hint="A timedelta, not below zero.")
