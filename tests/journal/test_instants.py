"""Instants go through the journal as microseconds, exactly, whatever year and wherever the server is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from casstore import limits

FAR = datetime(2300, 1, 1, 0, 0, 0, 123457, tzinfo=UTC)


@pytest.fixture(scope="module")
def asked(databases):
    """`asked(instant)` is what the catalog makes of it, there and back, in New York."""
    with databases.fresh() as dsn, psycopg.connect(databases.direct(dsn), autocommit=True) as connection:
        connection.execute("set timezone to 'America/New_York'")

        def there_and_back(instant):
            query = (
                "select extract(epoch from casstore.instant(casstore.micros(%s))) = extract(epoch from %s::timestamptz)"
            )
            return connection.execute(query, (instant, instant)).fetchone()[0]

        yield there_and_back


@settings(max_examples=200)
@given(st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31)))  # noqa: DTZ001 - made of UTC below
@example(datetime(1683, 12, 31, 23, 59, 59, 999_999))  # noqa: DTZ001
@example(FAR.replace(tzinfo=None))
@example(datetime(1969, 12, 31, 23, 59, 59, 999_999))  # noqa: DTZ001
def test_micros_and_instant_are_inverse(asked, instant):
    assert asked(instant.replace(tzinfo=UTC))


async def test_what_expires_late_is_what_the_log_says(store):
    """Regression: an interval was multiplied as a double is, and `verify` told of a row that nobody had altered."""
    t = store.tenant("t")
    for number, at in enumerate((FAR, limits.EXPIRY_MIN, limits.EXPIRY_MAX - timedelta(microseconds=1)), 1):
        await t.put("a", f"{number}")
        await t.expire(f"a@{number}", at, by="ops")
    await store.export_journal()
    found = await store.verify_journal()
    assert (found.ok, found.faults) == (True, ())
