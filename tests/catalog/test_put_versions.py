"""One call that puts many versions does what as many calls do, one after the other: the same puts, each way, to a tenant each."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from casstore import AsyncStore
from casstore.catalog import puts
from casstore.errors import CasstoreError
from casstore.model import MAIN, Digest, Manifest, PutOptions, Stored
from casstore.operations.ids import uuid7
from casstore.staging import stage

KNOWN = (b"one", b"two", b"three")
NUMBERS = itertools.count()

contents = st.sampled_from([*KNOWN, *KNOWN, b"never stored"])
names = st.sampled_from(["a", "a", "a", "b", "A"])
parts = st.one_of(
    st.builds(lambda data: {MAIN: data}, contents), st.dictionaries(st.sampled_from("xy"), contents, min_size=1)
)
options = st.builds(
    PutOptions,
    type=st.sampled_from([None, None, None, "document", "note"]),
    title=st.sampled_from([None, None, "", "T"]),
    labels=st.sampled_from([None, None, {}, {"k": "v"}]),
    expect=st.sampled_from([None, None, None, 0, 1, 2]),
    idempotency_key=st.sampled_from([None, None, None, "k1", "k2"]),
    on_same=st.sampled_from(["reuse", "reuse", "new_version", "error"]),
)
put = st.tuples(names, parts, options)
one_call = (
    st.lists(put, min_size=1, max_size=6)
    .filter(lambda call: len(keys := [o.idempotency_key for *_, o in call if o.idempotency_key]) == len(set(keys)))
    # What has to be uploaded first is told so before anything is made: here it comes first.
    .map(lambda call: sorted(call, key=lambda each: b"never stored" not in each[1].values()))
)


VERSIONS = """
select v.id, a.name::text, v.number, v.type::text, v.title, v.labels, v.manifest::bytea, a.head, rank() over (order by v.seq),
       rank() over (partition by a.id order by v.created_at), a.head_at >= v.created_at,
       (select array_agg(c.role::text order by role) from casstore.components c
         where c.artifact_id = v.artifact_id and c.number = v.number)
  from casstore.versions v join casstore.artifacts a on a.id = v.artifact_id join casstore.tenants t on t.id = v.tenant_id
 where t.name = %s order by v.seq
"""
LOG = """
select l.op, l.number, l.detail, a.name::text
  from casstore.log l join casstore.artifacts a on a.id = l.artifact_id join casstore.tenants t on t.id = l.tenant_id
 where t.name = %s order by l.seq
"""
LINES = """
select a.name::text, a.type::text, a.head from casstore.artifacts a join casstore.tenants t on t.id = a.tenant_id
 where t.name = %s order by 1
"""
REQUESTS = """
select r.key, r.versions, r.reused from casstore.requests r join casstore.tenants t on t.id = r.tenant_id
 where t.name = %s order by 1
"""


def a_put(name, data=b"one", **given):
    return name, {MAIN: data}, PutOptions(**given)


async def request(tenant, name, data, how):
    staged = {role: (await stage(content))[MAIN] for role, content in data.items()}
    manifest = Manifest.build({role: part.component(role) for role, part in staged.items()})
    blobs = {part.digest: part for part in staged.values()}
    fingerprint = Digest.of(repr((name, data, how)).encode())
    return puts.PutRequest(tenant, name, how.type, (), uuid7(), manifest, blobs, how, fingerprint)


def comparable(answer, ids):
    """An answer without what differs between tenants and moments: an id becomes the place of the put that made it."""
    if isinstance(answer, CasstoreError):
        return answer.code, answer.fields
    if isinstance(answer, list):
        return sorted(missing.digest for missing in answer)
    if isinstance(answer, UUID):
        return ids.index(answer)
    assert isinstance(answer, Stored)
    return answer.model_dump(exclude={"created_at", "id"}) | {"id": ids.index(answer.id)}


async def outcome(store, tenant, calls):
    """What each put was answered, and everything that is there afterwards."""
    ids, answers = [], []
    for call in calls:
        questions = [(await request(tenant, *each), {}) for each in call]
        ids += [question.id for question, _ in questions]
        answers += await puts.put_versions(store._catalog, questions)
    rows = await store._catalog.call(VERSIONS, (tenant,))
    log = await store._catalog.call(LOG, (tenant,))
    lines = await store._catalog.call(LINES, (tenant,))
    requests = await store._catalog.call(REQUESTS, (tenant,))
    assert all(head > 0 for *_, head in lines)  # no artifact without a version
    return (
        [comparable(answer, ids) for answer in answers],
        [(ids.index(row[0]), *row[1:]) for row in rows],
        log,
        lines,
        [(key, [ids.index(each) for each in versions], reused) for key, versions, reused in requests],
    )


@pytest.fixture(scope="module")
def together_and_apart(run, databases, tmp_path_factory):
    """Compare: all puts of a call in one call, and each in a call of its own."""
    with databases.fresh() as dsn, asyncio.Runner() as runner:
        store = AsyncStore(blobs=tmp_path_factory.mktemp("blobs").as_uri(), catalog=dsn)
        runner.run(store.open())

        async def compare(calls):
            tenants = [f"t{next(NUMBERS)}", f"t{next(NUMBERS)}"]
            together = await outcome(store, tenants[0], calls)
            apart = await outcome(store, tenants[1], [[each] for call in calls for each in call])
            assert together == apart

        async def prepare():
            for data in KNOWN:
                await store.tenant("other").put("known", data)

        runner.run(prepare())
        yield lambda calls: runner.run(compare(calls))
        runner.run(store.aclose())


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls=st.lists(one_call, min_size=1, max_size=4))
@example(
    calls=[[a_put("a", b"one", expect=3), a_put("a", b"two"), a_put("a", b"three", expect=1)]]
)  # the second one makes it
@example(calls=[[a_put("a", expect=1)]])  # leaves no artifact without a version
@example(calls=[[a_put("a", type="note"), a_put("a", type="document"), a_put("A", b"two")]])
@example(calls=[[a_put("a"), a_put("a"), a_put("a", on_same="error"), a_put("a", on_same="new_version")]])
@example(
    calls=[[a_put("a", expect=1, idempotency_key="k1")], [a_put("a", b"two", idempotency_key="k1")]]
)  # a refusal frees it
@example(calls=[[a_put("a", b"never stored"), a_put("a", b"one")], [a_put("a", b"never stored", expect=5)]])
def test_a_call_of_many_is_many_calls(together_and_apart, calls):
    together_and_apart(calls)


def test_a_repeated_call_finds_its_own_versions(run, databases, tmp_path):
    """As after a lost answer: the same call with `again` answers the same, and makes nothing."""

    async def main(dsn):
        async with AsyncStore(blobs=tmp_path.as_uri(), catalog=dsn) as store:
            await store.tenant().put("known", b"one")
            questions = [
                (await request("default", name, {MAIN: b"one"}, PutOptions()), {}) for name in ("a", "b", "a", "c")
            ]
            questions[3] = (replace(questions[3][0], options=PutOptions(idempotency_key="k")), {})
            first = await puts.put_versions(store._catalog, questions)
            rows = await store._catalog.call(puts._PUT, puts.arguments(questions, again=True))
            return questions, first, rows, await store.tenant().usage()

    with databases.fresh() as dsn:
        questions, first, rows, usage = run(main(dsn))
    assert [answer.id for answer in first[:2]] == [question.id for question, _ in questions[:2]]
    assert first[2].reused
    assert [row[5] for row in rows] == [answer.id for answer in first]
    assert usage.versions == 1 + 3
    assert len({row[5] for row in rows}) == 3
