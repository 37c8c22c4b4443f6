"""The roles of servers and collectors are made by the first database of a server that is migrated, or by its administrator."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from casstore import Denied
from casstore.catalog.migrate import migrate, migrations
from casstore.errors import Code
from tests.support.postgres import uri_of

OWNER = "casstore_test_owner"
ROLES = ("casstore_app", "casstore_collector")
ROLE = (
    "select rolname, rolcanlogin, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb from pg_roles"
    " where rolname in ('casstore_app', 'casstore_collector') order by rolname"
)
MADE = "20261122000400"  # the migration that makes them


@pytest.fixture
def admin(own_server):
    """A superuser's connection, on a server without the roles now and afterwards."""
    with psycopg.connect(own_server, autocommit=True) as connection:
        yield connection
        for (name,) in connection.execute("select datname from pg_database where datname like 'made_%'").fetchall():
            connection.execute(f"drop database {name} with (force)")
        for role in ROLES:
            connection.execute(f"drop role if exists {role}")
        connection.execute(f"drop role if exists {OWNER}")


@pytest.fixture
def owned(admin, own_server):
    """Makes databases of an owner with some attributes; their DSNs."""

    def make(attributes: str, count: int = 1) -> list[str]:
        admin.execute(f"create role {OWNER} login nosuperuser {attributes}")
        names = [f"made_{number}" for number in range(count)]
        for name in names:
            admin.execute(f"create database {name} owner {OWNER}")
        return [uri_of(own_server, dbname=name, user=OWNER) for name in names]

    return make


def test_an_owner_who_may_make_roles_makes_it(admin, owned, run):
    (dsn,) = owned("createrole")
    assert run(migrate(dsn)) == migrations()
    assert admin.execute(ROLE).fetchall() == [(role, False, False, False, False, False) for role in ROLES]


def test_an_owner_who_may_not_is_told_what_an_administrator_has_to_do(admin, owned, run):
    (dsn,) = owned("nocreaterole")
    with pytest.raises(Denied) as caught:
        run(migrate(dsn))
    assert caught.value.code is Code.NOT_PERMITTED
    assert "casstore_app" in caught.value.message
    for role in ROLES:
        assert f"create role {role} nologin" in caught.value.hint
        admin.execute(f"create role {role} nologin")
    assert run(migrate(dsn)) == since_they_are_made()


def since_they_are_made():
    return [migration for migration in migrations() if migration.version >= MADE]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("attribute", ["superuser", "bypassrls"])
def test_a_role_that_policies_do_not_bind_is_refused(admin, owned, run, role, attribute):
    admin.execute(f"create role {role} nologin {attribute}")
    (dsn,) = owned("createrole")
    with pytest.raises(Denied) as caught:
        run(migrate(dsn))
    assert f"alter role {role} nosuperuser nobypassrls" in caught.value.hint
    admin.execute(f"alter role {role} nosuperuser nobypassrls")
    assert run(migrate(dsn)) == since_they_are_made()


def test_two_databases_of_a_server_may_be_migrated_at_the_same_moment(admin, owned, own_server, run):
    """Another's role, not yet committed, is waited for and then found."""
    (dsn,) = owned("createrole")

    async def main():
        async with await psycopg.AsyncConnection.connect(own_server) as other:
            await other.execute("create role casstore_app nologin")
            work = asyncio.create_task(migrate(dsn))
            while not admin.execute("select true from pg_stat_activity where wait_event_type = 'Lock'").fetchall():
                assert not work.done(), "it did not wait"
                await asyncio.sleep(0.01)
            await other.commit()
            return await work

    assert run(main()) == migrations()


def test_many_databases_of_a_server_may_be_migrated_at_the_same_moment(owned, run):
    dsns = owned("createrole", 6)

    async def main():
        return await asyncio.gather(*map(migrate, dsns))

    assert run(main()) == [migrations()] * len(dsns)
