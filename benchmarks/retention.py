"""How long does a look at all of a tenant's versions take, and dropping a tenth of them?

python benchmarks/retention.py [VERSIONS]

A catalog of VERSIONS versions (100,000) is inserted in bulk, ten of each artifact, each made from the one before in every other
artifact; one in a hundred is accepted, and one in a thousand has an alias. Three rules. Then: one page of the preview without
totals, one with them, and all of it applied. No bytes are stored.
"""

from __future__ import annotations

import asyncio
import sys
import time

import psycopg
from machine import describe, fresh_folder

from casstore import AsyncStore
from casstore.catalog.embedded import EmbeddedPostgres

FILL = """
insert into casstore.tenants (name) values ('bench');
insert into casstore.artifacts (tenant_id, name, type, head, latest)
  select t.id, (case n % 3 when 0 then 'doc/' when 1 then 'trace/' else 'other/' end) || n, 'document', 10, 10
    from casstore.tenants t, generate_series(1, {versions} / 10) n;
insert into casstore.blobs (digest, size_bytes, crc32c, state, generation)
  select sha256(convert_to('own ' || n, 'UTF8')), 4096, 0, 'l', 1 from generate_series(1, {versions}) n;
insert into casstore.versions (artifact_id, number, tenant_id, id, type, manifest, created_at)
  select a.id, n, a.tenant_id, gen_random_uuid(), 'document', sha256(convert_to(a.id || ' ' || n, 'UTF8')),
         now() - (11 - n) * interval '10 days'
    from casstore.artifacts a, generate_series(1, 10) n;
insert into casstore.components (artifact_id, number, role, tenant_id, digest, size_bytes, media_type)
  select v.artifact_id, v.number, 'main', v.tenant_id,
         sha256(convert_to('own ' || row_number() over (order by v.seq), 'UTF8')), 4096, 'text/plain' from casstore.versions v;
insert into casstore.sources (artifact_id, number, place, tenant_id, source_artifact_id, source_number, role)
  select v.artifact_id, v.number, 1, v.tenant_id, v.artifact_id, v.number - 1, 'source'
    from casstore.versions v where v.number > 1 and v.artifact_id % 2 = 0;
insert into casstore.transitions (artifact_id, number, state, tenant_id, seq, before, actor, at)
  select v.artifact_id, v.number, 'accepted', v.tenant_id, v.seq, 'draft', 'me', now()
    from casstore.versions v where v.seq % 100 = 0;
insert into casstore.pointers (artifact_id, pointer, move, tenant_id, is_tag, number, moved_at)
  select v.artifact_id, 'prod', 1, v.tenant_id, false, v.number, now() from casstore.versions v
    where v.number = 5 and v.artifact_id % 100 = 0;
"""
RULES = {
    "rules": [
        {"name": "documents", "match": {"name_prefix": "doc/"}, "keep": {"last": 7, "accepted": True}},
        {"name": "traces", "match": {"name_prefix": "trace/"}, "keep": {"for": "65d"}},
        {"name": "others", "match": {"labels": {"scratch": "yes"}}, "keep": {}},
    ]
}


def fill(dsn: str, versions: int) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in FILL.format(versions=versions).split(";\n"):
            connection.execute(statement)
        connection.execute("vacuum analyze")


async def timed(what, work):
    begin = time.perf_counter()
    answer = await work
    print(f"{what}: {time.perf_counter() - begin:.2f} s", flush=True)
    return answer


async def main(versions: int) -> None:
    with fresh_folder() as home:
        home.chmod(0o755)  # as root the server runs under another account
        with EmbeddedPostgres(home / "catalog") as server:
            async with AsyncStore(home) as store:
                await asyncio.to_thread(fill, server.dsn, versions)
                tenant = store.tenant("bench")
                await tenant.set_retention(RULES, by="me")
                page = await timed("a page of 1,000 with the totals", tenant.preview_retention(limit=1_000))
                await timed("the page after it", tenant.preview_retention(limit=1_000, cursor=page.cursor))
                print(page.totals)
                print(await timed("applied", tenant.apply_retention(by="me")))


if __name__ == "__main__":
    print(describe())
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000))
