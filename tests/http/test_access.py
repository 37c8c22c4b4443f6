"""Who may come in: each token, on each route, with tokens that are forged, expired, meant for others, or of no algorithm."""

from __future__ import annotations

import base64
import http.server
import json
import threading
import time
import warnings
from pathlib import Path
from types import SimpleNamespace

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from casstore import limits
from casstore.config import ServerSettings
from casstore.errors import Denied, Invalid, Unavailable
from casstore.http.access import Access
from casstore.http.claims import Claims, Jwt, Secret
from casstore.http.jwks import Published
from casstore.http.settings import access_of
from casstore.http.tokens import ServiceTokens, add

ISSUER = "https://project.example/auth/v1"
SECRET = "s" * 64
EC = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)
WEAK = rsa.generate_private_key(65537, 1024)


def described(key, algorithm, kid, **more):
    return {**json.loads(algorithm.to_jwk(key.public_key())), "kid": kid, "use": "sig", **more}


KEYS = [
    described(EC, ECAlgorithm, "ec"),
    described(RSA, RSAAlgorithm, "rsa"),
    described(WEAK, RSAAlgorithm, "weak"),
    described(RSA, RSAAlgorithm, "encrypting", use="enc"),
    described(RSA, RSAAlgorithm, "pss", alg="PS256"),
    {"kty": "oct", "k": base64.urlsafe_b64encode(SECRET.encode()).decode(), "kid": "oct"},
]
PUBLIC = EC.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def claims(tenant, **changed):
    found = {
        "iss": ISSUER,
        "aud": "authenticated",
        "sub": "u-1",
        "exp": time.time() + 600,
        "role": "authenticated",
        "app_metadata": {"tenant_id": tenant},
        "user_metadata": {"tenant_id": "somebody-else"},
        **changed,
    }
    return {name: value for name, value in found.items() if value is not None}


def signed(tenant, key=EC, algorithm="ES256", kid="ec", **changed):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of keys that are too short
        return jwt.encode(claims(tenant, **changed), key, algorithm, {"kid": kid})


def unsigned(tenant, algorithm="none", signature=""):
    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': algorithm, 'kid': 'ec'})}.{part(claims(tenant))}.{signature}"


def hmac_with_public_key(tenant):
    """The classic confusion of algorithms: the public key taken for a secret."""
    import hashlib
    import hmac

    head, _, _ = unsigned(tenant, "HS256").rpartition(".")
    made = hmac.new(PUBLIC, head.encode(), hashlib.sha256).digest()
    return f"{head}.{base64.urlsafe_b64encode(made).rstrip(b'=').decode()}"


@pytest.fixture(scope="module")
def publisher():
    """A server of keys: `.keys` may be changed, `.asked` counts."""
    state = SimpleNamespace(keys=KEYS, asked=0)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            state.asked += 1
            self.send_response(200 if state.keys is not None else 500)
            self.end_headers()
            self.wfile.write(json.dumps({"keys": state.keys}).encode())

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}/jwks.json"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield state
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def guarded(serve, publisher, tmp_path_factory):
    """A server that takes users' tokens and service tokens, and the file of these."""
    file = tmp_path_factory.mktemp("tokens") / "tokens.json"
    add(file, "nobody", "nobody", ["read"])
    settings = ServerSettings.load(tokens=file).model_copy(update={"jwt_issuer": ISSUER, "jwt_keys": publisher.url})
    with serve(access_of(settings)) as served:
        yield served, file


