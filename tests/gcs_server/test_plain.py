"""The plain paths, by Google's client: the same on our server and on an independent one, where that is installed."""

from __future__ import annotations

import concurrent.futures
import datetime as dt
import gzip
import io
import itertools
import random

import pytest
import requests
from google.api_core import exceptions

from tests.gcs_server.raw import crc32c

NO = {"retry": None}


def put(bucket, name, data=b"hello", **options):
    blob = bucket.blob(name)
    blob.upload_from_string(data, **NO, **options)
    return blob


def url_of(blob):
    return blob._get_download_url(blob.client)


def test_what_was_put_is_what_is_got(either):
    data = random.Random(1).randbytes(100_000)
    put(either, "a", data)
    assert either.blob("a").download_as_bytes(**NO) == data
    stat = either.get_blob("a")
    assert (stat.size, stat.crc32c, stat.content_type) == (len(data), crc32c(data), "text/plain")
    assert stat.generation
    assert stat.time_created
    assert stat.updated
    assert stat.etag


def test_an_empty_object(either):
    put(either, "empty", b"")
    assert either.get_blob("empty").size == 0
    assert either.blob("empty").download_as_bytes(**NO) == b""


@pytest.mark.parametrize(
    "name", ["a/b/c", "sp ace", "per%cent", "pl+us", "ünï/çødé", "q?x=1&y#z", "/".join(["n" * 200] * 5), "~.-_", "a//b"]
)
def test_names(either, only_ours, name):
    if name == "a//b":
        only_ours("keeps names as paths in a folder")
    put(either, name, name.encode())
    assert either.blob(name).download_as_bytes(**NO) == name.encode()
    assert [blob.name for blob in either.list_blobs()] == [name]


def test_create_only(either):
    put(either, "a", b"one", if_generation_match=0)
    with pytest.raises(exceptions.PreconditionFailed):
        put(either, "a", b"two", if_generation_match=0)
    assert either.blob("a").download_as_bytes() == b"one"


def test_replace_one_generation(either):
    first = put(either, "a", b"one").generation
    with pytest.raises(exceptions.PreconditionFailed):
        put(either, "a", b"two", if_generation_match=first + 1)
    put(either, "a", b"two", if_generation_match=first)
    assert either.get_blob("a").generation > first
    assert either.blob("a").download_as_bytes() == b"two"


def test_what_is_not_there(either):
    blob = either.blob("nothing")
    for ask in (blob.download_as_bytes, blob.reload, blob.delete):
        with pytest.raises(exceptions.NotFound):
            ask(**NO)
    with pytest.raises(exceptions.NotFound):
        put(either.client.bucket("no-such-bucket"), "a")
    assert either.get_blob("nothing") is None
    assert not blob.exists()


def test_delete(either):
    blob = put(either, "a")
    blob.delete(**NO)
    assert not blob.exists()
    assert list(either.list_blobs()) == []


def test_custom_metadata(either, only_ours):
    blob = either.blob("a")
    blob.metadata = {"kind": "wheel", "naïve": "ünï"}
    blob.upload_from_string(b"x", **NO)
    found = either.get_blob("a")
    assert found.metadata == {"kind": "wheel", "naïve": "ünï"}
    only_ours("leaves an empty text where a key was taken away")
    found.metadata = {"kind": None, "new": "1"}
    found.patch(**NO)
    assert either.get_blob("a").metadata == {"naïve": "ünï", "new": "1"}


def test_content_headers(either):
    blob = either.blob("a")
    blob.cache_control = "public, max-age=31536000, immutable"
    blob.content_disposition = 'attachment; filename="a"'
    blob.content_language = "en"
    blob.custom_time = dt.datetime(2024, 1, 2, tzinfo=dt.UTC)
    blob.upload_from_string(b"{}", content_type="application/json", **NO)
    found = either.get_blob("a")
    for field in ("cache_control", "content_disposition", "content_language", "custom_time", "content_type"):
        assert getattr(found, field) == getattr(blob, field), field
    with requests.get(url_of(found), timeout=20) as response:
        assert response.headers["content-type"] == "application/json"
        assert response.headers["cache-control"] == blob.cache_control


def test_gzip_is_unpacked_for_who_does_not_take_it(either):
    plain = b"squeeze me " * 5000
    blob = either.blob("a")
    blob.content_encoding = "gzip"
    blob.upload_from_string(gzip.compress(plain, mtime=0), content_type="text/plain", **NO)
    found = either.get_blob("a")
    assert found.content_encoding == "gzip"
    assert found.download_as_bytes(raw_download=True, **NO) == gzip.compress(plain, mtime=0)
    assert found.download_as_bytes(**NO) == plain
    with requests.get(url_of(found), headers={"accept-encoding": "identity"}, timeout=20) as response:
        assert response.content == plain


def test_ranges(either):
    data = bytes(range(256)) * 40
    put(either, "a", data)
    blob = either.blob("a")
    assert blob.download_as_bytes(start=10, end=19, **NO) == data[10:20]
    assert blob.download_as_bytes(start=10_000, **NO) == data[10_000:]
    assert blob.download_as_bytes(start=10_000, end=99_999, **NO) == data[10_000:]
    with pytest.raises(exceptions.RequestRangeNotSatisfiable):
        blob.download_as_bytes(start=len(data), **NO)
    with requests.get(url_of(blob), headers={"range": "bytes=-5"}, timeout=20) as response:
        assert (response.status_code, response.content) == (206, data[-5:])


