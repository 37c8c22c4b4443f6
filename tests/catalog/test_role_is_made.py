"""The role of servers is made by the first database of a server that is migrated, or by its administrator."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from casstore import Denied
from casstore.catalog.migrate import migrate, migrations
from casstore.errors import Code
from tests.support.postgres import uri_of

OWNER = "casstore_test_owner"
ROLE = "select rolcanlogin, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb from pg_roles where rolname = 'casstore_app'"


@pytest.fixture
def admin(own_server):
    """A superuser's connection, on a server without the role now and afterwards."""
    with psycopg.connect(own_server, autocommit=True) as connection:
        yield connection
        for (name,) in connection.execute("select datname from pg_database where datname like 'made_%'").fetchall():
            connection.execute(f"drop database {name} with (force)")
        connection.execute("drop role if exists casstore_app")
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
    assert admin.execute(ROLE).fetchall() == [(False, False, False, False, False)]


def test_an_owner_who_may_not_is_told_what_an_administrator_has_to_do(admin, owned, run):
    (dsn,) = owned("nocreaterole")
    with pytest.raises(Denied) as caught:
        run(migrate(dsn))
    assert caught.value.code is Code.NOT_PERMITTED
    assert "casstore_app" in caught.value.message
    assert "create role casstore_app nologin" in caught.value.hint
    admin.execute("create role casstore_app nologin")
    assert run(migrate(dsn)) == migrations()[-1:]


@pytest.mark.parametrize("attribute", ["superuser", "bypassrls"])
def test_a_role_that_policies_do_not_bind_is_refused(admin, owned, run, attribute):
    admin.execute(f"create role casstore_app nologin {attribute}")
    (dsn,) = owned("createrole")
    with pytest.raises(Denied) as caught:
        run(migrate(dsn))
    assert "alter role casstore_app nosuperuser nobypassrls" in caught.value.hint
    admin.execute("alter role casstore_app nosuperuser nobypassrls")
    assert run(migrate(dsn)) == migrations()[-1:]


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
