"""What apply promises: what a patch makes of a version is its next one, exactly; what does not apply leaves all as it was."""

from __future__ import annotations

import asyncio
import json
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casstore import Components, Conflict, Invalid, NotFound, Part
from casstore.errors import Code
from casstore.formats.json import encode
from casstore.operations import applying
from casstore.reports import patch_of
from tests.operations.failing import fails
from tests.unit.json_values import exact, pairs

MARKDOWN = "text/markdown"
JSON = "application/json"
PIXEL = b"\x89PNG\r\n\x1a\n"


async def content(t, ref):
    artifact = await t.get(ref)
    return {role: await artifact[role].bytes() for role in artifact.version.roles}


async def patched(t, one, other):
    """A version of one, what makes the other of it, and what apply makes of that."""
    await t.put("a", one)
    patch = patch_of(await t.diff("a", other if isinstance(other, Part) else Part(encode(other), JSON)))
    return await content(t, (await t.apply("a", json.loads(json.dumps(patch)))).ref)


texts = st.text(st.sampled_from("ab \n\r\té\u2028"), max_size=40)


@given(pairs())
def test_of_any_two_json_values_the_second_comes_back_exactly(bench, pair):
    found = bench.run(patched(bench.tenant(), Part(encode(pair[0]), JSON), pair[1]))
    assert exact(json.loads(found["main"])) == exact(pair[1])


@given(texts, texts, st.sampled_from(["text/plain", MARKDOWN]))
def test_of_any_two_texts_the_second_comes_back_byte_for_byte(bench, one, other, media_type):
    other = other.encode()
    assert bench.run(patched(bench.tenant(), Part(one.encode(), media_type), Part(other, media_type))) == {
        "main": other
    }


async def test_what_is_no_json_is_patched_as_the_text_that_it_was_compared_as(t):
    for one, other in ((b'{"a": 1,}', b'{"a": 2,}'), (b'{"a": 1}', b'{"a": 2,}')):
        assert await patched(t, Part(one, JSON), Part(other, JSON)) == {"main": other}
        assert (await t.get("a")).version.components[0].media_type == JSON
        await t.delete_artifact("a", by="me")


async def test_the_new_version_is_as_the_one_it_was_made_from(t):
    await t.put("a", {"k": 1}, type="document", title="A", labels={"team": "x"}, metadata={"m": 1})
    stored = await t.apply("a", [{"op": "replace", "path": "/k", "value": 2}], labels={"team": "y"})
    assert stored.ref == "a@2"
    assert (stored.title, stored.labels, stored.metadata) == ("A", {"team": "y"}, {"m": 1})
    (node, *_) = await t.lineage("a@2", depth=1)
    assert [(link.ref, link.role) for link in node.sources] == [("a@1", "base")]


async def test_components_without_a_patch_stay_as_they_are(t):
    await t.put("a", Components(p={"k": 1}, q=Part(b"one\ntwo\n", MARKDOWN), r=Part(PIXEL, "image/png")))
    other = Components(p={"k": 2}, q=Part(b"one\n2\n", MARKDOWN), r=Part(PIXEL, "image/png"))
    patch = patch_of(await t.diff("a", other))
    assert set(patch) == {"p", "q"}
    stored = await t.apply("a", patch)
    assert await content(t, stored.ref) == {"p": b'{"k":2}', "q": b"one\n2\n", "r": PIXEL}
    assert stored.new_bytes == len(b'{"k":2}') + len(b"one\n2\n")


@pytest.mark.parametrize("how", [{"ref": "a#p"}, {"ref": "a", "component": "p"}])
async def test_one_component_can_be_named(t, how):
    await t.put("a", Components(p={"k": 1}, q={"k": 1}))
    stored = await t.apply(patch=[{"op": "remove", "path": "/k"}], **how)
    assert await content(t, stored.ref) == {"p": b"{}", "q": b'{"k":1}'}


async def test_a_patch_that_changes_nothing_makes_no_version(t):
    await t.put("a", Part(b'{ "k": 1.00 }', JSON), title="A")
    for patch in ([], [{"op": "test", "path": "/k", "value": 1.0}][:0], {}, {"main": []}):
        assert (await t.apply("a", patch)).reused
    assert (await t.apply("a", [], on_same="new_version")).ref == "a@2"
    assert await content(t, "a@2") == {"main": b'{ "k": 1.00 }'}


