"""What a transaction answers where it has to ask again: for types found out on the way, for answers that were lost."""

from __future__ import annotations

import itertools

import pytest

from casstore import AsyncStore, Components, Conflict
from casstore.testing.audit import audit
from casstore.testing.faults import Faults, faulty_store

NUMBERS = itertools.count()
PARTS = {"current_state": "# Now", "coexistence_state": "# Both", "responsibility_matrix": {"roles": []}}


def blueprint() -> Components:
    """One that nobody has stored before."""
    return Components(PARTS | {"roadmap": {"phases": [{"id": f"{next(NUMBERS)}"}]}})


@pytest.fixture
def with_store(run, store_urls):
    """Run `main(store)`, and audit the store afterwards."""

    def go(main):
        async def outer():
            async with AsyncStore(blobs=store_urls.blobs, catalog=store_urls.catalog) as store:
                await main(store)
                assert await audit(store) == []

        run(outer())

    return go


def test_types_are_found_out_of_all_puts_to_one_name(with_store):
    """The second cannot be looked at before the first is made, so it is another call that tells its type."""

    async def main(store):
        t = store.tenant()
        first = await t.put("plan/a", blueprint(), type="blueprint")
        async with t.transaction() as tx:
            puts = [await tx.put("plan/a", blueprint()) for _ in range(3)]
            puts += [await tx.put("plan/b", blueprint(), type="blueprint"), await tx.put("plan/b", blueprint())]
        assert [put.stored.number for put in puts] == [2, 3, 4, 1, 2]
        assert all(put.stored.relations == first.relations != () for put in puts)

    with_store(main)


def test_a_type_to_be_found_out_is_no_refusal(with_store):
    async def main(store):
        t = store.tenant()
        known = blueprint()
        await t.put("plan/a", known, type="blueprint")
        for data in (known, blueprint()):
            with pytest.raises(Conflict) as conflict:
                await with_a_loser(t, data)
            assert [(each["error"], each["put"]) for each in conflict.value.fields["refused"]] == [("head_moved", 1)]

    with_store(main)


async def with_a_loser(t, data) -> None:
    async with t.transaction() as tx:
        await tx.put("plan/a", data)
        await tx.put("doc/a", "x", expect=4)


@pytest.mark.parametrize("together", [True, False])
def test_a_repetition_answers_the_relations_that_the_kind_knew(with_store, together):
    """Whose type was found out the first time is not looked at again: the key is known before that."""

    async def main(store):
        t, data = store.tenant(), blueprint()
        await t.put("plan/a", blueprint(), type="blueprint")

        async def put():
            if not together:
                return await t.put("plan/a", data, idempotency_key="k")
            async with t.transaction(idempotency_key="k") as tx:
                pending = await tx.put("plan/a", data)
            return pending.stored

        first, again = await put(), await put()
        version = await t.resolve(f"id:{first.id}")
        assert version.relations == first.relations == again.relations != ()
        assert again.repeated

    with_store(main)


@pytest.mark.parametrize("key", [None, "k"])
def test_pointers_alone_leave_a_store_that_is_whole(with_store, key):
    async def main(store):
        t = store.tenant()
        await t.put("doc/a", "x")
        for _ in range(2):
            async with t.transaction(idempotency_key=key) as tx:
                tx.alias("doc/a@1", "one")
        assert len(await t.pointer_history("doc/a", "one")) == 1

    with_store(main)


def test_without_a_key_nothing_is_repeated_though_an_answer_was_lost(run, store_urls):
    async def main():
        async with faulty_store(Faults(lose_at=2), blobs=store_urls.blobs, catalog=store_urls.catalog) as store:
            async with AsyncStore(blobs=store_urls.blobs, catalog=store_urls.catalog) as other:
                await other.tenant().put("doc/a", "x")
            for _ in range(2):
                async with store.tenant().transaction() as tx:
                    put = await tx.put("doc/a", "x")
                assert (put.stored.number, put.stored.reused, put.stored.repeated) == (1, True, False)

    run(main())
