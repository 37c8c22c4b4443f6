"""A process that runs executions for ever, one transaction each: killed or raced by tests/faults/test_transaction_*.py.

It says "<id> begun" before each commit, and "<id> done" when it was answered.
"""

from __future__ import annotations

import asyncio
import itertools
import sys

from casstore import AsyncStore, Components

OWN = ("text", "parts", "again")
SHARED = ("hot/a", "hot/b")
TASKS = 2


async def main(blobs: str, catalog: str, writer: str) -> None:
    async with AsyncStore(blobs=blobs, catalog=catalog) as store:
        await asyncio.gather(*(executions(store.tenant(), f"{writer}.{task}") for task in range(TASKS)))


async def executions(tenant, writer: str) -> None:
    for n in itertools.count():
        identity = f"{writer}.{n}"
        print(identity, "begun", flush=True)
        await execute(tenant, identity)
        print(identity, "done", flush=True)


async def execute(tenant, identity: str):
    """Five artifacts labelled with the id of the execution, which is the key, too: whoever repeats it says the same."""
    text, labels = f"execution {identity} ", {"execution": identity}
    data = (text * 3_000, Components(main=text, known="known to all"), text * 3_000)
    async with tenant.transaction(idempotency_key=identity) as tx:
        puts = [
            await tx.put(f"run/{identity}/{name}", part, labels=labels) for name, part in zip(OWN, data, strict=True)
        ]
        puts += [await tx.put(name, text + name, labels=labels) for name in SHARED]
        for name in SHARED:
            tx.alias(name, "current")
    return [put.stored for put in puts]


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
