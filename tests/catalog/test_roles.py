"""The role of servers is answered as the owner is, and its reads look at no more rows."""

from __future__ import annotations

import itertools
import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casstore import CasstoreError, Corrupt, Denied, Invalid, Store, Unavailable
from casstore.catalog.migrate import migrate, migrations
from casstore.errors import Code
from casstore.model import Digest
from tests.catalog.project import APP, COLLECTOR, Project, answer_of, make_database, make_logins
from tests.support.postgres import uri_of


@pytest.fixture(scope="module")
def project(own_server, run, tmp_path_factory):
    """A migrated database in which nothing is, and its blobs not yet marked."""
    owner = make_database(own_server, "project")
    run(migrate(owner))
    make_logins(owner)
    return Project(owner, tmp_path_factory.mktemp("blobs").as_uri())


# -- the same answers ------------------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b/c", "B/c"])
FILTERS = {
    "metadata": st.sampled_from([{"of": "a"}, {"is": "b/c"}]),
    "label": st.sampled_from([{"of": "a"}, {"of": "b/c"}]),
    "state": st.sampled_from(["draft", "accepted", "obsolete"]),
    "type": st.sampled_from(["document", "sop"]),
    "name_prefix": st.sampled_from(["a", "b", "from"]),
}
STEPS = st.one_of(
    st.tuples(st.just("put"), NAMES, st.sampled_from([b"1", b"2"]), st.sampled_from([None, 0, 1])),
    st.tuples(st.sampled_from(["resolve", "history", "pointers"]), NAMES),
    st.tuples(st.sampled_from(["alias", "tag"]), st.sampled_from(["a", "a@1", "b/c@2"]), st.sampled_from(["x", "y"])),
    st.tuples(st.sampled_from(["unalias", "pointer_history"]), NAMES, st.sampled_from(["x", "y"])),
    st.tuples(st.sampled_from(["list", "usage", "shared"])),
    st.tuples(st.just("list"), st.fixed_dictionaries({}, optional=FILTERS)),
    st.tuples(st.sampled_from(["transitions", "lineage"]), NAMES),
    st.tuples(st.just("transition"), NAMES, st.sampled_from(["accepted", "obsolete"])),
    st.tuples(st.sampled_from(["delete", "undelete", "purge"]), st.sampled_from(["a@1", "a@2", "b/c@1", "from@1"])),
    st.tuples(st.sampled_from(["delete_artifact", "undelete_artifact", "purge_artifact"]), NAMES),
    st.tuples(st.just("explain"), st.sampled_from(["delete", "purge"]), st.sampled_from(["a@1", "b/c@1"])),
    st.tuples(st.just("trash")),
    st.tuples(st.sampled_from(["hold", "release"]), st.sampled_from(["a@1", "b/c", None]), st.just("case")),
    st.tuples(st.just("holds")),
    st.tuples(
        st.just("set_retention"),
        st.sampled_from([{"rules": [{"name": "r", "keep": keep}]} for keep in ({}, {"last": 1})]),
    ),
    st.tuples(st.sampled_from(["retention", "preview_retention", "apply_retention"])),
    st.tuples(
        st.just("expire"), st.sampled_from(["a@1", "b/c@1"]), st.sampled_from([None, datetime(2020, 1, 1, tzinfo=UTC)])
    ),
    st.tuples(st.just("where_used"), st.sampled_from([Digest.of(b"1"), Digest.of(b"2")])),
)
OF_THE_MOMENT = re.compile(r"(id|source)=UUID\('[^']*'\)|\w*at=datetime[^)]*\)")
NUMBERS = itertools.count()


def do(tenant, step):
    verb, *arguments = step
    if verb == "put":
        name, data, expect = arguments
        with suppress(CasstoreError):  # of an artifact that is not there yet
            tenant.put("from", name, sources=[name], metadata={"of": name}, labels={"of": name})
        return tenant.put(name, data, expect=expect, metadata={"is": name})
    if verb == "transition":
        return tenant.transition(arguments[0], arguments[1], by="me")
    if "delete" in verb or "purge" in verb or verb in ("hold", "release", "set_retention", "apply_retention", "expire"):
        return getattr(tenant, verb)(*arguments, by="me")
    if verb == "list" and arguments:
        return tenant.list(**arguments[0])
    return getattr(tenant, verb)(*arguments)


