"""What put promises, through the public door."""

from __future__ import annotations

import asyncio
import io
import os
from pathlib import Path

import pytest

from casstore import Components, Conflict, Digest, Invalid, Part, limits
from casstore.errors import Code
from tests.operations.failing import fails


async def numbers(t, name):
    return [v.number for v in await t.history(name)]


# -- what comes back ----


async def test_the_first_version_is_number_one(t):
    version = await t.put("sop/login", b"x")
    assert (version.name, version.number, version.ref, version.reused) == ("sop/login", 1, "sop/login@1", False)
    assert version.id.version == 7


async def test_the_answer_is_what_resolve_says_later(t):
    put = await t.put("a", b"x", type="sop", title="Wie man sich anmeldet 🚪", labels={"team": "ä"})
    found = await t.resolve("a")
    assert found.model_dump() == put.model_dump(include=set(found.model_dump()))


async def test_numbers_count_up_without_gaps(t):
    for n in range(1, 6):
        assert (await t.put("a", b"%d" % n)).number == n
    assert await numbers(t, "a") == [5, 4, 3, 2, 1]


async def test_a_refused_put_takes_no_number(t):
    await t.put("a", b"1", type="sop")
    for bad in ({"expect": 7}, {"type": "other"}, {"on_same": "error"}):
        with pytest.raises(Conflict):
            await t.put("a", b"1", **bad)
    assert (await t.put("a", b"2")).number == 2


async def test_versions_are_strictly_later_than_those_before(t):
    made = [(await t.put("a", b"%d" % n)).created_at for n in range(5)]
    assert made == sorted(set(made))


async def test_new_bytes_are_those_this_tenant_did_not_have(t, other):
    await other.put("a", b"12345-shared")
    assert (await t.put("a", b"12345-shared")).new_bytes == 12, "another tenant's bytes are never told"
    assert (await t.put("b", b"12345-shared")).new_bytes == 0
    parts = Components(x=b"12345-shared", y=b"new!", z=b"new!")
    assert (await t.put("c", parts)).new_bytes == 4


# -- the data ----


async def stream(*chunks):
    for chunk in chunks:
        await asyncio.sleep(0)
        yield chunk


