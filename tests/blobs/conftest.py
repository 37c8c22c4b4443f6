"""What the tests of the blob stores share."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from casstore.blobs.local import LocalBlobs


@pytest.fixture
def drive():
    """Run `await work(store)` on a local store of its own, opened at `root` and closed afterwards."""

    def drive(root, work):
        async def main():
            store = await LocalBlobs.connect(Path(root))
            try:
                return await work(store)
            finally:
                await store.aclose()

        return asyncio.run(main())

    return drive
