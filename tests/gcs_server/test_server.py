"""The server itself: what it does not support, what it records, connections, batches, processes."""

from __future__ import annotations

import concurrent.futures
import contextlib
import io
import socket
import subprocess
import sys
import threading
import time
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
from google.api_core import exceptions

from casstore.testing.gcs import GcsServer, Seen, gcs_process, stall
from tests.gcs_server.raw import BUCKET, QUANTUM, Raw, object_path

NO = {"retry": None}


# -- what it does not do is never half done ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", f"/storage/v1/b/{BUCKET}/iam"),
        ("GET", f"{object_path('a')}/acl"),
        ("POST", f"/storage/v1/b/{BUCKET}/lockRetentionPolicy"),
        ("POST", f"/upload/storage/v1/b/{BUCKET}/o?name=a"),
        ("POST", f"/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name=a&predefinedAcl=publicRead"),
        ("GET", f"/storage/v1/b/{BUCKET}/o?includeFoldersAsPrefixes=true"),
        ("POST", f"{object_path('a')}/rewriteTo/b/{BUCKET}/o/b?rewriteToken=x"),
        ("PUT", f"/{BUCKET}/a"),
        ("GET", f"/storage/v1/b/{BUCKET}/o/a/b"),
        ("OPTIONS", object_path("a")),
    ],
)
def test_unknown_requests(server, raw, method, path):
    server.write(BUCKET, "a", b"here")
    before = server.objects(BUCKET)
    response = raw(method, path, b"")
    assert response.status == 501
    assert response.json()["error"]["errors"][0]["reason"] == "notImplemented"
    assert "does not support" in response.message
    assert server.objects(BUCKET) == before


@pytest.mark.parametrize("header", ["x-goog-encryption-key", "if-match", "if-none-match", "x-goog-if-generation-match"])
def test_unknown_headers(server, raw, header):
    server.write(BUCKET, "a", b"here")
    response = raw.get("a", {header: "x"})
    assert response.status == 501
    assert header in response.message


def test_unknown_fields(server, raw):
    assert raw.multipart({"name": "a", "contexts": {}}, b"").status == 501
    assert raw("PATCH", f"/storage/v1/b/{BUCKET}", {"autoclass": {"enabled": True}}).status == 501
    assert raw("PATCH", object_path("a"), {"retention": {}}).status == 404
    server.write(BUCKET, "a", b"here")
    assert raw("PATCH", object_path("a"), {"retention": {}}).status == 501


@pytest.mark.parametrize("body", [b"{", b"[]", b'"a"'])
def test_bodies_that_are_no_object(raw, body):
    assert raw("POST", "/storage/v1/b", body).status == 400


def test_our_own_mistakes_are_told_and_not_tried_again(monkeypatch, raw):
    def broken(*_):
        raise KeyError("oops")

    monkeypatch.setattr("casstore.testing.gcs.buckets.Bucket.find", broken)
    response = raw("GET", object_path("a"))
    assert response.status == 501
    assert "KeyError: 'oops'" in response.message


def test_a_connection_that_ends_by_our_mistake_fails_the_test(monkeypatch):
    async def broken(*_):
        raise KeyError("oops")

    monkeypatch.setattr("casstore.testing.gcs.service.Service.respond", broken)
    with pytest.raises(KeyError, match="oops"), GcsServer() as server:
        assert talk(server, b"GET / HTTP/1.1\r\n\r\n") == b""


# -- what it records ---------------------------------------------------------------------------------------------------


def test_requests_are_recorded(server, bucket):
    blob = bucket.blob("a/b")
    blob.upload_from_string(b"12345", **NO)
    bucket.blob("c", chunk_size=QUANTUM).upload_from_file(io.BytesIO(bytes(QUANTUM + 1)), **NO)
    blob.download_as_bytes(**NO)
    with pytest.raises(exceptions.NotFound):
        bucket.blob("nothing").reload(**NO)
    list(bucket.list_blobs())
    blob.delete(**NO)
    told = [(seen.method, seen.operation, seen.name, seen.status) for seen in server.requests]
    assert told == [
        ("POST", "upload", "a/b", 200),
        ("POST", "upload_start", "c", 200),
        ("PUT", "upload_chunk", "c", 308),
        ("PUT", "upload_chunk", "c", 200),
        ("GET", "download", "a/b", 200),
        ("GET", "stat", "nothing", 404),
        ("GET", "list", "", 200),
        ("DELETE", "delete", "a/b", 204),
    ]
    assert [seen.body_bytes for seen in server.requests[2:4]] == [QUANTUM, 1]
    assert {seen.bucket for seen in server.requests} == {BUCKET}


