"""Moving in when something goes wrong: killed at any moment; and from a bucket, whose requests fail, which only ever reads."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from casstore import AsyncStore, Denied, Invalid, Unavailable, limits
from casstore.blobs import gcs_objects
from casstore.errors import Code
from casstore.integrations.artifact_storage import ArtifactStorage
from casstore.integrations.moving_in import move_in
from casstore.testing.audit import audit
from casstore.testing.gcs import corrupt_byte, cut_body, drop_before, status
from tests.operations.failing import fails
from tests.support.old_layout import state_of, write, written
from tests.unit.kind_parts import png_bytes
from tests.unit.visuals_drawn import encoded, exact

MOVER = Path(__file__).with_name("mover.py")
DOCUMENTS = 150
PLACE = "artifacts/note/acme"


def result(n):
    return {"n": n, "a_visual": {"image_base64": encoded(png_bytes(1 + n % 50, 1 + n % 7)), "of": n}}


def old_files(count=DOCUMENTS, **more):
    """Lines of three versions, each made from the line before it."""
    files = {}
    for n in range(count):
        fields = {"source_artifact_ids": [f"n{n - 3}"], **({"parent": f"n{n - 1}"} if n % 3 else {}), **more}
        files |= written(f"{PLACE}/n{n}.json", result(n), metadata=fields)
    return files


def refs(report):
    return {entry.path: entry.ref for entry in report.entries}


EXPECTED = {f"{PLACE}/n{n}.json": f"note/n{n - n % 3}@{n % 3 + 1}" for n in range(DOCUMENTS)}


@pytest.mark.slow
def test_killed_at_any_moment_and_run_again(run, store_urls, tmp_path):
    seed = random.randrange(2**32)
    print("seed", seed)
    chance = random.Random(seed)
    source = write(tmp_path / "old", old_files(lifecycle_state="accepted"))
    before = state_of(source)
    told = [kill_one(store_urls, source, chance) for _ in range(5)]
    assert max(told) > 0
    run(assert_whole(store_urls, source, max(told)))
    assert state_of(source) == before


def kill_one(urls, source, chance):
    """How many documents it said were done. It is killed when so many more are, or a little later."""
    command = [sys.executable, str(MOVER), urls.blobs, urls.catalog, str(source)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(Path.cwd())}) as process:
        for _ in range(chance.randrange(1, DOCUMENTS // 2)):
            process.stdout.readline()
        time.sleep(chance.uniform(0, 0.02))
        process.send_signal(signal.SIGKILL)
        lines = process.stdout.read().split(b"\n")[:-1]
    return int(lines[-1]) if lines else 0


async def assert_whole(urls, source, least):
    async with AsyncStore(blobs=urls.blobs, catalog=urls.catalog) as store:
        report = await move_in(store, source)
        assert refs(report) == EXPECTED
        assert report.already_there >= least
        assert (report.refused, report.skipped) == (0, 0)
        storage, tenant = ArtifactStorage(store, strict=True), store.tenant("acme")
        for n in range(DOCUMENTS):
            version = await tenant.resolve(EXPECTED[f"{PLACE}/n{n}.json"])
            assert version.state == "accepted"
            assert exact(await storage.get_artifact(str(version.id), "acme", True)) == exact(result(n))
        assert (await tenant.usage()).versions == DOCUMENTS
        assert await audit(store) == []


# -- from a bucket ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def old(bucket, monkeypatch):
    """A bucket "old" with the old layout below `prod/`, `old.requests` to it, and a store in a folder."""
    bucket.create_bucket("old")
    for name, data in old_files(12).items():
        bucket.write("old", f"prod/{name}", data)
    bucket.write("old", "elsewhere.json", b"x")
    bucket.requests.clear()
    return bucket


@pytest.fixture
def move(run, database, tmp_path):
    def go(source="gs://old/prod", work=None, **options):
        async def main():
            async with AsyncStore(blobs=(tmp_path / "blobs").as_uri(), catalog=database) as store:
                report = await move_in(store, source, **options)
                if work:
                    await work(store)
                return report

        return run(main())

    return go


@pytest.fixture
def hurried(monkeypatch):
    """Requests to a source are repeated for a moment."""
    from datetime import timedelta

    from casstore.blobs.gcs_attempts import Patience

    pauses = {"first_pause": timedelta(seconds=0.01), "longest_pause": timedelta(seconds=0.02)}
    monkeypatch.setattr(gcs_objects, "Patience", lambda: Patience(deadline=timedelta(seconds=0.3), **pauses))


def only_read(old):
    """Nothing but reading was asked of the source."""
    asked = [seen for seen in old.requests if seen.bucket == "old"]
    assert {(seen.method, seen.operation) for seen in asked} <= {("GET", "list"), ("GET", "download"), ("GET", "stat")}
    return asked


def test_a_bucket_is_read_and_never_written_to(old, move, monkeypatch):
    monkeypatch.setattr(limits, "PAGE_MAX", 5)
    before = old.objects("old")

    async def check(store):
        storage = ArtifactStorage(store, strict=True)
        for n in range(12):
            version = await store.tenant("acme").resolve(EXPECTED[f"{PLACE}/n{n}.json"])
            assert exact(await storage.get_artifact(str(version.id), "acme", True)) == exact(result(n))

    report = move(work=check)
    assert refs(report) == {path: EXPECTED[path] for path in list(EXPECTED)[:12]}
    assert (report.stored, report.refused) == (12, 0)
    assert {seen.operation for seen in only_read(old)} == {"list", "download"}
    assert old.objects("old") == before
    again = move()
    assert (again.already_there, again.bytes_added) == (12, 0)


def test_a_path_in_a_bucket_may_be_spelled_in_many_ways(old, move):
    spellings = ["prod/x.png", "gs://old/prod/x.png", "x.png", "/x.png"]
    wrong = ["old/x.png", "gs://old/x.png", "gs://other/prod/x.png", "../prod/x.png", "elsewhere.json", "prod//x.png"]
    old.write("old", "prod/x.png", png_bytes())
    for n, path in enumerate(spellings + wrong):
        document = {"a_visual": {"storage_path": path}}
        old.write("old", f"prod/artifacts/sop/beta/s{n}.json", json.dumps(document).encode())
    report = move(tenant="beta")
    status_of = {entry.path: (entry.status != "refused") for entry in report.entries}
    assert status_of == {f"artifacts/sop/beta/s{n}.json": n < len(spellings) for n in range(len(spellings + wrong))}


def test_odd_names_in_a_bucket(old, move):
    names = ["artifacts/sop/acme/", "artifacts//acme/x.json", "artifacts/sop//x.json", "/artifacts/sop/acme/x.json"]
    names += ["artifacts/sop/acme/../../x.json", "artifacts/sop/../x.json", "artifacts/sop/acme/a\x07b.json"]
    names += ["artifacts/sop/acme/" + "ü" * 400 + ".json", "artifacts/sop/acme/.json"]
    for n, name in enumerate(names):
        old.write("old", f"prod/{name}", json.dumps({"a": n}).encode())
    report = {entry.path: entry for entry in move().entries if entry.path not in EXPECTED}
    assert {path: entry.status for path, entry in report.items()} == {
        names[0]: "skipped",
        names[1]: "refused",
        names[2]: "refused",
        names[3]: "skipped",
        names[4]: "skipped",
        names[5]: "refused",
        names[6]: "stored",
        names[7]: "stored",
        names[8]: "skipped",
    }
    assert report[names[2]].code == Code.BAD_TENANT


@pytest.mark.parametrize("fault", [status(503), drop_before(), cut_body(3), status(429)], ids=lambda fault: fault.kind)
@pytest.mark.parametrize("operation", ["list", "download"])
def test_requests_that_fail_are_made_again(old, move, hurried, fault, operation):
    rule = old.faults.add(fault, operation=operation, nth=1, times=3)
    report = move()
    assert rule.struck == 3
    assert refs(report) == {path: EXPECTED[path] for path in list(EXPECTED)[:12]}
    only_read(old)


def test_a_bucket_that_does_not_answer_ends_the_run_which_can_be_repeated(old, move, hurried):
    old.faults.add(status(503), operation="download", nth=30, times=None)
    with fails(Unavailable, Code.BLOBS_UNAVAILABLE) as caught:
        move(at_once=1)
    assert "objects at gs://old/prod" in str(caught.value)
    old.faults.clear()
    report = move()
    assert 0 < report.already_there < 12
    assert refs(report) == {path: EXPECTED[path] for path in list(EXPECTED)[:12]}


def test_bytes_that_are_altered_on_their_way_are_not_believed(old, move, hurried):
    old.faults.add(corrupt_byte(9), operation="download", name=f"prod/{PLACE}/n3.json", times=None)
    with fails(Unavailable, Code.BLOBS_UNAVAILABLE) as caught:
        move()
    assert "did not get here unaltered" in str(caught.value)


def test_a_bucket_that_may_not_be_read_or_is_not_there(old, move, hurried):
    with fails(Unavailable, Code.BLOBS_UNAVAILABLE) as caught:
        move("gs://nowhere/prod")
    assert caught.value.hint == "Check the URL, or make the bucket."
    with fails(Invalid, Code.UNREADABLE_SOURCE):
        move("gs://old/empty")
    with fails(Invalid, Code.BAD_CONFIG):
        move("gs://old/../x")
    old.faults.add(status(403), operation="list")
    with fails(Denied, Code.NOT_PERMITTED) as caught:
        move()
    assert "roles/storage.objectViewer" in caught.value.hint


def test_an_object_that_goes_away_meanwhile_is_refused(old, move):
    def remove(done, _total):
        if not done:
            old.remove("old", f"prod/{PLACE}/n4.json")

    report = move(progress=remove)
    assert {e.path: e.code for e in report.entries if e.status == "refused"} == {
        f"{PLACE}/n4.json": Code.UNREADABLE_SOURCE,
        f"{PLACE}/n5.json": Code.UNREADABLE_SOURCE,
    }


def test_the_store_may_be_in_the_same_place(old, run, database):
    """Its blobs are no pictures, and what it writes is all that is written."""

    async def main():
        async with AsyncStore(blobs="gs://old/prod", catalog=database) as store:
            before = old.objects("old")
            first = await move_in(store, "gs://old/prod")
            again = await move_in(store, "gs://old/prod")
            after = old.objects("old")
            assert await audit(store) == []
        assert {name: after[name] for name in before} == before
        assert all(name.startswith("prod/artifacts/blobs/") for name in after.keys() - before.keys())
        (blobs,) = [entry for entry in again.entries if entry.path == "artifacts/blobs/"]
        assert blobs.reason == f"{len(after.keys() - before.keys())} blobs of a store"
        assert (first.stored, again.already_there, again.refused) == (12, 12, 0)

    run(main())
