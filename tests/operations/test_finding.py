"""Finding: a listing walks the newest thousand versions, then looks up what few fit; together they are one filter over all."""

from __future__ import annotations

import contextlib
import itertools
import json
from dataclasses import dataclass

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casstore import Invalid
from casstore.errors import Code
from tests.operations.failing import fails

# More than a listing walks (1,000) and looks up (5,000): old names, and some that change, often or now and then.
LEDGER = "insert into casstore.blobs (digest, size_bytes, crc32c, state, generation) values (sha256('1'), 1, 0, 'l', 1)"
CROWD = """
insert into casstore.tenants (name) values (current_setting('crowd.tenant'));
insert into casstore.artifacts (tenant_id, name, type, head)
  select t.id, case when n % 3 = 0 then 'Cold/' else 'cold/' end || n,
         case when n % 1000 = 7 then 'rare' when n % 10 = 0 then 'sop' else 'document' end, 1
    from casstore.tenants t, generate_series(1, 7000) n where t.name = current_setting('crowd.tenant');
insert into casstore.artifacts (tenant_id, name, type, head)
  select t.id, 'hot/' || n, case when n = 1 then 'rare' else 'document' end, 300
    from casstore.tenants t, generate_series(1, 5) n where t.name = current_setting('crowd.tenant');
insert into casstore.artifacts (tenant_id, name, type, head)
  select t.id, 'warm/' || n, case when n % 4 = 1 then 'rare' else 'document' end, 3
    from casstore.tenants t, generate_series(1, 60) n where t.name = current_setting('crowd.tenant');
insert into casstore.versions (artifact_id, number, tenant_id, id, type, manifest, labels, metadata, created_at)
  select a.id, n, a.tenant_id, gen_random_uuid(), a.type, sha256((a.id || ' ' || n)::bytea),
         case when x % 7 <> 0 then jsonb_build_object('team', 't' || x % 2)
           || case when x % 900 = 1 then '{"owner": "rare"}' else '{}' end::jsonb end,
         case when x % 11 <> 0 then jsonb_build_object('realm', 'content', 'n', x % 100, 'tags', jsonb_build_array('a', x % 3))
           || case when x % 800 = 1 then '{"deep": {"rare": [{"k": true}]}, "none": null, "empty": {}}' else '{}' end::jsonb end,
         now() + n * interval '1 s'
    from casstore.artifacts a join casstore.tenants t on t.id = a.tenant_id,
         generate_series(1, a.head) n, lateral (select abs(hashint8(a.id * 1000 + n)::bigint) as x) x
   where t.name = current_setting('crowd.tenant')
   order by case when a.name like 'hot%' then 6000 + n when a.name like 'warm%' then n * 2200 - a.id % 1000
                 else a.id - (select min(id) from casstore.artifacts) end, a.id;
insert into casstore.components (artifact_id, number, role, tenant_id, digest, size_bytes, media_type)
  select v.artifact_id, v.number, 'main', v.tenant_id, sha256('1'), 1, 'a/b'
    from casstore.versions v join casstore.tenants t on t.id = v.tenant_id where t.name = current_setting('crowd.tenant');
insert into casstore.transitions (artifact_id, number, state, tenant_id, seq, before, actor, at)
  select v.artifact_id, v.number, 'accepted', v.tenant_id, v.seq, 'draft', 'me', now()
    from casstore.versions v join casstore.tenants t on t.id = v.tenant_id
   where t.name = current_setting('crowd.tenant') and v.seq % 500 < 2;
insert into casstore.transitions (artifact_id, number, state, tenant_id, seq, before, actor, at)
  select v.artifact_id, v.number, 'obsolete', v.tenant_id, v.seq,
         case when v.seq % 500 = 1 then 'accepted' else 'draft' end, 'me', now()
    from casstore.versions v join casstore.tenants t on t.id = v.tenant_id
   where t.name = current_setting('crowd.tenant') and (v.seq % 500 = 1 or v.seq % 6 > 0 and v.seq % 500 > 1);
"""
ALL = """
select v.seq, a.id, v.number, a.name::text, v.type::text, v.labels, v.metadata,
       coalesce((select max(x.state) from casstore.transitions x
                  where x.artifact_id = v.artifact_id and x.number = v.number), 'draft')
  from casstore.versions v join casstore.artifacts a on a.id = v.artifact_id join casstore.tenants t on t.id = v.tenant_id
 where t.name = %s order by v.seq
"""
HEADS = "select (h.version).seq, h.until from casstore.heads(%s, %s, %s::jsonb, %s::jsonb, %s, %s, %s, %s, %s) h"
TENANTS = ("crowd", "crowd-2")
COUNT = "select sum(idx_tup_fetch + seq_tup_read) from pg_stat_xact_user_tables where schemaname = 'casstore'"


