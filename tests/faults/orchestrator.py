"""A process that stores executions for ever: killed by tests/faults/test_executions.py.

It says "<id> begun" before each, and "<id> done" with its references when they were answered.

    python orchestrator.py BLOBS CATALOG WRITER              for ever, executions WRITER.<task>.<n>
    python orchestrator.py BLOBS CATALOG WRITER POINT        the one execution WRITER, and dies at that point of it; 0: at none
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import os
import signal
import struct
import sys
import zlib

from casstore import AsyncStore
from casstore.integrations.executions import store_execution
from casstore.integrations.materialization import MaterializationPolicy
from casstore.testing.faults import Faults, faulty_store

TASKS = 3
KEYS = ("workflow", "sop", "blueprint")
POLICY = MaterializationPolicy.from_dict({"types": {"trace": "discard"}})


def png(seed: str) -> dict:
    """A picture of 8 by 8 greys that nobody else has."""
    grey = (seed.encode() * 64)[:64]
    rows = zlib.compress(b"".join(b"\0" + grey[at : at + 8] for at in range(0, 64, 8)))
    header = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b""))
    data = b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return {"image_base64": base64.b64encode(b"\x89PNG\r\n\x1a\n" + data).decode()}


def execution(identity: str) -> dict:
    """The same result for whoever repeats it."""
    parts = {"current_state": {"of": identity}, "coexistence_state": {"of": identity}, "roadmap": {"phases": []}}
    return {
        "workflow": {"steps": [identity], "workflow_visual": png(identity)},
        "sop": {"title": "known to all", "source_artifact_ids": ["workflow"]},
        "blueprint": {
            "semantic_payload": {**parts, "responsibility_matrix": {}},
            "renderings": {"current_state_chart": png(identity)},
            "source_artifact_ids": ["workflow", "sop"],
        },
        "trace": {"of": identity},
    }


async def execute(tenant, identity: str) -> dict[str, str]:
    result, metadata = execution(identity), {"realm": "journey"}
    return (await store_execution(tenant, result, POLICY, execution_id=identity, metadata=metadata)).references


async def tell(tenant, identity: str) -> None:
    print(identity, "begun", flush=True)
    print(identity, "done", json.dumps(await execute(tenant, identity)), flush=True)


async def for_ever(blobs: str, catalog: str, writer: str) -> None:
    async def task(tenant, number: int) -> None:
        for n in itertools.count():
            await tell(tenant, f"{writer}.{number}.{n}")

    async with AsyncStore(blobs=blobs, catalog=catalog) as store:
        await asyncio.gather(*(task(store.tenant(), number) for number in range(TASKS)))


class Deadly(Faults):
    """Kills the process as SIGKILL does, where the others only seem to."""

    def _pass(self, point: str) -> None:
        self.points.append(point)
        if len(self.points) == self._crash_at:
            print("dies", point, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)


async def once(blobs: str, catalog: str, identity: str, point: str) -> None:
    async with faulty_store(Deadly(crash_at=int(point) or None), blobs=blobs, catalog=catalog) as store:
        await tell(store.tenant(), identity)


if __name__ == "__main__":
    asyncio.run(for_ever(*sys.argv[1:]) if len(sys.argv) == 4 else once(*sys.argv[1:]))
