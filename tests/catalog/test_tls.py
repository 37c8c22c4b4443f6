"""TLS to the catalog: what `sslmode=verify-full` promises holds, and where it cannot, one is told so at once and what to do."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from urllib.parse import urlencode

import pytest

from casstore import AsyncStore, Invalid, Store
from casstore.catalog.migrate import migrate
from tests.support.certificates import make_authority, make_certificate
from tests.support.pgbouncer import PgBouncer, needed
from tests.support.postgres import TcpPostgres, passable_folder

HOST = "localhost"


def system_postgres() -> Path:
    """The programs of a Postgres built with TLS: the wheels' are not."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    return found[-1].parent if found else Path(needed("postgres")).resolve().parent


@pytest.fixture(scope="module")
def folder():
    with passable_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def authority(folder):
    return make_authority(folder, "ours")


@pytest.fixture(scope="module")
def stranger(folder):
    return make_authority(folder, "strangers")


@pytest.fixture(scope="module")
def certificate(folder, authority):
    return make_certificate(folder, authority, HOST)


@pytest.fixture(scope="module")
def server(run, folder, certificate):
    """A Postgres with TLS, which lets in who comes without, too."""
    place = folder / "server"
    place.mkdir(mode=0o755)
    server = TcpPostgres(place, system_postgres())
    server.give(*certificate)
    server.settings |= {"ssl": "on", "ssl_cert_file": str(certificate[0]), "ssl_key_file": str(certificate[1])}
    with server:
        run(migrate(server.dsn))
        yield server


@pytest.fixture(scope="module", params=["server", "pooler"])
def port(request, server, certificate):
    """Where TLS is spoken: by the server itself, or by the pooler in front of it, as at Supabase."""
    if request.param == "server":
        yield server.port
        return
    with pooler_with_tls(server, certificate) as pooler:
        yield pooler.port


@contextlib.contextmanager
def pooler_with_tls(server, certificate):
    """A pooler that lets nobody in without TLS."""
    tls = {"sslmode": "require", "cert_file": certificate[0], "key_file": certificate[1]}
    settings = {f"client_tls_{name}": value for name, value in tls.items()}
    with passable_folder() as folder, PgBouncer(folder, server.dsn, **settings) as pooler:
        yield pooler


@pytest.fixture(scope="module")
def blobs(new_blobs):
    return new_blobs()


def url(port, host=HOST, **parameters) -> str:
    # With `hostaddr` no name is looked up; `host` is the name that the certificate has to have.
    return f"postgresql://casstore:secret@{host}:{port}/postgres?" + urlencode({"hostaddr": "127.0.0.1"} | parameters)


def refused(run, blobs, catalog) -> str:
    """The message with which opening is refused, at once, without the password, with something to do."""
    with pytest.raises(Invalid) as caught:
        run(asyncio.wait_for(AsyncStore(blobs=blobs, catalog=catalog).open(), 2))
    error = caught.value
    assert error.code == "bad_config"
    assert "sslmode" in error.hint
    assert "secret" not in f"{error.as_dict()} {error.__cause__}"
    return error.message


def test_a_server_that_proves_who_it_is_is_used(run, port, blobs, authority):
    async def main(catalog) -> None:
        async with AsyncStore(blobs=blobs, catalog=catalog) as store:
            assert (await store.tenant(f"tls-{port}").put("doc/a", b"1")).number == 1
            async with store._catalog._pool.connection() as connection:
                assert connection.pgconn.ssl_in_use

    run(main(url(port, sslmode="verify-full", sslrootcert=authority)))


def test_a_server_of_another_authority_is_refused(run, port, blobs, stranger):
    message = refused(run, blobs, url(port, sslmode="verify-full", sslrootcert=stranger))
    assert "certificate verify failed" in message


def test_a_server_of_another_name_is_refused(run, port, blobs, authority):
    message = refused(run, blobs, url(port, "db.example.com", sslmode="verify-full", sslrootcert=authority))
    assert f'"{HOST}" does not match host name "db.example.com"' in message


def test_an_authority_whose_file_is_not_there_is_told(run, port, blobs, folder):
    message = refused(run, blobs, url(port, sslmode="verify-full", sslrootcert=folder / "none.crt"))
    assert f'"{folder}/none.crt" does not exist' in message


def test_a_server_without_tls_is_refused_where_it_is_asked_for(run, postgres, blobs, authority):
    with passable_folder() as folder, PgBouncer(folder, postgres) as plain:
        message = refused(run, blobs, url(plain.port, sslmode="verify-full", sslrootcert=authority))
    assert "does not support SSL" in message


def test_a_line_without_tls_is_refused_by_who_asks_for_it(run, server, certificate, blobs):
    with pooler_with_tls(server, certificate) as pooler:
        assert "SSL required" in refused(run, blobs, url(pooler.port, sslmode="disable"))


def test_doctor_says_the_same(port, blobs, stranger):
    store = Store(blobs=blobs, catalog=url(port, sslmode="verify-full", sslrootcert=stranger))
    (finding,) = [finding for finding in store.doctor() if finding.check == "catalog"]
    assert not finding.ok
    assert "certificate verify failed" in finding.detail
    assert "sslrootcert" in finding.hint


def test_a_certificate_that_changes_for_the_worse_is_told_when_connecting_again(
    run, server, blobs, authority, stranger
):
    async def main(catalog) -> None:
        async with AsyncStore(blobs=blobs, catalog=catalog) as store:
            tenant = store.tenant("tls-changes")
            await tenant.put("doc/a", b"1")
            good = server.settings
            certificate, key = make_certificate(stranger.parent, stranger, "other")
            server.give(certificate, key)
            server.stop()
            server.settings = good | {"ssl_cert_file": str(certificate), "ssl_key_file": str(key)}
            server.start()
            try:
                with pytest.raises(Invalid, match="certificate verify failed"):
                    await asyncio.wait_for(tenant.put("doc/a", b"2"), 3)
            finally:
                server.stop()
                server.settings = good
                server.start()
            assert (await tenant.put("doc/a", b"2")).number == 2

    run(main(url(server.port, sslmode="verify-full", sslrootcert=authority)))
