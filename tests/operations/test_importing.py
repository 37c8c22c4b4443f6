"""import_tree: the n-th version in the folder is version n of its name, or it is refused and said why."""

from __future__ import annotations

import asyncio
import multiprocessing
import operator
import os
import shutil
import signal
from pathlib import Path

import pytest

from casstore import AsyncStore, Conflict, Invalid, Unavailable, UsageError, kinds
from casstore.errors import Code
from casstore.kinds import Kind, Role, registry

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"


def plant(root: Path, files: dict[str, str | bytes]) -> Path:
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
    return root


def by_path(report):
    return {entry.path: entry for entry in report.entries}


def statuses(report):
    return {entry.path: (entry.status, entry.code) for entry in report.entries}


async def content(t, ref):
    return await (await t.get(ref)).bytes()


async def test_versions_in_order_and_the_report(t, tmp_path):
    plant(tmp_path, {"sop/login/v0001.md": "one", "sop/login/v0002.md": "two!", "sop/login/v0010.md": "one"})
    plant(tmp_path, {"plan/x/v0001/roadmap.json": "{}", "plan/x/v0001/risks.md": "none"})
    report = await t.import_tree(tmp_path)
    assert [await content(t, f"sop/login@{n}") for n in (1, 2, 3)] == [b"one", b"two!", b"one"]
    assert await content(t, "plan/x@1#risks") == b"none"
    assert {e.path: (e.status, e.ref) for e in report.entries} == {
        "plan/x/v0001": ("stored", "plan/x@1"),
        "sop/login/v0001.md": ("stored", "sop/login@1"),
        "sop/login/v0002.md": ("stored", "sop/login@2"),
        "sop/login/v0010.md": ("deduplicated", "sop/login@3"),
    }
    assert (report.stored, report.deduplicated, report.already_there, report.refused, report.skipped) == (3, 1, 0, 0, 0)
    assert (report.bytes_read, report.bytes_added) == (16, 13)
    version = await t.resolve("plan/x@1")
    assert version.type == "plan"
    assert {c.role: c.media_type for c in version.components} == {
        "risks": "text/markdown",
        "roadmap": "application/json",
    }


async def test_the_same_content_twice_in_a_row_is_two_versions(t, tmp_path):
    plant(tmp_path, {"sop/a/v0001.md": "same", "sop/a/v0002.md": "same"})
    await t.import_tree(tmp_path)
    assert (await t.resolve("sop/a")).number == 2


async def test_numbers_order_versions_not_their_text(t, tmp_path):
    plant(tmp_path, {"sop/a/v9.md": "nine", "sop/a/v10.md": "ten"})
    await t.import_tree(tmp_path)
    assert await content(t, "sop/a@2") == b"ten"


async def test_again_stores_nothing(t, tmp_path):
    plant(tmp_path, {"sop/a/v0001.md": "1", "sop/a/v0002.md": "2", "plan/b/v0001/x.md": "3"})
    await t.import_tree(tmp_path)
    before = await t.usage()
    report = await t.import_tree(tmp_path, at_once=1)
    assert {e.status for e in report.entries} == {"already there"}
    assert report.already_there == 3
    assert report.bytes_added == 0
    assert {e.ref for e in report.entries} == {"sop/a@1", "sop/a@2", "plan/b@1"}
    assert await t.usage() == before


async def test_new_versions_are_added_later(t, tmp_path):
    plant(tmp_path, {"sop/a/v0001.md": "1"})
    await t.import_tree(tmp_path)
    report = await t.import_tree(plant(tmp_path, {"sop/a/v0002.md": "2"}))
    assert [(e.status, e.ref) for e in report.entries] == [("already there", "sop/a@1"), ("stored", "sop/a@2")]


async def test_a_prefix_makes_other_names(t, tmp_path):
    plant(tmp_path, {"sop/a/v0001.md": "1"})
    await t.import_tree(tmp_path)
    report = await t.import_tree(tmp_path, prefix="acme/")
    assert [(e.status, e.ref) for e in report.entries] == [("deduplicated", "acme/sop/a@1")]