async def test_into_another_name(t):
    await t.put("a", {"k": 1})
    await t.put("a", {"k": 2})
    assert (await t.apply("a@1", [{"op": "remove", "path": "/k"}], into="b")).ref == "b@1"


REFUSED = {
    "an operation": (
        [{"op": "add", "path": "/k", "value": 3}, {"op": "remove", "path": "/x"}],
        "p of a@1: operation 1 ",
    ),
    "no list": ({"op": "add"}, "also for the component 'op'"),
    "nothing": (None, "has 2 components, p, q, and the patch is for one"),
    "one of two": ([], "has 2 components"),
    "by half": (
        {"p": [{"op": "remove", "path": "/k"}], "q": [{"op": "remove", "path": "/x"}]},
        "q of a@1: operation 0 ",
    ),
    "text": ({"q": ["casstore/text-patch/1", 1, []]}, "q of a@1: the patch was made from another content"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_does_not_apply_is_refused_and_leaves_all_as_it_was(t, name):
    patch, told = REFUSED[name]
    await t.put("a", Components(p={"k": 1}, q={"k": 1}))
    if isinstance(patch, list) and patch:
        patch = {"p": patch}
    with pytest.raises(Invalid) as refused:
        await t.apply("a", patch)
    assert refused.value.code == Code.BAD_PATCH
    assert told in refused.value.message
    assert refused.value.hint
    assert len(await t.history("a")) == 1


async def test_a_format_without_patches_is_refused(t):
    await t.put("a", Part(PIXEL, "image/png"))
    with fails(Invalid, Code.NOT_COMPARABLE):
        await t.apply("a", [{"op": "remove", "path": ""}])


async def test_it_is_for_the_newest_version_only(t):
    await t.put("a", {"k": 1})
    await t.put("a", {"k": 2})
    with fails(Conflict, Code.HEAD_MOVED):
        await t.apply("a@1", [{"op": "remove", "path": "/k"}])
    with fails(NotFound, Code.COMPONENT_NOT_FOUND):
        await t.apply("a#other", [])
    with fails(NotFound, Code.COMPONENT_NOT_FOUND):
        await t.apply("a", [], component="other")


async def test_repeated_with_its_key_it_is_one(t):
    await t.put("a", {"k": 1})
    apply = partial(t.apply, "a@1", [{"op": "remove", "path": "/k"}], idempotency_key="once")
    first, second = await apply(), await apply()
    assert (first.ref, second.ref, second.repeated) == ("a@2", "a@2", True)


TAKEN = [{"op": "test", "path": "/k", "value": 1}, {"op": "replace", "path": "/k", "value": 2}]


@pytest.mark.parametrize("patch", [TAKEN[1:], TAKEN], ids=["plain", "with a test"])
async def test_repeated_by_name_after_the_head_moved_it_is_one(t, patch):
    await t.put("a", {"k": 1})
    apply = partial(t.apply, "a", patch, idempotency_key="once")
    first, second = await apply(), await apply()
    await t.put("a", {"k": 9})
    third = await apply(by="another")  # who asks is no part of it
    assert [each.ref for each in (first, second, third)] == ["a@2"] * 3
    assert [each.repeated for each in (first, second, third)] == [False, True, True]
    unsaid = {"repeated": True, "new_bytes": 0}
    assert second == third == first.model_copy(update=unsaid)
    assert len(await t.history("a")) == 3


async def test_a_repetition_needs_nothing_of_what_it_was_made_from(t):
    await t.put("a", {"k": 1})
    apply = partial(t.apply, "a", TAKEN, into="b", idempotency_key="once")
    await apply()
    await t.delete_artifact("b", by="me")
    await t.delete_artifact("a", by="me")
    assert ((await apply()).ref, (await apply()).repeated) == ("b@1", True)


@pytest.mark.parametrize(
    "other",
    [
        {"ref": "a@1"},
        {"patch": [{"op": "replace", "path": "/k", "value": 3}]},
        {"patch": [{"op": "replace", "path": "/k", "value": 2.0}]},
        {"component": "main"},
        {"into": "b"},
        {"title": "T"},
        {"labels": {"l": "1"}},
        {"labels": {}},
        {"metadata": {"m": 1}},
        {"on_same": "error"},
    ],
    ids=repr,
)
async def test_another_request_under_its_key_is_refused(t, other):
    await t.put("a", {"k": 1})
    asked = {"ref": "a", "patch": TAKEN[1:], "idempotency_key": "once"}
    await t.apply(**asked)
    with fails(Conflict, Code.IDEMPOTENCY_KEY_REUSED):
        await t.apply(**asked | other)
    assert len(await t.history("a")) == 2


async def test_its_key_is_no_other_verbs(t):
    await t.put("a", {"k": 1}, idempotency_key="put")
    await t.apply("a", TAKEN, idempotency_key="apply")
    async with t.transaction(idempotency_key="transaction") as tx:
        await tx.put("b", {"k": 1})
    for key in ("put", "transaction"):
        with fails(Conflict, Code.IDEMPOTENCY_KEY_REUSED):
            await t.apply("a", TAKEN, idempotency_key=key)
    with fails(Conflict, Code.IDEMPOTENCY_KEY_REUSED):
        await t.put("a", {"k": 2}, idempotency_key="apply")
    with fails(Conflict, Code.IDEMPOTENCY_KEY_REUSED):
        async with t.transaction(idempotency_key="apply") as tx:
            await tx.put("b", {"k": 2})
    assert (len(await t.history("a")), len(await t.history("b"))) == (2, 1)


async def test_what_was_refused_uses_up_no_key(t):
    await t.put("a", {"k": 9})
    for code in (Code.BAD_PATCH, Code.BAD_PATCH):
        with fails(Invalid, code):
            await t.apply("a", TAKEN, idempotency_key="once")
    await t.put("a", {"k": 1})
    stored = await t.apply("a", TAKEN, idempotency_key="once")
    assert (stored.ref, stored.repeated) == ("a@3", False)


async def test_a_patch_that_changed_nothing_is_repeated_as_that(t):
    await t.put("a", {"k": 1})
    apply = partial(t.apply, "a", [], idempotency_key="once")
    first = await apply()
    await t.put("a", {"k": 2})
    assert await apply() == first.model_copy(update={"repeated": True})
    assert (first.ref, first.reused) == ("a@1", True)


async def test_twins_at_the_same_time_are_one(t):
    await t.put("a", {"k": 1})
    twins = [t.apply("a", TAKEN, idempotency_key="once") for _ in range(8)]
    stored = await asyncio.gather(*twins)
    assert {each.ref for each in stored} == {"a@2"}
    assert [each.repeated for each in stored].count(False) == 1


@pytest.mark.parametrize("key", ["", "k" * 256, "a\0b", 1])
async def test_a_key_that_breaks_its_rule_is_refused(t, key):
    await t.put("a", {"k": 1})
    with fails(Invalid, Code.BAD_IDEMPOTENCY_KEY):
        await t.apply("a", TAKEN, idempotency_key=key)


async def test_what_is_no_json_is_no_patch_under_a_key_either(t):
    await t.put("a", {"k": 1})
    for key in (None, "once"):
        with fails(Invalid, Code.BAD_PATCH):
            await t.apply("a", [{"op": "add", "path": "/k", "value": {1, 2}}], idempotency_key=key)


async def test_a_twin_that_was_first_is_the_answer_to_what_it_was_in_the_way_of(t, monkeypatch):
    """It stores after this one has looked for the key, and before this one has looked at the version."""
    await t.put("a", {"k": 1})
    apply = partial(t.apply, "a", TAKEN, idempotency_key="once")
    look, waiting = applying.get, ["twin"]

    async def late(*args):
        if waiting:
            waiting.clear()
            await apply()
        return await look(*args)

    monkeypatch.setattr(applying, "get", late)
    stored = await apply()
    assert (stored.ref, stored.repeated, len(await t.history("a"))) == ("a@2", True, 2)
