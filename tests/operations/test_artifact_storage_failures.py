"""What the platform is told when its artifacts cannot be stored or read: never a success that is none, never a silent nothing."""

from __future__ import annotations

import asyncio
import logging

import pytest

from casstore import AsyncStore, Corrupt, Invalid, Unavailable
from casstore.errors import Code
from casstore.integrations import artifact_storage
from casstore.integrations.artifact_storage import ArtifactStorage
from casstore.testing.audit import audit
from casstore.testing.proxy import Line
from tests.operations.failing import fails
from tests.unit.kind_parts import png_bytes

PNG = png_bytes(3, 2)
RESULT = {"steps": ["ask"], "a_visual": PNG}


@pytest.fixture
def storage(store):
    return ArtifactStorage(store)


@pytest.fixture
def logged(caplog):
    """The records since it was last asked: each failure makes one."""
    caplog.set_level(logging.DEBUG)

    def records():
        found = [record for record in caplog.records if record.name.startswith("casstore")]
        caplog.clear()
        return found

    return records


async def refused(storage, logged, code, *args):
    """The error that is answered to `store_artifact`, logged once, and raised if it is strict."""
    answer = await storage.store_artifact(*args)
    assert answer.keys() == {"success", "error", "code"}
    assert (answer["success"], answer["code"]) == (False, code)
    (record,) = logged()
    assert (record.name, record.levelno) == ("casstore.integrations", logging.ERROR)
    assert answer["error"] in record.getMessage()
    with pytest.raises(Exception) as caught:  # noqa: PT011 - of any class
        await ArtifactStorage(storage._store, strict=True).store_artifact(*args)
    assert str(caught.value) in answer["error"]
    assert logged() == []
    return answer["error"]


@pytest.mark.parametrize(
    ("name", "data", "code", "told"),
    [
        ("sop", {"a_visual": {"image_base64": "iVBORw0KGgo="}}, "bad_picture", "/a_visual/image_base64"),
        ("sop", {"a_visual": PNG, "b": {"c_chart": PNG[:-1]}}, "bad_picture", "/b/c_chart"),
        ("sop", {"a": {1, 2}}, "bad_json", "$['a'] is a set"),
        ("sop", {"a": PNG}, "bad_json", "$['a'] is a bytes"),
        ("sop", ["a"], "bad_data", "a list"),
        ("sop", None, "bad_data", "a NoneType"),
        ("SOP", {}, "bad_type", "artifact type 'SOP'"),
        (None, {}, "bad_type", "artifact type None"),
        ("blueprint", {"current_state": {}}, "bad_composition", "coexistence_state is missing"),
        ("roadmap", {"phases": [{"id": 1, "depends_on": [2]}]}, "bad_composition", "names the phase 2"),
    ],
)
async def test_what_cannot_be_stored_is_told_with_its_reason_and_logged_once(
    storage, logged, t, name, data, code, told
):
    assert told in await refused(storage, logged, code, name, data, t.name)
    assert await storage.list_artifacts(None, t.name) == []
    for tenant in (None, "", "a b"):
        await refused(storage, logged, "bad_tenant", "sop", {}, tenant)


async def test_a_full_disk_is_told_and_nothing_is_there(storage, store, logged, t, monkeypatch):
    async def full(staged, **options):
        raise Unavailable(Code.DISK_FULL, "no space", hint="It is a test.")

    with monkeypatch.context() as patch:
        patch.setattr(store._blobs, "put", full)
        await refused(storage, logged, "disk_full", "sop", {"of": t.name, **RESULT}, t.name)
        await refused(storage, logged, "disk_full", "sop", {"of": t.name}, t.name, {"lifecycle_state": "accepted"})
    assert await storage.list_artifacts("sop", t.name) == []
    assert (await storage.store_artifact("sop", {"of": t.name, **RESULT}, t.name))["success"]
    assert logged() == []


