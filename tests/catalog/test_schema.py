"""The schema, looked at with raw SQL: it explains itself, guards its facts, and every statement of ours fits it."""

from __future__ import annotations

import importlib
import pkgutil
import re

import psycopg
import pytest

from casstore import catalog
from casstore.catalog import events, faults, oplog
from casstore.errors import Code
from casstore.operations.ids import uuid7

NUL_DIGEST = b"\0" * 32
PARTS = {role: f"{role} of the version" for role in ("main", "other")}


@pytest.fixture(scope="module")
def dsn(databases):
    with databases.fresh() as dsn:
        yield databases.direct(dsn)  # for statements that are prepared, which a pooler has no place for


@pytest.fixture
def connection(dsn):
    """A connection whose changes are taken back."""
    with psycopg.connect(dsn) as connection:
        yield connection
        connection.rollback()


@pytest.fixture
def version(connection):
    """The key of a version with two components, an alias and a tag."""
    one = connection.execute
    tenant = one("insert into casstore.tenants (name) values ('t') returning id").fetchone()[0]
    one("insert into casstore.domains (check_value, name) values (%s, 'd')", (NUL_DIGEST,))
    one(
        "insert into casstore.blobs (digest, size_bytes, crc32c, state, generation) values (%s, 1, 0, 'l', 1)",
        (NUL_DIGEST,),
    )
    artifact = one(
        "insert into casstore.artifacts (tenant_id, name, type, head) values (%s, 'a', 'sop', 1) returning id",
        (tenant,),
    ).fetchone()[0]
    one(
        "insert into casstore.versions (artifact_id, number, tenant_id, id, type, manifest, created_at)"
        " values (%s, 1, %s, %s, 'sop', %s, now())",
        (artifact, tenant, uuid7(), NUL_DIGEST),
    )
    for role in PARTS:
        one(
            "insert into casstore.components (artifact_id, number, role, tenant_id, digest, size_bytes, media_type)"
            " values (%s, 1, %s, %s, %s, 1, 'text/plain')",
            (artifact, role, tenant, NUL_DIGEST),
        )
    one("insert into casstore.log (tenant_id, op, artifact_id, number) values (%s, 'put', %s, 1)", (tenant, artifact))
    return tenant, artifact


def column(connection, statement, *arguments):
    return [row[0] for row in connection.execute(statement, arguments or None)]


def test_every_table_is_explained(connection):
    unexplained = (
        "select relname from pg_class where relnamespace = 'casstore'::regnamespace and relkind in ('r', 'v', 'm')"
    )
    assert len(column(connection, unexplained)) >= 8
    assert column(connection, unexplained + " and coalesce(obj_description(oid, 'pg_class'), '') = ''") == []


def test_every_column_is_explained(connection):
    statement = """
    select format('%I.%I', c.relname, a.attname) from pg_class c join pg_attribute a on a.attrelid = c.oid
     where c.relnamespace = 'casstore'::regnamespace and c.relkind in ('r', 'v', 'm') and a.attnum > 0
       and not a.attisdropped and coalesce(col_description(c.oid, a.attnum), '') = ''"""
    assert column(connection, statement) == []


def test_the_words_of_the_log_are_those_that_its_column_tells(connection):
    """They are written twice: for who reads the schema, and to refuse others."""
    where = "attrelid = 'casstore.log'::regclass and attname = 'op'"
    (told,) = column(connection, f"select col_description(attrelid, attnum) from pg_attribute where {where}")
    words = {re.match(r"(?:or )?(\w+)", part)[1] for part in re.split(r"[,;] (?!after)", told)}
    assert words == set(oplog.OPS)
    (body,) = column(connection, "select prosrc from pg_proc where proname = 'events_of'")
    (silent,) = re.findall(r"l\.op not in \(([^)]*)\)", body)
    assert set(events.OPS) == words - set(re.findall(r"\w+", silent))


def test_every_function_is_explained(connection):
    statement = """
    select p.oid::regprocedure::text from pg_proc p where p.pronamespace = 'casstore'::regnamespace
       and coalesce(obj_description(p.oid, 'pg_proc'), '') = ''"""
    assert column(connection, statement) == []


def test_every_constraint_has_a_name_someone_chose(connection):
    """Postgres would call them <table>_<column>_check, _check1, _pkey, _fkey, _excl; keys of ours end in _key too."""
    names = column(
        connection,
        "select conname from pg_constraint where connamespace = 'casstore'::regnamespace and contype <> 'n'",
    )
    assert len(names) > 25
    assert [name for name in names if re.search(r"_(check|pkey|fkey|excl)\d*$|\d$", name)] == []
    assert len(set(names)) == len(names)


def test_every_table_has_row_level_security(connection):
    statement = "select relname from pg_class where relnamespace = 'casstore'::regnamespace and relkind = 'r'"
    assert column(connection, statement + " and not relrowsecurity") == []


def test_another_role_sees_nothing(connection, version):
    connection.execute("create role casstore_test_stranger")
    connection.execute("grant usage on schema casstore to casstore_test_stranger")
    connection.execute("grant select on all tables in schema casstore to casstore_test_stranger")
    tables = column(
        connection, "select relname from pg_class where relnamespace = 'casstore'::regnamespace and relkind = 'r'"
    )
    connection.execute("set local role casstore_test_stranger")
    for table in tables:
        assert column(connection, f"select count(*) from casstore.{table}") == [0], table


