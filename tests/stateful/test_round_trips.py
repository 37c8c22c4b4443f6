"""What goes in comes out: any bytes, any text, any JSON value, any legal name and description."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from casstore import AsyncStore, Components, Digest, limits
from casstore.testing import strategies as some

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tenant(databases, new_blobs):
    """`tenant(call)` runs `call` with a tenant of an open store."""
    with databases.fresh() as dsn, asyncio.Runner() as runner:
        store = AsyncStore(blobs=new_blobs(), catalog=dsn)
        runner.run(store.open())
        yield lambda call: runner.run(call(store.tenant()))
        runner.run(store.aclose())


@given(data=some.payloads())
@example(data=b"")
@example(data="")
@example(data="\x00\u2028\U0010ffff")
@example(data={"": [1e-320, -0.0, 2**200, 1.7976931348623157e308, "\x00"]})
@example(data=[[[[[]]]]])
@example(data=b"x" * (limits.CHUNK_BYTES + 1))
def test_any_payload(tenant, data):
    async def there_and_back(t):
        await t.put("a", data, on_same="new_version")
        artifact = await t.get("a")
        if isinstance(data, bytes):
            assert await artifact.bytes() == data
        elif isinstance(data, str):
            assert await artifact.text() == data
        else:
            assert identical(await artifact.json(), data)
        assert Digest.of(await artifact.bytes()) == artifact.component.digest

    tenant(there_and_back)


def identical(one, two) -> bool:
    """Equal, of the same types (1 is not 1.0 is not True), with keys in the same order and zeros of the same sign."""
    return repr(one) == repr(two)


@settings(max_examples=60)
@given(some.names(), some.types(), some.titles(), some.labels())
def test_any_name_and_description(tenant, name, kind, title, labels):
    async def there_and_back(t):
        alone = Digest.of(f"{name} {kind}".encode()).hex()  # no other example's name differs in case or type only
        mine = t._store.tenant(alone)
        made = await mine.put(name, b"x", type=kind, title=title, labels=labels, on_same="new_version")
        found = await mine.resolve(made.ref)
        assert (found.name, found.type, found.title, found.labels) == (name, kind, title, labels)
        (listed,) = await mine.list(name_prefix=name, label=labels)
        assert listed.id == made.id

    tenant(there_and_back)


@settings(max_examples=40)
@given(st.dictionaries(some.roles(), st.binary(max_size=20), min_size=1, max_size=5), some.aliases())
def test_any_components_and_alias(tenant, parts, alias):
    async def there_and_back(t):
        made = await t.put("composite", Components(parts), on_same="new_version")
        assert made.roles == tuple(sorted(parts))
        mine = f"composite@{made.number}"
        await t.alias(mine, alias)
        for role, data in parts.items():
            assert await (await t.get(f"composite@{alias}#{role}")).bytes() == data
        assert (await t.pointers("composite"))[0].pointer <= alias

    tenant(there_and_back)


@settings(max_examples=40)
@given(some.tenants(), some.tenants(), st.binary(max_size=10))
def test_any_two_tenants(tenant, one, two, data):
    async def there_and_back(t):
        first, second = t._store.tenant(one), t._store.tenant(two)
        made = await first.put("a", data, on_same="new_version")
        seen = {v.id for v in await second.where_used(made.digest, limit=1000)}
        assert (made.id in seen) == (one == two)

    tenant(there_and_back)


@settings(max_examples=40)
@given(st.lists(st.binary(max_size=100), max_size=8), st.integers(1, 60))
def test_any_stream_and_any_way_of_reading_it(tenant, chunks, size):
    async def stream():
        for chunk in chunks:
            yield chunk

    async def there_and_back(t):
        await t.put("a", stream(), on_same="new_version")
        async with await (await t.get("a")).open() as reader:
            pieces = []
            while piece := await reader.read(size):
                pieces.append(piece)
        assert b"".join(pieces) == b"".join(chunks)

    tenant(there_and_back)
