"""One put and one get of a 4 KB document against the floor (see `machine.Floor`), in one run, interleaved.

python benchmarks/small.py [ROUNDS]
"""

from __future__ import annotations

import asyncio
import os
import sys
import uuid
from datetime import timedelta

from machine import Floor, describe, fresh_folder, milliseconds, ratio, timed

from casstore import AsyncStore, Digest
from casstore.catalog.versions import _PUT

PER_ROUND = 100
QUERY = """
select v.manifest, c.digest, c.size_bytes from casstore.tenants t
  join casstore.artifacts a on a.tenant_id = t.id and lower(a.name) = lower(%s)
  join casstore.versions v on v.artifact_id = a.id and v.number = %s
  join casstore.components c on c.artifact_id = v.artifact_id and c.number = v.number
 where t.name = %s
"""


def commit_arguments(name: str, digest: Digest) -> tuple[object, ...]:
    """A commit of one component whose blob is live."""
    return (
        *("floor", name, None, uuid.uuid4(), os.urandom(32)),
        *(["main"], [digest], [4096], ["application/octet-stream"], [digest], [4096], [0], None, None),
        *(timedelta(hours=1), None, None, None, "reuse", None, bytes(32), False),
    )


async def main(rounds: int) -> None:
    with fresh_folder() as home:
        async with AsyncStore(home) as store:
            tenant = store.tenant("bench")
            known = (await tenant.put("known", os.urandom(4096))).components[0].digest
            floor = Floor(home / "floor", store._catalog._server.dsn)
            names: list[str] = []

            async def floor_put(index: int) -> None:
                names.append(floor.write(os.urandom(4096)))
                floor.connection.execute(_PUT, commit_arguments(f"doc/n{index % 100}", known), binary=True).fetchone()

            async def put(index: int) -> None:
                await tenant.put(f"doc/n{index % 100}", os.urandom(4096))

            async def floor_get(index: int) -> None:
                floor.connection.execute(QUERY, (f"doc/n{index % 100}", 1, "bench"), binary=True).fetchone()
                floor.read(names[index % 100])

            async def get(index: int) -> None:
                await (await tenant.get(f"doc/n{index % 100}@1")).bytes()

            await report("put 4 KB, new bytes", put, floor_put, rounds)
            await report("get 4 KB by name@n", get, floor_get, rounds * 5)


async def report(what, ours, floor, rounds):
    await timed(ours, PER_ROUND), await timed(floor, PER_ROUND)  # warm both
    a, b = [], []
    for turn in range(1, rounds + 1):
        a += await timed(ours, PER_ROUND, turn * PER_ROUND)
        b += await timed(floor, PER_ROUND, turn * PER_ROUND)
    print(f"{what}: casstore {milliseconds(a)}   floor {milliseconds(b)}   ratio {ratio(a, b):.2f}")


if __name__ == "__main__":
    print(describe())
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10))
