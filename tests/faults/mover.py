"""A process that moves in and says how many documents are done. Killed by tests/faults/test_moving_in.py."""

from __future__ import annotations

import asyncio
import sys

from casstore import AsyncStore
from casstore.integrations.moving_in import move_in


async def main(blobs: str, catalog: str, source: str) -> None:
    async with AsyncStore(blobs=blobs, catalog=catalog) as store:
        await move_in(store, source, at_once=4, progress=tell)


def tell(done: int, _total: int) -> None:
    sys.stdout.write(f"{done}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
