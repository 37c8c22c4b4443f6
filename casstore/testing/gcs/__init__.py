"""A Google Cloud Storage for tests: the JSON API over real HTTP, true to it where emulators are not, and faults on demand.

    with GcsServer() as server:
        server.create_bucket("blobs")
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        …                                                          # a google.cloud.storage.Client, on any thread
        server.faults.add(drop_after(), operation="upload")        # done, but the answer gets lost
        server.objects("blobs"), server.requests                   # what is stored, what was asked

As a process of its own, for benchmarks: `with gcs_process("blobs") as url:`, or

    python -m casstore.testing.gcs --port 4443 --bucket blobs      # prints its URL on one line, then serves

True are: generations (never repeated) and metagenerations, all preconditions, checksums, resumable uploads, ranges,
transcoding, listings, versioning, soft delete, retention, holds, compose, rewrite, copy, move, batches, and V4 signed
URLs. Anything else is answered 501, never done by halves. Different on purpose: nobody has to log in, `fields` is not
heeded, a bucket's lifecycle is kept but not lived, a rewrite is done in one call, and an object of more than 8 MiB has
no MD5. What Google does not document is guessed: a chunk behind a gap is 503, and an upload whose end was refused can
be ended again.
"""

from __future__ import annotations

from casstore.testing.gcs.faults import (
    Chaos,
    corrupt_byte,
    corrupt_upload,
    cut_body,
    drop_after,
    drop_before,
    keep_part,
    stall,
    status,
)
from casstore.testing.gcs.process import gcs_process
from casstore.testing.gcs.server import GcsServer, Stored
from casstore.testing.gcs.service import Seen

__all__ = [
    "Chaos",
    "GcsServer",
    "Seen",
    "Stored",
    "corrupt_byte",
    "corrupt_upload",
    "cut_body",
    "drop_after",
    "drop_before",
    "gcs_process",
    "keep_part",
    "stall",
    "status",
]
