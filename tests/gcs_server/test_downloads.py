"""Downloads over plain HTTP: headers, ranges, transcoding."""

from __future__ import annotations

import gzip

import pytest

from tests.gcs_server.raw import BUCKET, crc32c, object_path

DATA = bytes(range(256)) * 10


def test_a_download_says_what_it_is(server, raw):
    generation = server.write(BUCKET, "a", DATA, contentType="text/x", metadata={"k": "v ü"}, cacheControl="no-store")
    response = raw.get("a")
    headers = response.headers
    assert (response.status, response.body) == (200, DATA)
    assert f"crc32c={crc32c(DATA)},md5=" in headers["x-goog-hash"]
    assert (headers["x-goog-generation"], headers["x-goog-metageneration"]) == (str(generation), "1")
    assert (headers["x-goog-stored-content-length"], headers["x-goog-stored-content-encoding"]) == ("2560", "identity")
    assert (headers["content-type"], headers["cache-control"]) == ("text/x", "no-store")
    assert headers["x-goog-meta-k"] == "v %C3%BC"
    assert headers["etag"]
    assert headers["last-modified"].endswith("GMT")


def test_the_path_without_download_serves_media_too(server, raw):
    server.write(BUCKET, "a", DATA)
    assert raw("GET", object_path("a"), alt="media").body == DATA


@pytest.mark.parametrize(
    ("header", "first", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=5-9", 5, 10),
        ("bytes=2559-", 2559, 2560),
        ("bytes=2550-99999", 2550, 2560),
        ("bytes=-5", 2555, 2560),
        ("bytes=-99999", 0, 2560),
    ],
)
def test_ranges(server, raw, header, first, end):
    server.write(BUCKET, "a", DATA)
    response = raw.get("a", {"range": header})
    assert (response.status, response.body) == (206, DATA[first:end])
    assert response.headers["content-range"] == f"bytes {first}-{end - 1}/2560"
    assert f"crc32c={crc32c(DATA)}" in response.headers["x-goog-hash"]


@pytest.mark.parametrize("header", ["bytes=2560-", "bytes=9999-", "bytes=-0", "bytes=5-4"])
def test_ranges_of_nothing(server, raw, header):
    server.write(BUCKET, "a", DATA)
    response = raw.get("a", {"range": header})
    assert response.status == 416
    assert response.headers["content-range"] == "bytes */2560"
    server.write(BUCKET, "a", b"")
    assert raw.get("a", {"range": "bytes=0-"}).status == 416


@pytest.mark.parametrize("header", ["bytes=0-1,3-4", "bytes=-", "bytes=x", "items=0-1"])
def test_ranges_that_are_not_supported_say_so(server, raw, header):
    server.write(BUCKET, "a", DATA)
    assert raw.get("a", {"range": header}).status == 501


def test_gzip(server, raw):
    packed = gzip.compress(DATA, mtime=0)
    server.write(BUCKET, "a", packed, contentEncoding="gzip")
    taken = raw.get("a", {"accept-encoding": "gzip"})
    assert (taken.body, taken.headers["content-encoding"]) == (packed, "gzip")
    assert raw.get("a", {"accept-encoding": "gzip", "range": "bytes=0-3"}).body == packed[:4]
    unpacked = raw.get("a", {"range": "bytes=0-3"})  # a range of what is unpacked on the way cannot be had
    assert (unpacked.status, unpacked.body) == (200, DATA)
    assert "content-encoding" not in unpacked.headers
    assert f"crc32c={crc32c(packed)}" in unpacked.headers["x-goog-hash"]
    assert unpacked.headers["x-goog-stored-content-encoding"] == "gzip"
    server.write(BUCKET, "a", packed, contentEncoding="gzip", cacheControl="no-transform")
    assert raw.get("a").body == packed


def test_a_large_download(server, raw):
    large = DATA * 20_000
    server.write(BUCKET, "a", large)
    assert raw.get("a").body == large
    assert raw.get("a", {"range": "bytes=1-"}).body == large[1:]