async def test_an_edited_file_is_refused_and_with_it_what_follows(t, tmp_path):
    plant(tmp_path, {"sop/a/v0001.md": "1", "sop/a/v0002.md": "2", "sop/a/v0003.md": "3"})
    await t.import_tree(tmp_path)
    report = by_path(await t.import_tree(plant(tmp_path, {"sop/a/v0002.md": "edited"})))
    assert report["sop/a/v0001.md"].status == "already there"
    assert report["sop/a/v0002.md"].code == Code.IDEMPOTENCY_KEY_REUSED
    assert "imported before with other content" in report["sop/a/v0002.md"].reason
    assert report["sop/a/v0003.md"].status == "refused"
    assert "sop/a/v0002.md was refused" in report["sop/a/v0003.md"].reason
    assert await content(t, "sop/a@2") == b"2"


@pytest.mark.parametrize("late", ["v0001.md", "v0003.md"])
async def test_a_version_that_comes_after_later_ones_is_refused(t, tmp_path, late):
    plant(tmp_path, {"sop/a/v0002.md": "2", "sop/a/v0004.md": "4"})
    await t.import_tree(tmp_path)
    report = by_path(await t.import_tree(plant(tmp_path, {f"sop/a/{late}": "late"})))
    assert (report[f"sop/a/{late}"].status, report[f"sop/a/{late}"].code) == ("refused", Code.HEAD_MOVED)
    assert (await t.resolve("sop/a")).number == 2


async def test_a_name_with_versions_from_elsewhere_is_refused(t, tmp_path):
    await t.put("sop/a", "by hand", type="sop")
    report = await t.import_tree(plant(tmp_path, {"sop/a/v0001.md": "1", "sop/b/v0001.md": "1"}))
    assert statuses(report) == {
        "sop/a/v0001.md": ("refused", Code.HEAD_MOVED),
        "sop/b/v0001.md": ("stored", None),
    }
    assert "it would be version 1, but sop/a is at 1" in by_path(report)["sop/a/v0001.md"].reason


async def test_bad_names_types_and_roles_are_refused_with_the_rule(t, tmp_path):
    plant(
        tmp_path,
        {
            "sop/a..b/v0001.md": "x",
            "sop/a..b/v0002.md": "x",
            "sop/größe/v0001.md": "x",
            "SOP/a/v0001.md": "x",
            "plan/p/v0001/Not A Role.md": "x",
            "sop/good/v0001.md": "x",
        },
    )
    report = await t.import_tree(tmp_path)
    assert statuses(report) == {
        "sop/a..b/v0001.md": ("refused", Code.BAD_NAME),
        "sop/a..b/v0002.md": ("refused", Code.BAD_NAME),
        "sop/größe/v0001.md": ("refused", Code.BAD_NAME),
        "SOP/a/v0001.md": ("refused", Code.BAD_TYPE),
        "plan/p/v0001": ("refused", Code.BAD_ROLE),
        "sop/good/v0001.md": ("stored", None),
    }
    assert "'..' is not allowed" in by_path(report)["sop/a..b/v0001.md"].reason


async def test_unfit_versions_are_refused_whole(t, tmp_path):
    plant(
        tmp_path,
        {
            "sop/twice/v0001.md": "x",
            "sop/twice/v1.md": "y",
            "plan/both/v0001.md": "x",
            "plan/both/v0001/a.md": "y",
            "plan/roles/v0001/a.md": "x",
            "plan/roles/v0001/a.json": "{}",
            "plan/deep/v0001/a/b.md": "x",
            "plan/hidden/v0001/.DS_Store": "x",
            "plan/link/v0001/a.md": "x",
        },
    )
    (tmp_path / "plan/link/v0001/b.md").symlink_to("a.md")
    report = await t.import_tree(tmp_path)
    refused = [entry for entry in report.entries if entry.status == "refused"]
    assert {entry.code for entry in refused} == {Code.BAD_COMPONENTS}
    assert len(refused) == 6
    assert statuses(report)["plan/hidden/v0001/.DS_Store"] == ("skipped", None)
    assert "symbolic link" in by_path(report)["plan/link/v0001"].reason
    assert (await t.usage()).versions == 0


async def test_strangers_are_skipped_and_named(t, tmp_path):
    outside = plant(tmp_path / "outside", {"secret": "x"})
    root = plant(
        tmp_path / "in",
        {
            "README.md": "x",
            ".git/config": "x",
            "licenses/MIT.txt": "x",
            "sop/notes.md": "x",
            "sop/a/readme.txt": "x",
            "sop/a/v.md": "x",
            "sop/a/v0001.md": "kept",
            "sop/a/deeper/v0001.md": "x",
        },
    )
    (root / "sop/a/v0002.md").symlink_to(outside / "secret")
    (root / "sop/b").symlink_to(outside)
    (root / "way-out").symlink_to("/")
    os.mkfifo(root / "sop/a/v0003.md")
    report = await t.import_tree(root)
    assert (report.stored, report.refused) == (1, 0)
    reasons = {entry.path: entry.reason for entry in report.entries if entry.status == "skipped"}
    assert set(reasons) == {
        ".git",
        "README.md",
        "licenses/MIT.txt",
        "sop/a/deeper",
        "sop/a/readme.txt",
        "sop/a/v.md",
        "sop/a/v0002.md",
        "sop/a/v0003.md",
        "sop/b",
        "sop/notes.md",
        "way-out",
    }
    assert all(reasons.values())
    assert all("symbolic link" in reasons[link] for link in ("sop/a/v0002.md", "sop/b", "way-out"))


