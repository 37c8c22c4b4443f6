"""A store on a bucket whose server knows the key that requests are signed with."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading

import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from casstore import AsyncStore
from casstore.testing.gcs import GcsServer

ACCOUNT = "robot@p.iam.gserviceaccount.com"


class Tokens(http.server.BaseHTTPRequestHandler):
    """Where a service account's key is exchanged for a token."""

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        body = json.dumps({"access_token": "of-the-robot", "expires_in": 3600}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def key_file(tmp_path_factory):
    """The key of a service account, and its public half."""
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Tokens)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    account = {"type": "service_account", "project_id": "p", "private_key_id": "1", "private_key": pem}
    account |= {"client_email": ACCOUNT, "token_uri": f"http://127.0.0.1:{server.server_address[1]}/token"}
    path = tmp_path_factory.mktemp("key") / "key.json"
    path.write_text(json.dumps(account))
    numbers = key.public_key().public_numbers()
    yield path, (numbers.n, numbers.e)
    server.shutdown()
    server.server_close()


@pytest.fixture
def bucket(key_file, monkeypatch):
    """The server of a bucket "blobs" that takes what our key has signed, and nothing else that is signed."""
    with GcsServer(signing_keys={ACCOUNT: key_file[1]}) as server:
        server.create_bucket("blobs")
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        yield server


@pytest.fixture
def opened(bucket, key_file, databases):
    """`async with opened() as store:` is a new store on that bucket."""

    @contextlib.asynccontextmanager
    async def opening(**options):
        blobs = f"gs://blobs/here?credentials={key_file[0]}"
        with databases.fresh() as dsn:
            async with AsyncStore(blobs=blobs, catalog=dsn, **options) as store:
                yield store

    return opening


def upload(offer, data, *, url=None, **headers):
    """Do as the offer says; the status, and what the bucket says."""
    told = {name: value for name, value in (offer.headers | headers).items() if value is not None}
    answer = requests.request(offer.method, url or offer.url, data=data, headers=told, timeout=20)
    return answer.status_code, answer.text