def test_nobody_may_call_functions_unasked(connection):
    statement = """
    select p.oid::regprocedure::text from pg_proc p where p.pronamespace = 'casstore'::regnamespace
       and has_function_privilege('public', p.oid, 'execute')"""
    assert column(connection, statement) == []


def test_every_function_pins_its_search_path(connection):
    statement = """
    select p.oid::regprocedure::text from pg_proc p where p.pronamespace = 'casstore'::regnamespace
       and not coalesce(p.proconfig, '{}') && array['search_path=pg_catalog, pg_temp']"""
    assert column(connection, statement) == []


@pytest.mark.parametrize(
    "statement",
    [
        "update casstore.log set op = 'x'",
        "delete from casstore.log",
        "truncate casstore.log",
        "update casstore.versions set title = 'x'",
        "update casstore.versions set number = 2",
        "update casstore.components set size_bytes = 2",
        "update casstore.components set media_type = 'x/y' where role = 'main'",
    ],
)
def test_facts_are_not_changed(connection, version, statement):
    with pytest.raises(psycopg.errors.InsufficientPrivilege) as caught:
        connection.execute(statement)
    assert faults.translate(caught.value).code is Code.NOT_PERMITTED


VERSION = (
    "insert into casstore.versions (artifact_id, number, tenant_id, id, type, manifest, title, labels, created_at)"
    " select artifact_id, {}, tenant_id, gen_random_uuid(), type, manifest, {}, {}, now() from casstore.versions"
)
POINTER = (
    "insert into casstore.pointers (artifact_id, pointer, move, tenant_id, is_tag, number, moved_at)"
    " select id, {}, now() from casstore.artifacts"
)
REFUSED = {
    "versions_key": VERSION.format("1", "null", "null"),
    "versions_number": VERSION.format("0", "null", "null"),
    "versions_artifact": VERSION.replace("select artifact_id", "select -1").format("1", "null", "null"),
    "versions_title": VERSION.format("2", "repeat('x', 501)", "null"),
    "versions_labels": VERSION.format("2", "null", "'[]'"),
    "components_blob": "insert into casstore.components select artifact_id, number, 'new', tenant_id,"
    " decode(repeat('ff', 32), 'hex'), 1, 'a/b' from casstore.versions",
    "components_version": "insert into casstore.components select artifact_id, 7, role, tenant_id, digest, 1, 'a/b'"
    " from casstore.components",
    "components_key": "insert into casstore.components select * from casstore.components",
    "artifacts_head": "update casstore.artifacts set head = -1",
    "artifacts_name_key": "insert into casstore.artifacts (tenant_id, name, type)"
    " select tenant_id, 'A', 'sop' from casstore.artifacts",
    "tenants_name_key": "insert into casstore.tenants (name) values ('t')",
    "domains_key": "insert into casstore.domains (check_value, name) select check_value, 'other' from casstore.domains",
    "domains_name_key": "insert into casstore.domains (check_value, name)"
    " select decode(repeat('ff', 32), 'hex'), name from casstore.domains",
    "tenants_domain": "update casstore.tenants set domain = decode(repeat('ff', 32), 'hex')",
    "blobs_domain": "update casstore.blobs set domain = decode(repeat('ff', 32), 'hex')",
    "pointers_version": POINTER.format("'prod', 1, tenant_id, false, 7"),
    "pointers_tag_once": POINTER.format("'prod', 2, tenant_id, true, 1"),
    "pointers_move": POINTER.format("'prod', 0, tenant_id, false, 1"),
    "blobs_live_generation": "update casstore.blobs set generation = null",
    "blobs_size": "update casstore.blobs set size_bytes = -1",
    "blobs_crc32c": "update casstore.blobs set crc32c = 4294967296",
    "blobs_state": "update casstore.blobs set state = 'x'",
    "digest_length": "update casstore.blobs set digest = 'short'",
    "requests_key_length": "insert into casstore.requests (tenant_id, key, fingerprint, versions, reused)"
    " select id, '', decode(repeat('ff', 32), 'hex'), '{}', '{}' from casstore.tenants",
}


@pytest.mark.parametrize("constraint", REFUSED)
def test_constraints_hold(connection, version, constraint):
    with pytest.raises(psycopg.errors.IntegrityError) as caught:
        connection.execute(REFUSED[constraint])
    assert caught.value.diag.constraint_name == constraint


def statements():
    """Every SQL constant of the catalog's modules."""
    for module in pkgutil.iter_modules(catalog.__path__):
        for name, value in vars(importlib.import_module(f"casstore.catalog.{module.name}")).items():
            if (
                isinstance(value, str)
                and name.startswith("_")
                and re.match(r"\s*(select|insert|update|delete|with)\b", value)
            ):
                yield pytest.param(value, id=f"{module.name}.{name}")


def test_there_are_statements():
    assert len(list(statements())) >= 12


@pytest.mark.parametrize("statement", list(statements()))
def test_every_statement_fits_the_schema(connection, statement):
    numbers = iter(range(1, 100))
    connection.execute("prepare fits as " + re.sub("%s", lambda _: f"${next(numbers)}", statement))


def test_every_constraint_named_in_python_exists(connection):
    known = set(column(connection, "select conname from pg_constraint where connamespace = 'casstore'::regnamespace"))
    assert set(faults._GRAMMAR) <= known
