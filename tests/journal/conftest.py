"""A store of its own for each test here, as export and rebuild are about all tenants; an `async def` test runs with it open.

- `store`: the store. `again`: one on the same blobs and a new, empty database.
- `by_hand`: runs SQL in the store's database with every guard off, as somebody with the right to does.
"""

from __future__ import annotations

import psycopg
import pytest

from casstore import AsyncStore
from casstore.operations.segments import keeper_of
from casstore.operations.unsealing import Unsealing
from tests.operations.conftest import pytest_pyfunc_call

__all__ = ["pytest_pyfunc_call", "unsealed"]


async def unsealed(store, segment):
    """The records of a segment, opened with the keys beside it."""
    unsealing = Unsealing(keeper_of(store._blobs), set())
    return [await unsealing.record(segment.store, each) for each in segment.records]


KEYS = {"vault": bytes(32)}  # of the isolation domain that histories have


@pytest.fixture
def store(store_urls):
    return AsyncStore(blobs=store_urls.blobs, catalog=store_urls.catalog, domains=KEYS)


@pytest.fixture
def again(store_urls, databases):
    with databases.fresh() as dsn:
        with psycopg.connect(
            databases.direct(dsn)
        ) as connection:  # all here are copies of one, which are told apart by nothing
            connection.execute("update casstore.store set identity = gen_random_uuid()")
        yield AsyncStore(blobs=store_urls.blobs, catalog=dsn, domains=KEYS)


@pytest.fixture
def by_hand(store_urls, databases):
    with psycopg.connect(databases.direct(store_urls.catalog), autocommit=True) as connection:
        connection.execute("set session_replication_role = replica")
        connection.execute("set search_path = casstore")
        yield lambda sql, *arguments: connection.execute(sql, arguments)
