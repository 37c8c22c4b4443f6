"""Whatever is done, by whomever and at the same time, and whenever it is exported: a rebuild brings all of it back."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from casstore import AsyncStore, CasstoreError, Components, Part, limits
from casstore.testing import strategies
from casstore.testing.audit import audit
from tests.journal.histories import TENANTS, read_all

NAMES = ("a", "b/c")
REFS = [f"{name}@{number}" for name in NAMES for number in (1, 2, 3)]
POINTERS = ("prod", "next")

some_tenant = st.sampled_from(TENANTS)
some_name = st.sampled_from(NAMES)
some_ref = st.sampled_from([*REFS, *NAMES])
some_data = (
    st.sampled_from([b"x", b"y", b"z", b"", "x", "x ", [1], Part(b"[ 1 ]", "application/json")]) | strategies.payloads()
)
some_target = st.sampled_from([*REFS, *NAMES, None])
some_rules = st.sampled_from([[{"name": "all", "keep": {}}], [{"name": "last", "keep": {"last": 1}}], []])
some_instant = st.sampled_from(
    [None, datetime(2020, 1, 1, tzinfo=UTC), datetime(2300, 1, 1, 0, 0, 0, 123457, tzinfo=UTC)]
)
some_hold = st.sampled_from(["h", "i"])
some_key = st.sampled_from([None, None, "k1", "k2"])
some_put = st.fixed_dictionaries(
    {"name": some_name, "data": some_data | st.builds(Components, p=some_data, q=some_data)},
    optional={
        "title": strategies.titles(),
        "labels": strategies.labels(),
        "metadata": st.dictionaries(
            st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=3),
            strategies.json_values(),
            max_size=2,
        ),
        "sources": st.lists(some_ref, max_size=3, unique=True),
        "on_same": st.sampled_from(["reuse", "semantic", "new_version"]),
        "idempotency_key": some_key,
        "ttl": st.sampled_from([None, timedelta(days=1), timedelta(days=2)]),
    },
)


@dataclass(frozen=True)
class Do:
    """One thing that is asked of a tenant, or of the store."""

    what: str
    arguments: Any

    async def __call__(self, store: AsyncStore) -> None:
        with contextlib.suppress(CasstoreError, IndexError):  # what is refused is part of history too
            await getattr(self, self.what)(store, **self.arguments)

    async def put(self, store, tenant, put):
        await store.tenant(tenant).put(**put)

    async def transaction(self, store, tenant, puts, ref, pointer, key):
        async with store.tenant(tenant).transaction(idempotency_key=key) as tx:
            for put in puts:
                await tx.put(**{k: v for k, v in put.items() if k != "idempotency_key"})
            tx.alias(ref, pointer)

    async def alias(self, store, tenant, ref, pointer):
        await store.tenant(tenant).alias(ref, pointer)

    async def unalias(self, store, tenant, name, pointer):
        await store.tenant(tenant).unalias(name, pointer)

    async def tag(self, store, tenant, ref, tag):
        await store.tenant(tenant).tag(ref, tag)

    async def transition(self, store, tenant, ref, state):
        await store.tenant(tenant).transition(ref, state, by="me")

    async def undo(self, store, tenant, back):
        found = await store.tenant(tenant).operations(limit=10)
        await store.tenant(tenant).undo(found.items[back].id, by="me")

    async def delete(self, store, tenant, ref):
        await store.tenant(tenant).delete(ref, by="me", reason="because")

    async def undelete(self, store, tenant, ref):
        await store.tenant(tenant).undelete(ref, by="me")

    async def purge(self, store, tenant, ref):
        await store.tenant(tenant).purge(ref, by="me")

    async def hold(self, store, tenant, target, hold):
        await store.tenant(tenant).hold(target, hold, by="me")

    async def release(self, store, tenant, target, hold):
        await store.tenant(tenant).release(target, hold, by="me")

    async def set_retention(self, store, tenant, rules):
        await store.tenant(tenant).set_retention({"rules": rules}, by="me")

    async def apply_retention(self, store, tenant):
        await store.tenant(tenant).apply_retention(by="keeper")

    async def expire(self, store, tenant, ref, at):
        await store.tenant(tenant).expire(ref, at, by="me")

    async def empty_trash(self, store, tenant):
        await store.tenant(tenant).empty_trash(older_than=timedelta(0), by="me")

    async def collect(self, store):
        await store.collect(full=True, orphans=True, quarantine=timedelta(0))

    async def delete_artifact(self, store, tenant, name):
        await store.tenant(tenant).delete_artifact(name, by="me")

    async def undelete_artifact(self, store, tenant, name):
        await store.tenant(tenant).undelete_artifact(name, by="me")

    async def export(self, store):
        await store.export_journal()


def doing(what: str, **arguments: st.SearchStrategy) -> st.SearchStrategy:
    return st.builds(Do, st.just(what), st.fixed_dictionaries(arguments))


some_deed = st.one_of(
    doing("put", tenant=some_tenant, put=some_put),
    doing("put", tenant=some_tenant, put=some_put),
    doing("put", tenant=some_tenant, put=some_put),
    doing(
        "transaction",
        tenant=some_tenant,
        puts=st.lists(some_put, max_size=3),
        ref=some_ref,
        pointer=st.sampled_from(POINTERS),
        key=some_key,
    ),
    doing("alias", tenant=some_tenant, ref=some_ref, pointer=st.sampled_from(POINTERS)),
    doing("unalias", tenant=some_tenant, name=some_name, pointer=st.sampled_from(POINTERS)),
    doing("tag", tenant=some_tenant, ref=some_ref, tag=st.sampled_from(["t", "u"])),
    doing("transition", tenant=some_tenant, ref=some_ref, state=st.sampled_from(["accepted", "obsolete"])),
    doing("undo", tenant=some_tenant, back=st.integers(0, 9)),
    doing("undo", tenant=some_tenant, back=st.integers(0, 3)),
    doing("delete", tenant=some_tenant, ref=st.sampled_from(REFS)),
    doing("undelete", tenant=some_tenant, ref=st.sampled_from(REFS)),
    doing("delete_artifact", tenant=some_tenant, name=some_name),
    doing("undelete_artifact", tenant=some_tenant, name=some_name),
    doing("purge", tenant=some_tenant, ref=st.sampled_from(REFS)),
    doing("empty_trash", tenant=some_tenant),
    doing("hold", tenant=some_tenant, target=some_target, hold=some_hold),
    doing("release", tenant=some_tenant, target=some_target, hold=some_hold),
    doing("set_retention", tenant=some_tenant, rules=some_rules),
    doing("apply_retention", tenant=some_tenant),
    doing("expire", tenant=some_tenant, ref=some_ref, at=some_instant),
    doing("collect"),
    doing("export"),
)
some_history = st.lists(
    st.lists(some_deed, min_size=1, max_size=4), min_size=1, max_size=12
)  # each list at the same time


async def live(store: AsyncStore, history: list[list[Do]]) -> None:
    for together in history:
        await asyncio.gather(*(deed(store) for deed in together))


async def law(databases, blobs, history, later, rest) -> None:
    """`rest` is lost with the catalog; its purges too, so that its collector has to wait: that is what the quarantine is for."""
    with databases.fresh() as dsn, databases.fresh() as new:
        async with AsyncStore(blobs=blobs, catalog=dsn) as store:
            await live(store, history)
            await store.export_journal()
            before, seen = await store.catalog_digest(), await read_all(store)
            assert (await store.verify_journal()).faults == ()
            await live(
                store, [[deed for deed in together if deed.what not in ("export", "collect")] for together in rest]
            )
        again = AsyncStore(blobs=blobs, catalog=new)
        if not before.rows["log"]:
            return
        await again.rebuild()
        async with again:
            assert await again.catalog_digest() == before
            assert [defect async for defect in again.fsck()] == []
            assert await read_all(again) == seen
            assert (await again.verify_journal()).faults == ()
            await live(again, later)
            await again.export_journal()
            assert (await again.verify_journal()).faults == ()
            assert await audit(again) == []


@pytest.fixture(autouse=True)
def small_segments(monkeypatch):
    monkeypatch.setattr(limits, "SEGMENT_BYTES", 1_500)
    monkeypatch.setattr(limits, "RECORDS_AT_ONCE", 3)


CHECKS = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]


@settings(max_examples=6, suppress_health_check=CHECKS)
@given(history=some_history, later=some_history, rest=st.just([]))
def test_a_rebuild_is_what_was(databases, new_blobs, history, later, rest):
    asyncio.run(law(databases, new_blobs(), history, later, rest))


@pytest.mark.slow
@settings(max_examples=20, suppress_health_check=CHECKS)
@given(history=some_history, later=some_history, rest=some_history)
def test_a_rebuild_is_what_was_at_length(databases, new_blobs, history, later, rest):
    asyncio.run(law(databases, new_blobs(), history, later, rest))
