"""The trash: what is deleted is hidden from every reading at once, nothing of it is gone until it is purged, and what is live has
live sources. What deleting and purging would do can be asked, and is what they then do.
"""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casstore import AsyncStore, CasstoreError, Conflict, Invalid, NotFound
from casstore.errors import Code
from casstore.testing.audit import audit
from tests.operations.failing import fails
from tests.stateful.asking import compare, take, trash_step
from tests.stateful.living import Tenant

# -- the law: any sequence of puts, aliases, holds, deletes, undeletes and purges, against a model --------------------------


@settings(max_examples=80)
@given(steps=st.lists(trash_step, min_size=4, max_size=25))
def test_the_trash_is_as_the_model_says(run, store_urls, steps):
    async def main():
        async with AsyncStore(blobs=store_urls.blobs, catalog=store_urls.catalog) as store:
            tenant, model = store.tenant(f"t{next(TENANTS)}"), Tenant()
            for step in steps:
                await take(tenant, model, step)
            await compare(tenant, model)
            assert await audit(store) == []

    run(main())


TENANTS = iter(range(10**9))


# -- races: the two that could leave something live without its source -----------------------------------------------------


@pytest.fixture
def store(store_urls):
    """A store of its own for each test, to look through: others do harm to theirs."""
    return AsyncStore(blobs=store_urls.blobs, catalog=store_urls.catalog)


@pytest.mark.parametrize("other", ["put", "undelete"])
async def test_a_version_is_not_deleted_while_something_is_made_from_it(store, other):
    t = store.tenant()
    for n in range(25):
        source = await t.put(f"source/{n}", f"source {n}")
        if other == "undelete":
            made = await t.put(f"made/{n}", f"made {n}", sources=[source])
            await t.delete(made.ref, by="me")
            use = t.undelete(made.ref, by="me")
        else:
            use = t.put(f"made/{n}", f"made {n}", sources=[source.id])
        answers = await asyncio.gather(t.delete(source.ref, by="me"), use, return_exceptions=True)
        errors = [answer for answer in answers if isinstance(answer, BaseException)]
        assert len(errors) == 1, answers
        assert errors[0].code in (Code.STILL_USED, Code.VERSION_NOT_FOUND, Code.SOURCE_DELETED)
    assert await audit(store) == []


async def test_one_name_under_many_hands_stays_whole(store):
    t = store.tenant()

    async def work(hand):
        for n in range(12):
            with contextlib.suppress(CasstoreError):
                if hand % 3 == 0:
                    await t.put("a", f"{hand} {n}")
                elif hand % 3 == 1:
                    await t.delete(f"a@{n + 1}", by="me")
                else:
                    await t.undelete(f"a@{n + 1}", by="me")

    await asyncio.gather(*(work(hand) for hand in range(9)))
    assert await audit(store) == []


# -- the words -------------------------------------------------------------------------------------------------------------


async def test_who_when_and_why_are_kept(t):
    made = await t.put("a", "1", title="One", type="sop")
    deleted = await t.delete(f"id:{made.id}", by="team-7", reason="wrong client")
    assert (deleted.id, deleted.ref, deleted.type, deleted.title) == (made.id, "a@1", "sop", "One")
    assert (deleted.by, deleted.reason) == ("team-7", "wrong client")
    assert await t.delete("a@1", by="another") == deleted, "once"
    assert list(await t.trash()) == [deleted]


async def test_pages_of_the_trash(t):
    for n in range(7):
        await t.put("a", f"{n}")
    await t.delete_artifact("a", by="me")  # one instant
    for n in range(3):
        await t.delete((await t.put(f"b/{n}", f"{n}")).ref, by="me")
    seen, cursor = [], None
    while True:
        page = await t.trash(limit=2, cursor=cursor)
        seen += [deleted.ref for deleted in page]
        if not (cursor := page.cursor):
            break
    assert seen == ["b/2@1", "b/1@1", "b/0@1", *(f"a@{n}" for n in range(7, 0, -1))]
    assert [deleted.ref for deleted in await t.trash()] == seen


async def test_what_is_in_the_way_is_named(t):
    await t.put("a", "1")
    await t.alias("a@1", "prod")
    await t.tag("a@1", "first")
    for n in range(12):
        await t.put(f"made/{n:02}", f"{n}", sources=["a@1"])
    with pytest.raises(Conflict, match="'first' points at it; 'prod' points at it; made/00@1 was made") as caught:
        await t.delete("a@1", by="me")
    assert caught.value.fields["pointers"] == ["first", "prod"]
    assert caught.value.fields["dependants"] == [f"made/{n:02}@1" for n in range(12)]
    assert caught.value.message.endswith("and 4 more")
    assert (await t.resolve("a@prod")).number == 1


@pytest.mark.parametrize("ref", ["a", "a@latest", "a@prod", "a@1#main", "a@b3:0123456789ab"])
async def test_only_what_will_mean_no_other_version_is_deleted(t, ref):
    await t.put("a", "1")
    with fails(Invalid, Code.BAD_REFERENCE):
        await t.delete(ref, by="me")
    assert (await t.resolve("a")).number == 1


async def test_an_alias_of_a_deleted_artifact_leads_nowhere_and_comes_back_with_it(t):
    await t.put("a", "1")
    await t.alias("a@1", "prod")
    await t.delete_artifact("a", by="me")
    with fails(NotFound, Code.VERSION_DELETED):
        await t.get("a@prod")
    assert (await t.put("a", "2")).number == 2, "numbers stay taken"
    with fails(NotFound, Code.VERSION_DELETED):
        await t.get("a@prod")
    await t.undelete_artifact("a", by="me")
    assert await (await t.get("a@prod")).text() == "1"


async def test_content_in_the_trash_is_not_reused(t):
    await t.put("a", "1")
    await t.put("a", "2")
    await t.delete("a@2", by="me")
    again = await t.put("a", "2", expect=1)
    assert (again.number, again.reused, again.new_bytes) == (3, False, 0)
    assert (await t.put("a", "2")).reused


async def test_a_reused_version_before_one_in_the_trash_tells_its_own_time(t):
    first = await t.put("a", "1")
    await t.put("a", "2")
    await t.delete("a@2", by="me")
    again = await t.put("a", "1")
    assert (again.number, again.created_at, again.reused) == (1, first.created_at, True)


async def test_finding_by_content_shows_nothing_of_the_trash(t):
    made = await t.put("a", "1")
    await t.delete("a@1", by="me")
    assert list(await t.where_used(made.digest)) == []
    assert list(await t.where_used(made.components[0].digest)) == []
    with fails(NotFound, Code.VERSION_DELETED):
        await t.get(f"a@b3:{made.digest.hex()[:12]}")
    await t.put("a", "2")
    again = await t.put("a", "1")
    assert (await t.resolve(f"a@b3:{made.digest.hex()[:12]}")).number == again.number == 3
