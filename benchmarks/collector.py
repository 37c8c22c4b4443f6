"""How long does the catalog take to plan a collection of a large store, and to condemn and forget what is let go of?

python benchmarks/collector.py [VERSIONS]

A catalog of VERSIONS versions (1,000,000) is inserted in bulk: two components each, one of them shared by ten versions; besides,
one blob for each hundred versions that nothing refers to, half of them in the queue. Then: a full plan, page by page, with the
time in the catalog and the growth of our own memory; a plan of the queue; both condemned; all deleted. No bytes are stored.
"""

from __future__ import annotations

import asyncio
import resource
import sys
import time
from datetime import timedelta

import psycopg
from machine import describe, fresh_folder

from casstore import AsyncStore
from casstore.catalog.embedded import EmbeddedPostgres

FILL = """
insert into casstore.tenants (name) values ('bench');
insert into casstore.artifacts (tenant_id, name, type, head, latest)
  select t.id, 'doc/' || n, 'document', 10, 10 from casstore.tenants t, generate_series(1, {versions} / 10) n;
insert into casstore.blobs (digest, size_bytes, crc32c, state, generation)
  select sha256(convert_to('own ' || n, 'UTF8')), 4096, 0, 'l', 1 from generate_series(1, {versions}) n
  union all select sha256(convert_to('shared ' || n, 'UTF8')), 4096, 0, 'l', 1 from generate_series(1, {versions} / 10) n
  union all select sha256(convert_to('gone ' || n, 'UTF8')), 4096, 0, 'l', 1 from generate_series(1, {versions} / 100) n;
insert into casstore.versions (artifact_id, number, tenant_id, id, type, manifest, created_at)
  select a.id, n, a.tenant_id, gen_random_uuid(), 'document', sha256(convert_to(a.id || ' ' || n, 'UTF8')),
         now() + n * interval '1 s'
    from casstore.artifacts a, generate_series(1, 10) n;
insert into casstore.components (artifact_id, number, role, tenant_id, digest, size_bytes, media_type)
  select v.artifact_id, v.number, 'main', v.tenant_id,
         sha256(convert_to('own ' || row_number() over (order by v.seq), 'UTF8')), 4096, 'text/plain' from casstore.versions v
  union all
  select v.artifact_id, v.number, 'shared', v.tenant_id,
         sha256(convert_to('shared ' || (row_number() over (order by v.seq) % ({versions} / 10) + 1), 'UTF8')), 4096, 'text/plain'
    from casstore.versions v;
insert into casstore.dereferenced (digest)
  select sha256(convert_to('gone ' || n, 'UTF8')) from generate_series(1, {versions} / 200) n;
"""


class Clock:
    """Adds up the time spent in calls to the catalog."""

    def __init__(self, store) -> None:
        self.seconds, self.calls = 0.0, 0
        self._call = store._catalog.call
        store._catalog.call = self.call

    async def call(self, *arguments):
        begin = time.perf_counter()
        try:
            return await self._call(*arguments)
        finally:
            self.seconds += time.perf_counter() - begin
            self.calls += 1

    def read(self) -> str:
        text = f"{self.seconds:6.2f} s in {self.calls} calls to the catalog"
        self.seconds, self.calls = 0.0, 0
        return text


def fill(dsn: str, versions: int) -> None:
    begin = time.perf_counter()
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in FILL.format(versions=versions).split(";\n"):
            connection.execute(statement)
        connection.execute("vacuum analyze")
    print(f"{versions} versions inserted in {time.perf_counter() - begin:.0f} s")


async def planned(store, **options) -> int:
    found, cursor, more = 0, None, True
    while more:
        page = await store.plan_collection(cursor=cursor, **options)
        found += len(page)
        cursor, more = page.cursor, page.cursor is not None
    return found


async def main(versions: int) -> None:
    with fresh_folder() as home:
        home.chmod(0o755)  # as root the server runs under another account
        with EmbeddedPostgres(home / "catalog") as server:
            async with AsyncStore(home) as store:
                await asyncio.to_thread(fill, server.dsn, versions)
                clock = Clock(store)
                await planned(store)
                clock.read()
                before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                found = await planned(store, full=True)
                grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
                print(f"full plan, {found} found: {clock.read()}, memory +{grown:.1f} MiB")
                found = await planned(store)
                print(f"plan of what was let go of, {found} found: {clock.read()}")
                report = await store.collect()
                print(f"these condemned, {report.condemned}: {clock.read()}")
                report = await store.collect(full=True)
                print(f"the rest in a full collection, {report.condemned}: {clock.read()}")
                report = await store.collect(quarantine=timedelta(0), rate=1e9)
                print(f"deleted, {report.deleted} (no object is there): {clock.read()}")


if __name__ == "__main__":
    print(describe())
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000))
