"""Sources: whatever a caller has of a version names it, they stay as they were given, and what is not there is refused in time."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from casstore import AsyncStore, Components, Conflict, Invalid, NotFound, Ref, Source, UsageError, limits
from casstore.errors import Code
from casstore.testing.audit import audit
from tests.operations.failing import fails


async def sources_of(t, ref):
    """Of a version: the source's reference and the role, in their order."""
    lineage = await t.lineage(ref, depth=1)
    names = {node.version.id: node.version.ref for node in lineage}
    return [(names[link.source], link.role) for link in lineage.versions[0].sources]


async def test_a_source_is_named_by_whatever_there_is(t):
    first = await t.put("a", b"1")
    await t.put("a", b"2")
    await t.alias("a@1", "prod")
    version = await t.resolve("a@1")
    likes = [first, version, first.id, f"id:{first.id}", "a@1", "a@prod", f"a@{first.digest}", Ref.parse("a@1")]
    likes += [f"cas://{t.name}/a@1", "a", f"a@prod~{version.created_at.isoformat()}"][:-1]
    likes += [Source(first), Source("a@1", "template"), Source(first.id, role="r-1.x_")]
    await t.put("b", b"1", sources=likes)
    expected = [("a@1", "source")] * 9 + [("a@2", "source"), ("a@1", "source"), ("a@1", "template"), ("a@1", "r-1.x_")]
    assert await sources_of(t, "b") == expected


async def test_any_iterable_will_do_and_none_has_none(t):
    await t.put("a", b"1")
    for n, sources in enumerate([iter(["a"]), ("a",), {"a": 1}.keys(), [], None]):
        await t.put(f"b{n}", b"1", sources=sources)
        assert await sources_of(t, f"b{n}") == ([("a@1", "source")] if n < 3 else [])


async def test_a_reference_means_what_it_did_when_it_was_put(t):
    await t.put("a", b"1")
    await t.alias("a", "prod")
    await t.put("b", b"1", sources=["a", "a@prod"])
    await t.put("a", b"2")
    await t.alias("a", "prod")
    assert await sources_of(t, "b") == [("a@1", "source")] * 2
    assert (await t.put("b", b"1", sources=["a", "a@prod"])).number == 2


async def test_a_version_may_come_from_an_earlier_one_of_its_name(t):
    await t.put("a", b"1")
    assert (await t.put("a", b"1", sources=["a"])).number == 2
    assert await sources_of(t, "a") == [("a@1", "source")]
    assert (await t.put("a", b"1", sources=["a@1"])).reused
    assert (await t.put("a", b"1", sources=["a"])).number == 3


@pytest.mark.parametrize(
    ("asked", "is_reused"),
    [
        (None, True),
        (["a@1", Source("a@2", "t")], True),
        ([], False),
        (["a@1"], False),
        ([Source("a@2", "t")], False),
        ([Source("a@2", "t"), "a@1"], False),
        (["a@1", "a@2"], False),
        (["a@1", Source("a@2", "t"), "a@1"], False),
        (["b@1", Source("a@2", "t")], False),
    ],
    ids=str,
)
async def test_a_version_is_reused_only_with_the_same_sources(t, asked, is_reused):
    for name, data in (("a", b"1"), ("a", b"2"), ("b", b"1")):
        await t.put(name, data)
    first = await t.put("x", b"1", sources=["a@1", Source("a@2", "t")])
    second = await t.put("x", b"1", sources=asked)
    assert (second.reused, second.id == first.id) == (is_reused, is_reused)
    async with t.transaction() as tx:
        third = await tx.put("x", b"1", sources=asked)
    assert (third.stored.reused, third.stored.id) == (True, second.id)


# -- what is refused -------------------------------------------------------------------------------------------------------


def told(error, identity):
    """All that an error says, without the id that was asked for."""
    return str(error.as_dict()).replace(str(identity), "…")


async def in_a_transaction(t, sources):
    async with t.transaction() as tx:
        await tx.put("new", b"never seen before", sources=sources)


async def refused(call):
    with pytest.raises((NotFound, Conflict)) as caught:
        await call
    return caught.value


async def test_anothers_version_is_refused_as_one_that_is_not_there_before_anything_is_uploaded(t, other, store):
    theirs, nobodys = (await other.put("theirs", b"1")).id, uuid.uuid4()
    await t.put("known", b"known")
    uploads = []
    put, store._blobs.put = store._blobs.put, lambda *given, **more: uploads.append(given) or put(*given, **more)
    for form in (lambda each: each, "id:{}".format, lambda each: Source(each, "template")):
        for data in (b"never seen before", b"known"):
            errors = [await refused(t.put("new", data, sources=[form(each)])) for each in (theirs, nobodys)]
            assert told(errors[0], theirs) == told(errors[1], nobodys)
            assert {type(each) for each in errors} == {NotFound}
            assert {each.code for each in errors} == {Code.VERSION_NOT_FOUND}
        errors = [await refused(in_a_transaction(t, [form(each)])) for each in (theirs, nobodys)]
        assert told(errors[0], theirs) == told(errors[1], nobodys)
        assert [each.fields["refused"][0]["error"] for each in errors] == [Code.VERSION_NOT_FOUND] * 2
    assert uploads == []
    assert [v.name for v in await t.list()] == ["known"]
    assert await audit(store) == []