@pytest.fixture(scope="module")
def stores(project):
    with project.store(APP) as app, project.store("postgres") as owner:
        yield {"app": app, "owner": owner}


@settings(max_examples=50)
@given(steps=st.lists(STEPS, max_size=12))
def test_an_app_is_answered_as_the_owner_is(stores, steps):
    """The same calls, of two tenants of one store: only ids and times differ."""
    number = next(NUMBERS)
    told = [
        [OF_THE_MOMENT.sub("…", str(answer_of(do, store.tenant(f"{who}-{number}"), step))) for step in steps]
        for who, store in stores.items()
    ]
    assert told[0] == told[1]


def test_an_app_marks_the_blobs_and_heals_what_was_damaged(own_server, run, project, tmp_path):
    owner = make_database(own_server, "unmarked")
    run(migrate(owner))
    digest = Digest.of(b"data")
    with Store(blobs=tmp_path.as_uri(), catalog=uri_of(owner, user=APP)) as store:
        store.tenant().put("a", b"data")
        (tmp_path / "artifacts" / "blobs" / digest.hex()).unlink()
        with pytest.raises(Corrupt):
            store.tenant().get("a").bytes()
        assert store.tenant().put("a", b"data").reused
        assert store.tenant().get("a").bytes() == b"data"
    assert Project(owner, "").ask("select blobs_marked from casstore.store") == [(True,)]


def test_a_collector_collects_and_an_app_may_not(own_server, run, project, tmp_path):
    owner = make_database(own_server, "collected")
    run(migrate(owner))
    urls = {"blobs": tmp_path.as_uri()}
    with Store(**urls, catalog=uri_of(owner, user=APP)) as store:
        tenant = store.tenant()
        tenant.delete(tenant.put("a", b"data").ref, by="me")
        tenant.purge("a@1", by="me")
        for refused in (store.collect, store.plan_collection):
            with pytest.raises(Denied) as caught:
                refused()
            assert caught.value.code is Code.NOT_PERMITTED
    with Store(**urls, catalog=uri_of(owner, user=COLLECTOR)) as store:
        assert [each.digest for each in store.plan_collection()] == [Digest.of(b"data")]
        assert store.collect(quarantine=timedelta(0), orphans=True).condemned == 1
        assert store.collect(quarantine=timedelta(0)).deleted == 1
        with pytest.raises(Denied):
            store.tenant().get("a@1")


# -- at the same cost ------------------------------------------------------------------------------------------------------

