"""What Google answers besides the bucket: who a machine is, tokens for it, and signatures of a key that never leaves Google.

https://cloud.google.com/compute/docs/metadata/predefined-metadata-keys
https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/signBlob
"""

from __future__ import annotations

import base64
import http.server
import json
import threading
from pathlib import Path
from typing import Self
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

ACCOUNT = "robot@p.iam.gserviceaccount.com"
SIGN_PATH = f"/v1/projects/-/serviceAccounts/{ACCOUNT}:signBlob"
DENIED = (403, "Permission 'iam.serviceAccounts.signBlob' denied on resource (or it may not exist).")
_METADATA = "/computeMetadata/v1"
_IDENTITY = f"{_METADATA}/instance/service-accounts"


class Google:
    """One service account and its key, on a machine that runs as it.

    Attributes:
        troubles: What the next signatures are refused with, in turn: a status and a message.
        signed: How many signatures were asked for.
    """

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(65537, 2048)
        self.troubles: list[tuple[int, str]] = []
        self.signed = 0
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.google = self
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"http://{self.host}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def public_key(self) -> tuple[int, int]:
        """Modulus and exponent."""
        numbers = self._key.public_key().public_numbers()
        return numbers.n, numbers.e

    def key_file(self) -> str:
        """What the console gives to whoever wants the private half."""
        pem = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        account = {"type": "service_account", "project_id": "p", "private_key_id": "1", "private_key": pem}
        return json.dumps(account | {"client_email": ACCOUNT, "token_uri": f"{self.url}/token"})

    def login_file(self) -> str:
        """What `gcloud auth application-default login` leaves: a person's, who is no account that could sign."""
        return json.dumps({"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r"})

    def federated_file(self, told: Path) -> str:
        """What somebody else's machine has who is trusted as the account: `told` is what its own platform says of it."""
        told.write_text("a token of another platform")
        source = {
            "type": "external_account",
            "audience": "//iam.googleapis.com/pool",
            "credential_source": {"file": str(told)},
        }
        source |= {"subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "token_url": f"{self.url}/token"}
        account = f"{self.url}/v1/projects/-/serviceAccounts/{ACCOUNT}"
        return json.dumps(source | {"service_account_impersonation_url": f"{account}:generateAccessToken"})

    def metadata(self, path: str, query: dict[str, list[str]]) -> object:
        """What the metadata server says; None where there is nothing."""
        if path in (f"{_IDENTITY}/default/", f"{_IDENTITY}/{ACCOUNT}/"):
            return {
                "email": ACCOUNT,
                "aliases": ["default"],
                "scopes": ["https://www.googleapis.com/auth/cloud-platform"],
            }
        if path in (f"{_IDENTITY}/default/token", f"{_IDENTITY}/{ACCOUNT}/token"):
            return _token(query.get("scopes", ["https://www.googleapis.com/auth/cloud-platform"])[0])
        return {f"{_METADATA}/universe/universe-domain": "googleapis.com", f"{_METADATA}/project/project-id": "p"}.get(
            path
        )

    def sign(self, token: str, message: bytes) -> tuple[int, object]:
        """As signBlob does; the token must be one for IAM, not for storage alone."""
        self.signed += 1
        if not ("auth/iam" in token or "cloud-platform" in token):
            return _refusal(403, "Request had insufficient authentication scopes.")
        if self.troubles:
            return _refusal(*self.troubles.pop(0))
        signature = self._key.sign(message, padding.PKCS1v15(), hashes.SHA256())
        return 200, {"keyId": "of-google", "signedBlob": base64.b64encode(signature).decode()}


def _token(scopes: str) -> dict[str, object]:
    return {"access_token": f"for {scopes}", "expires_in": 3600, "token_type": "Bearer"}


def _refusal(status: int, message: str) -> tuple[int, object]:
    return status, {"error": {"code": status, "message": message}}


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        parts = urlsplit(self.path)
        if self.headers["Metadata-Flavor"] != "Google":
            return self._answer(403, "")
        if parts.path in ("", "/"):
            return self._answer(200, "")
        found = self.server.google.metadata(parts.path, parse_qs(parts.query))
        return self._answer(404 if found is None else 200, found or "")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/token":
            exchanged = {"issued_token_type": "urn:ietf:params:oauth:token-type:access_token"}
            return self._answer(200, _token("https://www.googleapis.com/auth/cloud-platform") | exchanged)
        if self.path == SIGN_PATH.replace("signBlob", "generateAccessToken"):
            token = _token(json.loads(body)["scope"][0])["access_token"]
            return self._answer(200, {"accessToken": token, "expireTime": "2100-01-01T00:00:00Z"})
        if self.path != SIGN_PATH:
            return self._answer(*_refusal(404, f"no account at {self.path}"))
        message = base64.b64decode(json.loads(body)["payload"], validate=True)
        return self._answer(*self.server.google.sign(self.headers["authorization"], message))

    def _answer(self, status, value):
        body = value.encode() if isinstance(value, str) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Metadata-Flavor", "Google")
        self.send_header("content-type", "application/text" if isinstance(value, str) else "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass
