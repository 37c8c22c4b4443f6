"""casstore db: the catalog alone is brought to this release, by us or by the files we hand out."""

from __future__ import annotations

import psycopg
import pytest

from casstore.catalog.migrate import migrations

FILES = [migration.file_name for migration in migrations()]


@pytest.fixture
def empty(databases):
    with databases.fresh(migrated=False) as dsn:
        yield databases.direct(dsn)


def test_migrate_brings_a_catalog_to_this_release_and_touches_no_blobs(call, empty, tmp_path):
    blobs = tmp_path / "blobs"
    done = call("db", "migrate", "--catalog", empty, "--blobs", blobs.as_uri(), "--json")
    assert (done.code, done.json["applied"]) == (0, [name.removesuffix(".sql") for name in FILES])
    assert not blobs.exists()
    again = call("db", "migrate", "--catalog", empty)
    assert again.text.splitlines()[1:] == ["the catalog is up to date"]
    assert call("put", "a", __file__, "--catalog", empty, "--blobs", blobs.as_uri()).code == 0


def test_migrate_shows_no_credentials(call, empty):
    with psycopg.connect(empty) as connection:
        host = connection.info.host
    done = call("db", "migrate", "--catalog", f"{empty}&password=secret")
    assert done.code == 0, done.err
    assert "secret" not in done.text + done.err
    assert host not in done.text


def test_export_writes_the_files_as_they_are_and_again_does_no_harm(call, tmp_path):
    folder = tmp_path / "supabase" / "migrations"
    assert call("db", "export-migrations", folder, "--json").json == {"folder": str(folder), "written": FILES}
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        migration.file_name: migration.sql.encode() for migration in migrations()
    }
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    (folder / FILES[1]).unlink()
    assert call("db", "export-migrations", folder).text.splitlines() == [f"folder   {folder}", f"written  {FILES[1]}"]
    again = call("db", "export-migrations", folder)
    assert again.text.splitlines() == [f"folder   {folder}", "all migrations are there"]
    assert {path: before[path] for path in folder.iterdir() if path.name != FILES[1]} == {
        path: path.stat().st_mtime_ns for path in folder.iterdir() if path.name != FILES[1]
    }


@pytest.mark.parametrize("name", [FILES[-1], FILES[-1].replace(".sql", "_of_mine.sql")], ids=["edited", "same version"])
def test_export_refuses_another_file_of_the_same_version_and_writes_nothing(call, tmp_path, name):
    (tmp_path / name).write_text("select 1;")
    done = call("db", "export-migrations", tmp_path, "--json")
    assert (done.code, done.error["error"]) == (2, "migration_edited")
    assert name in done.error["message"]
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_export_leaves_a_projects_own_files_alone(call, tmp_path):
    own = tmp_path / "20260101000000_own.sql"
    own.write_text("select 1;")
    assert call("db", "export-migrations", tmp_path).code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [own.name, *FILES]
    assert own.read_text() == "select 1;"


def test_export_to_where_no_folder_can_be_says_so(call, tmp_path):
    (tmp_path / "file").write_text("")
    done = call("db", "export-migrations", tmp_path / "file" / "migrations", "--json")
    assert (done.code, done.error["error"]) == (2, "unwritable_target")
    assert str(tmp_path / "file") in done.error["message"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["migrate", "folder"], "migrate takes no FOLDER"),
        (["export-migrations"], "Missing argument 'FOLDER'"),
        (["rollback"], "'rollback' is not one of"),
        ([], "Missing argument"),
    ],
)
def test_wrong_arguments_are_told(call, arguments, said):
    done = call("db", *arguments)
    assert done.code == 2
    assert said in done.err
