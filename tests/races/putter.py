"""A process that opens a store, says it is ready, waits for the starting signal, and puts: for tests/races.

Reads one line of JSON: {"blobs": …, "catalog": …, "tenant": …, "tasks": [[{arguments of put}, …], …]}; answers one line:
for each task a list of [number, id, reused], or of the code of an error.
"""

from __future__ import annotations

import asyncio
import json
import sys

from casstore import AsyncStore, CasstoreError


async def main() -> None:
    order = json.loads(sys.stdin.readline())
    async with AsyncStore(blobs=order["blobs"], catalog=order["catalog"]) as store:
        print("ready", flush=True)
        sys.stdin.readline()
        answers = await asyncio.gather(*(puts(store.tenant(order["tenant"]), task) for task in order["tasks"]))
    print(json.dumps(answers), flush=True)


async def puts(tenant, task):
    return [await put(tenant, arguments) for arguments in task]


async def put(tenant, arguments):
    try:
        stored = await tenant.put(**arguments)
    except CasstoreError as error:
        return error.code
    return [stored.number, str(stored.id), stored.reused]


asyncio.run(main())
