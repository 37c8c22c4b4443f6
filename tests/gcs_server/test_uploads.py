"""Uploads: what is checked, and the resumable protocol to its corners."""

from __future__ import annotations

import base64
import hashlib
import random

import pytest

from tests.gcs_server.raw import BUCKET, QUANTUM, crc32c, object_path

GOOD, BAD = b"good data", b"bad! data"
MD5 = base64.b64encode(hashlib.md5(GOOD).digest()).decode()
DATA = random.Random(1).randbytes(2 * QUANTUM + 100)


# -- checksums ---------------------------------------------------------------------------------------------------------


def in_one_header(raw, data, **sums):
    header = ",".join(f"{kind}={value}" for kind, value in sums.items())
    return raw.put("a", data, {"x-goog-hash": header})


def in_metadata(raw, data, **sums):
    return raw.multipart({"name": "a", **resource(sums)}, data)


def at_the_start(raw, data, **sums):
    return raw.start("a", resource(sums)).put(f"0-{len(data) - 1}/{len(data)}", data)


def on_the_last_chunk(raw, data, **sums):
    header = ",".join(f"{kind}={value}" for kind, value in sums.items())
    return raw.start("a").put(f"0-{len(data) - 1}/{len(data)}", data, x_goog_hash=header)


def resource(sums):
    names = {"crc32c": "crc32c", "md5": "md5Hash"}
    return {names[kind]: value for kind, value in sums.items()}


@pytest.mark.parametrize(
    "sums", [{"crc32c": crc32c(GOOD)}, {"md5": MD5}, {"crc32c": crc32c(GOOD), "md5": MD5}], ids=str
)
@pytest.mark.parametrize("send", [in_one_header, in_metadata, at_the_start, on_the_last_chunk])
def test_bytes_that_are_not_those_declared_are_refused(server, raw, send, sums):
    refused = send(raw, BAD, **sums)
    assert refused.status == 400
    assert "doesn't match" in refused.message
    assert server.objects(BUCKET) == {}
    assert send(raw, GOOD, **sums).status == 200
    assert server.objects(BUCKET)["a"].data == GOOD


def test_one_wrong_sum_of_two_is_enough(raw):
    assert in_one_header(raw, GOOD, crc32c=crc32c(GOOD), md5="AAAAAAAAAAAAAAAAAAAAAA==").status == 400
    assert in_one_header(raw, GOOD, sha256="AAAA").status == 400


def test_large_objects_have_no_md5_and_are_checked_by_it(server, raw):
    large = bytes((8 << 20) + 1)
    assert "md5Hash" not in raw.put("a", large).json()
    assert "md5Hash" in raw.put("a", large[1:]).json()
    assert in_one_header(raw, large, md5=MD5).status == 400


# -- names, bodies -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "a\nb", "ü" * 513, "."])
def test_bad_names(server, raw, name):
    assert raw.put(name, b"x").status == 400
    assert server.objects(BUCKET) == {}


@pytest.mark.parametrize("name", ["ü" * 512, "...", "a//b", "/"])
def test_odd_names(server, raw, name):
    assert raw.put(name, b"x").json()["name"] == name
    assert raw.get(name).body == b"x"


@pytest.mark.parametrize(
    "body",
    [b"", b"--zz\r\n\r\n{}\r\n--zz\r\n\r\nx", b"--zz\r\n\r\n{\r\n--zz\r\n\r\nx\r\n--zz--", b"--zz\r\n\r\n{}\r\n--zz--"],
)
def test_half_a_multipart_body(server, raw, body):
    headers = {"content-type": "multipart/related; boundary=zz"}
    path = f"/upload/storage/v1/b/{BUCKET}/o"
    assert raw("POST", path, body, headers, uploadType="multipart", name="a").status == 400
    assert server.objects(BUCKET) == {}


@pytest.mark.parametrize("data", [b"", b"\r\n", b"--zz", b"\n--zz--", b"\r\n\r\n"])
def test_multipart_bytes_that_look_like_its_frame(server, raw, data):
    assert raw.multipart({"name": "a", "metadata": {"k": "--zz"}}, data).status == 200
    assert server.objects(BUCKET)["a"].data == data


def test_the_type_of_the_content_comes_from_the_part_unless_the_metadata_says(raw):
    assert raw.multipart({"name": "a"}, b"x").json()["contentType"] == "text/plain"
    assert raw.multipart({"name": "a", "contentType": "text/x"}, b"x").json()["contentType"] == "text/x"


def test_metadata_is_text(raw):
    assert raw.multipart({"name": "a", "metadata": {"k": "v", "none": None}}, b"x").json()["metadata"] == {"k": "v"}
    assert raw.get("a").status == 200
    assert raw.multipart(["a"], b"x").status == 400
    assert raw.multipart({"name": "a", "metadata": {"k": 1}}, b"x").status == 400


def test_a_chunked_body(server, raw):
    pieces = [b"abc", b"", b"d" * 300_000]
    raw.connection.request(
        "POST", f"/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name=a", iter(pieces), encode_chunked=True
    )
    with raw.connection.getresponse() as response:
        assert response.status == 200
    assert server.objects(BUCKET)["a"].data == b"".join(pieces)


# -- resumable ---------------------------------------------------------------------------------------------------------


def kept(response):
    """How many bytes a 308 says are kept."""
    assert (response.status, response.body) == (308, b"")
    return int(response.headers["range"].removeprefix("bytes=0-")) + 1 if "range" in response.headers else 0