def test_what_was_not_understood_is_recorded(server, raw):
    raw("GET", "/nothing")
    assert server.requests == [Seen("GET", "", "", "", 501, 0, "")]


def test_behind_everybodys_back(server, bucket):
    first = server.write(BUCKET, "a", b"1", contentType="text/x", temporaryHold=True)
    second = server.write(BUCKET, "a", b"2")
    assert bucket.get_blob("a").generation == second > first
    assert server.objects(BUCKET)["a"] == (b"2", second, {"storageClass": "STANDARD"})
    server.remove(BUCKET, "a")
    server.remove(BUCKET, "a")
    assert not bucket.blob("a").exists()


# -- connections -------------------------------------------------------------------------------------------------------


def test_one_connection_takes_many_requests(raw):
    raw.put("a", b"x")
    kept = raw.connection.sock
    for _ in range(3):
        assert raw.get("a").body == b"x"
        assert raw.get("nothing").status == 404
    assert raw.connection.sock is kept


def talk(server, data):
    """What comes back until the server closes the connection."""
    with socket.create_connection(("127.0.0.1", urlsplit(server.url).port), timeout=20) as line:
        line.sendall(data)
        line.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: line.recv(1 << 16), b""))


def test_requests_in_a_row(server):
    one = b"GET /storage/v1/b?project=p HTTP/1.1\r\nhost: x\r\n\r\n"
    answers = talk(server, one * 3)
    assert answers.count(b"HTTP/1.1 200 OK") == 3


def test_connection_close(server):
    asked = b"GET /storage/v1/b HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    assert talk(server, asked * 2).count(b"HTTP/1.1 200 OK") == 1


def test_head_is_answered_without_a_body(server):
    answer = talk(server, b"HEAD /nothing HTTP/1.1\r\n\r\n")
    assert b"content-length: 0" not in answer
    assert answer.index(b"\r\n\r\n") == len(answer) - 4


def test_100_continue(server):
    head = f"POST /upload/storage/v1/b/{BUCKET}/o?uploadType=media&name=a HTTP/1.1\r\nhost: x\r\n"
    answer = talk(server, f"{head}expect: 100-continue\r\ncontent-length: 5\r\n\r\nbytes".encode())
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
    assert server.objects(BUCKET)["a"].data == b"bytes"


def test_a_chunked_body_with_extensions_and_trailers(server):
    head = (
        f"POST /upload/storage/v1/b/{BUCKET}/o?uploadType=media&name=a HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    talk(server, head.encode() + b"3;x=y\r\nabc\r\n02\r\nde\r\n0\r\ntrailer: x\r\n\r\n")
    assert server.objects(BUCKET)["a"].data == b"abcde"


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n" + b"1" * (1 << 21), 400),
        (b"GET / HTTP/1.1\r\nlong: " + b"x" * (1 << 21) + b"\r\n\r\n", 431),
    ],
)
def test_what_is_no_http(server, asked, status):
    assert talk(server, asked).startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize("cut", [b"POST /", b"POST / HTTP/1.1\r\ncontent-length: 9\r\n\r\nhalf"])
def test_a_client_that_goes_away(server, raw, cut):
    assert talk(server, cut) == b""
    assert server.requests == []
    assert raw.put("a", b"x").status == 200


def test_stop_answering(server, raw):
    raw.put("a", b"kept")
    for _ in range(2):
        server.stop_answering()
        with pytest.raises(ConnectionError):
            raw.get("a")
        raw.connection.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", urlsplit(server.url).port))
    server.resume()
    server.resume()
    assert raw.get("a").body == b"kept"


def test_stopping_breaks_what_is_under_way(server, raw):
    rule = server.faults.add(stall(60))
    answers = []

    def wait():
        try:
            answers.append(raw.put("a", b"x"))
        except ConnectionError as error:
            answers.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    while not rule.struck:
        time.sleep(0.005)
    server.stop_answering()
    waiting.join(20)
    assert isinstance(answers[0], ConnectionError)
    assert server.objects(BUCKET) == {}


@pytest.mark.slow
def test_stopping_leaves_nobody_waiting(server):
    """Not even who is connected, but not yet served, when it happens; whether it asks something or not."""
    stopped = threading.Event()
    request = (
        f"POST /upload/storage/v1/b/{BUCKET}/o?uploadType=media&name=a HTTP/1.1\r\ncontent-length: 0\r\n\r\n".encode()
    )

    def connect(asked):
        while not stopped.is_set():
            with contextlib.suppress(ConnectionError), socket.create_connection(place, timeout=20) as line:
                line.sendall(asked)
                while line.recv(1 << 16):
                    pass

    place = ("127.0.0.1", urlsplit(server.url).port)
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        connected = [threads.submit(connect, asked) for asked in (b"", request) * 4]
        for _ in range(40):
            time.sleep(0.002)
            server.stop_answering()
            server.resume()
        stopped.set()
        server.stop_answering()
        for one in connected:
            one.result()  # a TimeoutError if it waited


