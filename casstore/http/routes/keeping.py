"""What stays, and for how long: holds, retention, expiry."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from casstore.errors import Code, Invalid
from casstore.http.asking import Behalf, Expecting, Paging, Turning, Why, expected
from casstore.http.callers import Administers, Reads
from casstore.model import Hold, Page
from casstore.operations.retaining import Custody, Expiry, Retained, Retention, RetentionPreview

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["keeping"])


class HoldAsked(Why):
    """A hold, and what it is on: a version, an artifact by its name, or (null) all of the tenant's."""

    hold: str
    target: str | None = None


class Holds(Paging):
    """Which holds."""

    released: bool = False


class PolicyAsked(Behalf):
    """Ordered rules; docs/retention.md has their form."""

    policy: dict[str, Any]


class ExpiryAsked(Why):
    """When a version expires: an instant, or so long from now; neither: never."""

    at: datetime | None = None
    after: timedelta | None = None


@router.get("/holds")
async def holds(caller: Reads, page: Annotated[Holds, Query()]) -> Page[Hold]:
    """The holds there are, the last placed first; with `released`, those that were released."""
    return await caller.tenant.holds(released=page.released, cursor=page.cursor, limit=page.limit)


@router.post("/holds")
async def hold(caller: Administers, asked: HoldAsked) -> Hold:
    """Hold something: nobody deletes, purges or erases it until the hold is released."""
    return await caller.tenant.hold(asked.target, asked.hold, by=caller.by(asked.by), reason=asked.reason)


@router.post("/releases")
async def release(caller: Administers, asked: HoldAsked) -> Hold:
    """Release a hold from just what it was placed on."""
    return await caller.tenant.release(asked.target, asked.hold, by=caller.by(asked.by), reason=asked.reason)


@router.get("/retention")
async def retention(caller: Reads, response: Response) -> Retention | None:
    """The policy that counts now, null where none was set. `ETag` is its revision."""
    found = await caller.tenant.retention()
    response.headers["ETag"] = f'"{found.revision if found else 0}"'
    return found


@router.put("/retention")
async def set_retention(caller: Administers, asked: PolicyAsked, expects: Expecting) -> Retention:
    """Say by which rules versions are kept. `If-Match` is the revision that is to be replaced."""
    return await caller.tenant.set_retention(asked.policy, by=caller.by(asked.by), expect=expected(expects))


@router.get("/retention/preview")
async def preview(caller: Reads, page: Turning) -> RetentionPreview:
    """What applying the rules would do with each version now. The first page has the totals."""
    return await caller.tenant.preview_retention(cursor=page.cursor, limit=page.limit)


@router.post("/retention/apply")
async def apply(caller: Administers, why: Behalf | None = None) -> Retained:
    """Put into the trash what the rules do not keep, and purge what they dropped long ago."""
    return await caller.tenant.apply_retention(by=caller.by(why.by if why else None))


@router.get("/custody/{ref:path}")
async def custody(caller: Reads, ref: str) -> Custody:
    """What keeps the version that a reference means, and until when it is wanted."""
    return await caller.tenant.custody(ref)


@router.put("/expiry/{ref:path}")
async def expire(caller: Administers, ref: str, asked: ExpiryAsked) -> Expiry:
    """Say when a version expires."""
    if asked.at is not None and asked.after is not None:
        raise Invalid(Code.BAD_ARGUMENT, "an expiry has either `at` or `after`")
    when = asked.at if asked.after is None else asked.after
    return await caller.tenant.expire(ref, when, by=caller.by(asked.by), reason=asked.reason)
