"""Versions that are looked up together are those that are looked up alone, and what was deleted is gone for the very next read."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from casstore import AsyncStore, NotFound
from casstore.catalog import versions
from casstore.errors import CasstoreError
from casstore.refs import Ref

A, B = "alpha", "beta"


async def fill(store):
    """Two tenants with the same names and other contents; answers what may be asked for."""
    known = {"doc/none", "id:00000000-0000-7000-8000-000000000000"}
    for name in (A, B):
        tenant = store.tenant(name)
        for number in range(1, 4):
            stored = await tenant.put("doc/a", f"{name} {number}")
            known |= {f"id:{stored.id}", f"doc/a@{number}", f"doc/a@b3:{stored.digest.hex()[:20]}"}
        await tenant.put("doc/gone", name)
        await tenant.put("doc/b", name if name == A else b"b")
        await tenant.alias("doc/a@1", "prod")
        await tenant.tag("doc/a@3", "v-three")
        await tenant.delete("doc/a@2", by="me")
        await tenant.delete_artifact("doc/gone", by="me")
    more = ("doc/a", "DOC/A", "doc/b", "doc/gone", "doc/a@9", "doc/a@prod", "doc/a@v-three", "doc/a@nobody")
    then = ("doc/a@latest~2099-01-01T00:00Z", "doc/a@prod~2001-01-01T00:00Z", "doc/a@latest~2001-01-01T00:00Z")
    return sorted({*known, *more, *then})


@pytest.fixture(scope="module")
def filled(databases, tmp_path_factory):
    """A loop, a store, and references into it."""
    with databases.fresh() as dsn, asyncio.Runner() as runner:
        store = AsyncStore(blobs=tmp_path_factory.mktemp("blobs").as_uri(), catalog=dsn)
        runner.run(store.open())
        refs = runner.run(fill(store))
        yield runner, store, refs
        runner.run(store.aclose())


def comparable(answer):
    if isinstance(answer, CasstoreError):
        return type(answer), answer.code, answer.message, answer.hint, answer.fields
    return answer


async def alone(store, tenant, ref):
    try:
        (found,) = await versions.find_many(store._catalog, [(tenant, Ref.parse(ref))])
    except CasstoreError as error:
        return comparable(error)
    return comparable(found)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(data=st.data(), tenant=st.sampled_from([A, B, "nobody"]))
def test_a_call_of_many_is_many_calls(filled, data, tenant):
    runner, store, refs = filled
    asked = data.draw(st.lists(st.sampled_from(refs), min_size=2, max_size=12))

    async def main():
        together = await versions.find_many(store._catalog, [(tenant, Ref.parse(ref)) for ref in asked])
        assert [comparable(each) for each in together] == [await alone(store, tenant, ref) for ref in asked]
        errors = [each for each in together if isinstance(each, CasstoreError)]
        assert len(set(map(id, errors))) == len(errors)  # each is somebody's own, to be raised and added to

    runner.run(main())


def test_every_reference_together_is_what_it_is_alone(filled):
    """All there are in one call: the sample above may leave one out."""
    runner, store, refs = filled

    async def main():
        for tenant in (A, B):
            together = await versions.find_many(store._catalog, [(tenant, Ref.parse(ref)) for ref in refs])
            for ref, each in zip(refs, together, strict=True):
                assert comparable(each) == await alone(store, tenant, ref), ref
            codes = {getattr(each, "code", "found") for each in together}
            assert codes == {"found", "artifact_not_found", "version_not_found", "pointer_not_found", "version_deleted"}

    runner.run(main())


asked_at_once = st.lists(st.tuples(st.sampled_from([A, B]), st.integers(0, 30), st.booleans()), min_size=8, max_size=60)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(asked=asked_at_once)
def test_readers_at_once_get_their_own_tenants_answers_whoever_leaves(filled, asked):
    runner, store, refs = filled
    asked = [(tenant, refs[place % len(refs)], leaves) for tenant, place, leaves in asked]

    async def main():
        readers = [asyncio.create_task(store.tenant(tenant).resolve(ref)) for tenant, ref, _ in asked]
        await asyncio.sleep(0)
        for reader, (_, _, leaves) in zip(readers, asked, strict=True):
            if leaves:
                reader.cancel()
        answers = await asyncio.wait_for(asyncio.gather(*readers, return_exceptions=True), 30)
        for (tenant, ref, leaves), answer in zip(asked, answers, strict=True):
            if leaves:
                assert isinstance(answer, asyncio.CancelledError)
                continue
            expected = await alone(store, tenant, ref)
            assert comparable(answer) == (expected if isinstance(answer, CasstoreError) else expected[0]), (tenant, ref)

    runner.run(main())


def test_what_was_deleted_is_gone_for_the_very_next_read(run, databases, tmp_path):
    """Readers without a pause, so that there is always a call under way to be joined: none may join one that began before."""

    async def main(dsn):
        async with AsyncStore(blobs=tmp_path.as_uri(), catalog=dsn) as store:
            tenant = store.tenant()
            await tenant.put("doc/a", b"1")
            is_over = False

            async def read():
                while not is_over:
                    with contextlib.suppress(NotFound):
                        await tenant.resolve("doc/a@1")

            readers = [asyncio.create_task(read()) for _ in range(12)]
            for _ in range(20):
                await tenant.delete("doc/a@1", by="me")
                gone = await asyncio.gather(*(tenant.resolve("doc/a@1") for _ in range(6)), return_exceptions=True)
                assert {getattr(each, "code", each) for each in gone} == {"version_deleted"}
                await tenant.undelete("doc/a@1", by="me")
                assert {each.number for each in await asyncio.gather(*(tenant.resolve("doc/a") for _ in range(6)))} == {
                    1
                }
            is_over = True
            await asyncio.gather(*readers)

    with databases.fresh() as dsn:
        run(main(dsn))