@pytest.mark.parametrize(
    ("data", "stored", "media_type"),
    [
        (b"\0\xff", b"\0\xff", "application/octet-stream"),
        (b"", b"", "application/octet-stream"),
        (bytearray(b"ab"), b"ab", "application/octet-stream"),
        (memoryview(b"abcd")[::2], b"ac", "application/octet-stream"),
        ("é🚀", "é🚀".encode(), "text/plain"),
        ({"b": 1, "a": [None, True, 1.5, "é"]}, '{"b":1,"a":[null,true,1.5,"é"]}'.encode(), "application/json"),
        ([], b"[]", "application/json"),
        (io.BytesIO(b"file"), b"file", "application/octet-stream"),
        (Part(b"<x/>", "text/xml"), b"<x/>", "text/xml"),
        (Part("t"), b"t", "text/plain"),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_kinds_of_data(t, data, stored, media_type):
    version = await t.put("a", data)
    (part,) = version.components
    assert (part.role, part.digest, part.size_bytes) == ("main", Digest.of(stored), len(stored))
    assert part.media_type == media_type
    assert await (await t.get("a")).bytes() == stored


async def test_a_stream_is_stored_whole(t):
    await t.put("a", stream(b"one ", b"", b"two"))
    assert await (await t.get("a")).text() == "one two"


async def test_a_file_is_stored_with_the_type_of_its_suffix(t, tmp_path):
    file = tmp_path / "Diagram.BPMN"
    file.write_bytes(b"<bpmn/>")
    assert (await t.put("a", file)).components[0].media_type == "application/bpmn+xml"
    with file.open("rb") as opened:
        assert (await t.put("b", opened)).components[0].digest == Digest.of(b"<bpmn/>")


async def test_the_media_type_can_be_said(t):
    assert (await t.put("a", "x", media_type="text/markdown; charset=utf-8")).components[0].media_type == (
        "text/markdown; charset=utf-8"
    )


async def test_components_are_kept_by_role_and_sorted(t):
    version = await t.put("a", Components({"z-1": b"1", "b": "two", "m": Part({"x": 1}, "application/x-m")}))
    assert [(c.role, c.media_type) for c in version.components] == [
        ("b", "text/plain"),
        ("m", "application/x-m"),
        ("z-1", "application/octet-stream"),
    ]
    assert version.size_bytes == 3 + 7 + 1
    assert version.roles == ("b", "m", "z-1")


async def test_the_order_components_are_given_in_does_not_matter(t):
    one = await t.put("a", Components(x=b"1", y=b"2"))
    assert (await t.put("a", Components(y=b"2", x=b"1"))).id == one.id


async def test_the_media_type_is_part_of_the_content(t):
    await t.put("a", b"x", media_type="text/plain")
    assert (await t.put("a", b"x", media_type="text/html")).number == 2


async def test_as_many_components_as_allowed(t):
    parts = Components({f"r{n}": b"%d" % (n % 7) for n in range(limits.COMPONENTS_MAX)})
    assert len((await t.put("a", parts)).components) == limits.COMPONENTS_MAX
    assert await (await t.get("a#r255")).bytes() == b"%d" % (255 % 7)


# -- bad arguments: nothing is stored ----


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"name": "a b"}, Code.BAD_NAME),
        ({"name": ""}, Code.BAD_NAME),
        ({"type": "SOP"}, Code.BAD_TYPE),
        ({"type": ""}, Code.BAD_TYPE),
        ({"title": "x" * 501}, Code.BAD_TITLE),
        ({"title": "\0"}, Code.BAD_TITLE),
        ({"labels": {"a b": "c"}}, Code.BAD_LABEL),
        ({"labels": {"a": 1}}, Code.BAD_LABEL),
        ({"expect": -1}, Code.BAD_ARGUMENT),
        ({"expect": True}, Code.BAD_ARGUMENT),
        ({"expect": 1.0}, Code.BAD_ARGUMENT),
        ({"expect": 2**31}, Code.BAD_ARGUMENT),
        ({"idempotency_key": ""}, Code.BAD_IDEMPOTENCY_KEY),
        ({"idempotency_key": "x" * 256}, Code.BAD_IDEMPOTENCY_KEY),
        ({"on_same": "REUSE"}, Code.BAD_ARGUMENT),
        ({"on_same": None}, Code.BAD_ARGUMENT),
        ({"media_type": "text"}, Code.BAD_MEDIA_TYPE),
        ({"media_type": "text/plain\n"}, Code.BAD_MEDIA_TYPE),
        ({"data": Part(b"", "no type")}, Code.BAD_MEDIA_TYPE),
        ({"data": Components()}, Code.BAD_COMPONENTS),
        ({"data": Components({f"r{n}": b"" for n in range(limits.COMPONENTS_MAX + 1)})}, Code.BAD_COMPONENTS),
        ({"data": Components({"Role": b""})}, Code.BAD_ROLE),
        ({"data": Components(a=b""), "media_type": "a/b"}, Code.BAD_ARGUMENT),
        ({"data": Part(b""), "media_type": "a/b"}, Code.BAD_ARGUMENT),
        ({"data": None}, Code.BAD_DATA),
        ({"data": 3}, Code.BAD_DATA),
        ({"data": (1, 2)}, Code.BAD_DATA),
        ({"data": io.StringIO("text")}, Code.BAD_DATA),
        ({"data": "\ud800"}, Code.BAD_TEXT),
        ({"data": {"a": float("nan")}}, Code.BAD_JSON),
        ({"data": {1: 2}}, Code.BAD_JSON),
        ({"data": ["\udfff"]}, Code.BAD_JSON),
        ({"data": {"a": b""}}, Code.BAD_JSON),
        ({"data": Path("/no/such/file")}, Code.UNREADABLE_SOURCE),
        ({"data": Path("/")}, Code.UNREADABLE_SOURCE),
    ],
    ids=lambda value: ascii(value).partition(" at 0x")[0][:40],
)
async def test_what_is_wrong_is_refused_and_nothing_is_stored(t, arguments, code):
    with fails(Invalid, code) as caught:
        await t.put(**({"name": "a", "data": b"x"} | arguments))
    assert caught.value.message
    assert (await t.usage()).artifacts == 0


async def test_a_stream_of_text_is_refused(t):
    with fails(Invalid, Code.BAD_DATA):
        await t.put("a", stream("text"))


async def test_what_a_broken_stream_raises_is_what_the_caller_gets(t):
    async def broken():
        yield b"some"
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await t.put("a", broken())
    assert (await t.usage()).versions == 0


