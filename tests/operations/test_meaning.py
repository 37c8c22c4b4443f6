"""Semantic digests: what versions mean is known from the day they are put, so nothing is opened to tell, or to be reused."""

from __future__ import annotations

import asyncio
import json
import random
from itertools import pairwise, product
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from casstore import Components, Part, Source, limits
from casstore.formats.meanings import depth_between
from casstore.operations.describing import components_of
from casstore.staging import Part as StagedPart
from casstore.staging import stage
from tests.operations.test_diffing import watch
from tests.unit.json_values import VALUES
from tests.unit.png_maker import ways, written

JSON, MARKDOWN, BPMN, PNG = "application/json", "text/markdown", "application/bpmn+xml", "image/png"
HEAD = '<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:di="http://www.omg.org/spec/BPMN/20100524/DI"'
SPACES = ' xmlns:dc="http://www.omg.org/spec/DD/20100524/DC"'


def model(name: str, x: int, space: str = "") -> bytes:
    shape = f'<di:BPMNShape bpmnElement="t"><dc:Bounds x="{x}" y="1" width="2" height="2"/></di:BPMNShape>'
    drawing = f"<di:BPMNDiagram><di:BPMNPlane>{shape}</di:BPMNPlane></di:BPMNDiagram>"
    return (
        f'{HEAD}{SPACES}><process id="p">{space}<task id="t" name="{name}"/></process>{drawing}</definitions>'.encode()
    )


def picture(way: int) -> bytes:
    rows = [[(255, 0, 0, 255)] * 3] * 2
    return written(rows, ways(rows)[way], random.Random(way))


def spelt(value, chance: random.Random) -> bytes:
    """The value, its keys in some order, with some white space, and characters escaped or not."""

    def shuffled(value):
        if isinstance(value, dict):
            return {key: shuffled(value[key]) for key in chance.sample(list(value), len(value))}
        return [shuffled(each) for each in value] if isinstance(value, list) else value

    text = json.dumps(shuffled(value), indent=chance.choice([None, 0, 2, "\t"]), ensure_ascii=chance.random() < 0.5)
    return text.encode() + b"\n" * chance.randint(0, 2)


class Known(NamedTuple):
    """A content, and what a person says that it means; None: nobody can say, but for its bytes."""

    data: bytes
    media_type: str
    meaning: str | None
    layout: str | None = None


POOL = (
    Known(b'{"a":1,"b":[2.0]}', JSON, "json"),
    Known(b'{ "b": [2.00], "a": 1 }\n', JSON, "json"),
    Known(b'{"a":1.0,"b":[2.0]}', JSON, "json of a float"),
    Known(b'{"a":1,"a":1}', JSON, None),
    Known(b'{"a":1,"a": 1}', JSON, None),
    Known(b'{"a":', JSON, None),
    Known(b"[\xff", JSON, None),
    Known(b"one\ntwo\n", "text/plain", "text"),
    Known(b"one \ntwo", "text/plain", "text"),
    Known(b"one\n two", "text/plain", "text, indented"),
    Known(b"one\ntwo\n", MARKDOWN, "markdown"),
    Known(b"one  \ntwo\n", MARKDOWN, "markdown with a break"),
    Known(b"\xff\xfe", "text/plain", None),
    Known(model("Pay", 1), BPMN, "model", "here"),
    Known(model("Pay", 1, "\n "), BPMN, "model", "here"),
    Known(model("Pay", 9), BPMN, "model", "there"),
    Known(model("Play", 1), BPMN, "other model", "here"),
    Known(b"<definitions", BPMN, None),
    Known(picture(0), PNG, "picture"),
    Known(picture(1), PNG, "picture"),
    Known(picture(0)[:-20], PNG, None),
    Known(b"one\ntwo\n", "application/octet-stream", None),
    Known(b"one \ntwo", "application/octet-stream", None),
    Known(b"", "text/plain", "no text"),
)
some_content = st.sampled_from(POOL)
some_parts = st.dictionaries(st.sampled_from(["a", "b"]), some_content, min_size=1, max_size=2)


