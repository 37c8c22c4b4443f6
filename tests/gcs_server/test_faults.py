"""Faults on demand: that each does what it says, over plain HTTP."""

from __future__ import annotations

import http.client
import random
import time

import pytest

from casstore.testing.gcs import (
    Chaos,
    GcsServer,
    corrupt_byte,
    corrupt_upload,
    cut_body,
    drop_after,
    drop_before,
    keep_part,
    stall,
    status,
)
from tests.gcs_server.raw import BUCKET, QUANTUM, Raw, crc32c, object_path

DATA = random.Random(1).randbytes(2 * QUANTUM)
LOST = (ConnectionError, http.client.IncompleteRead)


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


# -- effects -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("effect", "stored"), [(drop_before(), []), (drop_after(), ["a"])], ids=["before", "after"])
def test_a_dropped_connection(server, raw, effect, stored):
    server.faults.add(effect)
    with pytest.raises(ConnectionResetError) as caught:
        raw.put("a", b"x")
    assert caught.type is ConnectionResetError  # not http.client's, for an end without an answer
    assert list(server.objects(BUCKET)) == stored
    assert [(seen.status, seen.fault) for seen in server.requests] == [(0, effect.kind)]
    raw.connection.close()
    assert raw.put("a", b"x").status == 200


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504])
def test_a_status_before_and_after_the_effect(server, raw, code):
    server.faults.add(status(code, retry_after_s=7), operation="upload")
    refused = raw.put("a", b"x")
    assert (refused.status, refused.headers["retry-after"], refused.json()["error"]["code"]) == (code, "7", code)
    assert server.objects(BUCKET) == {}
    server.faults.add(status(code, after=True), operation="upload")
    refused = raw.put("a", b"x")
    assert (refused.status, refused.headers["retry-after"]) == (code, None)
    assert list(server.objects(BUCKET)) == ["a"]
    assert [seen.fault for seen in server.requests] == [f"{code}_before", f"{code}_after"]


@pytest.mark.parametrize("size", [0, 1, 300_000])
def test_a_body_cut_short(server, raw, size):
    server.write(BUCKET, "a", DATA)
    server.faults.add(cut_body(size), operation="download")
    raw.connection.request("GET", f"/download{object_path('a')}?alt=media")
    with raw.connection.getresponse() as response:
        assert int(response.headers["content-length"]) == len(DATA)
        assert response.read(size) == DATA[:size]
        with pytest.raises(ConnectionResetError):
            response.read(1)


def test_half_a_body(server, raw):
    server.write(BUCKET, "a", b"12345678")
    server.faults.add(cut_body(), operation="download")
    raw.connection.request("GET", f"/download{object_path('a')}?alt=media")
    with raw.connection.getresponse() as response:
        assert response.read(4) == b"1234"
        with pytest.raises(ConnectionResetError):
            response.read()


@pytest.mark.parametrize(
    "effect", [stall(0.3), stall(0.3, after=True), stall(0.3, after_bytes=3)], ids=["before", "after", "in the middle"]
)
def test_a_stall(server, raw, effect):
    server.write(BUCKET, "a", DATA)
    rule = server.faults.add(effect)
    begin = time.monotonic()
    assert raw.get("a").body == DATA
    assert time.monotonic() - begin >= 0.3
    assert raw.get("a").body == DATA
    assert rule.struck == 1


@pytest.mark.parametrize("after", [False, True])
def test_a_request_has_its_effect_although_the_client_left(server, after):
    server.faults.add(stall(0.8, after=after))
    raw = Raw(server.url)
    raw.connection.timeout = 0.1
    with pytest.raises(TimeoutError):
        raw.put("a", b"x")
    raw.connection.close()
    assert after or server.objects(BUCKET) == {}
    deadline = time.monotonic() + 20
    while "a" not in server.objects(BUCKET):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_stall_in_the_middle_of_a_body(server):
    server.write(BUCKET, "a", DATA)
    server.faults.add(stall(20, after_bytes=1000))
    raw = Raw(server.url)
    raw.connection.timeout = 0.2
    raw.connection.request("GET", f"/download{object_path('a')}?alt=media")
    with raw.connection.getresponse() as response:
        assert response.read(1000) == DATA[:1000]
        with pytest.raises(TimeoutError):
            response.read(1)
    raw.connection.close()


