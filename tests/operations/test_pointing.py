"""What aliases and tags promise, through the public door."""

from __future__ import annotations

import asyncio

import pytest

from casstore import Conflict, Invalid, NotFound, limits
from casstore.errors import Code
from tests.operations.failing import fails

ID = "id:0198f3a0-0000-7000-8000-000000000001"


@pytest.fixture
def three(t):
    async def make():
        for n in (1, 2, 3):
            await t.put("a", b"%d" % n)
        return t

    return make


async def points(t, name="a"):
    return {p.pointer: p.number for p in await t.pointers(name)}


async def moves(t, pointer):
    return [p.number for p in await t.pointer_history("a", pointer)]


async def test_an_alias_moves(three):
    t = await three()
    for n in (1, 3, 2):
        pointer = await t.alias(f"a@{n}", "prod")
        assert (pointer.name, pointer.pointer, pointer.is_tag, pointer.number) == ("a", "prod", False, n)
        assert (await t.resolve("a@prod")).number == n
    assert await moves(t, "prod") == [2, 3, 1]


async def test_an_alias_stays_when_the_head_moves(three):
    t = await three()
    await t.alias("a", "prod")
    await t.put("a", b"4")
    assert (await t.resolve("a@prod")).number == 3


@pytest.mark.parametrize("ref", ["a", "a@latest", "a@3", "a@v3", "a@other", "a@release", "digest", "instant"])
async def test_what_may_be_pointed_at(three, ref):
    t = await three()
    await t.alias("a@3", "other")
    await t.tag("a@3", "release")
    version = await t.resolve("a@3")
    ref = {"digest": f"a@{version.digest}", "instant": f"a@latest~{version.created_at.isoformat()}"}.get(ref, ref)
    assert (await t.alias(ref, "prod")).number == 3


@pytest.mark.parametrize("ref", ["a#main", ID, "cas://someone-else/a"])
async def test_what_may_not_be_pointed_at(three, ref):
    t = await three()
    with fails(Invalid, Code.BAD_REFERENCE):
        await t.alias(ref, "prod")
    with fails(Invalid, Code.BAD_REFERENCE):
        await t.tag(ref, "prod")


@pytest.mark.parametrize("word", ["latest", "v1", "1", "Prod", "", "a/b", "a" * 64])
async def test_what_is_no_alias(three, word):
    t = await three()
    for call in (t.alias("a", word), t.tag("a", word), t.unalias("a", word), t.pointer_history("a", word)):
        with fails(Invalid, Code.BAD_POINTER):
            await call


async def test_pointing_at_what_is_not_there(three):
    t = await three()
    for ref, code in (
        ("b", Code.ARTIFACT_NOT_FOUND),
        ("a@4", Code.VERSION_NOT_FOUND),
        ("a@none", Code.POINTER_NOT_FOUND),
        ("a@b3:000000000000", Code.VERSION_NOT_FOUND),
    ):
        with fails(NotFound, code):
            await t.alias(ref, "prod")
        with fails(NotFound, code):
            await t.tag(ref, "prod")
    assert await points(t) == {}


async def test_pointing_where_it_points_already_is_no_move(three):
    t = await three()
    first = await t.alias("a@1", "prod")
    assert await t.alias("a@1", "prod") == first
    assert await t.alias("a@1", "prod", expect=3) == first, "a repeated call whose answer was lost"
    assert await moves(t, "prod") == [1]


async def test_an_alias_moves_only_from_where_it_is_expected(three):
    t = await three()
    await t.alias("a@1", "prod", expect=0)
    await t.alias("a@2", "prod", expect=1)
    for wrong in (0, 1, 3, limits.VERSION_MAX):
        with fails(Conflict, Code.ALIAS_MOVED) as caught:
            await t.alias("a@3", "prod", expect=wrong)
        assert (caught.value.fields["expected"], caught.value.fields["actual"]) == (wrong, 2)
    assert await points(t) == {"prod": 2}


@pytest.mark.parametrize("wrong", [-1, True, "1", 1.0, 2**31])
async def test_what_is_no_number_to_expect(three, wrong):
    t = await three()
    for call in (t.alias("a", "prod", expect=wrong), t.unalias("a", "prod", expect=wrong)):
        with fails(Invalid, Code.BAD_ARGUMENT):
            await call


async def test_of_moves_that_expect_the_same_one_wins(three):
    t = await three()
    await t.alias("a@1", "prod")
    results = await asyncio.gather(
        *(t.alias(f"a@{2 + n % 2}", "prod", expect=1) for n in range(2)), return_exceptions=True
    )
    assert sorted(type(r).__name__ for r in results) == ["Conflict", "Pointer"]
    assert len(await moves(t, "prod")) == 2


