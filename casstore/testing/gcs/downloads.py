"""The bytes of an object as an answer: whole, a range of them, or unzipped on the way."""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from casstore.testing.gcs.objects import StoredObject
from casstore.testing.gcs.refusals import Refusal, unsupported
from casstore.testing.gcs.wire import Answer

__all__ = ["media"]

_RANGE: Final = re.compile(r"bytes=(\d*)-(\d*)")


def media(stored: StoredObject, request_headers: Mapping[str, str]) -> Answer:
    """What a download answers. The checksum in `x-goog-hash` is always that of all the stored bytes.

    Raises:
        Refusal: 416, the range begins behind the end.
    """
    headers = stored.headers()
    if _transcodes(stored, request_headers):
        del headers["content-encoding"]
        headers["warning"] = "214 UploadServer gunzipped"
        return Answer(HTTPStatus.OK, headers, gzip.decompress(stored.data))  # ranges are not heeded
    if "range" not in request_headers:
        return Answer(HTTPStatus.OK, headers, stored.data)
    first, end = _span(request_headers["range"], len(stored.data))
    headers["content-range"] = f"bytes {first}-{end - 1}/{len(stored.data)}"
    return Answer(HTTPStatus.PARTIAL_CONTENT, headers, memoryview(stored.data)[first:end])


def _transcodes(stored: StoredObject, request_headers: Mapping[str, str]) -> bool:
    return (
        stored.metadata.get("contentEncoding") == "gzip"
        and "gzip" not in request_headers.get("accept-encoding", "")
        and "no-transform" not in stored.metadata.get("cacheControl", "")
    )


def _span(header: str, size_bytes: int) -> tuple[int, int]:
    """The first byte and the one after the last."""
    found = _RANGE.fullmatch(header)
    if not found or header == "bytes=-":
        raise unsupported(f"the range {header!r}")
    if not found[1]:
        first, end = max(size_bytes - int(found[2]), 0), size_bytes
    else:
        first, end = int(found[1]), min(int(found[2]) + 1, size_bytes) if found[2] else size_bytes
    if first >= end:
        raise Refusal(
            HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
            f"The requested range cannot be satisfied: {header}",
            {"content-range": f"bytes */{size_bytes}"},
        )
    return first, end
