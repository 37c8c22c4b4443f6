"""A collector as the protocol wants it (research/postgres.md §6), in SQL of its own: the store's comes with a later issue."""

from __future__ import annotations

import random
from datetime import timedelta

import psycopg

from casstore.model import Digest

MARK = """
with found as (
  select b.digest from casstore.blobs b
   where (b.state = 'l' or (b.state = 'p' and b.lease_until <= now()))
     and not exists (select from casstore.components c where c.digest = b.digest)
   order by b.digest for no key update skip locked)
update casstore.blobs b set state = 'c', state_at = now(), lease_until = null from found where b.digest = found.digest
"""
LOCK = """
select b.digest from casstore.blobs b
 where (b.state = 'c' and b.state_at <= now() - %(grace)s) or (b.state = 'd' and b.state_at <= now() - %(stuck)s)
 order by b.digest for update skip locked
"""
REFERENCED = """
update casstore.blobs b set state = 'l', state_at = now()
 where b.digest = any (%s) and b.state = 'c' and b.generation is not null
   and exists (select from casstore.components c where c.digest = b.digest)
"""
CLAIM = """
update casstore.blobs b set state = 'd', state_at = now(), incarnation = nextval('casstore.incarnations'),
       dead = coalesce(b.generation, b.dead), generation = null
 where b.digest = any (%s) and not exists (select from casstore.components c where c.digest = b.digest)
returning b.digest, b.incarnation, b.dead
"""
TARGET = "update casstore.blobs set dead = %s where digest = %s and state = 'd' and incarnation = %s"
DONE = "delete from casstore.blobs where digest = %s and state = 'd' and incarnation = %s"


class Collector:
    """One collector on a connection of its own. Every step may be taken on its own, and again."""

    def __init__(self, connection, blobs) -> None:
        self.connection = connection
        self._blobs = blobs
        self.counts = {"claimed": 0, "deleted": 0, "lost": 0, "alarms": 0}

    @classmethod
    async def connect(cls, dsn, blobs):
        # Unprepared: between us and the server may be a transaction pooler.
        return cls(await psycopg.AsyncConnection.connect(dsn, autocommit=True, prepare_threshold=None), blobs)

    async def mark(self) -> int:
        return (await self.connection.execute(MARK)).rowcount

    async def claim(self, *, grace=timedelta(0), stuck=timedelta(minutes=15), between=None):
        """Lock in one statement, look in the next: a new snapshot."""
        async with self.connection.transaction():
            found = await self.connection.execute(LOCK, {"grace": grace, "stuck": stuck})
            digests = [row[0] for row in await found.fetchall()]
            if between:
                await between()
            await self.connection.execute(REFERENCED, (digests,))
            claims = await (await self.connection.execute(CLAIM, (digests,))).fetchall()
        self.counts["claimed"] += len(claims)
        return claims

    async def target(self, digest, claim, dead):
        """The generation to be deleted, written down before the delete is sent; None: the claim was lost, or nothing is there."""
        if dead is None:
            found = await self._blobs.stat(Digest(digest))
            if found is None:
                return None
            dead = found.generation
            if (await self.connection.execute(TARGET, (dead, digest, claim))).rowcount == 0:
                return None
        return dead

    async def delete(self, digest, dead) -> bool:
        return dead is not None and await self._blobs.delete(Digest(digest), generation=dead)

    async def done(self, digest, claim) -> bool:
        try:
            gone = (await self.connection.execute(DONE, (digest, claim))).rowcount == 1
        except psycopg.errors.ForeignKeyViolation:  # the last alarm: a version refers to what was deleted
            self.counts["alarms"] += 1
            return False
        self.counts["deleted" if gone else "lost"] += 1
        return gone

    async def finish(self, claims) -> None:
        for digest, claim, dead in claims:
            await self.delete(digest, await self.target(digest, claim, dead))
            await self.done(digest, claim)

    async def collect(self, chance: random.Random, grace: timedelta) -> None:
        """One round as in real life, with a death now and then before the end."""
        await self.mark()
        for digest, claim, dead in await self.claim(grace=grace, stuck=timedelta(milliseconds=300)):
            await self.delete(digest, await self.target(digest, claim, dead))
            if chance.random() > 0.03:
                await self.done(digest, claim)
