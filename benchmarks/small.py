"""What do one put and one get of a 4 KB document cost beside the floor (see `floor.Floor`)? In one run, interleaved.

python benchmarks/small.py [ROUNDS]
"""

from __future__ import annotations

import asyncio
import os
import sys

from floor import Floor
from machine import compare, describe, fresh_folder, timed
from psycopg_pool import AsyncConnectionPool

from casstore import AsyncStore

PER_ROUND = 100
QUERY = """
select v.manifest, c.digest, c.size_bytes from casstore.tenants t
  join casstore.artifacts a on a.tenant_id = t.id and lower(a.name) = lower(%s)
  join casstore.versions v on v.artifact_id = a.id and v.number = %s
  join casstore.components c on c.artifact_id = v.artifact_id and c.number = v.number
 where t.name = %s
"""


async def main(rounds: int) -> None:
    with fresh_folder() as home:
        async with AsyncStore(home) as store:
            tenant, dsn, data = store.tenant("bench"), store._catalog._server.dsn, os.urandom(4096)
            floor = Floor(home / "floor", dsn, (await tenant.put("known", data)).components[0].digest)
            settings = {"autocommit": True, "prepare_threshold": 1}
            names: list[str] = []

            async def put(index: int) -> None:
                await tenant.put(f"doc/n{index % 100}", os.urandom(4096))

            async def floor_put(index: int) -> None:
                names.append(floor.put(f"doc/n{index % 100}", os.urandom(4096)))

            async def put_known(index: int) -> None:
                await tenant.put(f"known/n{index % 100}", data, on_same="new_version")

            async def floor_commit(index: int) -> None:
                floor.commit(f"known/n{index % 100}")

            async def get(index: int) -> None:
                await (await tenant.get(f"doc/n{index % 100}@1")).bytes()

            async def floor_get(index: int) -> None:
                floor.connection.execute(QUERY, (f"doc/n{index % 100}", 1, "bench"), binary=True).fetchone()
                floor.read(names[index % 100])

            async with AsyncConnectionPool(dsn, kwargs=settings, min_size=1, max_size=8, open=False) as pool:

                async def pool_get(index: int) -> None:
                    async with pool.connection() as connection:
                        cursor = await connection.execute(QUERY, (f"doc/n{index % 100}", 1, "bench"), binary=True)
                        await cursor.fetchall()
                    floor.read(names[index % 100])

                await report("put 4 KB, new bytes", put, {"floor": (floor_put, "<= 1.5")}, rounds)
                await report("put 4 KB, known bytes", put_known, {"commit call": (floor_commit, "<= 1.5")}, rounds)
                floors = {"blocking floor": (floor_get, "<= 1.5"), "async pool floor": (pool_get, "none")}
                await report("get 4 KB by name@n", get, floors, rounds * 5)


async def report(what, ours, floors, rounds):
    for work in (ours, *(work for work, _ in floors.values())):
        await timed(work, PER_ROUND)  # warm
    samples, others = [], {name: [] for name in floors}
    for turn in range(1, rounds + 1):
        samples += await timed(ours, PER_ROUND, turn * PER_ROUND)
        for name, (work, _) in floors.items():
            others[name] += await timed(work, PER_ROUND, turn * PER_ROUND)
    for name, (_, goal) in floors.items():
        compare(what, samples, others[name], goal, name)


if __name__ == "__main__":
    print(describe())
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10))