@dataclass(frozen=True)
class Row:
    seq: int
    artifact: int
    number: int
    name: str
    type: str
    labels: dict | None
    metadata: dict | None
    state: str


@dataclass(frozen=True)
class Filters:
    type: str | None = None
    labels: dict | None = None
    metadata: dict | None = None
    state: str | None = None
    prefix: str | None = None

    def arguments(self):
        labels, metadata = (None if each is None else json.dumps(each) for each in (self.labels, self.metadata))
        return self.type, labels, metadata, self.state, self.prefix

    def fits(self, row: Row) -> bool:
        return (
            self.type in (None, row.type)
            and (self.labels is None or contains(row.labels, self.labels))
            and (self.metadata is None or contains(row.metadata, self.metadata))
            and self.state in (None, row.state)
            and row.name.startswith(self.prefix or "")
        )


def contains(whole, part) -> bool:
    """As JSONB has it, inside an object: objects by some keys, lists by some items in any order."""
    match whole, part:
        case dict(), dict():
            return all(key in whole and contains(whole[key], value) for key, value in part.items())
        case list(), list():
            return all(any(contains(each, item) for each in whole) for item in part)
    return isinstance(whole, bool) == isinstance(part, bool) and whole == part  # 5 is 5.0, and true is no number


class Crowd:
    """Two tenants' versions, in the store and in memory."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(LEDGER)
            for tenant in TENANTS:
                connection.execute("select set_config('crowd.tenant', %s, false)", (tenant,))
                connection.execute(CROWD)
            connection.execute(
                "analyze casstore.versions, casstore.artifacts, casstore.transitions, casstore.components"
            )
            self.rows = {t: [Row(*row) for row in connection.execute(ALL, (t,))] for t in TENANTS}
        self.connections = {role: self.connected(role) for role in ("casstore_app", None)}

    def connected(self, role):
        connection = psycopg.connect(self.dsn, autocommit=True)
        if role:
            connection.execute(f"set role {role}")
        return connection

    def expected(self, tenant, filters, before, until, limit):
        rows = [row for row in self.rows[tenant] if until is None or row.seq <= until]
        heads = {row.artifact: row for row in rows}.values()  # the last of each
        seqs = sorted(
            (row.seq for row in heads if (before is None or row.seq < before) and filters.fits(row)), reverse=True
        )
        return seqs[:limit]

    def page(self, role, tenant, filters, before, until, limit):
        arguments = (tenant, *filters.arguments(), before, until, limit)
        return self.connections[role].execute(HEADS, arguments).fetchall()


@pytest.fixture(scope="module")
def crowd(databases):
    with databases.fresh() as dsn:
        crowd = Crowd(databases.direct(dsn))
        yield crowd
        for connection in crowd.connections.values():
            connection.close()


some_labels = st.sampled_from(
    [{"team": "t1"}, {"owner": "rare"}, {"team": "t0", "owner": "rare"}, {"team": "none"}, {}]
)
some_metadata = st.sampled_from(
    [
        {"realm": "content"},
        {"n": 5},
        {"n": 5.0},
        {"tags": ["a"]},
        {"tags": [2, "a"]},
        {"tags": "a"},
        {"deep": {"rare": [{"k": True}]}},
        {"deep": {"rare": [{"k": 1}]}},
        {"deep": {}},
        {"none": None},
        {"empty": {}},
        {"realm": "content", "n": 1, "deep": {"rare": []}},
        {"no": 1},
        {},
    ]
)
some_filters = st.builds(
    Filters,
    type=st.sampled_from([None, None, None, "document", "sop", "rare", "none"]),
    labels=st.none() | some_labels,
    metadata=st.none() | some_metadata,
    state=st.sampled_from([None, None, "draft", "accepted", "obsolete"]),
    prefix=st.sampled_from(
        [None, None, None, "cold/", "Cold/", "cold/12", "Cold/3", "hot/", "hot/1", "warm/", "x", "COLD"]
    ),
)
some_place = st.none() | st.integers(0, 9_000)


@pytest.mark.slow
@pytest.mark.timeout(400)
@settings(max_examples=250)
@given(
    filters=some_filters,
    tenant=st.sampled_from(TENANTS),
    role=st.sampled_from(["casstore_app", None]),
    before=some_place,
    until=some_place,
    limit=st.sampled_from([1, 2, 51, 1001]),
)
def test_the_two_phases_are_one_filter_over_all_heads(crowd, filters, tenant, role, before, until, limit):
    """From any place on, as of any moment: what a cursor can say."""
    rows = crowd.rows[tenant]
    before, until = (None if place is None else rows[place % len(rows)].seq for place in (before, until))
    found = crowd.page(role, tenant, filters, before, until, limit)
    assert [seq for seq, _ in found] == crowd.expected(tenant, filters, before, until, limit)
    assert {each for _, each in found} <= {until or rows[-1].seq}


@pytest.mark.slow
@settings(max_examples=40)
@given(filters=some_filters, limit=st.sampled_from([40, 999, 1000, 1001]))
def test_pages_turned_to_the_end_are_one_filter_over_all_heads(crowd, filters, limit):
    expected = crowd.expected("crowd", filters, None, None, 10_000)
    found, before, until = [], None, None
    for _ in range(len(expected) // limit + 1):
        page = crowd.page("casstore_app", "crowd", filters, before, until, limit)
        if not page:
            break
        found += [seq for seq, _ in page]
        before, until = page[-1]
    assert found == expected


def test_the_crowd_is_large_enough(crowd):
    """Some filter leaves few and some leave many, of old and of new: both ways to go on after the walk are tried."""
    heads = crowd.expected("crowd", Filters(), None, None, 10_000)
    assert len(heads) == 7_065
    walked = sorted((row.seq for row in crowd.rows["crowd"]), reverse=True)[:1000][-1]
    for few in (
        Filters(type="rare"),
        Filters(labels={"owner": "rare"}),
        Filters(metadata={"deep": {"rare": [{"k": True}]}}),
    ):
        found = crowd.expected("crowd", few, None, None, 10_000)
        assert 3 < len([seq for seq in found if seq < walked]) < 100
    for filters in (Filters(state="accepted"), Filters(prefix="cold/12")):
        assert 10 < len(crowd.expected("crowd", filters, None, None, 10_000)) < 5_000
    for many in (Filters(type="document"), Filters(metadata={"realm": "content"}), Filters(state="obsolete")):
        assert len(crowd.expected("crowd", many, None, None, 10_000)) > 5_001


# -- cost ------------------------------------------------------------------------------------------------------------------

FEW = {
    "no filter": Filters(),
    "a rare label": Filters(labels={"owner": "rare"}),
    "a label that nothing has": Filters(labels={"owner": "none"}),
    "rare metadata": Filters(metadata={"deep": {"rare": [{"k": True}]}}),
    "a rare type": Filters(type="rare"),
    "a rare state": Filters(state="accepted"),
    "a rare prefix": Filters(prefix="cold/12"),
    "a rare type of a common label": Filters(type="rare", labels={"team": "t1"}, metadata={"realm": "content"}),
    "a key of something empty": Filters(metadata={"nothing": {}}),
    "a common label": Filters(labels={"team": "t1"}),
}
# What many fit is met by walking on; of an empty object the index has nothing.
MOST = dict.fromkeys(["a common label", "a rare type of a common label", "a key of something empty"], 12_000)
WALK = 4_000  # else: a thousand versions, with their successors, and what a page needs


@pytest.mark.parametrize("role", ["casstore_app", None])
@pytest.mark.parametrize("name", FEW)
def test_what_few_fit_is_looked_up(crowd, name, role):
    with contextlib.closing(crowd.connected(role)) as fresh, fresh.transaction():
        fresh.execute(HEADS, ("crowd", *FEW[name].arguments(), None, None, 51)).fetchall()
        assert fresh.execute(COUNT).fetchone()[0] <= MOST.get(name, WALK)


# -- through the public door -----------------------------------------------------------------------------------------------


async def pages(t, limit, turned=None, **filters):
    found, cursor = [], None
    while True:
        page = await t.list(**filters, cursor=cursor, limit=limit)
        found += [v.ref for v in page]
        cursor = page.cursor
        if cursor is None:
            return found
        if turned:
            await turned()


@pytest.mark.parametrize("limit", [1, 2, 3, 1000])
async def test_all_filters_together_in_pages(t, limit):
    fitting = {"type": "sop", "labels": {"k": "v", "l": "w"}, "metadata": {"a": {"b": [1, 2]}, "c": None}}
    asked = {
        "type": "sop",
        "label": {"k": "v"},
        "metadata": {"a": {"b": [2]}},
        "state": "accepted",
        "name_prefix": "x/",
    }
    spoilt = [
        {"type": "poc"},
        {"labels": {"k": "w"}},
        {"labels": None},
        {"metadata": {"a": {"b": [1]}}},
        {"metadata": None},
    ]
    for n in range(5):
        await t.put(f"x/{n}", b"1", **fitting)
        await t.transition(f"x/{n}", "accepted", by="me")
        await t.put(f"x/spoilt-{n}", b"1", **fitting | spoilt[n])
        await t.transition(f"x/spoilt-{n}", "accepted", by="me")
    await t.put("y/0", b"1", **fitting)
    await t.transition("y/0", "accepted", by="me")
    await t.put("x/draft", b"1", **fitting)
    await t.put("x/obsolete", b"1", **fitting)
    await t.transition("x/obsolete", "obsolete", by="me")
    assert await pages(t, limit, **asked) == [f"x/{n}@1" for n in (4, 3, 2, 1, 0)]


async def test_versions_put_while_pages_are_turned_change_nothing(t):
    for n in range(6):
        await t.put(f"n{n}", b"1", labels={"k": "v"}, metadata={"m": 1})
    numbers = itertools.count()

    async def turned():
        await t.put("n0", f"{next(numbers)}")
        await t.put("n5", f"{next(numbers)}", labels={"k": "v"}, metadata={"m": 1})
        await t.put(f"new{next(numbers)}", b"1", labels={"k": "v"}, metadata={"m": 1})

    assert await pages(t, 2, turned, label={"k": "v"}, metadata={"m": 1}) == [f"n{n}@1" for n in (5, 4, 3, 2, 1, 0)]


async def test_a_state_is_the_one_of_now(t):
    for n in range(6):
        await t.put(f"n{n}", b"1")
    page = await t.list(state="draft", limit=2)
    await t.transition("n2", "accepted", by="me")
    rest = await t.list(state="draft", limit=10, cursor=page.cursor)
    assert [v.name for v in (*page, *rest)] == ["n5", "n4", "n3", "n1", "n0"]


async def test_another_tenants_labels_and_metadata_find_nothing(t, other):
    await other.put("theirs", b"1", labels={"k": "v"}, metadata={"m": 1})
    await other.transition("theirs", "accepted", by="me")
    for filters in ({"label": {"k": "v"}}, {"metadata": {"m": 1}}, {"state": "accepted"}, {"state": "draft"}):
        assert list(await t.list(**filters)) == []
    await t.put("mine", b"1", labels={"k": "v"}, metadata={"m": 1})
    for filters in ({"label": {"k": "v"}}, {"metadata": {"m": 1}}, {"state": "draft"}):
        assert [v.name for v in await t.list(**filters)] == ["mine"]


@pytest.mark.parametrize(
    ("filters", "code"),
    [
        ({"state": "new"}, Code.BAD_ARGUMENT),
        ({"state": ""}, Code.BAD_ARGUMENT),
        ({"metadata": {"a": float("nan")}}, Code.BAD_METADATA),
        ({"metadata": []}, Code.BAD_METADATA),
        ({"metadata": ""}, Code.BAD_METADATA),
        ({"metadata": 0}, Code.BAD_METADATA),
        ({"metadata": {1: 1}}, Code.BAD_METADATA),
    ],
    ids=repr,
)
async def test_bad_filters_are_refused(t, filters, code):
    """Regression: what is empty and no mapping was taken for no filter."""
    with fails(Invalid, code):
        await t.list(**filters)
