"""Whatever tenants of whatever domains do, in whatever order and at once: what is shared, and what comes back."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from casstore import AsyncStore, Components
from casstore.testing.audit import audit
from tests.domains.conftest import KEYS, Counting
from tests.support.halves import StoreUrls

DOMAINS = {"plain1": None, "plain2": None, "e1": "east", "e2": "east", "w1": "west"}
CONTENTS = st.sampled_from([b"", b"a", b"b", b"a" * 100_000])
PUTS = st.tuples(
    st.sampled_from(sorted(DOMAINS)),
    st.sampled_from(["x", "y"]),
    st.dictionaries(st.sampled_from("pq"), CONTENTS, min_size=1),
)
ROUNDS = st.lists(st.lists(PUTS, min_size=1, max_size=4), max_size=6)  # those of a round at once


async def act(store, counting, rounds):
    known = {}  # what was put: the digest by domain and content
    versions = []
    for puts in rounds:
        fresh = {(DOMAINS[tenant], data) for tenant, _, parts in puts for data in parts.values()} - known.keys()
        counting.uploads.clear()
        made = await asyncio.gather(
            *(store.tenant(tenant).put(name, Components(parts), on_same="new_version") for tenant, name, parts in puts)
        )
        for (tenant, _, parts), stored in zip(puts, made, strict=True):
            versions.append((tenant, stored.ref, parts))
            for component in stored.components:
                key = DOMAINS[tenant], parts[component.role]
                assert known.setdefault(key, component.digest) == component.digest
        # Uploaded is what the domain has not got, however often another one has it: no put shows what others have.
        assert set(counting.uploads) == {known[key] for key in fresh}
    assert len(set(known.values())) == len(known)
    return versions


async def check(store, versions):
    for tenant, ref, parts in versions:
        artifact = await store.tenant(tenant).get(ref)
        for role, data in parts.items():
            assert await artifact[role].bytes() == data
    assert await audit(store) == []
    assert [each async for each in store.fsck()] == []


@settings(max_examples=10, deadline=None)
@given(rounds=ROUNDS)
def test_domains_share_nothing_and_everything_comes_back(databases, new_blobs, rounds):
    async def main(urls):
        async with AsyncStore(blobs=urls.blobs, catalog=urls.catalog, domains=KEYS) as store:
            for tenant, domain in DOMAINS.items():
                if domain:
                    await store.set_domain(tenant, domain, by="ops")
            await check(store, await act(store, Counting(store), rounds))

    with databases.fresh() as dsn:
        asyncio.run(main(StoreUrls(new_blobs(), dsn)))
