"""V4 signed URLs, signed by Google's client."""

from __future__ import annotations

import datetime as dt
import time

import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.oauth2 import service_account

from casstore.testing.gcs import GcsServer
from tests.gcs_server.conftest import client_of
from tests.gcs_server.raw import BUCKET, crc32c

ACCOUNT = "signer@test.iam.gserviceaccount.com"
CREATE_ONLY = {"x-goog-if-generation-match": "0"}


@pytest.fixture(scope="module")
def key():
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture(scope="module")
def credentials(key):
    return credentials_of(key)


def credentials_of(key):
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    info = {"client_email": ACCOUNT, "private_key": pem, "token_uri": "http://127.0.0.1:1/"}
    return service_account.Credentials.from_service_account_info(info)


@pytest.fixture(params=[False, True], ids=["expiry only", "signature too"])
def server(request, key):
    numbers = key.public_key().public_numbers()
    keys = {ACCOUNT: (numbers.n, numbers.e)} if request.param else None
    with GcsServer(signing_keys=keys) as server:
        server.create_bucket(BUCKET)
        yield server


@pytest.fixture
def sign(server, credentials):
    with client_of(server.url) as client:

        def sign(name, method="GET", *, credentials=credentials, expiration=dt.timedelta(minutes=5), **options):
            blob = client.bucket(BUCKET).blob(name)
            return blob.generate_signed_url(
                version="v4",
                expiration=expiration,
                method=method,
                credentials=credentials,
                api_access_endpoint=server.url,
                **options,
            )

        yield sign


def ask(method, url, **options):
    with requests.request(method, url, timeout=20, **options) as response:
        return response


@pytest.mark.parametrize("name", ["a", "sop/ü b+c%/~?&=#.txt"])
def test_get(server, sign, name):
    server.write(BUCKET, name, b"signed")
    response = ask("GET", sign(name))
    assert (response.status_code, response.content) == (200, b"signed")
    assert ask("GET", sign(name), headers={"range": "bytes=1-2"}).content == b"ig"
    head = ask("HEAD", sign(name, "HEAD"))
    assert (head.status_code, head.headers["content-length"], head.content) == (200, "6", b"")


def test_get_as_the_url_says(server, sign):
    first = server.write(BUCKET, "a", b"1")
    url = sign("a", generation=first, response_type="text/x", response_disposition='attachment; filename="b c"')
    response = ask("GET", url)
    assert response.headers["content-type"] == "text/x"
    assert response.headers["content-disposition"] == 'attachment; filename="b c"'
    server.write(BUCKET, "a", b"2")
    assert ask("GET", url).status_code == 404


def test_put(server, sign):
    url = sign("a", "PUT", content_type="text/x", headers={"x-goog-meta-k": "v"})
    response = ask("PUT", url, data=b"up", headers={"content-type": "text/x", "x-goog-meta-k": "v"})
    assert response.status_code == 200
    stored = server.objects(BUCKET)["a"]
    assert response.headers["x-goog-generation"] == str(stored.generation)
    assert f"crc32c={crc32c(b'up')}" in response.headers["x-goog-hash"]
    assert (stored.data, stored.metadata["contentType"], stored.metadata["metadata"]) == (b"up", "text/x", {"k": "v"})


def test_put_only_if_there_is_none(server, sign):
    url = sign("a", "PUT", headers={**CREATE_ONLY})
    assert ask("PUT", url, data=b"first", headers=CREATE_ONLY).status_code == 200
    refused = ask("PUT", url, data=b"second", headers=CREATE_ONLY)
    assert (refused.status_code, refused.headers["content-type"]) == (412, "application/xml; charset=UTF-8")
    assert "<Code>PreconditionFailed</Code>" in refused.text
    assert server.objects(BUCKET)["a"].data == b"first"


@pytest.mark.parametrize("signed", [False, True])
def test_a_condition_has_to_be_signed_and_sent(server, sign, signed):
    url = sign("a", "PUT", headers=dict(CREATE_ONLY) if signed else {})
    refused = ask("PUT", url, data=b"x", headers={} if signed else CREATE_ONLY)
    assert refused.status_code == 400
    assert "<Code>MalformedSecurityHeader</Code>" in refused.text
    assert server.objects(BUCKET) == {}


@pytest.mark.parametrize("how", ["x-goog-hash", "content-md5"])
def test_put_of_other_bytes_than_declared(server, sign, how):
    declared = {"x-goog-hash": f"crc32c={crc32c(b'good')}", "content-md5": "AAAAAAAAAAAAAAAAAAAAAA=="}[how]
    url = sign("a", "PUT", headers={how: declared})
    assert ask("PUT", url, data=b"bad", headers={how: declared}).status_code == 400
    assert server.objects(BUCKET) == {}


@pytest.mark.slow
def test_an_expired_url(server, sign):
    server.write(BUCKET, "a", b"")
    url = sign("a", expiration=dt.timedelta(seconds=1))
    time.sleep(1.01)
    refused = ask("GET", url)
    assert refused.status_code == 400
    assert "<Code>ExpiredToken</Code>" in refused.text


def test_what_is_not_signed_so(request, server, sign):
    """Where the server knows the key; elsewhere it lets pass what it cannot judge."""
    server.write(BUCKET, "a", b"secret")
    url = sign("a")
    last = "1" if url[-1] == "0" else "0"
    other_key = sign("a", credentials=credentials_of(rsa.generate_private_key(65537, 2048)))
    refused = 403 if "signature too" in request.node.name else 200
    assert ask("GET", url).status_code == 200
    assert ask("GET", url[:-1] + last).status_code == refused
    assert ask("GET", other_key).status_code == refused
    assert ask("GET", url.replace("X-Goog-Expires=300", "X-Goog-Expires=301")).status_code == refused
    assert ask("GET", url.replace(ACCOUNT.replace("@", "%40"), "other%40test")).status_code == refused
    assert ask("PUT", url, data=b"").status_code == refused


@pytest.mark.parametrize(
    "broken",
    [
        *("Algorithm", "Credential", "Date", "Expires", "SignedHeaders"),
        *("Date=2", "Expires=x", "Signature=zz"),
    ],
)
def test_a_malformed_url(server, sign, broken):
    server.write(BUCKET, "a", b"")
    name, _, value = broken.partition("=")
    place, _, query = sign("a").partition("?")
    parts = [part for part in query.split("&") if not part.startswith(f"X-Goog-{name}=")]
    if value:
        parts.append(f"X-Goog-{broken}")
    assert ask("GET", f"{place}?{'&'.join(parts)}").status_code == 400


def test_other_algorithms_are_not_supported(server, sign):
    server.write(BUCKET, "a", b"")
    assert ask("GET", sign("a").replace("GOOG4-RSA-SHA256", "GOOG4-HMAC-SHA256")).status_code == 501


def test_without_a_signature_this_face_of_the_api_is_not_there(server):
    server.write(BUCKET, "a", b"")
    assert ask("GET", f"{server.url}/{BUCKET}/a").status_code == 501
