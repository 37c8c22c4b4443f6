"""From a URL to a bucket: what it may say, who asks, over which lines."""

from __future__ import annotations

import asyncio
import datetime as dt
import http.server
import ipaddress
import json
import socket
import ssl
import threading
import time
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from casstore.blobs import open_blobs
from casstore.blobs.gcs_url import Location
from casstore.errors import Code, Denied, Invalid, Unavailable
from casstore.model import Digest
from casstore.testing.harness import put_bytes, sample

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()

# -- the URL -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("gs://abc", Location("abc", "")),
        ("gs://abc/", Location("abc", "")),
        ("gs://a.b-c_d/e/f", Location("a.b-c_d", "e/f/")),
        ("gs://abc/e/f/", Location("abc", "e/f/")),
        ("gs://abc/a%20b%2Fc%3F%23", Location("abc", "a b/c?#/")),
        ("gs://abc/p?user_project=payer", Location("abc", "p/", user_project="payer")),
        ("gs://abc?credentials=/a%20b.json&user_project=p", Location("abc", "", "p", "/a b.json")),
        ("gs://abc?signer=r@p.iam.gserviceaccount.com", Location("abc", "", signer="r@p.iam.gserviceaccount.com")),
    ],
)
def test_urls(url, location):
    assert Location.parse(url) == location
    assert Location.parse(location.url) == Location(location.bucket, location.prefix)


@pytest.mark.parametrize(
    "url",
    [
        "gs://",
        "gs:///prefix",
        "gs://[bucket",
        "gs://ab",
        "gs://Upper",
        "gs://user:secret@bucket",
        "gs://bucket:80/prefix",
        "gs://bucket-/prefix",
        "gs://bucket/prefix#fragment",
        "gs://bucket/a//b",
        "gs://bucket/a/../b",
        "gs://bucket/./b",
        "gs://bucket/a%0Ab",
        "gs://bucket/%ED%A0%80",
        "gs://bucket/" + "x" * 513,
        "gs://bucket?user_projects=typo",
        "gs://bucket?user_project=",
        "gs://bucket?user_project",
        "gs://bucket?user_project=a&user_project=b",
        "gs://bucket?signer=robot",
        "gs://bucket?signer=robot@p/../q:signJwt",
    ],
)
def test_other_urls_are_refused(url):
    with pytest.raises(Invalid) as caught:
        asyncio.run(open_blobs(url))
    assert caught.value.code is Code.BAD_CONFIG
    assert "gs://bucket/prefix" in caught.value.hint
    assert "secret" not in str(caught.value)


# -- who asks ------------------------------------------------------------------------------------------------------------


def test_without_credentials_the_ways_to_some_are_told(monkeypatch, tmp_path):
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "missing.json"))
    with pytest.raises(Invalid, match=r"missing\.json") as caught:
        asyncio.run(open_blobs("gs://bucket"))
    assert caught.value.code is Code.BAD_CONFIG
    assert "gcloud auth application-default login" in caught.value.hint


@pytest.mark.parametrize("text", [None, "no json", "{}", '{"type": "authorized_user"}'])
def test_a_key_file_that_is_none_is_refused(gcs, tmp_path, text):
    path = tmp_path / "key.json"
    if text:
        path.write_text(text)
    with pytest.raises(Invalid, match=str(path)) as caught:
        asyncio.run(open_blobs(f"gs://blobs?credentials={path}"))
    assert caught.value.code is Code.BAD_CONFIG


class Tokens(http.server.BaseHTTPRequestHandler):
    """Where a service account's key is exchanged for a token, or not."""

    refuses = False

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        refused = {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
        body = json.dumps(refused if self.refuses else {"access_token": "of-the-robot", "expires_in": 3600}).encode()
        self.send_response(400 if self.refuses else 200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def key_file(tmp_path):
    """Writes the key of a service account whose tokens come from a server here: `key_file(refuses=…)`."""
    servers = []

    def key_file(*, refuses):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Tokens,), {"refuses": refuses}))
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        account = {
            "type": "service_account",
            "project_id": "p",
            "private_key_id": "1",
            "private_key": PEM,
            "client_email": "robot@p.iam.gserviceaccount.com",
            "token_uri": f"http://127.0.0.1:{server.server_address[1]}/token",
        }
        path = tmp_path / "key.json"
        path.write_text(json.dumps(account))
        return path

    yield key_file
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_service_account_asks_with_its_token(drive_gcs, key_file):
    asked = []

    async def use(store):
        store._bucket._session.hooks["response"].append(lambda answer, **_: asked.append(answer.request.headers))
        placed = await put_bytes(store, b"by the robot")
        await (await store.open(placed.digest)).aclose()

    drive_gcs(use, f"gs://blobs?credentials={key_file(refuses=False)}")
    assert [headers["authorization"] for headers in asked] == ["Bearer of-the-robot"] * 2


