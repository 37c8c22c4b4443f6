"""A process that puts for ever and says so: one line of JSON for each answer. Killed by tests/faults/test_kill.py."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys

from casstore import AsyncStore, Components, limits


async def main(blobs: str, catalog: str, writer: str) -> None:
    async with AsyncStore(blobs=blobs, catalog=catalog) as store:
        await asyncio.gather(*(puts(store.tenant(), writer, task) for task in range(3)))


async def puts(tenant, writer: str, task: int) -> None:
    for n in itertools.count():
        text = f"{writer}.{task} number {n} "
        name = ("doc/shared", f"doc/{writer}", f"doc/{writer}-parts")[task]
        data = (
            Components(main=text * 30_000, also=text, known="known to all") if task == 2 else text + os.urandom(9).hex()
        )
        stored = await tenant.put(name, data, on_same="new_version")
        sys.stdout.write(json.dumps([name, stored.number, str(stored.digest)]) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    limits.GCS_REQUEST_BYTES = (
        2**18
    )  # the least that Google takes: some of what is put here goes up in several requests
    asyncio.run(main(*sys.argv[1:]))