@pytest.mark.parametrize("offset", [None, 0, 100, len(DATA) - 1])
def test_a_corrupt_download(server, raw, offset):
    server.write(BUCKET, "a", DATA)
    server.faults.add(corrupt_byte(offset), operation="download")
    response = raw.get("a")
    assert response.body == flipped(DATA, len(DATA) // 2 if offset is None else offset)
    assert f"crc32c={crc32c(DATA)}" in response.headers["x-goog-hash"]
    assert raw.get("a").body == DATA


def test_a_corrupt_range(server, raw):
    server.write(BUCKET, "a", DATA)
    server.faults.add(corrupt_byte(2), operation="download")
    response = raw.get("a", {"range": "bytes=1000-1009"})
    assert (response.status, response.body) == (206, flipped(DATA[1000:1010], 2))
    assert f"crc32c={crc32c(DATA)}" in response.headers["x-goog-hash"]


def test_an_empty_download_cannot_be_corrupted(server, raw):
    server.write(BUCKET, "a", b"")
    server.faults.add(corrupt_byte(), operation="download")
    assert raw.get("a").body == b""


def media(raw, data, **sums):
    return raw.put("a", data, {"x-goog-hash": f"crc32c={sums['crc32c']}"} if sums else None)


def multipart(raw, data, **sums):
    return raw.multipart({"name": "a", **sums}, data)


def resumable(raw, data, **sums):
    return raw.start("a", sums).put(f"0-{len(data) - 1}/{len(data)}", data)


@pytest.mark.parametrize("offset", [None, 0, 99])
@pytest.mark.parametrize("send", [media, multipart, resumable])
def test_a_corrupt_upload(server, raw, send, offset):
    data = DATA[:100]
    server.faults.add(corrupt_upload(offset), operation=("upload", "upload_chunk"), times=2)
    assert send(raw, data, crc32c=crc32c(data)).status == 400
    assert server.objects(BUCKET) == {}
    assert send(raw, data).status == 200
    assert server.objects(BUCKET)["a"].data == flipped(data, 50 if offset is None else offset)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("size", [0, QUANTUM])
def test_a_chunk_kept_in_part(server, raw, size, last):
    session = raw.start("a")
    server.faults.add(keep_part(size), operation="upload_chunk")
    total = len(DATA) if last else "*"
    response = session.put(f"0-{len(DATA) - 1}/{total}", DATA)
    assert (response.status, response.headers["range"]) == (308, f"bytes=0-{size - 1}" if size else None)
    assert session.put(f"{size}-{len(DATA) - 1}/{len(DATA)}", DATA[size:]).status == 200
    assert server.objects(BUCKET)["a"].data == DATA


# -- which requests ----------------------------------------------------------------------------------------------------


def statuses(raw, *names):
    return [raw.put(name, b"").status for name in names]


def test_a_rule_strikes_once_unless_told(server, raw):
    rule = server.faults.add(status(503))
    assert statuses(raw, "a", "b") == [503, 200]
    assert rule.struck == 1


def test_the_nth_and_so_many_times(server, raw):
    server.faults.add(status(503), nth=2, times=2)
    assert statuses(raw, *"abcde") == [200, 503, 503, 200, 200]


def test_for_ever_and_no_more(server, raw):
    rule = server.faults.add(status(503), times=None)
    assert statuses(raw, *"abc") == [503] * 3
    server.faults.clear()
    assert statuses(raw, *"abc") == [200] * 3
    assert rule.struck == 3


def test_by_name_method_path_and_operation(server, raw):
    server.write(BUCKET, "a/1", b"")
    rules = [
        server.faults.add(status(500), name="a/", method="DELETE"),
        server.faults.add(status(501), path="/download/"),
        server.faults.add(status(502), operation=("patch", "stat")),
        server.faults.add(status(503), name="a/", operation="upload"),
    ]
    assert raw("DELETE", object_path("b")).status == 404
    assert statuses(raw, "b") == [200]
    assert raw("DELETE", object_path("a/1")).status == 500
    assert raw.get("b").status == 501
    assert raw("GET", object_path("b")).status == 502
    assert raw.multipart({"name": "a/2"}, b"").status == 503  # the name is in the body
    assert [rule.struck for rule in rules] == [1] * 4


def test_a_chunk_is_known_by_the_name_its_upload_was_started_with(server, raw):
    rule = server.faults.add(status(503), operation="upload_chunk", name="b")
    assert raw.start("a").put("0-0/1", b"x").status == 200
    assert raw.start("b").put("0-0/1", b"x").status == 503
    assert rule.struck == 1


def test_an_effect_waits_for_a_request_it_is_for(server, raw):
    effects = [keep_part(0), corrupt_upload(), corrupt_byte()]
    rules = [server.faults.add(effect) for effect in effects]
    raw("GET", object_path("a"))
    session = raw.start("a")
    assert [rule.struck for rule in rules] == [0, 0, 0]
    session.put("0-4/5", b"bytes")
    assert [rule.struck for rule in rules] == [1, 0, 0]
    session.put("0-4/5", b"bytes")
    assert [rule.struck for rule in rules] == [1, 1, 0]
    assert raw.get("a").body != server.objects(BUCKET)["a"].data != b"bytes"
    assert [rule.struck for rule in rules] == [1, 1, 1]


def test_the_first_rule_that_matches_strikes(server, raw):
    first = server.faults.add(status(500), nth=2)
    second = server.faults.add(status(503), times=None)
    assert statuses(raw, *"abc") == [503, 500, 503]
    assert (first.struck, second.struck) == (1, 2)


OPERATIONS = {
    "upload": lambda raw: raw.put("a", b""),
    "upload_start": lambda raw: raw.start("a").started,
    "upload_chunk": lambda raw: raw.start("a").put("0-0/1", b"x"),
    "upload_status": lambda raw: raw.start("a").put("*/*"),
    "upload_cancel": lambda raw: raw.start("a").cancel(),
    "download": lambda raw: raw.get("a"),
    "stat": lambda raw: raw("GET", object_path("a")),
    "patch": lambda raw: raw("PATCH", object_path("a"), {}),
    "delete": lambda raw: raw("DELETE", object_path("a")),
    "list": lambda raw: raw("GET", f"/storage/v1/b/{BUCKET}/o"),
    "compose": lambda raw: raw("POST", f"{object_path('a')}/compose", {}),
    "rewrite": lambda raw: raw("POST", f"{object_path('a')}/rewriteTo/b/{BUCKET}/o/b", {}),
    "copy": lambda raw: raw("POST", f"{object_path('a')}/copyTo/b/{BUCKET}/o/b", {}),
    "move": lambda raw: raw("POST", f"{object_path('a')}/moveTo/o/b", {}),
    "restore": lambda raw: raw("POST", f"{object_path('a')}/restore?generation=1", {}),
    "batch": lambda raw: raw("POST", "/batch/storage/v1", b""),
    "bucket_list": lambda raw: raw("GET", "/storage/v1/b"),
    "bucket_create": lambda raw: raw("POST", "/storage/v1/b", {}),
    "bucket_stat": lambda raw: raw("GET", f"/storage/v1/b/{BUCKET}"),
    "bucket_patch": lambda raw: raw("PATCH", f"/storage/v1/b/{BUCKET}", {}),
    "bucket_delete": lambda raw: raw("DELETE", f"/storage/v1/b/{BUCKET}"),
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_can_be_struck_by_its_name(server, raw, operation):
    rule = server.faults.add(status(503), operation=operation)
    assert OPERATIONS[operation](raw).status == 503
    assert rule.struck == 1
    assert server.requests[-1].operation == operation


# -- chaos -------------------------------------------------------------------------------------------------------------


def soak(chaos):
    """What a client that asks 300 times meets."""
    with GcsServer() as server:
        server.create_bucket(BUCKET)
        server.faults.unleash(chaos)
        raw = Raw(server.url)
        for number in range(150):
            for ask in (lambda name=f"{number}": raw.put(name, DATA[:100]), lambda name=f"{number}": raw.get(name)):
                try:
                    ask()
                except LOST:
                    raw.connection.close()
        raw.connection.close()
        return [seen.fault for seen in server.requests]


KINDS = (
    drop_before(),
    drop_after(),
    status(503),
    status(503, after=True),
    cut_body(),
    corrupt_byte(),
    corrupt_upload(),
)


@pytest.mark.slow
def test_chaos_is_as_often_as_told_and_the_same_again():
    faults = soak(Chaos(seed=7, rate=0.2, kinds=KINDS))
    assert set(faults) == {"", *(kind.kind for kind in KINDS)}
    assert 30 <= sum(fault != "" for fault in faults) <= 90
    assert soak(Chaos(seed=7, rate=0.2, kinds=KINDS)) == faults
    assert soak(Chaos(seed=8, rate=0.2, kinds=KINDS)) != faults


def test_chaos_may_be_kept_to_some_operations(server, raw):
    chaos = Chaos(seed=1, rate=1, kinds=(status(503),), operations=frozenset({"download"}))
    server.faults.unleash(chaos)
    assert raw.put("a", b"").status == 200
    assert raw.get("a").status == 503
    assert chaos.struck == 1


def test_chaos_has_nothing_for_some_operations(server, raw):
    chaos = Chaos(seed=1, rate=1, kinds=(corrupt_byte(), corrupt_upload()))
    server.faults.unleash(chaos)
    raw.put("a", DATA)
    raw("GET", object_path("a"))
    raw.get("a")
    assert [seen.fault for seen in server.requests] == ["corrupt_upload", "", "corrupt_byte"]
    assert chaos.struck == 2


def test_the_kinds_of_chaos_include_lost_answers_but_no_corruption():
    kinds = {kind.kind for kind in Chaos(seed=1, rate=0).kinds}
    assert {"drop_before", "drop_after", "503_after", "cut_body"} <= kinds
    assert not {kind for kind in kinds if kind.startswith("corrupt")}
