"""What merge promises: what one side changed is taken, what both did is merged or told, and nothing is stored by half."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casstore import Components, Conflict, Invalid, NotFound, Part
from casstore.errors import Code
from casstore.operations import merging
from casstore.operations.merges import Resolution
from tests.operations.failing import fails
from tests.unit.json_values import exact

MARKDOWN = "text/markdown"
METADATA = st.dictionaries(
    st.sampled_from("kn"), st.sampled_from([0, 1, 0.0, 1.0, False, True, None, "1", [1], [True], {"a": 1}, {"a": 1.0}])
)
STEPS = [{"id": n, "name": f"step {n}"} for n in range(6)]


async def parted(t, base, ours, theirs, **options):
    """Two versions of names of their own that began with a third."""
    first = await t.put("base", base, **options)
    await t.put("ours", ours, sources=[first], **options)
    await t.put("theirs", theirs, sources=[first], **options)
    return await t.merge("ours", "theirs")


async def content(t, ref):
    artifact = await t.get(ref)
    return {role: await artifact[role].bytes() for role in artifact.version.roles}


def taken(merge):
    return {part.role: part.taken for part in merge.components}


def told(merge):
    return [(each.role, each.conflict.path) for each in merge.conflicts]


# -- by components ----


async def test_each_component_comes_from_the_side_that_has_changed_it(t):
    base = Components(p="1", q="1", r="1", s="1")
    merge = await parted(t, base, Components(p="2", q="1", r="2", s="1"), Components(p="1", q="2", r="2", s="1"))
    assert taken(merge) == {"p": "ours", "q": "theirs", "r": "same", "s": "same"}
    assert merge.stored.ref == "ours@2"
    assert await content(t, "ours@2") == {"p": b"2", "q": b"2", "r": b"2", "s": b"1"}


async def test_what_one_side_has_added_or_removed_and_the_other_left_alone(t):
    merge = await parted(t, Components(p="1", q="1"), Components(p="1"), Components(p="1", q="1", r="1"))
    assert await content(t, merge.stored.ref) == {"p": b"1", "r": b"1"}
    assert {part.role: part.is_there for part in merge.components} == {"p": True, "q": False, "r": True}


async def test_a_merged_version_was_made_from_both(t):
    merge = await parted(t, b"1", b"1", b"2")
    (node, *_) = await t.lineage(merge.stored.ref, depth=1)
    assert [(link.ref, link.role) for link in node.sources] == [("ours@1", "ours"), ("theirs@1", "theirs")]


async def test_changed_here_and_removed_there_is_a_conflict(t):
    merge = await parted(t, Components(p="1", q="1"), Components(p="1", q="2"), Components(p="1"))
    assert (told(merge), merge.stored) == ([("q", "")], None)
    (conflict,) = (each.conflict for each in merge.conflicts)
    assert conflict.present == ("base", "ours")
    assert "removed" in conflict.text
    assert [v.ref for v in await t.history("ours")] == ["ours@1"]


async def test_added_on_both_sides_is_a_conflict_unless_it_is_the_same(t):
    merge = await parted(t, Components(p="1"), Components(p="1", q="2", r="x"), Components(p="1", q="3", r="x"))
    assert told(merge) == [("q", "")]


async def test_bytes_of_no_known_format_are_taken_whole_or_not_at_all(t):
    assert told(await parted(t, b"\0", b"\1", b"\2")) == [("main", "")]


# -- inside components ----


async def test_json_is_merged_by_keys_and_items(t):
    ours, theirs = [dict(step) for step in STEPS], [dict(step) for step in STEPS]
    ours[1]["name"] = "check"
    theirs[4]["name"] = "book"
    theirs.append({"id": 9, "name": "archive"})
    merge = await parted(t, {"steps": STEPS}, {"steps": ours, "owner": "ops"}, {"steps": theirs})
    value = await (await t.get(merge.stored.ref)).json()
    assert [step["name"] for step in value["steps"]] == [
        "step 0",
        "check",
        "step 2",
        "step 3",
        "book",
        "step 5",
        "archive",
    ]
    assert value["owner"] == "ops"


async def test_markdown_is_merged_by_lines(t):
    base = "# A\none\ntwo\nthree\n\n# B\nfour\n"
    ours, theirs = base.replace("one", "1"), base.replace("four", "4")
    merge = await parted(t, Part(base, MARKDOWN), Part(ours, MARKDOWN), Part(theirs, MARKDOWN))
    assert taken(merge) == {"main": "merged"}
    assert (await content(t, merge.stored.ref))["main"].decode() == ours.replace("four", "4")


async def test_conflicts_are_values_never_marks(t):
    merge = await parted(t, {"a": 1, "b": 1}, {"a": 2, "b": 1}, {"a": 3, "b": 2})
    (each,) = merge.conflicts
    assert (each.role, each.conflict.path) == ("main", "/a")
    assert (each.conflict.base, each.conflict.ours, each.conflict.theirs) == (1, 2, 3)


@pytest.mark.parametrize(("take", "wanted"), [("ours", 2), ("theirs", 3), ("base", 1), ("value", {"x": [4]})])
async def test_a_conflict_inside_ends_as_it_is_decided(t, take, wanted):
    await parted(t, {"a": 1, "b": 1}, {"a": 2, "b": 1}, {"a": 3, "b": 2})
    decided = Resolution(role="main", path="/a", take=take, value={"x": [4]})
    merge = await t.merge("ours", "theirs", resolved=[decided])
    assert await (await t.get(merge.stored.ref)).json() == {"a": wanted, "b": 2}


@pytest.mark.parametrize(("take", "wanted"), [("ours", b"\1"), ("theirs", b"\2"), ("base", b"\0"), ("value", b"7")])
async def test_a_conflict_about_a_whole_component_ends_as_it_is_decided(t, take, wanted):
    await parted(t, Components(p=b"\0"), Components(p=b"\1"), Components(p=b"\2"))
    merge = await t.merge("ours", "theirs", resolved=[Resolution(role="p", path="", take=take, value=7)])
    assert taken(merge) == {"p": "resolved"}
    assert (await content(t, merge.stored.ref))["p"] == wanted


async def test_text_in_conflict_ends_as_it_is_decided(t):
    sides = [Part(f"# A\n{word}\n", MARKDOWN) for word in ("one", "two", "three")]
    merge = await parted(t, *sides)
    (each,) = merge.conflicts
    decided = Resolution(role="main", path=each.conflict.path, take="theirs")
    merge = await t.merge("ours", "theirs", resolved=[decided])
    assert (await content(t, merge.stored.ref))["main"] == b"# A\nthree\n"


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "value"),
    [
        (
            [{"id": each} for each in "abcd"],
            [{"id": each} for each in "bacd"],
            [{"id": each} for each in "dabc"],
            {"a": 1},
        ),
        ("one\n", "two\n", "three\n", 7),
    ],
)
async def test_a_value_that_cannot_be_there_is_refused_and_nothing_stored(t, base, ours, theirs, value):
    (each,) = (await parted(t, base, ours, theirs)).conflicts
    decided = Resolution(role="main", path=each.conflict.path, take="value", value=value)
    with fails(Invalid, Code.BAD_ARGUMENT):
        await t.merge("ours", "theirs", resolved=[decided])
    assert [v.ref for v in await t.history("ours")] == ["ours@1"]


@pytest.mark.parametrize("value", [float("nan"), [float("inf")], "\ud800", {1: 2}, b"bytes"])
@pytest.mark.parametrize(
    "three", [[{"a": 1}, {"a": 2}, {"a": 3}], ["one\n", "two\n", "three\n"], [b"\0", b"\1", b"\2"]]
)
async def test_a_decided_value_is_a_json_value(t, three, value):
    (each,) = (await parted(t, *three)).conflicts
    decided = Resolution(role="main", path=each.conflict.path, take="value", value=value)
    with fails(Invalid, Code.BAD_JSON):
        await t.merge("ours", "theirs", resolved=[decided])


async def test_a_resolution_without_its_conflict_is_refused(t):
    await parted(t, {"a": 1}, {"a": 2}, {"a": 1, "b": 1})
    with fails(Conflict, Code.HEAD_MOVED):
        await t.merge("ours@1", "theirs", resolved=[Resolution(role="main", path="/c", take="ours")])


# -- beside the content ----


async def test_title_labels_and_metadata_are_merged_key_by_key(t):
    first = await t.put("base", b"1", title="T", labels={"a": "1", "b": "1", "c": "1"}, metadata={"x": 1})
    await t.put("ours", b"1", sources=[first], title="T", labels={"a": "2", "b": "1"}, metadata={"x": 1, "y": [1]})
    await t.put("theirs", b"2", sources=[first], title="New", labels={"a": "1", "b": "3", "c": "1"}, metadata={"x": 2})
    stored = (await t.merge("ours", "theirs")).stored
    assert (stored.title, stored.labels, stored.metadata) == ("New", {"a": "2", "b": "3"}, {"x": 2, "y": [1]})


async def test_metadata_of_another_type_alone_has_changed(t):
    was, now = {"flag": 1, "z": 0, "deep": [{"n": 1}]}, {"flag": True, "z": False, "deep": [{"n": 1.0}]}
    first = await t.put("base", b"1", metadata=was)
    await t.put("ours", b"1", sources=[first], metadata=was)
    await t.put("theirs", b"2", sources=[first], metadata=now)
    for sides in (("ours", "theirs"), ("theirs", "ours")):
        stored = (await t.merge(*sides, base="base", into="-".join(sides))).stored
        assert exact(stored.metadata) == exact(now)


async def test_metadata_of_two_types_is_in_conflict(t):
    first = await t.put("base", b"1", metadata={"n": 0})
    await t.put("ours", b"1", sources=[first], metadata={"n": 1})
    await t.put("theirs", b"1", sources=[first], metadata={"n": True})
    assert told(await t.merge("ours", "theirs")) == [("", "/metadata/n")]


@given(base=METADATA, ours=METADATA, theirs=METADATA)
def test_each_key_of_metadata_is_as_the_side_that_changed_it_has_it(bench, base, ours, theirs):
    t = bench.tenant()

    async def put_and_merge():
        first = await t.put("base", b"1", metadata=base)
        for name, metadata in (("ours", ours), ("theirs", theirs)):
            await t.put(name, b"1", sources=[first], metadata=metadata)
        return await t.merge("ours", "theirs"), await t.merge("theirs", "ours", into="back")

    def merged(key):
        was, one, other = ({key: side[key]} if key in side else {} for side in (base, ours, theirs))
        if exact(one) in (exact(was), exact(other)):
            return other
        return one if exact(other) == exact(was) else None

    both = bench.run(put_and_merge())
    keys = {key: merged(key) for key in {*base, *ours, *theirs}}
    wanted = {key: value for members in keys.values() if members for key, value in members.items()}
    for merge in both:
        assert sorted(told(merge)) == sorted(
            ("", f"/metadata/{key}") for key, members in keys.items() if members is None
        )
        assert merge.conflicts or exact(merge.stored.metadata) == exact(wanted)


async def test_titles_in_conflict(t):
    first = await t.put("base", b"1", title="T")
    await t.put("ours", b"1", sources=[first], title="A")
    await t.put("theirs", b"1", sources=[first], title="B")
    assert told(await t.merge("ours", "theirs")) == [("", "/title")]
    merge = await t.merge("ours", "theirs", resolved=[Resolution(role="", path="/title", take="theirs")])
    assert merge.stored.title == "B"


# -- which versions ----


async def test_a_base_that_is_named(t):
    for value in (1, 2, 3):
        await t.put("a", {"v": value, "w": 1})
    await t.put("b", {"v": 1, "w": 2})
    with fails(Invalid, Code.BAD_ARGUMENT):
        await t.merge("a", "b")
    merge = await t.merge("a", "b", base="a@1")
    assert await (await t.get(merge.stored.ref)).json() == {"v": 3, "w": 2}
    assert merge.stored.ref == "a@4"


async def test_the_nearest_of_several_common_versions(t):
    one = await t.put("x", {"a": 1, "b": 1})
    two = await t.put("x", {"a": 2, "b": 1}, sources=[one])
    await t.put("ours", {"a": 2, "b": 2}, sources=[two])
    await t.put("theirs", {"a": 3, "b": 1}, sources=[two, one])
    merge = await t.merge("ours", "theirs")
    assert merge.base.ref == "x@2"
    assert await (await t.get(merge.stored.ref)).json() == {"a": 3, "b": 2}


@pytest.mark.parametrize("made_from", [(1,), (3,), (1, 2), (2, 1), (1, 2, 3)])
async def test_versions_of_one_name_succeed_each_other(t, made_from):
    """A draft that was made from versions of a plan, in turn, goes back to the newest of these, whichever side it is."""
    for number in (1, 2, 3):
        await t.put("plan", {"number": number, "owner": "ops"})
    for number in made_from:
        before = [] if number == made_from[0] else ["draft"]
        await t.put("draft", {"number": number, "owner": f"for {number}"}, sources=[f"plan@{number}", *before])
    wanted = f"plan@{max(made_from)}"
    assert (await t.merge("draft", "plan", preview=True)).base.ref == wanted
    merge = await t.merge("plan", "draft")
    assert merge.base.ref == wanted
    if made_from[-1] == max(made_from):  # else both have changed the number
        assert await (await t.get("plan@4")).json() == {"number": 3, "owner": f"for {made_from[-1]}"}


async def test_an_older_common_version_that_is_fewer_steps_away_does_not_count(t):
    await t.put("plan", {"v": 1})
    await t.put("plan", {"v": 2})
    await t.put("draft", {"v": 3}, sources=["plan@2"])
    await t.put("draft", {"v": 4}, sources=["plan@1", "draft@1"])
    await t.put("plan", {"v": 5}, sources=["plan@1"])
    assert (await t.merge("plan", "draft", preview=True)).base.ref == "plan@2"


async def test_a_later_version_of_the_name_is_no_common_one(t):
    await t.put("plan", {"v": 1})
    await t.put("plan", {"v": 2})
    await t.put("draft", {"v": 3}, sources=["plan@2"])
    with fails(Invalid, Code.BAD_ARGUMENT):
        await t.merge("plan@1", "draft", preview=True)


async def test_one_that_was_made_from_the_other_is_taken_whole(t):
    first = await t.put("ours", {"a": 1})
    await t.put("theirs", {"a": 2}, sources=[first])
    merge = await t.merge("ours", "theirs")
    assert (merge.base.ref, await (await t.get("ours@2")).json()) == ("ours@1", {"a": 2})


async def test_ours_has_to_be_the_newest(t):
    await parted(t, b"1", b"1", b"2")
    with fails(Conflict, Code.HEAD_MOVED):
        await t.merge("ours@1", "theirs")
    assert (await t.merge("ours@1", "theirs", into="merged")).stored.ref == "merged@1"


async def test_a_preview_stores_nothing(t):
    await parted(t, {"a": 1}, {"a": 2}, {"a": 3})
    first = await t.put("more", {"a": 1}, sources=[await t.resolve("base")])
    merge = await t.merge("ours", first.ref, preview=True)
    assert (merge.stored, merge.conflicts, len(await t.history("ours"))) == (None, (), 1)


async def test_another_tenants_versions_do_not_exist(t, other):
    await parted(t, b"1", b"1", b"2")
    await other.put("elsewhere", b"1")
    with fails(NotFound, Code.ARTIFACT_NOT_FOUND):
        await t.merge("ours", "elsewhere", base="base")


async def test_a_merge_that_its_kind_refuses_stores_nothing(t):
    def phases(*needs):
        return {"phases": [{"id": "a"}, {"id": "b", "depends_on": list(needs)}]}

    first = await t.put("base", phases(), type="roadmap")
    await t.put(
        "ours",
        {"phases": [{"id": "a", "depends_on": ["b"]}, {"id": "b", "depends_on": []}]},
        type="roadmap",
        sources=[first],
    )
    await t.put("theirs", phases("a"), type="roadmap", sources=[first])
    with fails(Invalid, Code.BAD_COMPOSITION):  # each is sound, and both together are a cycle
        await t.merge("ours", "theirs")
    assert len(await t.history("ours")) == 1


# -- under a key ----


async def keyed(t):
    """What a merge under a key needs: three versions of JSON, and the call."""
    first = await t.put("base", {"a": 1, "b": 1})
    await t.put("ours", {"a": 2, "b": 1}, sources=[first])
    await t.put("theirs", {"a": 1, "b": 2}, sources=[first])
    return partial(t.merge, "ours", "theirs", idempotency_key="once")


@pytest.mark.parametrize("base", [None, "base"])
async def test_repeated_by_name_after_all_heads_moved_it_is_one(t, base):
    merge = await keyed(t)
    first, second = await merge(base=base), await merge(base=base)
    for name in ("base", "ours", "theirs"):
        await t.put(name, {"a": 9, "b": 9})
    third = await merge(base=base, by="another")  # who asks is no part of it
    told = first.model_copy(update={"stored": first.stored.model_copy(update={"repeated": True, "new_bytes": 0})})
    assert second == third == told
    assert (first.stored.ref, first.stored.repeated) == ("ours@2", False)
    assert [(side.ref) for side in (third.base, third.ours, third.theirs)] == ["base@1", "ours@1", "theirs@1"]
    assert len(await t.history("ours")) == 3


async def test_a_merge_of_a_version_with_itself_is_repeated(t):
    await t.put("ours", {"a": 1})
    merge = partial(t.merge, "ours", "ours", base="ours@1", idempotency_key="once")
    assert [(await merge()).stored.ref for _ in range(2)] == ["ours@2"] * 2


async def test_a_merge_with_resolutions_is_repeated(t):
    await parted(t, {"k": 1}, {"k": 2}, {"k": 3})
    resolved = [Resolution(role="main", path="/k", take="value", value={"x": [1]})]
    merge = partial(t.merge, "ours", "theirs", resolved=resolved, idempotency_key="once")
    first, second = await merge(), await merge()
    assert (second.stored.id, second.stored.repeated) == (first.stored.id, True)
    assert (second.components, second.conflicts) == (first.components, ())
    with fails(Conflict, Code.IDEMPOTENCY_KEY_REUSED):
        await merge(resolved=[Resolution(role="main", path="/k", take="value", value={"x": [2]})])


@pytest.mark.parametrize(
    "other",
    [{"theirs": "theirs@1"}, {"ours": "ours@1"}, {"base": "base"}, {"into": "ours"}, {"into": "more"}],
    ids=repr,
)
async def test_another_merge_under_its_key_is_refused(t, other):
    await keyed(t)
    asked = {"ours": "ours", "theirs": "theirs", "idempotency_key": "once"}
    await t.merge(**asked)
    with fails(Conflict, Code.IDEMPOTENCY_KEY_REUSED):
        await t.merge(**asked | other)
    assert len(await t.history("ours")) == 2


async def test_its_key_is_no_other_verbs(t):
    merge = await keyed(t)
    await t.put("x", {"k": 1}, idempotency_key="put")
    await t.apply("x", [], idempotency_key="apply")
    for key in ("put", "apply"):
        with fails(Conflict, Code.IDEMPOTENCY_KEY_REUSED):
            await merge(idempotency_key=key)
    await merge()
    with fails(Conflict, Code.IDEMPOTENCY_KEY_REUSED):
        await t.put("x", {"k": 1}, idempotency_key="once")
    with fails(Conflict, Code.IDEMPOTENCY_KEY_REUSED):
        await t.apply("x", [], idempotency_key="once")


async def test_conflicts_and_previews_use_up_no_key(t):
    await parted(t, {"k": 1}, {"k": 2}, {"k": 3})
    merge = partial(t.merge, "ours", "theirs", idempotency_key="once")
    assert (await merge()).conflicts
    resolved = [Resolution(role="main", path="/k", take="theirs")]
    assert (await merge(resolved=resolved, preview=True)).stored is None
    assert (await merge(resolved=resolved)).stored.ref == "ours@2"
    assert (await merge(preview=True)).stored is None  # what would come of it now, whatever the key stands for


async def test_twins_at_the_same_time_are_one(t):
    merge = await keyed(t)
    merges = await asyncio.gather(*(merge() for _ in range(8)))
    assert {each.stored.ref for each in merges} == {"ours@2"}
    assert {(each.base.ref, each.ours.ref, each.theirs.ref) for each in merges} == {("base@1", "ours@1", "theirs@1")}
    assert [each.stored.repeated for each in merges].count(False) == 1


@pytest.mark.parametrize("found", ["a conflict", "a refusal", "the merged version"])
async def test_a_twin_that_was_first_is_the_answer_to_what_it_was_in_the_way_of(t, monkeypatch, found):
    """It stores after this one has looked for the key, and before this one has looked at the versions."""
    if found == "a refusal":
        await parted(t, {"k": 1}, {"k": 2}, {"k": 3})
        resolved = [Resolution(role="main", path="/k", take="theirs")]
        merge = partial(t.merge, "ours", "theirs", base="base@1", resolved=resolved, idempotency_key="once")
        await t.put("theirs", {"k": 4})
    else:
        merge = partial(await keyed(t), base="base@1" if found == "a conflict" else None)
    look, waiting = merging.get, ["twin"]

    async def late(*args):
        if waiting:
            waiting.clear()
            await merge()
            if found == "a conflict":
                await t.put("ours", {"a": 2, "b": 5})
        return await look(*args)

    monkeypatch.setattr(merging, "get", late)
    merged = await merge()
    assert (merged.ours.ref[:5], merged.stored.repeated, merged.conflicts) == ("ours@", True, ())
    assert merged.stored.number == merged.ours.number + 1


# -- laws ----

some_parts = st.dictionaries(
    st.sampled_from("pqr"), st.sampled_from(["", "x\n", "y\n", "z\n", {"k": 1}, {"k": 2}, b"\0"])
)
some_version = some_parts.map(lambda parts: Components(parts or {"p": "x\n"}))


async def test_of_two_sides_that_removed_all_nothing_is_left(t):
    with fails(Invalid, Code.BAD_COMPONENTS):
        await parted(t, Components(p="1", q="1"), Components(p="1"), Components(q="1"))
    assert len(await t.history("ours")) == 1


@given(base=some_version, ours=some_version, theirs=some_version)
def test_a_merge_is_the_same_from_both_sides(bench, base, ours, theirs):
    t = bench.tenant()
    try:
        merge = bench.run(parted(t, base, ours, theirs))
    except Invalid as error:
        assert error.code is Code.BAD_COMPONENTS  # noqa: PT017 - whether it fails depends on the example
        with fails(Invalid, Code.BAD_COMPONENTS):
            bench.run(t.merge("theirs", "ours", into="back"))
        return
    back = bench.run(t.merge("theirs", "ours", into="back"))
    assert sorted(told(merge)) == sorted(told(back))
    if merge.stored:
        assert bench.run(content(t, merge.stored.ref)) == bench.run(content(t, "back"))


@given(base=some_version, ours=some_version)
def test_who_has_changed_nothing_takes_what_the_other_has(bench, base, ours):
    t = bench.tenant()
    merge = bench.run(parted(t, base, ours, base))
    assert bench.run(content(t, merge.stored.ref)) == bench.run(content(t, "ours@1"))