@pytest.mark.parametrize(
    "ref", ["theirs", "theirs@1", "theirs@prod", "mine@7", "mine@prod", "cas://somebody/mine", f"mine@b3:{'0' * 12}"]
)
async def test_a_reference_to_what_is_not_there_is_refused(t, other, ref):
    await other.put("theirs", b"1")
    await other.alias("theirs", "prod")
    await t.put("mine", b"1")
    for call in (t.put("new", b"1", sources=["mine", ref]), in_a_transaction(t, ["mine", ref])):
        with pytest.raises(NotFound):
            await call
    assert [v.name for v in await t.list()] == ["mine"]


@pytest.mark.parametrize(
    ("sources", "codes"),
    [
        ("a", [Code.BAD_ARGUMENT]),
        (Source("a", "a"), [Code.BAD_ARGUMENT]),
        (Ref.parse("a"), [Code.BAD_ARGUMENT]),
        (uuid.UUID(int=1), [Code.BAD_ARGUMENT]),
        (7, [Code.BAD_ARGUMENT]),
        ([7], [Code.BAD_ARGUMENT]),
        ([None], [Code.BAD_ARGUMENT]),
        ([("a", "role")], [Code.BAD_ARGUMENT]),
        ([Source(Source("a"))], [Code.BAD_ARGUMENT]),
        (["a"] * (limits.SOURCES_MAX + 1), [Code.BAD_ARGUMENT]),
        (["a#main"], [Code.BAD_REFERENCE]),
        ([""], [Code.BAD_REFERENCE, Code.BAD_NAME]),
        (["a", "a b"], [Code.BAD_REFERENCE, Code.BAD_NAME]),
        (["id:7"], [Code.BAD_REFERENCE]),
        ([Source("a", "")], [Code.BAD_ROLE]),
        ([Source("a", "Role")], [Code.BAD_ROLE]),
        ([Source("a", None)], [Code.BAD_ROLE]),
    ],
    ids=lambda value: f"{value!a:.30}",
)
async def test_what_is_no_list_of_sources_is_refused(t, sources, codes):
    """Regression: one reference as text was taken for a list of its letters, one `Source` for two sources."""
    await t.put("a", b"1")
    for call in (t.put("new", b"1", sources=sources), in_a_transaction(t, sources)):
        with pytest.raises(Invalid) as caught:
            await call
        assert caught.value.code in codes
    assert [v.name for v in await t.list()] == ["a"]


async def test_one_version_is_no_list_of_sources(t):
    version = await t.put("a", b"1")
    with fails(Invalid, Code.BAD_ARGUMENT):
        await t.put("b", b"1", sources=version)


async def test_as_many_sources_as_allowed(t):
    version = await t.put("a", b"1")
    roles = [f"r{n}" for n in range(limits.SOURCES_MAX)]
    await t.put("b", b"1", sources=[Source(version, role) for role in roles])
    assert await sources_of(t, "b") == [("a@1", role) for role in roles]
    assert (await t.put("b", b"1", sources=[Source("a", "r0")])).number == 2


# -- of the same transaction -----------------------------------------------------------------------------------------------


async def test_what_a_transaction_puts_may_be_a_source_in_it(t):
    async with t.transaction() as tx:
        one = await tx.put("a", b"1")
        two = await tx.put("a", b"2", sources=[one])
        await tx.put("b", b"1", sources=[Source(two, "new"), Source(one, "old"), two])
    assert await sources_of(t, "a") == [("a@1", "source")]
    assert await sources_of(t, "b") == [("a@2", "new"), ("a@1", "old"), ("a@2", "source")]


@pytest.mark.parametrize("known", [True, False], ids=["known bytes", "new bytes"])
async def test_of_a_put_that_reuses_a_version_that_version_is_the_source(t, known):
    await t.put("a", b"1")
    data = b"1" if known else t.name.encode()
    for _ in range(2):
        async with t.transaction() as tx:
            one = await tx.put("a", b"1")
            two = await tx.put("b", data, sources=[one])
            three = await tx.put("c", data, sources=[two, one])
        assert one.stored.reused
        assert await sources_of(t, "b") == [("a@1", "source")]
        assert await sources_of(t, "c") == [("b@1", "source"), ("a@1", "source")]
    assert (two.stored.reused, three.stored.reused) == (True, True)