def as_data(parts: dict[str, Known]) -> Components:
    return Components({role: Part(each.data, each.media_type) for role, each in parts.items()})


def is_same(one: dict[str, Known], other: dict[str, Known]) -> bool:
    """What a person says: each part means what the other of its role does, or has its bytes."""
    if one.keys() != other.keys():
        return False
    pairs = [(one[role], other[role]) for role in one]
    types = all(a.media_type == b.media_type for a, b in pairs)
    return types and all(a.data == b.data or (a.meaning and a.meaning == b.meaning) for a, b in pairs)


# -- on_same="semantic" ----------------------------------------------------------------------------------------------------


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(value=VALUES, seed=st.integers(0, 2**32))
def test_a_json_value_is_stored_once_however_it_is_spelt(bench, value, seed):
    """Round trip and idempotence: what was stored first stays, and says how the other differs."""
    chance = random.Random(seed)
    texts = [spelt(value, chance) for _ in range(3)]

    async def law():
        t = bench.tenant()
        first = await t.put("a", Part(texts[0], JSON))
        for text in texts[1:] * 2:
            again = await t.put("a", Part(text, JSON), on_same="semantic")
            assert (again.id, again.reused, again.components) == (first.id, True, first.components)
            assert again.differs == ("same" if text == texts[0] else "formatting")
            assert again.digest == first.digest
        assert await (await t.get("a")).bytes() == texts[0]
        assert [version.ref for version in await t.history("a")] == ["a@1"]

    bench.run(law())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(puts=st.lists(some_parts, min_size=1, max_size=6), how=st.sampled_from(["one by one", "at once", "as one"]))
def test_a_version_is_reused_if_and_only_if_each_part_means_the_same(bench, puts, how):
    async def law():
        t = bench.tenant()
        made = await put_all(t, puts, how)
        assert sorted({each.number for each in made}) == list(range(1, max(each.number for each in made) + 1))
        contents = {each.number: parts for each, parts in zip(made, puts, strict=True) if not each.reused}
        for each, parts in zip(made, puts, strict=True):
            assert is_same(contents[each.number], parts)  # never one that is really different
            stored = {part.role: part.digest for part in each.components}
            assert stored == {part.role: part.digest for part in (await t.resolve(each.ref)).components}
            assert each.digest == (await t.resolve(each.ref)).digest
        for number in contents.keys() - {1}:
            assert not is_same(contents[number - 1], contents[number])  # and whenever it can be
        again = [await t.put("a", as_data(contents[max(contents)]), on_same="semantic") for _ in range(2)]
        assert [(each.number, each.differs) for each in again] == [(max(contents), "same")] * 2

    bench.run(law())


async def put_all(t, puts, how):
    if how == "one by one":
        return [await t.put("a", as_data(parts), on_same="semantic") for parts in puts]
    if how == "at once":
        calls = [t.put("a", as_data(parts), on_same="semantic") for parts in puts]
        return list(await asyncio.gather(*calls))
    async with t.transaction() as tx:
        pending = [await tx.put("a", as_data(parts), on_same="semantic") for parts in puts]
    return [each.stored for each in pending]


async def test_of_each_pair_the_later_is_reused_if_it_means_the_same(t):
    pairs = list(product(POOL, POOL))
    await asyncio.gather(*(t.put(f"n{n}", Part(a.data, a.media_type)) for n, (a, _) in enumerate(pairs)))
    later = [t.put(f"n{n}", Part(b.data, b.media_type), on_same="semantic") for n, (_, b) in enumerate(pairs)]
    for (a, b), stored in zip(pairs, await asyncio.gather(*later), strict=True):
        assert stored.reused == is_same({"a": a}, {"a": b}), (a, b)