CROWD = """
insert into casstore.tenants (name) values ('crowd');
insert into casstore.blobs (digest, size_bytes, crc32c, state, generation)
  select sha256(n::text::bytea), 1, 0, 'l', 1 from generate_series(1, 2000) n;
insert into casstore.artifacts (tenant_id, name, type, head, latest)
  select t.id, 'cold/' || n, 'sop', 1, 1 from casstore.tenants t, generate_series(1, 2000) n where t.name = 'crowd';
insert into casstore.artifacts (tenant_id, name, type, head, latest)
  select t.id, 'hot', 'sop', 2000, 2000 from casstore.tenants t where t.name = 'crowd';
insert into casstore.versions (artifact_id, number, tenant_id, id, type, manifest, created_at)
  select a.id, n, a.tenant_id, gen_random_uuid(), 'sop', sha256((a.id || ' ' || n)::bytea), now() + n * interval '1 s'
    from casstore.artifacts a, generate_series(1, a.head) n order by a.name = 'hot', n;
insert into casstore.components (artifact_id, number, role, tenant_id, digest, size_bytes, media_type)
  select v.artifact_id, v.number, 'main', v.tenant_id, sha256(v.number::text::bytea), 1, 'a/b' from casstore.versions v;
insert into casstore.pointers (artifact_id, pointer, move, tenant_id, is_tag, number, moved_at)
  select a.id, 'prod', n, a.tenant_id, false, n, now() + n * interval '1 s'
    from casstore.artifacts a, generate_series(1, 2000) n where a.name = 'hot';
analyze;
"""
READS = {
    "latest": "resolve('crowd', 'hot', 'latest', null, null, null)",
    "the only version": "resolve('crowd', 'cold/7', 'latest', null, null, null)",
    "a number": "resolve('crowd', 'hot', 'number', 7, null, null)",
    "an alias": "resolve('crowd', 'hot', 'pointer', null, 'prod', null)",
    "an alias then": "resolve('crowd', 'hot', 'pointer', null, 'prod', now() + interval '1999 s')",
    "the latest then": "resolve('crowd', 'hot', 'latest', null, null, now() + interval '1999 s')",
    "several": "resolve_many('crowd', '{hot,cold/7,hot,hot}', '{latest,latest,number,pointer}', '{null,null,7,null}', "
    "'{null,null,null,prod}', null)",
    "an id": "resolve_id('crowd', version_id)",
    "history": "history('crowd', 'hot', 1000, 10)",
    "heads": "heads('crowd', null, null, null, null, null, 2000, null, 10)",
    "heads of a prefix": "heads('crowd', null, null, null, null, 'cold/1999', 2001, 4000, 10)",
    "moves": "pointer_history('crowd', 'hot', 'prod', 1000, 10)",
}
MOST = 100  # of 2,000: a page of 10 with all that belongs to it, and the few that the planner looks at
COUNT = "select sum(idx_tup_fetch + seq_tup_read) from pg_stat_xact_user_tables where schemaname = 'casstore'"


@pytest.fixture(scope="module")
def crowd(own_server, run, project):
    owner = make_database(own_server, "crowd")
    run(migrate(owner))
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute(CROWD)
    return Project(owner, "")


@pytest.mark.parametrize("read", READS)
def test_a_read_under_row_level_security_looks_at_the_rows_it_needs(crowd, read):
    """An index serves a condition under a policy only if it is leakproof: a function of a column, and all rows are looked at."""
    ((version,),) = crowd.ask(
        "select v.id from casstore.versions v join casstore.artifacts a on a.id = v.artifact_id"
        " where a.name = 'hot' and v.number = 1000"
    )
    call = READS[read].replace("version_id", f"'{version}'")
    for role in ("postgres", APP):
        with crowd.caller(role) as connection:
            assert connection.execute(f"select * from casstore.{call}").fetchall()
            assert connection.execute(COUNT).fetchone()[0] <= MOST, role


# -- opening ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("damage", "kind", "code"),
    [
        (
            "delete from supabase_migrations.schema_migrations where version = '{}'",
            Unavailable,
            Code.CATALOG_UNAVAILABLE,
        ),
        (
            "update supabase_migrations.schema_migrations set statements = '{{x}}' where version = '{}'",
            Invalid,
            Code.MIGRATION_EDITED,
        ),
    ],
)
def test_an_app_is_told_of_a_catalog_that_does_not_fit(own_server, run, project, tmp_path, damage, kind, code):
    name = f"unfit_{next(NUMBERS)}"
    owner = make_database(own_server, name)
    run(migrate(owner))
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute(damage.format(migrations()[-1].version))
    store = Store(blobs=tmp_path.as_uri(), catalog=uri_of(owner, user=APP))
    with pytest.raises(kind) as caught:
        store.open()
    assert caught.value.code is code


def test_an_app_has_nothing_to_migrate_and_may_not(project, run):
    """Setting up again does no harm, whoever does it; but what there is to do takes the owner."""
    app = uri_of(project.owner, user=APP)
    assert run(migrate(app)) == []
    with psycopg.connect(project.owner, autocommit=True) as connection:
        last = "from supabase_migrations.schema_migrations where version = (select max(version) from casstore.applied_migrations())"
        ((version, name, statements),) = connection.execute(f"select version, name, statements {last}").fetchall()
        connection.execute(f"delete {last}")
        try:
            with pytest.raises(Denied):
                run(migrate(app))
        finally:
            record = "insert into supabase_migrations.schema_migrations (version, name, statements) values (%s, %s, %s)"
            connection.execute(record, (version, name, statements))
