"""What a collector asks of the ledger: each call is one transaction, in which a lock comes before the look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from casstore import limits
from casstore.catalog.arrays import Bigints, Byteas
from casstore.catalog.connection import Catalog
from casstore.collection import Candidate, Step
from casstore.model import Digest

__all__ = ["Claim", "Stretch", "claim", "done", "mark", "plan", "register", "strike", "target"]

_STEPS: Final[dict[str, Step]] = {"p": "condemn", "l": "condemn", "c": "delete", "d": "delete"}
_REASONS: Final = {
    "p": "its upload was never finished",
    "l": "no version refers to it",
    "c": "condemned",
    "d": "its collector did not finish",
}


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the ledger that was looked at: what was found, and where the part begins and ends (None: with the ledger)."""

    candidates: tuple[Candidate, ...]
    after: bytes
    last: bytes | None


@dataclass(frozen=True, slots=True)
class Claim:
    """A blob that is this collector's to delete, as long as nobody takes it back."""

    digest: Digest
    number: int
    dead: int | None  # the generation to delete; None where the ledger does not know it


_PLAN: Final = "select * from casstore.gc_plan(%s, %s, %s, %s, %s::int)"


async def plan(catalog: Catalog, after: bytes, *, full: bool, quarantine: timedelta) -> Stretch:
    """What could be done in the stretch of the ledger that begins after a digest. Changes nothing."""
    asked = (after, full, quarantine, limits.COLLECT_CLAIM, limits.COLLECT_STRETCH)
    digests, sizes, states, state_ats, due_ats, seen_at, last = await catalog.one(_PLAN, asked)
    found = zip(digests, sizes, states, state_ats, due_ats, strict=True)
    candidates = tuple(
        Candidate.model_construct(
            digest=Digest(digest),
            size_bytes=size,
            step=_STEPS[state] if due_at is None or due_at <= seen_at else "wait",
            reason=_REASONS[state],
            state_at=state_at,
            due_at=due_at,
        )
        for digest, size, state, state_at, due_at in found
    )
    return Stretch(candidates, after, last)


_MARK: Final = "select * from casstore.gc_mark(%s, %s)"


async def mark(catalog: Catalog, candidates: Sequence[Candidate]) -> set[Digest]:
    """Condemn those that are as they were when they were planned and that nothing refers to; answers them."""
    return {Digest(row[0]) for row in await catalog.call(_MARK, _as_planned(candidates))}


_CLAIM: Final = "select * from casstore.gc_claim(%s, %s, %s, %s)"


async def claim(catalog: Catalog, candidates: Sequence[Candidate], quarantine: timedelta) -> list[Claim]:
    """Claim those that are as they were planned, are due and unreferenced. After a lost answer they are due again in a while."""
    asked = (*_as_planned(candidates), quarantine, limits.COLLECT_CLAIM)
    return [Claim(Digest(digest), number, dead) for digest, number, dead in await catalog.call(_CLAIM, asked)]


_TARGET: Final = "select casstore.gc_target(%s, %s::bigint, %s::bigint)"


async def target(catalog: Catalog, held: Claim, generation: int) -> bool:
    """Write down which generation is going to be deleted; False when the claim was lost."""
    (held_still,) = await catalog.one(_TARGET, (bytes(held.digest), held.number, generation))
    return bool(held_still)


_DONE: Final = "select * from casstore.gc_done(%s, %s)"


async def done(catalog: Catalog, held: Sequence[Claim]) -> set[Digest]:
    """Remove the rows of what was deleted, where the claim still holds; answers them.

    Raises:
        Corrupt: A version refers to what was deleted (catalog_inconsistent): stop collecting, and find out how.
    """
    asked = (Byteas(each.digest for each in held), Bigints(each.number for each in held))
    return {Digest(row[0]) for row in await catalog.call(_DONE, asked)}


_STRIKE: Final = "select casstore.gc_strike(%s, %s)"


async def strike(catalog: Catalog, stretch: Stretch) -> None:
    """Forget the lost references in a stretch that leave nothing to do."""
    await catalog.call(_STRIKE, (stretch.after, stretch.last))


_REGISTER: Final = "select * from casstore.gc_register(%s, %s)"


async def register(catalog: Catalog, sizes: dict[Digest, int]) -> int:
    """Make the rows of objects that have none; answers how many had none."""
    return len(await catalog.call(_REGISTER, (Byteas(sizes), Bigints(sizes.values()))))


def _as_planned(candidates: Sequence[Candidate]) -> tuple[Byteas, list[datetime]]:
    return Byteas(each.digest for each in candidates), [each.state_at for each in candidates]