async def test_the_most_of_everything_is_accepted(t):
    labels = {f"{n:02}" + "k" * 61: "🚀" * limits.LABEL_VALUE_MAX_CHARS for n in range(limits.LABELS_MAX)}
    version = await t.put(
        "/".join(["a" * 63] * 4),
        b"x",
        type="t" * 63,
        title="🚀" * limits.TITLE_MAX_CHARS,
        labels=labels,
        idempotency_key="🚀" * limits.IDEMPOTENCY_KEY_MAX_CHARS,
    )
    found = await t.resolve(version.ref)
    assert (found.labels, found.title) == (labels, "🚀" * limits.TITLE_MAX_CHARS)


# -- the same content again ----


async def test_the_same_content_again_is_the_same_version(t):
    first = await t.put("a", b"x", title="T", labels={"k": "v"})
    again = await t.put("a", b"x")
    assert (again.id, again.number, again.reused, again.new_bytes) == (first.id, 1, True, 0)
    assert (again.title, again.labels) == ("T", {"k": "v"}), "None is no opinion"
    assert await numbers(t, "a") == [1]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"title": "T"}),
        ({"title": "T"}, {"title": "U"}),
        ({"title": "T"}, {"title": ""}),
        ({}, {"labels": {"k": "v"}}),
        ({"labels": {"k": "v"}}, {"labels": {"k": "w"}}),
        ({"labels": {"k": "v"}}, {"labels": {}}),
        ({"labels": {"k": "v"}}, {"labels": {"k": "v", "l": "w"}}),
        ({"labels": {"k": "v", "l": "w"}}, {"labels": {"k": "v"}}),
    ],
    ids=repr,
)
@pytest.mark.parametrize("on_same", ["reuse", "error"])
async def test_the_same_content_with_another_title_or_labels_is_a_new_version(t, before, after, on_same):
    await t.put("a", b"x", **before)
    version = await t.put("a", b"x", on_same=on_same, **after)
    assert (version.number, version.reused) == (2, False)
    assert (version.title, version.labels) == (after.get("title"), after.get("labels", {}))
    assert (await t.resolve("a@1")).labels == before.get("labels", {})


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"title": "T"}, {"title": "T"}),
        ({"title": ""}, {"title": ""}),
        ({"labels": {"k": "v", "l": "w"}}, {"labels": {"l": "w", "k": "v"}}),
        ({}, {"labels": {}}),
        ({"labels": {}}, {}),
        ({"type": "sop"}, {"type": "sop"}),
    ],
    ids=repr,
)
async def test_the_same_title_and_labels_are_the_same(t, before, after):
    await t.put("a", b"x", **before)
    assert (await t.put("a", b"x", **after)).reused


async def test_only_the_head_counts_as_the_same(t):
    await t.put("a", b"x")
    await t.put("a", b"y")
    assert (await t.put("a", b"x")).number == 3


async def test_the_same_content_under_another_name_is_another_artifact(t):
    assert (await t.put("a", b"x")).id != (await t.put("b", b"x")).id


async def test_on_same_new_version_makes_one(t):
    await t.put("a", b"x")
    version = await t.put("a", b"x", on_same="new_version")
    assert (version.number, version.reused, version.new_bytes) == (2, False, 0)


async def test_on_same_error_refuses(t):
    await t.put("a", b"x", on_same="error")
    with fails(Conflict, Code.SAME_CONTENT) as caught:
        await t.put("a", b"x", on_same="error")
    assert caught.value.fields["number"] == 1
    assert await numbers(t, "a") == [1]


# -- expect, type, case ----


async def test_expect_zero_means_not_yet(t):
    assert (await t.put("a", b"x", expect=0)).number == 1
    with fails(Conflict, Code.HEAD_MOVED) as caught:
        await t.put("a", b"y", expect=0)
    assert (caught.value.fields["expected"], caught.value.fields["actual"]) == (0, 1)


async def test_expect_the_head(t):
    await t.put("a", b"1")
    assert (await t.put("a", b"2", expect=1)).number == 2
    for wrong in (0, 1, 3, limits.VERSION_MAX):
        with fails(Conflict, Code.HEAD_MOVED):
            await t.put("a", b"3", expect=wrong)
    assert await numbers(t, "a") == [2, 1]


async def test_expect_of_a_name_that_does_not_exist(t):
    with fails(Conflict, Code.HEAD_MOVED) as caught:
        await t.put("a", b"1", expect=3)
    assert caught.value.fields["actual"] == 0


async def test_expect_is_checked_even_when_the_content_is_the_same(t):
    await t.put("a", b"1")
    with fails(Conflict, Code.HEAD_MOVED):
        await t.put("a", b"1", expect=0)
    assert (await t.put("a", b"1", expect=1)).reused