GOOD = {
    "elliptic": signed,
    "rsa": lambda tenant: signed(tenant, RSA, "RS256", "rsa"),
    "of two audiences": lambda tenant: signed(tenant, aud=["other", "authenticated"]),
}
BAD = {
    "none": lambda tenant: None,
    "a word": lambda tenant: "secret",
    "alg none": unsigned,
    "alg None": lambda tenant: unsigned(tenant, "None"),
    "the public key as a secret": hmac_with_public_key,
    "no signature": lambda tenant: unsigned(tenant, "ES256"),
    "another's key": lambda tenant: signed(tenant, ec.generate_private_key(ec.SECP256R1())),
    "a key that is too short": lambda tenant: signed(tenant, WEAK, "RS256", "weak"),
    "a key for encrypting": lambda tenant: signed(tenant, RSA, "RS256", "encrypting"),
    "a key of another algorithm": lambda tenant: signed(tenant, RSA, "PS256", "pss"),
    "a secret among public keys": lambda tenant: signed(tenant, SECRET, "HS256", "oct"),
    "rsa as another algorithm": lambda tenant: signed(tenant, RSA, "RS512", "rsa"),
    "an unknown key": lambda tenant: signed(tenant, kid="new"),
    "changed": lambda tenant: signed("x" + tenant).replace(".", ".e30", 1),
    "expired": lambda tenant: signed(tenant, exp=time.time() - 60),
    "not yet good": lambda tenant: signed(tenant, nbf=time.time() + 120),
    "without an end": lambda tenant: signed(tenant, exp=None),
    "another audience": lambda tenant: signed(tenant, aud="anon"),
    "no audience": lambda tenant: signed(tenant, aud=None),
    "another issuer": lambda tenant: signed(tenant, iss="https://evil.example"),
    "no issuer": lambda tenant: signed(tenant, iss=None),
    "nobody": lambda tenant: signed(tenant, sub=None),
    "another role": lambda tenant: signed(tenant, role="anon"),
    "a role that is no text": lambda tenant: signed(tenant, role=["authenticated"]),
    "no tenant": lambda tenant: signed(tenant, app_metadata=None),
    "a tenant that is none": lambda tenant: signed(tenant, app_metadata={"tenant_id": "a/../b"}),
    "a number as tenant": lambda tenant: signed(tenant, app_metadata={"tenant_id": 7}),
    "nested too deep": lambda tenant: base64.urlsafe_b64encode(b"[" * 9000).decode() + ".e30.x",
    "a service token that was never made": lambda tenant: "cst_" + "a" * 43,
}
ROUTES = [("GET", "/v1/session"), ("GET", "/v1/artifacts"), ("PUT", "/v1/artifacts/x"), ("GET", "/api/artifacts")]


@pytest.mark.parametrize("kind", GOOD)
def test_a_good_token_is_its_tenant(guarded, tenant, kind):
    with guarded[0].client(GOOD[kind](tenant)) as client:
        assert client.get("/v1/session").json() == {
            "tenant": tenant,
            "actor": "u-1",
            "scopes": ["add", "read", "write"],
        }
        assert client.put("/v1/artifacts/x", content=b"1").status_code == 201
        assert client.post("/v1/purge/x@1").json()["code"] == "not_permitted"


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_token_is_nobody(guarded, tenant, kind):
    with guarded[0].client(BAD[kind](tenant)) as client:
        for method, path in ROUTES:
            answer = client.request(method, path, content=b"1" if method == "PUT" else None)
            assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated"), (kind, path)
            assert tenant not in answer.text


SCOPED = [
    ("read", "GET", "/v1/artifacts", 200),
    ("read", "PUT", "/v1/artifacts/x", 403),
    ("add", "PUT", "/v1/artifacts/x", 201),
    ("add", "GET", "/v1/artifacts/x", 403),
    ("add", "DELETE", "/v1/artifacts/x", 403),
    ("write", "DELETE", "/v1/artifacts/nothing", 404),
    ("write", "POST", "/v1/retention/apply", 403),
    ("admin", "POST", "/v1/retention/apply", 200),
    ("admin", "GET", "/v1/usage", 403),
]


@pytest.mark.parametrize(("scope", "method", "path", "status"), SCOPED)
def test_a_service_token_has_its_scopes(guarded, tenant, scope, method, path, status):
    served, file = guarded
    with served.client(add(file, "svc", tenant, [scope])) as client:
        assert client.request(method, path, content=b"1" if method == "PUT" else None).status_code == status


def test_who_is_struck_out_is_out_at_once(guarded, tenant):
    served, file = guarded
    with served.client(add(file, "svc", tenant, ["read"])) as client:
        assert client.get("/v1/artifacts").status_code == 200
        kept = [entry for entry in json.loads(file.read_text())["tokens"] if entry["tenant"] != tenant]
        file.write_text(json.dumps({"tokens": kept}))
        assert client.get("/v1/artifacts").status_code == 401


def test_a_token_of_yesterday_is_over(run, tmp_path):
    from datetime import UTC, datetime, timedelta

    file = tmp_path / "tokens"
    yesterday = datetime.now(UTC) - timedelta(days=1)
    token = add(file, "svc", "acme", ["read"], expires_at=yesterday)
    other = add(file, "svc", "acme", ["read"], expires_at=yesterday + timedelta(days=2))
    tokens = ServiceTokens(file)
    assert run(tokens.principal(other)).tenant == "acme"
    with pytest.raises(Denied):
        run(tokens.principal(token))
    assert token not in file.read_text()
    assert file.stat().st_mode & 0o077 == 0


# -- keys ------------------------------------------------------------------------------------------------------------------


def of_keys(url, clock):
    return Jwt(Published(url, clock=lambda: clock.now), Claims(ISSUER))