def test_three_chunks(server, raw):
    session = raw.start("a", {"metadata": {"k": "v"}})
    assert kept(session.put("*/*")) == 0
    assert kept(session.put(f"0-{QUANTUM - 1}/*", DATA[:QUANTUM])) == QUANTUM
    assert server.objects(BUCKET) == {}
    assert kept(session.put("*/*")) == QUANTUM
    assert kept(session.put(f"*/{len(DATA)}")) == QUANTUM
    assert kept(session.put(f"{QUANTUM}-{2 * QUANTUM - 1}/{len(DATA)}", DATA[QUANTUM : 2 * QUANTUM])) == 2 * QUANTUM
    last = session.put(f"{2 * QUANTUM}-{len(DATA) - 1}/{len(DATA)}", DATA[2 * QUANTUM :])
    assert (last.status, last.json()["metadata"], last.json()["crc32c"]) == (200, {"k": "v"}, crc32c(DATA))
    assert server.objects(BUCKET)["a"].data == DATA


def test_after_the_end_the_answer_is_given_again(server, raw):
    session = raw.start("a", ifGenerationMatch=0)
    last = session.put("0-4/5", b"bytes")
    for again in (session.put("0-4/5", b"bytes"), session.put("*/*"), session.put("*/5")):
        assert (again.status, again.json()) == (200, last.json())
    assert len(server.objects(BUCKET)) == 1


def test_a_chunk_sent_twice_is_kept_once(server, raw):
    session = raw.start("a")
    for _ in range(2):
        assert kept(session.put(f"0-{QUANTUM - 1}/*", DATA[:QUANTUM])) == QUANTUM
    half = QUANTUM // 2  # and so is half of one
    assert session.put(f"{half}-{len(DATA) - 1}/{len(DATA)}", DATA[half:]).status == 200
    assert server.objects(BUCKET)["a"].data == DATA


def test_a_gap_is_refused(server, raw):
    session = raw.start("a")
    assert session.put(f"{QUANTUM}-{len(DATA) - 1}/{len(DATA)}", DATA[QUANTUM:]).status == 503
    assert kept(session.put("*/*")) == 0


@pytest.mark.parametrize("size", [1, QUANTUM - 1, QUANTUM + 1])
def test_all_chunks_but_the_last_are_multiples_of_256_kib(raw, size):
    session = raw.start("a")
    refused = session.put(f"0-{size - 1}/*", DATA[:size])
    assert refused.status == 400
    assert str(QUANTUM) in refused.message
    assert session.put(f"0-{size - 1}/{len(DATA)}", DATA[:size]).status == 400
    assert kept(session.put("*/*")) == 0
    assert session.put(f"0-{size - 1}/{size}", DATA[:size]).status == 200


@pytest.mark.parametrize("header", ["0-8/9", "0-3/4", "0-4/4", "1-/5", "five"])
def test_a_chunk_is_as_long_as_it_says(server, raw, header):
    assert raw.start("a").put(header, b"bytes").status == 400
    assert raw.start("a").put(f"0-{QUANTUM - 1}/5", DATA[:QUANTUM]).status == 400
    assert server.objects(BUCKET) == {}


def test_the_length_is_said_once(raw):
    session = raw.start("a")
    assert kept(session.put(f"0-{QUANTUM - 1}/{len(DATA)}", DATA[:QUANTUM])) == QUANTUM
    assert session.put(f"*/{QUANTUM}").status == 400


def test_the_length_may_be_said_at_the_start(raw):
    assert raw.start("a", headers={"x-upload-content-length": "five"}).started.status == 400
    session = raw.start("a", headers={"x-upload-content-length": "5"})
    assert session.put("0-3/4", b"four").status == 400
    assert session.put("0-4/*", b"bytes").status == 200


def test_an_end_without_bytes(server, raw):
    session = raw.start("a")
    session.put(f"0-{QUANTUM - 1}/*", DATA[:QUANTUM])
    assert session.put(f"*/{QUANTUM}").status == 200
    assert server.objects(BUCKET)["a"].data == DATA[:QUANTUM]
    assert raw.start("empty").put("*/0").status == 200
    assert server.objects(BUCKET)["empty"].data == b""


def test_without_a_range_it_is_all(server, raw):
    assert raw.start("a").put(None, DATA).status == 200
    assert server.objects(BUCKET)["a"].data == DATA


def test_a_cancelled_upload_is_gone(server, raw):
    session = raw.start("a")
    session.put(f"0-{QUANTUM - 1}/*", DATA[:QUANTUM])
    assert session.cancel().status == 499
    assert session.put("*/*").status == 404
    assert session.cancel().status == 404
    assert server.objects(BUCKET) == {}


def test_a_refused_end_can_be_asked_for_again(server, raw):
    session = raw.start("a")
    wrong = f"crc32c={crc32c(b'other')}"
    assert session.put("0-4/5", b"bytes", x_goog_hash=wrong).status == 400
    assert session.put("0-4/5", b"bytes", x_goog_hash=wrong).status == 400
    assert server.objects(BUCKET) == {}
    assert session.put("0-4/5", b"bytes", x_goog_hash=f"crc32c={crc32c(b'bytes')}").status == 200


def test_where_its_bucket_is_not(raw):
    path = f"/upload{object_path('a', 'no-such-bucket').rpartition('/')[0]}"
    assert raw("POST", path, {}, uploadType="resumable", name="a").status == 404
    assert raw("POST", path, b"x", uploadType="media", name="a").status == 404
