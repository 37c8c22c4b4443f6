"""Metadata: a JSON object comes back as it was given, counts as part of what was asked, and is refused where it cannot be kept."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings

from casstore import Components, Conflict, Invalid, limits
from casstore.errors import Code
from casstore.testing.strategies import metadata
from tests.operations.failing import fails


def canonical(value):
    """Two of these are equal if the JSON values are as JSONB: keys in any order, numbers by their value, true is no number."""
    match value:
        case dict():
            return {key: canonical(inner) for key, inner in value.items()}
        case list():
            return [canonical(inner) for inner in value]
        case bool() | str() | None:
            return type(value).__name__, value
    return "number", Decimal(repr(value))


def nested(levels, value=1):
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.slow
@settings(max_examples=60)
@given(given_one=metadata())
def test_metadata_comes_back_and_is_found_by(bench, given_one):
    async def law():
        t = bench.tenant()
        made = await t.put("a", b"1", metadata=given_one)
        assert canonical(made.metadata) == canonical(given_one)
        for read in (await t.resolve("a"), (await t.history("a")).items[0], await t.resolve(f"id:{made.id}")):
            assert read.metadata == made.metadata
        assert [v.id for v in await t.list(metadata=given_one)] == [made.id]
        again = await t.put("a", b"1", metadata=dict(reversed(given_one.items())))
        assert (again.id, again.reused, again.metadata) == (made.id, True, made.metadata)

    bench.run(law())


def test_the_empty_object_is_none(bench):
    async def law():
        t = bench.tenant()
        await t.put("a", b"1")
        assert (await t.put("a", b"1", metadata={})).reused
        assert [v.ref for v in await t.list(metadata={})] == ["a@1"]

    bench.run(law())


HEAD = {"k": 1, "n": {"x": [True, None], "y": "z"}}


@pytest.mark.parametrize(
    ("asked", "is_reused"),
    [
        (None, True),
        (HEAD, True),
        ({"n": {"y": "z", "x": [True, None]}, "k": 1.0}, True),
        ({}, False),
        ({"k": 1}, False),
        (HEAD | {"more": None}, False),
        (HEAD | {"k": True}, False),
        (HEAD | {"k": "1"}, False),
        (HEAD | {"n": {"x": [None, True], "y": "z"}}, False),
    ],
    ids=repr,
)
async def test_a_version_is_reused_only_with_the_same_metadata(t, asked, is_reused):
    first = await t.put("a", b"1", metadata=HEAD)
    second = await t.put("a", b"1", metadata=asked)
    assert (second.reused, second.number) == (is_reused, 1 if is_reused else 2)
    assert second.metadata == (first.metadata if is_reused else asked)
    async with t.transaction() as tx:
        again = await tx.put("a", b"1", metadata=asked)
    assert (again.stored.reused, again.stored.id) == (True, second.id)
    with fails(Conflict, Code.SAME_CONTENT):
        await t.put("a", b"1", metadata=asked, on_same="error")


async def test_a_version_of_a_transaction_is_reused_by_the_next_one_of_it(t):
    async with t.transaction() as tx:
        puts = [await tx.put("a", b"1", metadata=each) for each in (None, {"k": 1}, {"k": 1}, None, {"k": 2}, {})]
    assert [each.stored.number for each in puts] == [1, 2, 2, 2, 3, 4]
    assert [each.stored.metadata for each in puts] == [{}, {"k": 1}, {"k": 1}, {"k": 1}, {"k": 2}, {}]


async def test_a_key_stands_for_the_metadata_too(t):
    async def put(asked):
        return await t.put("a", b"1", metadata=asked, idempotency_key="k", on_same="new_version")

    first = await put({"k": 1, "n": {"a": 1, "b": 2}})
    assert (await put({"n": {"b": 2, "a": 1}, "k": 1})).id == first.id, "the order of keys is nobody's opinion"
    for other in ({"k": 2, "n": {"a": 1, "b": 2}}, {}, None):
        with fails(Conflict, Code.IDEMPOTENCY_KEY_REUSED):
            await put(other)


async def test_a_key_of_a_transaction_stands_for_the_metadata_too(t):
    async def run(asked):
        async with t.transaction(idempotency_key="k") as tx:
            put = await tx.put("a", Components(x=b"1"), metadata=asked)
        return put.stored

    assert (await run({"k": 1})).id == (await run({"k": 1})).id
    with fails(Conflict, Code.IDEMPOTENCY_KEY_REUSED):
        await run({"k": 2})


# -- what is refused -------------------------------------------------------------------------------------------------------

FULL = limits.METADATA_MAX_BYTES - len('{"a":""}')
CIRCLE: dict[str, object] = {}
CIRCLE["a"] = CIRCLE

HOSTILE = {
    "a list": [1],
    "an empty list": [],
    "text": "{}",
    "NUL in a value": {"a": "x\0"},
    "NUL after a backslash": {"a": "\\\0"},
    "NUL in a key": {"a": {"\0": 1}},
    "NUL in a list": {"a": [["\0"]]},
    "a lone surrogate": {"a": "\ud800"},
    "a lone surrogate as a key": {"\udfff": 1},
    "NaN": {"a": float("nan")},
    "infinity": {"a": [-float("inf")]},
    "too deep": nested(limits.JSON_MAX_DEPTH + 1),
    "a circle": CIRCLE,
    "a digit too many": {"a": 10**4300},
    "a byte too many": {"a": "x" * (FULL + 1)},
    "too many bytes in few characters": {"a": "🚀" * (FULL // 4 + 1)},
    "a number as a key": {1: 1},
    "None as a key": {"a": {None: 1}},
    "bytes": {"a": b"x"},
    "a tuple": {"a": (1,)},
    "a set": {"a": {1}},
    "a decimal": {"a": Decimal(1)},
}


@pytest.mark.parametrize("asked", HOSTILE.values(), ids=HOSTILE)
async def test_what_cannot_be_kept_is_refused_and_nothing_is_stored(t, asked):
    async def of_a_transaction():
        async with t.transaction() as tx:
            await tx.put("a", b"1", metadata=asked)

    for call in (t.put("a", b"1", metadata=asked), of_a_transaction(), t.list(metadata=asked)):
        with fails(Invalid, Code.BAD_METADATA) as caught:
            await call
        assert caught.value.message.startswith("the metadata is refused: ")
        assert "refused: it the" not in caught.value.message
    assert list(await t.list()) == []


ODD = {
    "no NUL": {"a": "\\u0000", "b": "\\\\u0000"},
    "deep": nested(limits.JSON_MAX_DEPTH),
    "the longest number": {"a": -(10**4299)},
    "full": {"a": "x" * FULL},
    "full of 4-byte characters": {"a": "🚀" * (FULL // 4)},
    "as many numbers as fit": {"a": [1] * ((limits.METADATA_MAX_BYTES - 8) // 2)},
    "as many keys as fit": {f"{n:x}": {} for n in range(3_500)},
    "the largest and least floats": {"a": [1.7976931348623157e308, 5e-324, -0.0]},
    "odd keys": {"": 1, " ": 2, "constructor": 3, "\uffff": 4, "é": 5, "e\u0301": 6, '"': 7, "$.a": 8},
}


@pytest.mark.parametrize("asked", ODD.values(), ids=ODD)
async def test_what_is_odd_is_kept(t, asked):
    made = await t.put("a", b"1", metadata=asked)
    assert canonical(made.metadata) == canonical(asked)
    assert (await t.put("a", b"1", metadata=asked)).reused
    assert canonical((await t.resolve("a")).metadata) == canonical(asked)
    assert [v.ref for v in await t.list(metadata=asked)] == ["a@1"]
