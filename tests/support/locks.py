"""Who waits for whom, as only the server knows."""

from __future__ import annotations

import asyncio

import psycopg

WAITING = """
  select count(*) from pg_stat_activity
   where datname = current_database() and application_name = 'casstore' and wait_event_type = 'Lock'
"""


async def waiting(dsn: str, count: int = 1) -> None:
    """Until so many of the stores' calls wait for a lock; `TimeoutError` when they do not within ten seconds."""
    # A transaction pooler in between gives each question to another session, which knows no statement by its name.
    connection = await psycopg.AsyncConnection.connect(dsn, autocommit=True, prepare_threshold=None)
    async with asyncio.timeout(10), connection:
        while (await (await connection.execute(WAITING)).fetchone())[0] < count:
            await asyncio.sleep(0.005)  # only by asking again does one learn of it