async def test_a_refused_put_uploads_nothing(t, store):
    await t.put("a", b"1", type="sop")
    for bad in ({"expect": 9}, {"type": "x"}, {"name": "A"}):
        with pytest.raises(Conflict):
            await t.put(**({"name": "a", "data": b"never uploaded"} | bad))
    assert await store._blobs.stat(Digest.of(b"never uploaded")) is None


async def test_of_puts_that_expect_the_same_head_one_wins(t):
    await t.put("a", b"0")
    results = await asyncio.gather(*(t.put("a", b"w%d" % n, expect=1) for n in range(8)), return_exceptions=True)
    assert sorted(type(r).__name__ for r in results) == ["Conflict"] * 7 + ["Stored"]
    assert await numbers(t, "a") == [2, 1]


async def test_the_first_version_decides_the_type(t):
    assert (await t.put("a", b"1", type="sop")).type == "sop"
    assert (await t.put("a", b"2")).type == "sop"
    assert (await t.put("b", b"1")).type == "document"
    with fails(Conflict, Code.TYPE_MISMATCH) as caught:
        await t.put("a", b"3", type="document")
    assert caught.value.fields["existing"] == "sop"


async def test_names_that_differ_in_case_only_are_refused(t):
    await t.put("SOP/Login", b"1")
    with fails(Conflict, Code.NAME_CASE) as caught:
        await t.put("sop/login", b"2")
    assert caught.value.fields["existing"] == "SOP/Login"
    assert (await t.usage()).artifacts == 1


async def test_case_conflicts_end_at_the_tenant(t, other):
    await t.put("A", b"1")
    assert (await other.put("a", b"1")).name == "a"


async def test_names_that_only_look_alike_to_a_pattern_are_different(t):
    for name in ("a.b", "a-b", "a_b", "a/b", "axb", "ab"):
        assert (await t.put(name, b"x")).number == 1


async def test_a_file_that_changes_between_hashing_and_copying_is_refused(t, tmp_path, monkeypatch):
    from casstore.staging import Staged

    file = tmp_path / "f"
    file.write_bytes(b"before")
    opened = Staged.open

    def changed(self):
        file.write_bytes(b"after!")
        return opened(self)

    monkeypatch.setattr(Staged, "open", changed)
    with fails(Invalid, Code.SOURCE_CHANGED):
        await t.put("a", file)
    assert (await t.usage()).versions == 0
    monkeypatch.undo()
    assert (await t.put("a", file)).number == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
async def test_a_file_nobody_may_read(t, tmp_path):
    file = tmp_path / "f"
    file.write_bytes(b"x")
    file.chmod(0)
    with fails(Invalid, Code.UNREADABLE_SOURCE):
        await t.put("a", file)


# -- many at once ----------------------------------------------------------------------------------------------------------


async def test_puts_that_travel_together_have_each_its_own_outcome(t):
    await t.put("doc/a", b"one")
    outcomes = await asyncio.gather(
        t.put("doc/a", b"two", expect=7),
        t.put("doc/A", b"two"),
        t.put("doc/b", b"one", idempotency_key="k"),
        t.put("doc/a", b"one", on_same="error"),
        t.put("doc/c", b"three", type="sop"),
        t.put("doc/b", b"one", idempotency_key="k"),
        return_exceptions=True,
    )
    assert [getattr(outcome, "code", None) for outcome in outcomes] == [
        "head_moved", "name_case", None, "same_content", None, None,
    ]  # fmt: skip
    first, again = outcomes[2], outcomes[5]
    assert (first.id, first.repeated, again.repeated) == (again.id, False, True)
    assert {version.name: version.number for version in (await t.list()).items} == {"doc/a": 1, "doc/b": 1, "doc/c": 1}


async def test_a_put_that_is_given_up_does_not_disturb_those_it_travels_with(t):
    puts = [asyncio.create_task(t.put(f"doc/{n}", b"data %d" % n)) for n in range(8)]
    await asyncio.sleep(0)
    puts[0].cancel()
    puts[5].cancel()
    outcomes = await asyncio.gather(*puts, return_exceptions=True)
    assert [type(outcome).__name__ for outcome in outcomes].count("CancelledError") == 2
    for n in set(range(8)) - {0, 5}:
        assert await (await t.get(f"doc/{n}@1")).bytes() == b"data %d" % n
