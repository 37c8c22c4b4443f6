"""A process whose four tasks race, once for each line with a number that it reads: for tests/faults/test_transaction_races.py.

Each task puts the same three names in one transaction, in an order of its own, and expects them at that number. The answer is
one line: for each task the numbers it made, by name, or the codes of its puts.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys

from casstore import AsyncStore, CasstoreError, Components

NAMES = ("doc/a", "doc/b", "doc/c")
TASKS = 4


async def main(blobs: str, catalog: str, racer: str) -> None:
    async with AsyncStore(blobs=blobs, catalog=catalog) as store:
        print("ready", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            work = (race(store.tenant(), int(line), f"{racer}.{task}") for task in range(TASKS))
            print(json.dumps(await asyncio.gather(*work)), flush=True)


async def race(tenant, head: int, who: str):
    names = random.sample(NAMES, len(NAMES))
    try:
        async with tenant.transaction() as tx:
            puts = [
                await tx.put(
                    name, Components(own=f"{who} {head}", shared=f"{name} {head}"), labels={"by": who}, expect=head
                )
                for name in names
            ]
            for name in reversed(names):
                tx.alias(name, "current")
    except CasstoreError as error:
        return [each["error"] for each in error.fields.get("refused", [{"error": error.code}])]
    return {put.name: put.stored.number for put in puts}


asyncio.run(main(*sys.argv[1:]))