def blueprint(text):
    states = {"current_state": text, "coexistence_state": text}
    return Components(states | {"roadmap": {"phases": []}, "responsibility_matrix": {"roles": []}})


async def test_a_put_whose_type_is_found_out_is_a_source_all_the_same(t):
    """Puts that name no type are made anew when the kind of the artifact has looked at them, and stay who they are."""
    await t.put("plan", blueprint("one"), type="blueprint")
    async with t.transaction() as tx:
        plan = await tx.put("plan", blueprint("two"))
        report = await tx.put("report", b"1", sources=[Source(plan, "plan")])
        await tx.put("plan", blueprint("three"), sources=[report, plan])
    assert await sources_of(t, "report") == [("plan@2", "plan")]
    assert await sources_of(t, "plan") == [("report@1", "source"), ("plan@2", "source")]


async def test_a_put_of_another_transaction_is_a_source_when_it_is_committed(t):
    """Regression: the place of such a put was taken for that of one's own under an idempotency key."""
    async with t.transaction() as first:
        theirs = await first.put("a", b"1")
        async with t.transaction(idempotency_key="k") as second:
            own = await second.put("b", b"1")
            for call in (second.put("c", b"1", sources=[theirs]), t.put("c", b"1", sources=[theirs])):
                with fails(UsageError, Code.TRANSACTION_OVER):
                    await call
            await second.put("c", b"1", sources=[own])
    await t.put("d", b"1", sources=[theirs])
    async with t.transaction() as third:
        await third.put("e", b"1", sources=[theirs])
    assert await sources_of(t, "c") == [("b@1", "source")]
    assert await sources_of(t, "d") == await sources_of(t, "e") == [("a@1", "source")]


# -- again, under a key ----------------------------------------------------------------------------------------------------


async def test_a_key_stands_for_the_sources_as_they_were_asked_for(t):
    async def put(*sources):
        return await t.put("b", b"1", sources=sources, idempotency_key="k")

    await t.put("a", b"1")
    first = await put("a", Source("a@1", "t"))
    await t.put("a", b"2")
    again = await put("a", Source("a@1", "t"))
    assert (again.id, again.repeated) == (first.id, True)
    assert await sources_of(t, "b") == [("a@1", "source"), ("a@1", "t")]
    for other in (["a"], [], [Source("a@1", "t"), "a"], ["a", Source("a@1", "u")], ["a", Source("a@2", "t")]):
        with fails(Conflict, Code.IDEMPOTENCY_KEY_REUSED):
            await put(*other)


async def test_a_transaction_with_sources_is_repeated_from_any_process(t, where):
    async def run(tenant, role="old"):
        async with tenant.transaction(idempotency_key="k") as tx:
            one = await tx.put("a", b"1")
            two = await tx.put("b", b"1", sources=[Source(one, role), "before"])
        return [one.stored, two.stored]

    await t.put("before", b"1")
    first = await run(t)
    await t.put("before", b"2")
    async with AsyncStore(blobs=where.blobs, catalog=where.catalog) as other:
        again = await run(other.tenant(t.name))
    assert [each.id for each in again] == [each.id for each in first]
    assert all(each.repeated for each in again)
    assert await sources_of(t, "b") == [("a@1", "old"), ("before@1", "source")]
    with fails(Conflict, Code.IDEMPOTENCY_KEY_REUSED):
        await run(t, role="new")


async def test_a_put_whose_source_is_refused_leaves_no_name(t, store):
    """Regression: one of known bytes left the name, and with it the type, to whoever put next."""
    await t.put("known", b"1")
    with fails(NotFound, Code.VERSION_NOT_FOUND):
        await t.put("New", b"1", type="sop", sources=[uuid.uuid4()])
    assert await audit(store) == []
    assert (await t.put("new", b"1", type="poc")).type == "poc"
    assert (await t.usage()).artifacts == 2


async def test_of_puts_that_travel_together_one_with_a_bad_source_disturbs_no_other(t, store):
    known = await t.put("known", b"1")
    calls = [
        t.put("other", b"1"),
        t.put("NEW", b"1", type="sop", sources=[uuid.uuid4()]),
    ]  # the first goes ahead, alone
    calls += [t.put("new", b"1", type="poc", sources=[known]), t.put("new", b"1", sources=[uuid.uuid4()])]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [getattr(each, "code", None) for each in outcomes] == [None, Code.VERSION_NOT_FOUND] * 2
    assert (await t.resolve("new@1")).type == "poc"
    assert await audit(store) == []


async def test_a_source_that_is_refused_uses_up_no_key(t):
    nobody = uuid.uuid4()
    with fails(NotFound, Code.VERSION_NOT_FOUND):
        await t.put("a", b"1", sources=[nobody], idempotency_key="k")
    assert (await t.put("a", b"1", idempotency_key="k")).number == 1