def test_a_revoked_key_is_denied_at_once(drive_gcs, key_file):
    with pytest.raises(Denied, match="Invalid JWT Signature") as caught:
        drive_gcs(
            lambda store: store.stat(Digest.of(b"x")),
            f"gs://blobs?credentials={key_file(refuses=True)}",
            deadline=timedelta(seconds=600),
        )
    assert caught.value.code is Code.NOT_PERMITTED
    assert "renew" in caught.value.hint


def test_a_bucket_whose_readers_pay_says_so(gcs, drive_gcs, monkeypatch):
    """In Google's words; the test server has no such buckets."""
    from google.api_core.exceptions import BadRequest

    async def refused(store):
        def refuse(*arguments, **options):
            raise BadRequest("Bucket is a requester pays bucket but no user project provided.")

        monkeypatch.setattr(store._bucket._client, "list_blobs", refuse)
        await store.page()

    with pytest.raises(Invalid, match="requester pays") as caught:
        drive_gcs(refused)
    assert "user_project" in caught.value.hint


# -- over which lines ----------------------------------------------------------------------------------------------------


def test_a_slow_line_is_no_broken_one(connect, monkeypatch):
    """Regression: all of a body had to leave within the time that is given to connecting."""
    data = sample(6 * 2**20)

    def serve(listener):
        connection, _ = listener.accept()
        with connection:
            got = 0
            while got < len(data):
                piece = connection.recv(2**17)
                if not piece:
                    return
                got += len(piece)
                time.sleep(0.01)  # a slow line is what is tested
            body = b'{"generation": "7"}'
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))

    async def put(url):
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        store = await connect(connect=timedelta(seconds=0.1), silence=timedelta(seconds=30), deadline=timedelta())
        try:
            return await put_bytes(store, data)
        finally:
            await store.aclose()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**16)
        serving = threading.Thread(target=serve, args=(listener,))
        serving.start()
        try:
            placed = asyncio.run(put(f"http://127.0.0.1:{listener.getsockname()[1]}"))
        finally:
            serving.join()
    assert placed.generation == 7


@pytest.mark.parametrize("headers", [{}, {"x-goog-generation": "7"}], ids=["of nobody", "without ranges"])
def test_a_stranger_instead_of_google_is_not_believed(connect, monkeypatch, headers):
    """A proxy's page, say: its 200 is neither a blob nor an upload, and a whole is not the range that was asked for."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.rfile.read(int(self.headers.get("content-length", "0")))
            self.send_response(200)
            for name, value in {"content-length": "15", **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"<p>Log in!</p>\n")

        def log_message(self, *arguments):
            pass

    Page.do_POST = Page.do_GET

    async def use(url):
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        store = await connect(deadline=timedelta(seconds=0.05))
        digest = Digest.of(b"x")
        calls = [store.open(digest, start=1, end=3), put_bytes(store, b"x"), store.stat(digest), store.page()]
        try:
            for call in [*calls, *([] if headers else [store.open(digest)])]:
                with pytest.raises(Unavailable):
                    await call
        finally:
            await store.aclose()

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        asyncio.run(use(f"http://127.0.0.1:{server.server_address[1]}"))
    finally:
        server.shutdown()
        server.server_close()


def test_a_certificate_that_is_not_trusted_is_told_at_once(connect, monkeypatch, tmp_path):
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, KEY.public_key(), 1, now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(KEY, hashes.SHA256())
    )
    path = tmp_path / "certificate.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + PEM.encode())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)

    async def use(url):
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        store = await connect(deadline=timedelta(seconds=600))
        try:
            await store.stat(Digest.of(b"x"))
        finally:
            await store.aclose()

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *arguments: None
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
            asyncio.run(use(f"https://127.0.0.1:{server.server_address[1]}"))
    finally:
        server.shutdown()
        server.server_close()