def test_two_servers_never_share_a_port(server):
    with pytest.raises(OSError, match="in use"):
        GcsServer(port=urlsplit(server.url).port)
    server.stop_answering()
    with GcsServer() as other:
        assert other.url != server.url


def test_a_port_may_be_chosen():
    with GcsServer() as server:
        url = server.url
    with GcsServer(port=urlsplit(url).port) as again, urlopen(f"{url}/storage/v1/b", timeout=20) as response:
        assert (again.url, response.status) == (url, 200)


@pytest.mark.slow
def test_many_connections_at_once(server):
    """64 threads, each with its own, put and get."""

    def work(who):
        raw = Raw(server.url)
        for number in range(20):
            name, data = f"{who}/{number}", b"%d %d" % (who, number)
            assert raw.put(name, data, ifGenerationMatch=0).status == 200
            assert raw.get(name).body == data
        raw.connection.close()

    with concurrent.futures.ThreadPoolExecutor(64) as threads:
        list(threads.map(work, range(64)))
    assert len(server.objects(BUCKET)) == 64 * 20
    assert len({stored.generation for stored in server.objects(BUCKET).values()}) == 64 * 20


# -- batches -----------------------------------------------------------------------------------------------------------


def test_a_batch(server, client, bucket):
    for name in "abc":
        server.write(BUCKET, name, name.encode())
    with client.batch(raise_exception=False) as batch:
        bucket.delete_blob("a")
        bucket.delete_blob("nothing")
        bucket.blob("b").delete(if_generation_match=1)
        patched = bucket.blob("c")
        patched.metadata = {"k": "v"}
        patched.patch()
    assert [response.status_code for response in batch._responses] == [204, 404, 412, 200]
    assert list(server.objects(BUCKET)) == ["b", "c"]
    assert patched.metageneration == 2
    assert [seen.operation for seen in server.requests] == ["batch"]
    blobs = [bucket.blob("b"), bucket.blob("c")]
    with client.batch():
        for blob in blobs:
            blob.reload()
    assert [blob.size for blob in blobs] == [1, 1]


@pytest.mark.parametrize("count", [0, 101])
def test_a_batch_has_1_to_100_calls(raw, count):
    part = b"--z\r\ncontent-type: application/http\r\n\r\nGET /storage/v1/b HTTP/1.1\r\n\r\n"
    headers = {"content-type": "multipart/mixed; boundary=z"}
    assert raw("POST", "/batch/storage/v1", part * count + b"--z--", headers).status == 400
    assert raw("POST", "/batch/storage/v1", part * 100 + b"--z--", headers).status == 200


@pytest.mark.parametrize(
    "call",
    [
        f"GET {object_path('a')}?alt=media HTTP/1.1",
        f"POST /upload/storage/v1/b/{BUCKET}/o?uploadType=media&name=b HTTP/1.1",
        "POST /batch/storage/v1 HTTP/1.1",
        "nonsense",
    ],
)
def test_bytes_do_not_travel_in_batches(server, raw, call):
    server.write(BUCKET, "a", b"x")
    part = f"--z\r\ncontent-type: application/http\r\n\r\n{call}\r\n\r\n--z--".encode()
    headers = {"content-type": "multipart/mixed; boundary=z"}
    assert raw("POST", "/batch/storage/v1", part, headers).status == 400
    assert list(server.objects(BUCKET)) == ["a"]


# -- as a process ------------------------------------------------------------------------------------------------------


def test_a_process_of_its_own():
    with gcs_process("one", "two") as url, urlopen(f"{url}/storage/v1/b", timeout=20) as response:
        assert response.read().count(b'"storage#bucket"') == 2
    with pytest.raises(OSError, match="refused"):
        urlopen(url, timeout=20)


def test_a_process_that_does_not_start():
    with pytest.raises(OSError, match="did not start"), gcs_process("no bucket is called so"):
        pass


def test_from_the_command_line():
    command = [sys.executable, "-m", "casstore.testing.gcs", "--bucket", BUCKET]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        raw = Raw(process.stdout.readline().strip())
        assert raw.put("a", b"x").status == 200
        raw.connection.close()
        process.terminate()
        assert process.wait(20) == 0


def test_it_needs_nothing_but_checksums():
    """The product may not import it, and it imports nothing that only some of its users have."""
    code = "import sys; before = {*sys.modules}; import casstore.testing.gcs; print(*{*sys.modules} - before)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    packages = {name.partition(".")[0] for name in loaded} - sys.stdlib_module_names
    assert packages == {"casstore", "google_crc32c"}
