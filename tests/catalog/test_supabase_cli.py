"""The Supabase CLI itself and our runner apply the same files, in either order, and the tenants are apart after both."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import tempfile

import psycopg
import pytest
from platformdirs import user_cache_path

from casstore.catalog.migrate import migrate, migrations
from casstore.operations.migrating import export
from tests.catalog.project import CELLS, fill, make_database, make_logins

RELEASE = "3.1.0"
FILES = [migration.file_name for migration in migrations()]
UP_TO_DATE = "Remote database is up to date."
OWN = "20990101000000_own.sql"
NUMBER = "select count(*) from supabase_migrations.schema_migrations"
pytestmark = pytest.mark.slow


def absent(reason):
    """CI has everything; elsewhere a test may lack what it needs."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)


@pytest.fixture(scope="module")
def program():
    """The program, installed once into the user's cache, whichever worker comes first."""
    npm = shutil.which("npm") or absent("npm is not installed")
    cache = user_cache_path("casstore-tests", ensure_exists=True)
    folder = cache / f"supabase-{RELEASE}"
    with (cache / "supabase.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=cache) as new:
                command = [npm, "install", "--prefix", new, "--no-audit", "--no-fund", f"supabase@{RELEASE}"]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode:
                    absent(f"npm cannot install the Supabase CLI: {done.stderr[-500:]}")
                shutil.copytree(new, folder, symlinks=True)
    return folder / "node_modules" / ".bin" / "supabase"


@pytest.fixture(scope="module")
def server(other_server):
    with other_server() as dsn:
        yield dsn


@pytest.fixture
def owner(server, request):
    """A database like that of a new project."""
    return make_database(server, re.sub(r"\W", "_", request.node.name)[:60])


@pytest.fixture
def supabase(program, owner, tmp_path):
    """The program, run on the project in a folder of its own against that database; what it says."""

    def run_it(*arguments, code=0):
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path / "home"),
            "SUPABASE_HOME": str(tmp_path / "home"),
            "SUPABASE_TELEMETRY_DISABLED": "1",
            "SUPABASE_NO_UPDATE_NOTIFIER": "1",
            "DO_NOT_TRACK": "1",
        }
        command = [program, *arguments, f"--remote={owner}", "--workdir", tmp_path]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        said = done.stdout + done.stderr
        assert done.returncode == code, said
        return said

    (tmp_path / "home").mkdir()
    return run_it


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "supabase" / "migrations"
    folder.mkdir(parents=True)
    return folder


def assert_tenants_are_apart(owner, tmp_path):
    make_logins(owner)
    project = fill(owner, (tmp_path / "blobs").as_uri())
    for relation, group, caller, outcome in CELLS:
        assert project.seen(relation, group, caller) == project.expected(relation, outcome), (relation, group, caller)


def test_what_we_applied_the_cli_finds_up_to_date(supabase, owner, folder, run, tmp_path):
    assert run(migrate(owner)) == migrations()
    export(folder)
    assert UP_TO_DATE in supabase("db", "push", "--yes")
    listed = re.findall(r"`(\d{14})` +\| +`(\d{14})`", supabase("migration", "list"))
    assert listed == [(migration.version, migration.version) for migration in migrations()]
    assert_tenants_are_apart(owner, tmp_path)


def test_what_the_cli_applied_we_find_up_to_date(supabase, owner, folder, run, tmp_path):
    export(folder)
    said = supabase("db", "push", "--yes")
    assert re.findall(r"Applying migration (\S+\.sql)", said) == FILES
    assert run(migrate(owner)) == []
    assert UP_TO_DATE in supabase("db", "push", "--yes")
    assert_tenants_are_apart(owner, tmp_path)


def test_a_project_that_has_applied_newer_ones_says_include_all(supabase, owner, folder, run):
    (folder / OWN).write_text("create schema own;")
    supabase("db", "push", "--yes")
    export(folder)
    supabase("db", "push", "--yes", code=1)
    assert UP_TO_DATE not in supabase("db", "push", "--yes", "--include-all")
    assert run(migrate(owner)) == []


def test_a_project_without_our_files_is_refused_until_they_are_exported(supabase, owner, folder, run):
    """Why there is an export: the history would have versions that the project does not know."""
    (folder / OWN).write_text("create schema own;")
    run(migrate(owner))
    assert "not found in local" in supabase("db", "push", "--yes", code=1)
    export(folder)
    supabase("db", "push", "--yes")
    with psycopg.connect(owner) as connection:
        assert connection.execute(NUMBER).fetchone() == (len(FILES) + 1,)