async def test_puts_of_one_call_meet_each_other(t):
    async with t.transaction() as tx:
        made = [await tx.put("a", as_data({"p": POOL[place]}), on_same="semantic") for place in (0, 1, 2, 1)]
    assert [each.stored.number for each in made] == [1, 1, 2, 3]
    await t.put("other", as_data({"p": POOL[0], "q": POOL[1]}))  # all bytes are there: the puts below travel together
    puts = [t.put("b", as_data({"p": POOL[place % 2]}), on_same="semantic") for place in range(20)]
    assert {each.number for each in await asyncio.gather(*puts)} == {1}


async def test_the_depth_of_what_was_put_is_told(t):
    first = {"a": POOL[13], "b": POOL[0]}
    await t.put("a", as_data(first))
    expected = [
        ({"a": POOL[14], "b": POOL[0]}, "formatting"),
        ({"a": POOL[15], "b": POOL[1]}, "layout"),
        ({"a": POOL[13], "b": POOL[1]}, "formatting"),
        (first, "same"),
    ]
    for place, (parts, depth) in enumerate(expected):
        stored = await t.put("a", as_data(parts), on_same="semantic", idempotency_key=f"k{place}")
        assert (stored.number, stored.differs, stored.repeated) == (1, depth, False)
        again = await t.put("a", as_data(parts), on_same="semantic", idempotency_key=f"k{place}")
        assert (again.id, again.differs, again.components) == (stored.id, depth, stored.components)
    assert (await t.put("a", as_data({"a": POOL[15], "b": POOL[0]}))).number == 2  # who reuses equal bytes only
    assert (await t.put("a", as_data(first), on_same="new_version")).number == 3


async def test_a_repeated_answer_is_honest_about_what_was_purged(t):
    await t.put("a", {"n": 1})
    text = Part(b'{ "n": 1 }', JSON)
    await t.put("a", text, on_same="semantic", idempotency_key="k")
    await t.put("a", {"n": 2})
    await t.delete("a@1", by="me")
    await t.purge("a@1", by="me", reason="for good")
    again = await t.put("a", text, on_same="semantic", idempotency_key="k")
    assert (again.number, again.components, again.differs) == (1, (), None)


async def test_other_words_make_another_version(t):
    source = await t.put("source", "x")
    await t.put("a", {"n": 1}, title="one")
    text = Part(b'{ "n": 1 }', JSON)
    assert (await t.put("a", text, on_same="semantic")).number == 1
    assert (await t.put("a", text, on_same="semantic", title="one")).number == 1
    assert (await t.put("a", text, on_same="semantic", title="two")).number == 2
    assert (await t.put("a", {"n": 1}, on_same="semantic", sources=[Source(source, "from")])).number == 3


async def test_only_the_newest_is_looked_at(t):
    for value in (1, 2):
        await t.put("a", {"n": value})
    assert (await t.put("a", Part(b'{ "n": 1 }', JSON), on_same="semantic")).number == 3


async def test_what_is_reused_is_not_uploaded(t, store):
    await t.put("a", {"n": "kept"})
    kept = store._blobs
    sent = []

    class Watching:
        def __getattr__(self, name):
            return getattr(kept, name)

        async def put(self, staged, **more):
            sent.append(staged.size_bytes)
            return await kept.put(staged, **more)

    store._blobs = Watching()
    t = store.tenant(t.name)
    assert (await t.put("a", Part(b'{ "n": "kept" }', JSON), on_same="semantic")).reused
    assert sent == []
    assert not (await t.put("a", Part(b'{ "n": "sent" }', JSON), on_same="semantic")).reused
    assert sent == [15]


async def test_what_a_transaction_uploaded_in_vain_is_the_collectors(t, bench):
    await t.put("a", {"n": "in vain"})
    text = b'{ "n": "in vain" }'
    async with t.transaction() as tx:
        await tx.put("a", Part(text, JSON), on_same="semantic")
    (rows,) = await store_rows(
        bench, "select count(*) from casstore.dereferenced where digest = %s", await t.digest_of(text)
    )
    assert rows == (1,)


