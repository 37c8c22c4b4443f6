"""How fast is a check of a whole store, and a scrub, in a folder of tiny blobs? And how much memory does it take?

python benchmarks/fsck.py [BLOBS]

Blobs are written as files and rows as rows, in bulk: a version for each blob, ten of each artifact.
"""

from __future__ import annotations

import asyncio
import resource
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import psycopg
from machine import describe, fresh_folder

from casstore import AsyncStore, Component, Digest, Manifest, Store
from casstore.blobs import keys
from casstore.hashing import Hasher

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
VERSIONS = 10  # of each artifact


def fill(home: Path, dsn: str, count: int) -> None:
    folder = home / "blobs" / keys.PREFIX
    with psycopg.connect(dsn) as connection:
        (tenant,) = connection.execute("select id from casstore.tenants").fetchone()
        artifacts = count // VERSIONS
        connection.execute(
            "insert into casstore.artifacts (tenant_id, name, type, head, latest, head_at)"
            f" select {tenant}, 'bench/' || g, 'document', {VERSIONS}, {VERSIONS}, now() from generate_series(1, {artifacts}) g"
        )
        (first,) = connection.execute("select min(id) from casstore.artifacts where name like 'bench/%'").fetchone()
        rows = [(index, *written(folder, index)) for index in range(count)]
        copy(connection, "blobs (digest, size_bytes, crc32c, state, generation)", (
            (bytes(digest), size, crc, "l", generation) for _, digest, size, crc, generation in rows))  # fmt: skip
        copy(connection, "versions (artifact_id, number, tenant_id, id, type, manifest, created_at)", (
            (first + index // VERSIONS, index % VERSIONS + 1, tenant, UUID(int=index), "document",
             bytes(manifest(digest, size)), BEGIN + timedelta(seconds=index)) for index, digest, size, *_ in rows))  # fmt: skip
        copy(connection, "components (artifact_id, number, role, tenant_id, digest, size_bytes, media_type)", (
            (first + index // VERSIONS, index % VERSIONS + 1, "main", tenant, bytes(digest), size, "text/plain")
            for index, digest, size, *_ in rows))  # fmt: skip
        copy(connection, "log (tenant_id, op, artifact_id, number)", (
            (tenant, "put", first + index // VERSIONS, index % VERSIONS + 1) for index, *_ in rows))  # fmt: skip
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("vacuum analyze")


def written(folder: Path, index: int) -> tuple[Digest, int, int, int]:
    data, hasher = f"blob number {index}".encode(), Hasher()
    hasher.update(data)
    path = folder / hasher.digest.hex()
    path.write_bytes(data)
    return hasher.digest, len(data), hasher.crc32c, path.stat().st_mtime_ns


def manifest(digest: Digest, size: int) -> Digest:
    return Manifest.build(
        {"main": Component(role="main", digest=digest, size_bytes=size, media_type="text/plain")}
    ).digest


def copy(connection, target: str, rows) -> None:
    with connection.cursor() as cursor, cursor.copy(f"copy casstore.{target} from stdin") as out:
        for row in rows:
            out.write_row(row)


async def measure(home: Path, count: int) -> None:
    async with AsyncStore(home) as store:
        before, begin, parts = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter(), {}

        def note(summary) -> None:
            parts["objects" if not summary.artifacts else "versions and laws"] = time.perf_counter() - begin

        check = store.fsck(progress=note)
        assert [defect async for defect in check] == [], "a store that was made by the rules"
        took = time.perf_counter() - begin
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        compared, laws = parts["objects"], took - parts["objects"]
        print(
            f"fsck of {check.summary.objects:,} objects: compared in {compared:.2f} s, {count / compared:,.0f} objects/s"
        )
        print(f"its {check.summary.versions:,} versions and their laws: {laws:.2f} s, {count / laws:,.0f} versions/s")
        print(f"together {took:.2f} s, {count / took:,.0f} objects/s (goal >= 20,000); memory +{grown:.0f} MiB")
        begin = time.perf_counter()
        scrub = store.scrub(share=1)
        assert [defect async for defect in scrub] == []
        took = time.perf_counter() - begin
        print(f"scrub, every blob read: {took:.2f} s, {scrub.summary.blobs / took:,.0f} blobs/s")


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    print(describe())
    with fresh_folder() as folder:
        folder.chmod(0o755)
        with Store(folder) as store:
            store.tenant("bench").put("first", b"first")
            fill(folder, store._twin._catalog._dsn, count)
            asyncio.run(measure(folder, count))


if __name__ == "__main__":
    main()