async def test_an_alias_can_be_removed_and_made_again(three):
    t = await three()
    await t.alias("a@1", "prod")
    removed = await t.unalias("a", "prod")
    assert (removed.number, removed.is_tag) == (None, False)
    with fails(NotFound, Code.POINTER_NOT_FOUND):
        await t.resolve("a@prod")
    assert await points(t) == {}
    assert await t.unalias("a", "prod") == removed, "again does no harm"
    await t.alias("a@2", "prod", expect=0)
    assert await moves(t, "prod") == [2, None, 1]


async def test_removing_from_where_it_is_expected(three):
    t = await three()
    await t.alias("a@1", "prod")
    with fails(Conflict, Code.ALIAS_MOVED):
        await t.unalias("a", "prod", expect=2)
    assert (await t.unalias("a", "prod", expect=1)).number is None


async def test_removing_what_is_not_there(three):
    t = await three()
    with fails(NotFound, Code.POINTER_NOT_FOUND):
        await t.unalias("a", "prod")
    with fails(NotFound, Code.ARTIFACT_NOT_FOUND):
        await t.unalias("b", "prod")


async def test_a_tag_is_written_once(three):
    t = await three()
    first = await t.tag("a@1", "release")
    assert (first.is_tag, first.number) == (True, 1)
    assert await t.tag("a@1", "release") == first
    with fails(Conflict, Code.TAG_FROZEN) as caught:
        await t.tag("a@2", "release")
    assert caught.value.fields["number"] == 1
    assert await points(t) == {"release": 1}
    assert await moves(t, "release") == [1]


async def test_a_tag_cannot_be_moved_or_removed_as_an_alias(three):
    t = await three()
    await t.tag("a@1", "release")
    for call in (t.alias("a@2", "release"), t.alias("a@1", "release"), t.unalias("a", "release")):
        with fails(Conflict, Code.POINTER_KIND):
            await call
    assert await points(t) == {"release": 1}


async def test_an_alias_is_never_a_tag_not_even_after_removal(three):
    t = await three()
    await t.alias("a@1", "prod")
    with fails(Conflict, Code.POINTER_KIND):
        await t.tag("a@1", "prod")
    await t.unalias("a", "prod")
    with fails(Conflict, Code.POINTER_KIND):
        await t.tag("a@1", "prod")


async def test_tags_set_at_the_same_time_agree(three):
    t = await three()
    results = await asyncio.gather(*(t.tag(f"a@{1 + n % 3}", "release") for n in range(6)), return_exceptions=True)
    won = {r.number for r in results if not isinstance(r, Exception)}
    assert len(won) == 1
    assert {r.code for r in results if isinstance(r, Exception)} == {Code.TAG_FROZEN}


async def test_pointers_belong_to_a_name(three):
    t = await three()
    await t.put("b", b"1")
    await t.alias("a@2", "prod")
    await t.tag("b@1", "prod")
    assert (await points(t), await points(t, "b")) == ({"prod": 2}, {"prod": 1})


async def test_pointers_are_sorted_by_name(three):
    t = await three()
    for word in ("b", "a-b", "a.b", "a_b", "a", "ab"):
        await t.alias("a", word)
    assert list(await points(t)) == sorted(["b", "a-b", "a.b", "a_b", "a", "ab"])


async def test_pointers_of_another_tenant_do_not_exist(three, other):
    t = await three()
    await t.alias("a@1", "prod")
    for call in (
        other.pointers("a"),
        other.pointer_history("a", "prod"),
        other.alias("a@1", "prod"),
        other.tag("a@1", "x"),
        other.unalias("a", "prod"),
    ):
        with fails(NotFound, Code.ARTIFACT_NOT_FOUND):
            await call
    await other.put("a", b"theirs")
    assert await points(other) == {}
    with fails(NotFound, Code.POINTER_NOT_FOUND):
        await other.resolve("a@prod")


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 50])
async def test_the_history_of_an_alias_in_pages(three, limit):
    t = await three()
    for n in range(7):
        await t.alias(f"a@{n % 3 + 1}", "prod")
    cursor, found = None, []
    while True:
        page = await t.pointer_history("a", "prod", cursor=cursor, limit=limit)
        found += list(page)
        cursor = page.cursor
        if cursor is None:
            break
    assert [p.number for p in found] == [1, 3, 2, 1, 3, 2, 1]
    assert [p.moved_at for p in found] == sorted({p.moved_at for p in found}, reverse=True)


async def test_a_pointer_that_never_was_has_no_history(three):
    t = await three()
    with fails(NotFound, Code.POINTER_NOT_FOUND):
        await t.pointer_history("a", "prod")
