"""The journal at the command line: export, verify, lose the catalog, rebuild."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import psycopg
import pytest

from casstore.catalog.embedded import EmbeddedPostgres


@pytest.fixture
def alone(environment, monkeypatch):
    """A home of its own, as these commands are about a whole store."""
    monkeypatch.setenv("CASSTORE_TENANT", "tenant")
    folder = Path(tempfile.mkdtemp(prefix="casstore-cli-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_a_catalog_is_lost_and_rebuilt(call, put, alone):
    at = ("--home", alone)
    put("sop/login", "one", "--title", "Login", *at)
    put("sop/login", "two", *at)
    call("alias", "sop/login@1", "prod", *at)
    told = call("journal", "export", *at)
    assert told.text.splitlines()[0] == "exported 3 records in 1 segments, 3 in all"
    assert call("journal", "export", *at, "--json").json["records"] == 0
    verified = call("audit", "verify", *at)
    assert (verified.code, verified.text.splitlines()[0]) == (0, "1 segments, 3 records: all as written")
    assert verified.text.splitlines()[1] == told.text.splitlines()[1]  # the digest
    before = call("db-digest", *at).text
    shutil.rmtree(alone / "catalog")
    assert call("ls", *at).code == 2  # a new catalog, and not the blobs' own
    rebuilt = call("rebuild", *at)
    assert rebuilt.text.splitlines()[0] == "rebuilt  2 versions from 3 records, 2 blobs are there"
    assert rebuilt.text.splitlines()[1] == told.text.splitlines()[1]
    assert call("db-digest", *at).text == before
    assert call("get", "sop/login@prod", *at).text == "one"
    again = call("rebuild", *at, "--json")
    assert (again.code, again.error["error"]) == (5, "catalog_not_empty")


def test_verify_names_what_was_altered_and_its_exit_code_says_it(call, put, alone):
    at = ("--home", alone)
    put("sop/login", "one", *at)
    call("journal", "export", *at)
    with EmbeddedPostgres(alone / "catalog") as server, psycopg.connect(server.dsn, autocommit=True) as connection:
        connection.execute("set session_replication_role = replica")
        connection.execute("update casstore.versions set title = 'x'")
    verified = call("audit", "verify", *at)
    assert verified.code == 7
    assert verified.text.splitlines()[:2] == [
        "versions: log 1: put tenant sop/login@1: altered",
        "1 segments, 1 records: 1 faults",
    ]
    document = call("audit", "verify", *at, "--json").json
    assert (document["ok"], document["count"], document["faults"][0]["table"]) == (False, 1, "versions")


def test_a_rebuild_tells_what_is_missing(call, put, alone):
    at = ("--home", alone)
    put("a", "one", *at)
    call("journal", "export", *at)
    for blob in (alone / "blobs" / "artifacts" / "blobs").glob("[0-9a-f]*"):
        blob.unlink()
    shutil.rmtree(alone / "catalog")
    rebuilt = call("rebuild", *at)
    assert rebuilt.code == 0
    assert rebuilt.text.splitlines()[1].startswith("missing  1 blobs")


def test_without_a_journal_there_is_nothing_to_rebuild_from(call, alone):
    assert call("rebuild", "--home", alone, "--json").error["error"] == "journal_not_found"
    assert call("rebuild", "--home", alone).code == 4


@pytest.mark.parametrize("words", [("journal",), ("journal", "import"), ("audit",), ("audit", "prove")])
def test_wrong_words(call, words):
    assert call(*words).code == 2