async def test_file_names_that_are_no_text_are_shown_as_escapes(t, tmp_path):
    (tmp_path / "sop").mkdir()
    Path(os.fsdecode(os.fsencode(tmp_path / "sop") + b"/\xff.md")).write_bytes(b"")
    report = await t.import_tree(tmp_path)
    assert [entry.path for entry in report.entries] == ["sop/\\xff.md"]
    assert report.model_dump_json()


async def test_a_name_too_long_for_a_key_is_still_imported_once(t, tmp_path):
    long = "/".join(["s" * 63] * 3)
    plant(tmp_path, {"sop/" + "n" * 50 + "/v0001.md": "x"})
    for status in ("stored", "already there"):
        report = await t.import_tree(tmp_path, prefix=long + "/")
        assert [entry.status for entry in report.entries] == [status]


async def test_progress_counts_to_the_end(t, tmp_path):
    plant(tmp_path, {f"sop/n{n}/v0001.md": "x" for n in range(5)} | {"README.md": "x"})
    seen = []
    await t.import_tree(tmp_path, at_once=3, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, 5) for done in range(6)]


async def test_an_empty_folder_is_an_empty_report(t, tmp_path):
    report = await t.import_tree(tmp_path)
    assert report.entries == ()


@pytest.mark.parametrize(
    "arguments",
    [{"at_once": 0}, {"at_once": 65}, {"at_once": True}, {"prefix": "/x"}, {"processes": 0}, {"processes": 17}],
)
async def test_wrong_arguments(t, tmp_path, arguments):
    with pytest.raises(Invalid):
        await t.import_tree(tmp_path, **arguments)


async def test_a_folder_that_is_none(t, tmp_path):
    for folder in (tmp_path / "nowhere", plant(tmp_path, {"file": "x"}) / "file"):
        with pytest.raises(Invalid) as refusal:
            await t.import_tree(folder)
        assert refusal.value.code == Code.UNREADABLE_SOURCE


async def test_two_imports_at_once_make_each_version_once(t, tmp_path):
    plant(tmp_path, {f"sop/n{n}/v{v:04}.md": f"{n} {v}" for n in range(6) for v in range(1, 5)})
    reports = await asyncio.gather(*(t.import_tree(tmp_path, at_once=2) for _ in range(2)))
    assert [report.refused for report in reports] == [0, 0]
    assert sum(report.stored + report.deduplicated for report in reports) == 24
    assert (await t.usage()).versions == 24
    assert await content(t, "sop/n3@4") == b"3 4"


async def test_a_lost_store_aborts_and_the_rest_comes_later(store, where, t, tmp_path, monkeypatch):
    plant(tmp_path, {f"sop/n{n}/v0001.md": f"{n} of {t.name}" for n in range(8)})  # which no other test has stored
    real, calls = store._blobs.put, iter(range(100))

    async def fails(staged, **options):
        if next(calls) == 3:
            raise Unavailable(Code.DISK_FULL, "no space")
        return await real(staged, **options)

    monkeypatch.setattr(store._blobs, "put", fails)
    with pytest.raises(Unavailable) as refusal:
        await t.import_tree(tmp_path, at_once=2)
    assert refusal.value.code == Code.DISK_FULL
    assert 2 <= (await t.usage()).versions < 8  # the third may be cancelled on its way
    report = await t.import_tree(tmp_path)
    assert report.stored + report.already_there + report.deduplicated == 8


async def test_a_repeated_put_says_so(t):
    first = await t.put("a", "x", idempotency_key="k")
    again = await t.put("a", "x", idempotency_key="k")
    same = await t.put("a", "x")
    assert (first.repeated, again.repeated, same.repeated) == (False, True, False)
    with pytest.raises(Conflict):
        await t.put("a", "y", idempotency_key="k")