async def store_rows(bench, statement, *arguments):
    return await bench.store._catalog.call(statement, tuple(bytes(each) for each in arguments))


# -- what is known of a version --------------------------------------------------------------------------------------------


async def test_digests_are_equal_where_a_person_says_so(t):
    made = [(known, (await t.put(f"n{place}", Part(known.data, known.media_type)))) for place, known in enumerate(POOL)]
    for (one, a), (other, b) in product(made, made):
        parts = a.components[0], b.components[0]
        meanings = [part.meaning or part.pixels for part in parts]
        assert [bool(each) for each in meanings] == [bool(one.meaning), bool(other.meaning)]
        if one.meaning and other.meaning:
            assert (meanings[0] == meanings[1]) == (one.meaning == other.meaning)
            assert (parts[0].layout == parts[1].layout) == (
                (one.meaning, one.layout) == (other.meaning, other.layout)
            ) or not (one.layout or other.layout)
    for known, version in made:
        assert (await t.resolve(version.ref)).components == version.components
        assert await (await t.get(version.ref)).bytes() == known.data


async def test_what_digests_tell_a_comparison_tells_too(t, store):
    """And nothing is opened for it."""
    for place, known in enumerate(POOL):
        await t.put(f"n{place}", Part(known.data, known.media_type))
    blobs = watch(store)
    versions = [await t.resolve(f"n{place}") for place in range(len(POOL))]
    told = {(a.name, b.name): depth_between(a, b) for a, b in product(versions, versions)}
    assert blobs.opened == []
    assert {"same", "encoding", "formatting", "layout", "meaning", None} == set(told.values())
    for (a, b), depth in told.items():
        if depth is not None:
            assert (await t.diff(a, b)).depth == depth, (a, b)


async def test_a_history_is_told_from_its_rows(t, store):
    contents = [POOL[13], POOL[14], POOL[15], POOL[15], POOL[16]]
    for known in contents:
        await t.put("a", Part(known.data, known.media_type), on_same="new_version")
    blobs = watch(store)
    newest = (await t.history("a")).items
    depths = [depth_between(before, after) for after, before in pairwise(newest)]
    assert depths == ["meaning", "same", "layout", "formatting"]
    assert blobs.opened == []


async def test_parts_that_come_and_go_are_a_change_of_meaning(t):
    one = await t.put("a", Components(p="x", q="y"))
    two = await t.put("a", Components(p="x"))
    three = await t.put("a", Components(r="x"))
    four = await t.put("a", Components(r=b"x"))
    five = await t.put("a", Components(r=b"x "))
    depths = [depth_between(*pair) for pair in ((one, two), (two, three), (three, four), (four, five), (one, one))]
    assert depths == ["meaning", "meaning", "encoding", None, "same"]


async def test_a_large_content_has_no_meaning_and_is_stored(t, monkeypatch):
    monkeypatch.setattr(limits, "MEANING_MAX_BYTES", 10)
    at, above = await t.put("at", "x" * 10), await t.put("above", "x" * 11)
    assert at.components[0].meaning
    assert above.components[0].meaning is None
    assert (await t.put("above", "x" * 11 + " ", on_same="semantic")).number == 2


async def test_bytes_that_changed_since_they_were_hashed_have_none(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b"[1]")
    staged = await stage(Components(p=path, q=StagedPart(b"[1]", JSON)))
    path.write_bytes(b"[2]")
    found = await components_of(staged)
    assert found["p"].meaning is None
    assert found["q"].meaning


@pytest.mark.parametrize("how", ["put", "transaction"])
async def test_plain_bytes_are_not_looked_into(t, monkeypatch, how):
    def looked(*_):
        raise AssertionError

    monkeypatch.setattr("casstore.operations.describing.meaning_of", looked)
    if how == "put":
        await t.put("a", Components(p=b"{}", q=Part(b"PK", "application/zip")))
        return
    async with t.transaction() as tx:
        await tx.put("a", b"{}")
