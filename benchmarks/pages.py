"""How long does each page of the store take where there are very many artifacts?

python benchmarks/pages.py [ARTIFACTS]

A tenant of ARTIFACTS artifacts (100,000) of three versions each is inserted in bulk, all with the bytes of one real version. One
artifact more has 10,000 versions, one is the source of every tenth, and every twentieth is in the trash. Then each page
is asked for, on one connection, of `casstore serve` in a process of its own.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from pathlib import Path

import httpx
import psycopg
from machine import describe, fresh_folder
from serving import server

from casstore import Store
from casstore.catalog.embedded import EmbeddedPostgres

ROUNDS = 15
VERSION = "select {columns} from casstore.artifacts a, generate_series(1, a.head) n where a.name <> 'sop/first'"
FILL = f"""
insert into casstore.artifacts (tenant_id, name, type, head, latest, head_at)
  select t.id, (array['workflow', 'report', 'chart', 'sop'])[n % 4 + 1] || '/' || md5(n::text),
         (array['workflow', 'report', 'visual', 'sop'])[n % 4 + 1], 3, case when n % 20 = 0 then 0 else 3 end, now()
    from casstore.tenants t, generate_series(1, {{artifacts}}) n;
insert into casstore.artifacts (tenant_id, name, type, head, latest, head_at)
  select id, 'long/one', 'document', 10000, 10000, now() from casstore.tenants;
insert into casstore.versions (artifact_id, number, tenant_id, id, type, manifest, title, labels, created_at)
  {
    VERSION.format(
        columns='''a.id, n, a.tenant_id, gen_random_uuid(), a.type, sha256(convert_to(a.id || ' ' || n, 'UTF8')), 'Title ' || a.id,
         jsonb_build_object('team', 'team-' || a.id % 50, 'rare', (a.id / 30000)::text), now() - (3 - n) * interval '1 day' '''
    )
};
insert into casstore.components (artifact_id, number, role, tenant_id, digest, size_bytes, media_type)
  select v.artifact_id, v.number, 'main', v.tenant_id, c.digest, c.size_bytes, c.media_type
    from casstore.versions v, casstore.components c where v.artifact_id <> c.artifact_id;
insert into casstore.sources (artifact_id, number, place, tenant_id, source_artifact_id, source_number, role)
  select v.artifact_id, 3, 1, v.tenant_id, f.id, 1, 'source'
    from casstore.versions v, casstore.artifacts f where v.number = 3 and v.artifact_id % 10 = 0 and f.name = 'sop/first';
insert into casstore.transitions (artifact_id, number, state, tenant_id, seq, before, actor, at)
  select v.artifact_id, v.number, 'accepted', v.tenant_id, v.seq, 'draft', 'me', now() from casstore.versions v
   where v.artifact_id % 1000 = 2 and v.number = 3;
insert into casstore.trash (artifact_id, number, tenant_id, actor, reason, at)
  select v.artifact_id, v.number, v.tenant_id, 'me', 'over', now()
    from casstore.versions v join casstore.artifacts a on a.id = v.artifact_id and a.latest = 0
"""
ASKED = {
    "library": "/",
    "library by kind": "/?kind=visual",
    "library by the beginning of a name": "/?q=chart/ab",
    "library by a name's beginning that no name has": "/?q=nothing/like/it",
    "library by status": "/?state=accepted",
    "library by a label of one in fifty": "/?label=team%3Dteam-7",
    "library by a label that none has": "/?label=team%3Dnone",
    "library by kind and label": "/?kind=sop&label=team%3Dteam-8",
    "library by kind and label that never meet": "/?kind=sop&label=team%3Dteam-7",
    "artifact": "/artifact/long/one",
    "artifact that a tenth was made from": "/artifact/sop/first",
    "version that a tenth was made from": "/version/sop/first@1",
    "version": "/version/long/one@5000",
    "compare": "/compare?a=long/one@1&b=long/one@10000",
    "its report": "/v1/diff?a=long/one@1&b=long/one@10000&format=html",
    "trash": "/trash",
    "usage": "/usage",
    "who has these bytes": "/bytes/DIGEST",
    "what deleting would do": "/delete/long/one@5000",
    "what deleting all of it would do": "/delete/long/one",
}


def fill(dsn: str, artifacts: int) -> None:
    """Insert the artifacts, in bulk."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in FILL.format(artifacts=artifacts).split(";\n"):
            connection.execute(statement)
        connection.execute("vacuum analyze")


def measure(port: int, digest: str) -> None:
    """Print how long each page took."""
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        for what, path in ASKED.items():
            seconds = []
            for _ in range(ROUNDS):
                begin = time.perf_counter()
                answer = client.get(path.replace("DIGEST", digest))
                seconds.append(time.perf_counter() - begin)
                answer.raise_for_status()
            most, middle = max(seconds) * 1e3, statistics.median(seconds) * 1e3
            print(
                f"{what:48} {middle:8.1f} ms, at most {most:8.1f} ms, {len(answer.content) / 1e3:7.1f} kB", flush=True
            )


def main(artifacts: int) -> None:
    """Fill a store and ask for its pages."""
    print(describe())
    with fresh_folder() as folder:
        home = Path(folder) / "home"
        with Store(home=home) as store:
            stored = store.tenant("bench").put(
                "sop/first", "# First\n\nOf all.\n", media_type="text/markdown", type="sop"
            )
            with EmbeddedPostgres(home / "catalog") as catalog:
                fill(catalog.dsn, artifacts)
            program = "import sys; from casstore.cli import main; sys.exit(main())"
            command = ("-c", program, "serve", "--port", "PORT", "--insecure-dev-tenant", "bench")
            with server(*command, CASSTORE_HOME=str(home)) as (port, _):
                measure(port, str(stored.components[0].digest))
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
