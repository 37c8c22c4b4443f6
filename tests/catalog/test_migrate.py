"""Migrations: each file once and whole, whoever starts at the same time, and nothing changed behind our back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psycopg
import pytest

from casstore import AsyncStore
from casstore.catalog import migrate as module
from casstore.catalog.migrate import Migration, check, migrate, migrations
from casstore.errors import CasstoreError, Code, Invalid, Unavailable

POSTGRES_15 = Path("/usr/lib/postgresql/15/bin")
ALL = migrations()


@pytest.fixture
def empty(databases):
    with databases.fresh(migrated=False) as dsn:
        yield dsn


@pytest.fixture
def extended(monkeypatch):
    """Make this release have more files."""

    def extend(*sqls: str) -> list[Migration]:
        more = [*ALL, *(Migration(f"2099010100000{n}", f"more_{n}", sql) for n, sql in enumerate(sqls))]
        monkeypatch.setattr(module, "migrations", lambda: more)
        return more

    return extend


def ask(dsn, statement):
    with psycopg.connect(dsn, autocommit=True) as connection:
        return connection.execute(statement).fetchall()


def tell(dsn, statement):
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(statement)


def applied(dsn):
    return [row[0] for row in ask(dsn, "select version from supabase_migrations.schema_migrations order by version")]


def test_files_are_in_order_and_shipped():
    assert [m.version for m in ALL] == sorted({m.version for m in ALL})
    assert len(ALL) >= 3


def test_an_empty_database_gets_them_all(empty, run):
    assert run(migrate(empty)) == ALL
    assert applied(empty) == [m.version for m in ALL]
    assert ask(empty, "select name, statements from supabase_migrations.schema_migrations order by version") == [
        (m.name, [m.sql]) for m in ALL
    ]


def test_the_second_time_nothing_happens(empty, run):
    run(migrate(empty))
    assert run(migrate(empty)) == []
    assert applied(empty) == [m.version for m in ALL]


def test_six_starts_at_once_apply_each_file_once(empty, run):
    async def main():
        return await asyncio.gather(*(migrate(empty) for _ in range(6)))

    assert sorted(m.version for done in run(main()) for m in done) == [m.version for m in ALL]


def test_a_newer_release_applies_only_what_is_new(empty, run, extended):
    run(migrate(empty))
    more = extended("create table casstore.newer (a int)")
    assert run(migrate(empty)) == more[len(ALL) :]


@pytest.mark.parametrize("run_it", ["migrate", "check"])
def test_an_edited_file_is_refused(empty, run, run_it):
    run(migrate(empty))
    tell(
        empty,
        f"update supabase_migrations.schema_migrations set statements[1] = 'x' where version = '{ALL[1].version}'",
    )

    async def check_it():
        async with await psycopg.AsyncConnection.connect(empty) as connection:
            await check(connection)

    with pytest.raises(Invalid) as caught:
        run(migrate(empty) if run_it == "migrate" else check_it())
    assert caught.value.code is Code.MIGRATION_EDITED
    assert ALL[1].name in caught.value.message


def test_a_file_missing_in_the_middle_is_refused(empty, run):
    run(migrate(empty))
    tell(empty, f"delete from supabase_migrations.schema_migrations where version = '{ALL[1].version}'")
    with pytest.raises(Invalid) as caught:
        run(migrate(empty))
    assert caught.value.code is Code.MIGRATION_MISSING
    assert ALL[1].name in caught.value.message


def test_files_the_supabase_cli_has_split_are_not_compared(empty, run):
    run(migrate(empty))
    tell(empty, "update supabase_migrations.schema_migrations set statements = array['create', 'schema']")
    assert run(migrate(empty)) == []


def test_migrations_of_the_same_project_that_are_not_ours_do_not_disturb(empty, run):
    run(migrate(empty))
    tell(empty, "insert into supabase_migrations.schema_migrations values ('20990101000000', '{select 1}', 'other')")
    tell(empty, "insert into supabase_migrations.schema_migrations values ('20200101000000', '{select 1}', 'older')")
    assert run(migrate(empty)) == []


@pytest.mark.parametrize(
    "fault",
    ["select 1 / 0", "selekt", "select pg_terminate_backend(pg_backend_pid())", "create table casstore.blobs (a int)"],
)
def test_a_failure_in_the_middle_of_a_file_leaves_whole_files(empty, run, extended, fault):
    good = "create table casstore.first (a int)"
    extended(good, f"create table casstore.second (a int); {fault}; create table casstore.third (a int)")
    with pytest.raises(CasstoreError):
        run(migrate(empty))
    assert applied(empty) == [*(m.version for m in ALL), "20990101000000"]
    assert ask(empty, "select to_regclass('casstore.first')::text, to_regclass('casstore.second')::text") == [
        ("casstore.first", None)
    ]
    more = extended(good, "create table casstore.second (a int)")
    assert run(migrate(empty)) == more[-1:]


def test_a_server_that_is_not_there_is_unavailable(run):
    with pytest.raises(Unavailable) as caught:
        run(migrate("postgresql://localhost:1/nothing?connect_timeout=2"))
    assert caught.value.code is Code.CATALOG_UNAVAILABLE


def test_a_store_on_a_database_without_our_tables_says_what_to_do(empty, run, tmp_path):
    async def main():
        async with AsyncStore(blobs=tmp_path.as_uri(), catalog=empty):
            pass

    with pytest.raises(Unavailable) as caught:
        run(main())
    assert caught.value.code is Code.CATALOG_UNAVAILABLE
    assert "casstore init" in caught.value.hint
    assert ask(empty, "select to_regnamespace('casstore')::text") == [(None,)]


@pytest.mark.slow
@pytest.mark.skipif(not POSTGRES_15.exists(), reason="no Postgres 15 on this machine")
def test_they_are_plain_sql_for_the_oldest_postgres_we_support(other_server, run, tmp_path):
    async def put_and_get(dsn):
        async with AsyncStore(blobs=tmp_path.as_uri(), catalog=dsn) as store:
            tenant = store.tenant()
            await tenant.put("a", b"old", labels={"k": "v"})
            await tenant.alias("a@1", "prod")
            assert await (await tenant.get("a@prod")).bytes() == b"old"
            assert [v.ref for v in await tenant.list(label={"k": "v"}, name_prefix="a")] == ["a@1"]

    with other_server(POSTGRES_15) as dsn:
        with psycopg.connect(dsn, autocommit=True) as connection:
            assert connection.info.server_version < 160000
            for migration in ALL:
                connection.execute(migration.sql.encode())
            connection.execute("drop schema casstore, casstore_api cascade")
        assert run(migrate(dsn)) == ALL
        run(put_and_get(dsn))