async def test_a_bug_is_told_too(storage, logged, t, monkeypatch):
    def broken(*args):
        raise ZeroDivisionError("seven by nothing")

    monkeypatch.setattr(artifact_storage, "to_components", broken)
    answer = await storage.store_artifact("sop", {}, t.name)
    assert answer == {"success": False, "error": "ZeroDivisionError: seven by nothing", "code": "unexpected"}
    (record,) = logged()
    assert record.exc_info[0] is ZeroDivisionError


async def test_whoever_goes_away_is_let_go(storage, logged, t, monkeypatch):
    started = asyncio.Event()

    async def waits(*args, **options):
        started.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(storage._store._blobs, "put", waits)
    task = asyncio.create_task(storage.store_artifact("sop", {"of": t.name}, t.name))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert logged() == []
    assert await storage.list_artifacts("sop", t.name) == []


def test_a_catalog_that_is_down_is_told_and_raised_by_every_read(run, store_urls, logged):
    async def main():
        async with Line(store_urls.catalog) as line, AsyncStore(blobs=store_urls.blobs, catalog=line.dsn) as store:
            storage = ArtifactStorage(store)
            answer = await storage.store_artifact("sop", RESULT, "t")
            await line.cut()
            await refused(storage, logged, "catalog_unavailable", "sop", RESULT, "t")
            for call in (
                storage.get_artifact(answer["artifact_id"], "t"),
                storage.get_metadata(answer["artifact_id"], "t"),
                storage.get_visual(answer["visual_paths"]["a_visual"]["storage_path"], "t"),
                storage.list_artifacts("sop", "t"),
                storage.delete_artifact(answer["artifact_id"], "t"),
            ):
                with fails(Unavailable, Code.CATALOG_UNAVAILABLE):
                    await call

    run(main())


def test_a_store_that_is_closed_is_told(run, store_urls, logged):
    async def main():
        await refused(
            ArtifactStorage(AsyncStore(blobs=store_urls.blobs, catalog=store_urls.catalog)),
            logged,
            "store_closed",
            *("sop", {}, "t"),
        )

    run(main())


async def test_what_is_damaged_is_raised_and_never_nothing(storage, t, stored):
    answer = await storage.store_artifact("sop", {"of": t.name, "a_visual": png_bytes(11, 13)}, t.name)
    version = await t.resolve(f"id:{answer['artifact_id']}")
    digests = {each.role: each.digest for each in version.components}
    path = answer["visual_paths"]["a_visual"]["storage_path"]
    stored.damage(digests["a_visual"], b"no picture")
    for call in (storage.get_visual(path, t.name), storage.get_artifact(answer["artifact_id"], t.name, True)):
        with fails(Corrupt, Code.BLOB_ALTERED):
            await call
    stored.damage(digests["main"], None)
    for visuals in (True, False):
        with pytest.raises(Corrupt):
            await storage.get_artifact(answer["artifact_id"], t.name, visuals)
    assert len(await storage.list_artifacts("sop", t.name)) == 1


async def test_what_was_not_stored_as_a_result_is_told_so(storage, t):
    version = await t.put("workflow/a", b"<definitions/>", type="workflow", media_type="application/bpmn+xml")
    with fails(Invalid, Code.BAD_COMPONENTS):
        await storage.get_artifact(str(version.id), t.name)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["put_versions", "put_transaction"])
@pytest.mark.parametrize("fate", ["lose_answer", "cut_at_once"])
def test_a_lost_answer_is_a_success_or_the_truth(run, store_urls, fate, method):
    async def main():
        async with Line(store_urls.catalog) as line, AsyncStore(blobs=store_urls.blobs, catalog=line.dsn) as store:
            storage = ArtifactStorage(store)
            await storage.store_artifact("sop", {"warm": 1}, "t")
            line.doom(method, fate)
            state = "draft" if method == "put_versions" else "accepted"
            answer = await storage.store_artifact("sop", {"n": 1}, "t", {"lifecycle_state": state})
            assert answer["success"]
            assert len(await storage.list_artifacts("sop", "t")) == 2
            assert await storage.get_artifact(answer["artifact_id"], "t") == {"n": 1}
            assert await audit(store) == []

    run(main())