@pytest.mark.slow
@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus is not here")
async def test_the_corpus_comes_back_byte_for_byte(t: AsyncStore):
    report = await t.import_tree(CORPUS)
    assert report.stored > 1900
    assert report.refused == 0
    fetched = 0
    for entry in report.entries:
        if entry.ref:
            path = CORPUS / entry.path
            artifact = await t.get(entry.ref)
            if path.is_file():
                assert await artifact.bytes() == path.read_bytes()
            else:
                assert {f.stem for f in path.iterdir()} == set(artifact.version.roles)
                for file in path.iterdir():
                    assert await content(t, f"{entry.ref}#{file.stem}") == file.read_bytes()
            fetched += 1
    assert fetched == report.stored + report.deduplicated
    again = await t.import_tree(CORPUS)
    assert (again.stored, again.deduplicated, again.already_there) == (0, 0, fetched)


async def test_a_name_too_long_for_a_segment_is_shortened_and_kept_as_title(t, tmp_path):
    long = ["n" * 70 + "a", "n" * 70 + "b"]
    plant(tmp_path, {f"sop/{name}/v0001.md": name for name in long} | {f"sop/{'m' * 63}/v0001.md": "just fits"})
    refs = {entry.path.split("/")[1]: entry.ref for entry in (await t.import_tree(tmp_path)).entries}
    assert refs["m" * 63] == f"sop/{'m' * 63}@1"
    assert len(set(refs.values())) == 3
    for name in long:
        assert refs[name].startswith(f"sop/{'n' * 50}-")
        assert (await t.resolve(refs[name])).title == name
        assert await content(t, refs[name]) == name.encode()


async def test_a_folder_that_cannot_be_read_is_refused_not_skipped(t, tmp_path, monkeypatch):
    plant(tmp_path, {"sop/a/v0001.md": "x", "sop/b/v0001.md": "x"})
    real = os.scandir

    def scandir(folder):
        if Path(folder).name == "a":
            raise PermissionError(13, "Permission denied")
        return real(folder)

    monkeypatch.setattr("casstore.operations.import_layout.os.scandir", scandir)
    report = await t.import_tree(tmp_path)
    assert statuses(report) == {
        "sop/a": ("refused", Code.UNREADABLE_SOURCE),
        "sop/b/v0001.md": ("stored", None),
    }


async def test_a_file_that_vanishes_is_refused(t, tmp_path, monkeypatch):
    from casstore.operations import importing

    plant(tmp_path, {"sop/a/v0001.md": "x", "plan/b/v0001/c.md": "x"})
    real = importing.read_folder

    def read_then_lose(root):
        found = real(root)
        (root / "sop/a/v0001.md").unlink()
        shutil.rmtree(root / "plan/b")
        return found

    monkeypatch.setattr(importing, "read_folder", read_then_lose)
    report = await t.import_tree(tmp_path)
    assert {entry.code for entry in report.entries} == {Code.UNREADABLE_SOURCE}


# In several processes.


@pytest.fixture
def register(monkeypatch):
    """Registers kinds for one test."""
    monkeypatch.setattr(registry, "_KINDS", dict(registry._KINDS))
    return kinds.register


def plant_much(root: Path) -> Path:
    """Names with one to three versions each, one of parts, two that are refused, and a stranger; no content twice."""
    plant(root, {f"sop/n{n}/v{v:04}.md": f"{n} {v}" for n in range(15) for v in range(1, n % 3 + 2)})
    return plant(
        root, {"plan/p/v0001/a.md": "a", "plan/p/v0001/b.md": "b", "sop/a..b/v1.md": "", "sop/a..b/v2.md": "", "x": ""}
    )


@pytest.mark.slow
async def test_three_processes_make_what_one_makes(t, other, tmp_path):
    plant_much(tmp_path)
    alone, seen = await t.import_tree(tmp_path, prefix="acme/"), []
    report = await other.import_tree(tmp_path, prefix="acme/", processes=3, progress=lambda *told: seen.append(told))
    assert report == alone
    assert (report.stored, report.refused, report.skipped) == (31, 2, 1)
    assert seen == [(done, 33) for done in range(34)]
    for entry in report.entries:
        if entry.ref:
            made, wanted = await other.resolve(entry.ref), await t.resolve(entry.ref)
            assert (made.digest, made.type, made.title) == (wanted.digest, wanted.type, wanted.title)
    assert await content(other, "acme/sop/n2@3") == b"2 3"
    assert await other.usage() == await t.usage()