def test_reading_here_and_there(either):
    data = random.Random(2).randbytes(1_000_000)
    put(either, "a", data)
    with either.blob("a").open("rb", chunk_size=262_144) as file:
        file.seek(700_000)
        assert file.read(1000) == data[700_000:701_000]
        file.seek(5)
        assert file.read(5) == data[5:10]


@pytest.mark.parametrize("checksum", ["auto", "crc32c", "md5", None])
def test_checksums_of_the_client(either, checksum):
    blob = put(either, "a", b"payload" * 1000, checksum=checksum)
    assert blob.crc32c == crc32c(b"payload" * 1000)
    assert blob.md5_hash
    assert either.blob("a").download_as_bytes(checksum=checksum, **NO) == b"payload" * 1000


class Pipe(io.RawIOBase):
    """Of unknown length, to be read once."""

    def __init__(self, data):
        self.data = io.BytesIO(data)

    def readable(self):
        return True

    def read(self, size=-1):
        return self.data.read(size)

    def tell(self):
        return self.data.tell()


@pytest.mark.parametrize("size", [0, 1, 262_144, 524_288, 1_500_000])
def test_a_stream_of_unknown_length(either, size):
    data = random.Random(3).randbytes(size)
    with either.blob("a", chunk_size=262_144).open("wb", **NO) as file:
        for at in range(0, size, 70_001):
            file.write(data[at : at + 70_001])
    assert either.blob("a").download_as_bytes(**NO) == data
    either.blob("b", chunk_size=262_144).upload_from_file(Pipe(data), **NO)
    assert either.blob("b").download_as_bytes(**NO) == data


def test_an_abandoned_stream_leaves_nothing(either):
    class Stop(Exception):
        pass

    def abandoned():
        with either.blob("a").open("wb", chunk_size=262_144, **NO) as file:
            file.write(b"z" * 600_000)
            raise Stop

    with pytest.raises(Stop):
        abandoned()
    assert not either.blob("a").exists()


NAMES = sorted([*(f"p/{i:02}" for i in range(25)), "p/sub/1", "p/sub/2", "q/1", "top"])


def names(blobs):
    return [blob.name for blob in blobs]


def test_listing(either):
    for name in NAMES:
        put(either, name, b"x")
    assert names(either.list_blobs()) == NAMES
    assert names(either.list_blobs(prefix="p/1")) == NAMES[10:20]
    assert names(either.list_blobs(prefix="none")) == []
    assert names(either.list_blobs(start_offset="p/20", end_offset="q")) == [*NAMES[20:25], "p/sub/1", "p/sub/2"]
    folders = either.list_blobs(prefix="p/", delimiter="/")
    assert names(folders) == NAMES[:25]
    assert folders.prefixes == {"p/sub/"}


def test_listing_in_pages(either):
    for name in NAMES:
        put(either, name, b"x")
    pages = [names(page) for page in either.list_blobs(prefix="p/", page_size=10).pages]
    assert [len(page) for page in pages] == [10, 10, 7]
    assert list(itertools.chain(*pages)) == [name for name in NAMES if name.startswith("p/")]
    assert names(either.list_blobs(max_results=7)) == NAMES[:7]
    begun = either.list_blobs(page_size=5)
    first = names(next(begun.pages))
    assert first + names(either.list_blobs(page_token=begun.next_page_token)) == NAMES


def test_compose(either):
    put(either, "1", b"aa")
    put(either, "2", b"bb")
    made = either.blob("12")
    made.content_type = "text/plain"
    made.compose([either.blob("1"), either.blob("2")], **NO)
    found = either.get_blob("12")
    assert (found.download_as_bytes(**NO), found.crc32c, found.content_type) == (b"aabb", crc32c(b"aabb"), "text/plain")


@pytest.mark.parametrize("how", ["copy", "rewrite"])
def test_copies(either, how):
    source = either.blob("a")
    source.metadata = {"kept": "yes"}
    source.upload_from_string(b"data", content_type="text/x-a", **NO)
    if how == "copy":
        either.copy_blob(source, either, "b", **NO)
    else:
        assert either.blob("b").rewrite(source, **NO) == (None, 4, 4)
    found = either.get_blob("b")
    assert (found.content_type, found.metadata) == ("text/x-a", {"kept": "yes"})
    assert found.download_as_bytes(**NO) == either.blob("a").download_as_bytes(**NO) == b"data"


@pytest.mark.slow
def test_of_32_who_create_one_name_one_does(either):
    """A small pool of connections, many threads, ten names."""

    def create(name, who):
        try:
            put(either, name, b"%d" % who, if_generation_match=0)
        except exceptions.PreconditionFailed:
            return None
        return who

    with concurrent.futures.ThreadPoolExecutor(32) as threads:
        for name in map(str, range(10)):
            winners = [who for who in threads.map(create, [name] * 32, range(32)) if who is not None]
            assert [either.blob(name).download_as_bytes(**NO)] == [b"%d" % who for who in winners]