def test_keys_are_fetched_once_and_strangers_cause_no_more(run, publisher):
    clock = SimpleNamespace(now=1000.0)
    tokens = of_keys(publisher.url, clock)
    before = publisher.asked

    async def main():
        for _ in range(20):
            assert (await tokens.principal(signed("acme"))).tenant == "acme"
            with pytest.raises(Denied):
                await tokens.principal(signed("acme", kid="unknown"))

    run(main())
    assert publisher.asked == before + 1


def test_a_new_key_is_found_and_an_old_one_is_forgotten(run, publisher):
    clock = SimpleNamespace(now=1000.0)
    new = ec.generate_private_key(ec.SECP256R1())
    tokens = of_keys(publisher.url, clock)

    async def main():
        await tokens.principal(signed("acme"))
        publisher.keys = [described(new, ECAlgorithm, "new")]
        clock.now += limits.JWKS_PAUSE.total_seconds() + 1
        assert (await tokens.principal(signed("acme", new, kid="new"))).tenant == "acme"
        with pytest.raises(Denied):
            await tokens.principal(signed("acme"))

    try:
        run(main())
    finally:
        publisher.keys = KEYS


def test_keys_are_believed_for_a_while_when_nobody_publishes_them(run, publisher):
    clock = SimpleNamespace(now=1000.0)
    tokens = of_keys(publisher.url, clock)

    async def main():
        await tokens.principal(signed("acme"))
        publisher.keys = None
        clock.now += limits.JWKS_STALE.total_seconds() - 1
        await tokens.principal(signed("acme"))
        clock.now += limits.JWKS_PAUSE.total_seconds() + 2
        with pytest.raises(Unavailable):
            await tokens.principal(signed("acme"))
        publisher.keys = KEYS
        clock.now += limits.JWKS_PAUSE.total_seconds() + 1
        await tokens.principal(signed("acme"))

    try:
        run(main())
    finally:
        publisher.keys = KEYS


def test_a_secret_takes_its_algorithm_alone(run):
    tokens = Jwt(Secret(SECRET), Claims(ISSUER))
    assert run(tokens.principal(signed("acme", SECRET, "HS256"))).tenant == "acme"
    for token in (signed("acme", SECRET, "HS512"), signed("acme"), unsigned("acme"), signed("acme", "x" * 64, "HS256")):
        with pytest.raises(Denied):
            run(tokens.principal(token))


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"jwt_secret": SECRET},
        {"jwt_secret": SECRET, "jwt_keys": "https://k.example", "jwt_issuer": ISSUER},
        {"jwt_secret": "short", "jwt_issuer": ISSUER},
        {"jwt_keys": "http://k.example", "jwt_issuer": ISSUER},
        {"tokens": Path("/nowhere/tokens")},
    ],
)
def test_settings_that_let_nobody_or_anybody_in_are_refused(changed):
    with pytest.raises(Invalid) as refused:
        access_of(ServerSettings.load().model_copy(update=changed))
    assert refused.value.code == "bad_config"


def test_a_token_cannot_be_named_as_another_that_acts_for_somebody(tmp_path):
    file = tmp_path / "tokens.json"
    with pytest.raises(Invalid, match="on whose behalf") as refused:
        add(file, "orchestrator/ana", "acme", {"add"})
    assert refused.value.code == "bad_argument"
    add(file, "orchestrator", "acme", {"add"})
    file.write_text(file.read_text().replace('"orchestrator"', '"orchestrator/ana"'))
    with pytest.raises(Invalid, match="on whose behalf") as refused:
        ServiceTokens(file)
    assert refused.value.code == "bad_config"


@pytest.mark.parametrize("name", ["", "x" * 256, "a\0b"])
def test_a_token_whose_name_cannot_be_kept_is_no_token(tmp_path, name):
    """Of a file that somebody has edited: who comes with it could read, and every put would be refused."""
    file = tmp_path / "tokens.json"
    add(file, "good", "acme", {"read", "add"})
    document = json.loads(file.read_text())
    document["tokens"][0]["name"] = name
    file.write_text(json.dumps(document))
    with pytest.raises(Invalid) as refused:
        ServiceTokens(file)
    assert refused.value.code == "bad_config"
    assert "1 to 255 characters" in refused.value.message


HALVES = ("[", "[::1", "http://[")


@pytest.mark.parametrize("half", HALVES)
def test_half_an_address_is_no_bug_of_the_server(serve, half):
    """Regression: what cannot be parsed as a host was answered 500."""
    with serve(Access(dev_tenant="acme")) as served, served.client() as client:
        for path in ("/v1/session", "/v1/components/a/main", "/nope"):
            answer = client.get(path, headers={"Host": half})
            assert answer.status_code in (400, 403, 404), (path, answer.text)
        assert client.post("/v1/holds", json={}, headers={"Origin": half}).status_code == 403
        assert client.post("/login", data={"token": "x"}, headers={"Host": half}).status_code < 500