@pytest.mark.slow
async def test_again_in_three_processes_stores_nothing(t, tmp_path):
    first = await t.import_tree(plant_much(tmp_path), processes=3)
    before = await t.usage()
    report = await t.import_tree(tmp_path, processes=3)
    assert (report.stored, report.deduplicated, report.already_there, report.refused) == (0, 0, first.stored, 2)
    assert await t.usage() == before


@pytest.mark.slow
async def test_a_process_that_is_killed_is_told_and_the_rest_comes_later(t, tmp_path):
    plant(tmp_path, {f"sop/n{n}/v0001.md": str(n) for n in range(60)})

    def kill_one(done: int, _total: int) -> None:
        if done == 5:
            os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)

    with pytest.raises(Unavailable, match="killed by signal 9") as death:
        await t.import_tree(tmp_path, processes=3, progress=kill_one)
    assert death.value.code is Code.PROCESS_FAILED
    assert "Run it again" in death.value.hint
    assert multiprocessing.active_children() == []
    stored = (await t.usage()).versions
    assert 5 <= stored < 60
    report = await t.import_tree(tmp_path, processes=2)
    assert report.already_there >= stored  # what was on its way to the catalog may have arrived later
    assert report.already_there + report.stored == 60


@pytest.mark.slow
async def test_an_import_that_is_cancelled_leaves_no_process_and_can_be_repeated(t, tmp_path):
    plant(tmp_path, {f"sop/n{n}/v0001.md": str(n) for n in range(60)})
    begun = asyncio.Event()
    importing = asyncio.create_task(t.import_tree(tmp_path, processes=2, progress=lambda done, _: done and begun.set()))
    await begun.wait()
    importing.cancel()
    await asyncio.wait([importing])
    assert importing.cancelled()
    assert multiprocessing.active_children() == []
    report = await t.import_tree(tmp_path)
    assert report.already_there > 0
    assert report.already_there + report.stored == 60


@pytest.mark.slow
async def test_a_failure_in_another_process_is_the_same_error(store_urls, tmp_path):
    plant(tmp_path, {f"sop/n{n}/v0001.md": str(n) for n in range(9)})
    async with AsyncStore(blobs=store_urls.blobs, catalog=store_urls.catalog) as store:
        (store_urls.folder / "artifacts/blobs/.store").write_text("01a20477-8a0c-79f3-a602-a57f42aac3ee\n")
        with pytest.raises(Invalid, match="are not those of this catalog") as refusal:
            await store.tenant().import_tree(tmp_path, processes=2)
    assert refusal.value.code is Code.WRONG_BLOBS
    assert "Check CASSTORE_BLOBS" in refusal.value.hint


@pytest.mark.slow
async def test_kinds_of_ones_own_are_known_in_every_process(t, tmp_path, register):
    register(Kind(name="order", compositions=((Role(name="form"),),)))
    plant(tmp_path, {"order/bad/v0001.md": "x", "order/good/v0001/form.md": "x", "sop/a/v0001.md": "y"})
    report = await t.import_tree(tmp_path, processes=2)
    assert statuses(report) == {
        "order/bad/v0001.md": ("refused", Code.BAD_COMPOSITION),
        "order/good/v0001": ("stored", None),
        "sop/a/v0001.md": ("stored", None),
    }
    register(Kind(name="order", rule=operator.methodcaller("nonsense")), replace=True)
    with pytest.raises(UsageError, match="the check of order failed") as failure:
        await t.import_tree(tmp_path, prefix="again/", processes=2)
    assert failure.value.code is Code.KIND_FAILED


async def test_a_kind_that_cannot_be_sent_to_a_process_is_refused_before_anything_is_stored(t, tmp_path, register):
    register(Kind(name="order", rule=lambda _parts: []))
    plant(tmp_path, {"order/a/v0001.md": "x", "sop/a/v0001.md": "y"})
    with pytest.raises(Invalid, match="the kind order cannot be sent to another process") as refusal:
        await t.import_tree(tmp_path, processes=2)
    assert refusal.value.code is Code.BAD_ARGUMENT
    assert (await t.usage()).versions == 0
    assert (await t.import_tree(tmp_path)).stored == 2


async def test_one_name_needs_no_other_process(t, tmp_path):
    found = []
    plant(tmp_path, {"sop/a/v0001.md": "x", "sop/a/v0002.md": "y"})
    await t.import_tree(tmp_path, processes=9, progress=lambda *_: found.extend(multiprocessing.active_children()))
    assert found == []
