"""Sharing: which versions show the same picture, and what a tenant saves by storing equal bytes once."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casstore import Components, Conflict, Digest, Invalid, NotFound, Part
from casstore.errors import Code
from tests.operations.failing import fails
from tests.unit.png_maker import canonical, pictures, ways, written

PNG = "image/png"
RED = [[(255, 0, 0, 255)] * 3] * 2
BLUE = [[(0, 0, 255, 255)] * 3] * 2


def png(rows, seed=0, way=0):
    """The picture, in one of the ways to keep it."""
    found = ways(rows)
    return written(rows, found[way % len(found)], random.Random(seed))


def facts(component):
    return component.pixels, component.width, component.height


NO_PICTURE = (None, None, None)


# -- pictures --------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@settings(max_examples=40)
@given(rows=pictures(), seed=st.integers(0, 2**32))
def test_a_picture_is_found_by_what_it_shows_in_whatever_way_it_is_kept(bench, rows, seed):
    async def law():
        t = bench.tenant()
        encodings = [png(rows, seed + n, n) for n in range(3)]
        other = [*rows, [(1, 2, 3, 255)] * len(rows[0])]
        made = [await t.put(f"a{n}", Part(data, PNG)) for n, data in enumerate(encodings)]
        await t.put("b", Part(png(other), PNG))
        expected = canonical(rows), len(rows[0]), len(rows)
        assert {facts(version.components[0]) for version in made} == {expected}
        for ref in ("a0", "a2#main"):
            assert [v.ref for v in await t.same_pixels_as(ref)] == ["a2@1", "a1@1", "a0@1"]
        assert [v.ref for v in await t.same_pixels_as("b")] == ["b@1"]

    bench.run(law())


async def test_the_facts_of_a_picture_are_in_every_answer(t):
    parts = Components(chart=Part(png(RED), PNG), text=b"x", other=Part(png(BLUE), f"{PNG}; a=b"))
    made = await t.put("a", parts)
    reused = await t.put("a", parts)
    async with t.transaction() as tx:
        again = await tx.put("b", parts)
    reads = [
        made,
        reused,
        again.stored,
        await t.resolve("a"),
        (await t.history("a")).items[0],
        (await t.list()).items[0],
    ]
    for version in reads:
        by_role = {component.role: facts(component) for component in version.components}
        assert by_role == {"chart": (canonical(RED), 3, 2), "other": (canonical(BLUE), 3, 2), "text": NO_PICTURE}
    assert {version.components for version in reads} == {made.components}


BROKEN = {
    "no PNG": b"x",
    "nothing": b"",
    "cut short": png(RED)[:-20],
    "altered": png(RED).replace(b"IDAT", b"IDAX"),
    "of a million pixels a side": png(RED)[:16] + b"\0\x0f\x42\x40" * 2 + png(RED)[24:],
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
async def test_what_does_not_decode_is_stored_without_facts(t, data):
    made = await t.put("a", Part(data, PNG))
    assert facts(made.components[0]) == NO_PICTURE
    assert (await t.resolve("a")).components == made.components
    assert await (await t.get("a")).bytes() == data
    with fails(Invalid, Code.BAD_PICTURE):
        await t.same_pixels_as("a")


async def test_what_is_not_said_to_be_a_picture_is_none(t):
    made = await t.put("a", png(RED))
    assert facts(made.components[0]) == NO_PICTURE
    with fails(Invalid, Code.BAD_PICTURE):
        await t.same_pixels_as("a")


@pytest.mark.parametrize("limit", [1, 2, 3, 50])
async def test_the_same_picture_in_pages(t, other, limit):
    await other.put("a", Part(png(RED), PNG))
    for n in range(3):
        await t.put("a", Components(x=Part(png(RED, n), PNG), y=Part(png(RED, n + 7, 1), PNG)))
        await t.put(f"b{n}", Components(x=Part(png(BLUE), PNG), z=Part(png(RED, n), PNG)))
    found, cursor = [], None
    while True:
        page = await t.same_pixels_as("a#x", limit=limit, cursor=cursor)
        found += [v.ref for v in page]
        cursor = page.cursor
        if cursor is None:
            break
        await t.put("later", Part(png(RED, len(found)), PNG))
    assert found == ["b2@1", "a@3", "b1@1", "a@2", "b0@1", "a@1"]
    with fails(Invalid, Code.BAD_CURSOR):
        await t.same_pixels_as("a#x", cursor=(await t.history("a", limit=1)).cursor)


async def test_one_picture_has_to_be_meant(t, other):
    await other.put("theirs", Part(png(RED), PNG))
    await t.put("a", Components(x=Part(png(RED), PNG), y=b"1"))
    for ref, kind, code in (
        ("a", Invalid, Code.BAD_COMPONENTS),
        ("a#z", NotFound, Code.COMPONENT_NOT_FOUND),
        ("theirs", NotFound, Code.ARTIFACT_NOT_FOUND),
    ):
        with fails(kind, code):
            await t.same_pixels_as(ref)


# -- what is stored once ---------------------------------------------------------------------------------------------------

CONTENTS = [b"", b"1", b"22", b"333", b"4444444", b"55555555", png(RED), png(BLUE)]
some_parts = st.dictionaries(st.sampled_from("pqr"), st.sampled_from(CONTENTS), min_size=1)
some_put = st.tuples(st.sampled_from(["a", "b", "c", "d", "E"]), some_parts, st.sampled_from([PNG, "a/b"]))


@pytest.mark.slow
@settings(max_examples=60)
@given(puts=st.lists(some_put, max_size=12))
def test_what_is_shared_adds_up_to_what_is_saved(bench, puts):
    async def law():
        t = bench.tenant()
        uses, names, pixels = Counter(), {}, {}
        for name, parts, media_type in puts:
            data = Components({role: Part(content, media_type) for role, content in parts.items()})
            await t.put(name, data, on_same="new_version")
            for content in parts.values():
                uses[content] += 1
                names.setdefault(content, set()).add(name)
                if media_type == PNG and content.startswith(b"\x89PNG"):
                    pixels[content] = canonical(RED if content == png(RED) else BLUE)
        usage, shared = await t.usage(), await t.shared(limit=1000)
        assert sum(each.saved_bytes for each in shared) == usage.logical_bytes - usage.stored_bytes
        expected = {
            Digest.of(content): (
                len(content),
                count,
                len(content) * (count - 1),
                tuple(sorted(names[content])[:4]),
                pixels.get(content),
            )
            for content, count in uses.items()
            if count > 1
        }
        assert {e.digest: (e.size_bytes, e.uses, e.saved_bytes, e.names, e.pixels) for e in shared} == expected
        assert all(each.media_type in (PNG, "a/b") for each in shared)
        order = [(-each.saved_bytes, each.digest) for each in shared]
        assert order == sorted(order)
        for limit in (1, 2):
            assert await t.shared(limit=limit) == shared[:limit]

    bench.run(law())


async def test_the_pixels_of_bytes_that_are_a_picture_to_some_only(t):
    """Regression: those of the component that was met first, which may not be said to be a picture."""
    for n in range(3):
        await t.put(f"a{n}", Part(png(RED), "a/b"))
    await t.put("b", Part(png(RED), PNG))
    assert [each.pixels for each in await t.shared()] == [canonical(RED)]


async def test_another_tenants_use_is_no_sharing(t, other):
    await t.put("a", b"123")
    for n in range(3):
        await other.put(f"a{n}", b"123")
    assert await t.shared() == ()
    with fails(Conflict, Code.SAME_CONTENT):
        await t.put("a", b"123", on_same="error")


@pytest.mark.parametrize("limit", [0, -1, 1001, True, "5"])
async def test_a_page_of_no_size_is_refused(t, limit):
    for call in (t.shared(limit=limit), t.same_pixels_as("a", limit=limit)):
        with fails(Invalid, Code.BAD_ARGUMENT):
            await call
