"""Generations, versioning, soft delete, retention, holds, metadata, copies: as Google documents them."""

from __future__ import annotations

import datetime as dt
import itertools
import time

import pytest
from google.api_core import exceptions

from casstore.testing.gcs import GcsServer
from tests.gcs_server.conftest import client_of
from tests.gcs_server.raw import BUCKET, crc32c, object_path

NO = {"retry": None}


def put(bucket, name, data=b"1", **options):
    blob = bucket.blob(name)
    blob.upload_from_string(data, **NO, **options)
    return blob


# -- generations -------------------------------------------------------------------------------------------------------


def test_generations_grow_and_never_come_again(server, raw, bucket):
    seen = []
    for _ in range(3):
        seen.append(put(bucket, "a").generation)
        seen.append(server.write(BUCKET, "a", b"2"))
        seen.append(bucket.copy_blob(bucket.blob("a"), bucket, "b", **NO).generation)
        bucket.blob("a").delete(**NO)
    assert seen == sorted(set(seen))


def test_a_server_started_later_goes_on_counting(server, bucket):
    before = put(bucket, "a").generation
    with GcsServer() as later:
        later.create_bucket(BUCKET)
        assert later.write(BUCKET, "a", b"") > before


def test_an_old_generation_is_gone_without_versioning(bucket):
    first = put(bucket, "a").generation
    put(bucket, "a", b"2")
    with pytest.raises(exceptions.NotFound):
        bucket.blob("a", generation=first).download_as_bytes(**NO)


def test_a_loaded_blob_reads_its_own_generation(bucket):
    """By the mediaLink of its resource, which names it."""
    blob = put(bucket, "a", b"1")
    assert blob.media_link
    put(bucket, "a", b"2")
    with pytest.raises(exceptions.NotFound):
        blob.download_as_bytes(**NO)


def test_patches_are_counted(bucket):
    blob = put(bucket, "a")
    before = (blob.generation, blob.etag, blob.updated)
    blob.metadata = {"k": "v"}
    blob.patch(**NO)
    assert (blob.metageneration, blob.generation) == (2, before[0])
    assert blob.etag != before[1]
    assert blob.updated >= before[2]


# -- versioning --------------------------------------------------------------------------------------------------------


@pytest.fixture
def versioned(server, client):
    server.create_bucket("versioned", versioning=True)
    return client.bucket("versioned")


def generations(bucket, **options):
    return [blob.generation for blob in bucket.list_blobs(**options)]


def test_versions_stay(versioned):
    first, second = (put(versioned, "v", data).generation for data in (b"1", b"2"))
    assert generations(versioned, versions=True) == [first, second]
    assert generations(versioned) == [second]
    assert versioned.blob("v", generation=first).download_as_bytes(**NO) == b"1"
    versioned.blob("v").delete(**NO)
    assert not versioned.blob("v").exists()
    assert generations(versioned, versions=True) == [first, second]
    assert versioned.get_blob("v", generation=second).time_deleted


def test_a_named_generation_is_deleted_for_good(versioned):
    first, second = (put(versioned, "v", data).generation for data in (b"1", b"2"))
    versioned.blob("v", generation=first).delete(**NO)
    assert generations(versioned, versions=True) == [second]
    versioned.blob("v", generation=second).delete(**NO)
    assert generations(versioned, versions=True) == []


def test_a_bucket_with_old_versions_is_not_empty(versioned):
    put(versioned, "v")
    versioned.blob("v").delete(**NO)
    with pytest.raises(exceptions.Conflict):
        versioned.delete(**NO)


# -- soft delete -------------------------------------------------------------------------------------------------------


@pytest.fixture
def softened(server, client):
    server.create_bucket("softened", soft_delete_seconds=3600)
    return client.bucket("softened")


def test_what_is_deleted_or_replaced_can_be_restored(softened):
    first, second = (put(softened, "s", data).generation for data in (b"1", b"2"))
    softened.blob("s").delete(**NO)
    assert generations(softened, soft_deleted=True) == [first, second]
    assert not softened.blob("s").exists()
    deleted = softened.get_blob("s", generation=first, soft_deleted=True)
    assert deleted.hard_delete_time - deleted.soft_delete_time == dt.timedelta(hours=1)
    restored = softened.restore_blob("s", generation=first, **NO)
    assert restored.generation > second
    assert softened.blob("s").download_as_bytes(**NO) == b"1"
    assert generations(softened, soft_deleted=True) == [first, second]


@pytest.mark.slow
def test_soft_deletion_ends(server, client):
    server.create_bucket("softened", soft_delete_seconds=1)
    softened = client.bucket("softened")
    generation = put(softened, "s").generation
    softened.blob("s").delete(**NO)
    assert generations(softened, soft_deleted=True) == [generation]
    time.sleep(1.05)
    assert generations(softened, soft_deleted=True) == []
    with pytest.raises(exceptions.NotFound):
        softened.restore_blob("s", generation=generation, **NO)


def test_what_is_moved_is_not_soft_deleted(softened):
    softened.move_blob(put(softened, "s"), "t", **NO)
    assert generations(softened, soft_deleted=True) == []
    assert softened.blob("t").exists()


def test_buckets_come_with_a_week_of_it(client):
    made = client.create_bucket("made-by-client")
    assert made.soft_delete_policy.retention_duration_seconds == 7 * 86400
    put(made, "s")
    made.blob("s").delete(**NO)
    made.delete(**NO)  # what is only soft-deleted does not keep a bucket
    assert client.lookup_bucket("made-by-client") is None


# -- holds and retention -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hold", ["temporary_hold", "event_based_hold"])
def test_what_is_held_stays(server, bucket, hold):
    blob = put(bucket, "held")
    setattr(blob, hold, True)
    blob.patch(**NO)
    before = server.objects(BUCKET)
    for act in (
        lambda: bucket.blob("held").delete(**NO),
        lambda: put(bucket, "held", b"2"),
        lambda: bucket.move_blob(bucket.blob("held"), "elsewhere", **NO),
        lambda: bucket.copy_blob(put(bucket, "other"), bucket, "held", **NO),
    ):
        with pytest.raises(exceptions.Forbidden, match="under active hold"):
            act()
    after = server.objects(BUCKET)
    assert after["held"] == before["held"]
    assert "elsewhere" not in after
    assert not getattr(bucket.copy_blob(blob, bucket, "copy", **NO), hold)
    setattr(blob, hold, False)
    blob.patch(**NO)
    blob.delete(**NO)


def test_a_bucket_may_hold_all_that_comes(server, client):
    server.create_bucket("held", defaultEventBasedHold=True)
    assert put(client.bucket("held"), "a").event_based_hold is True


@pytest.mark.slow
def test_retention(server, client):
    server.create_bucket("retained", retention_seconds=1)
    bucket = client.bucket("retained")
    bucket.reload()
    assert bucket.retention_period == 1
    blob = put(bucket, "a")
    assert blob.retention_expiration_time == blob.time_created + dt.timedelta(seconds=1)
    for act in (lambda: blob.delete(**NO), lambda: put(bucket, "a", b"2"), lambda: bucket.move_blob(blob, "b", **NO)):
        with pytest.raises(exceptions.Forbidden, match="retention policy"):
            act()
    assert server.objects("retained")["a"].data == b"1"
    time.sleep(1.05)
    blob.delete(**NO)


def test_retention_begins_when_an_event_based_hold_ends(server, client):
    server.create_bucket("retained", retention_seconds=3600, defaultEventBasedHold=True)
    blob = put(client.bucket("retained"), "a")
    assert blob.retention_expiration_time is None
    time.sleep(0.01)
    blob.event_based_hold = False
    blob.patch(**NO)
    assert blob.retention_expiration_time == blob.updated + dt.timedelta(hours=1)
    assert blob.updated > blob.time_created


# -- metadata ----------------------------------------------------------------------------------------------------------


def test_an_update_replaces_a_patch_merges(raw):
    raw.multipart({"name": "a", "cacheControl": "no-store", "metadata": {"x": "1", "y": "2"}}, b"")
    patched = raw("PATCH", object_path("a"), {"metadata": {"x": None}, "contentLanguage": "en"}).json()
    assert (patched["cacheControl"], patched["metadata"], patched["contentLanguage"]) == ("no-store", {"y": "2"}, "en")
    updated = raw("PUT", object_path("a"), {"metadata": {"z": "3"}}).json()
    assert "cacheControl" not in updated
    assert updated["metadata"] == {"z": "3"}
    assert "metadata" not in raw("PATCH", object_path("a"), {"metadata": None}).json()


def test_what_only_the_server_knows_cannot_be_patched(raw):
    before = raw.multipart({"name": "a"}, b"x").json()
    sent = {"crc32c": "AAAAAA==", "md5Hash": "", "size": "9", "generation": "1", "name": "b", "bucket": "other"}
    after = raw("PATCH", object_path("a"), sent).json()
    assert {name for name in before if before[name] != after[name]} - {"updated"} == {"metageneration", "etag"}


def test_what_a_client_sends_back_of_a_resource_is_no_change(bucket):
    blob = put(bucket, "a")
    blob.reload(**NO)
    before = {**blob._properties}
    blob.update(**NO)
    changed = {name for name in before if before[name] != blob._properties.get(name)}
    assert changed - {"updated"} == {"metageneration", "etag"}


# -- copies ------------------------------------------------------------------------------------------------------------


def test_a_composed_object_counts_its_components_and_has_no_md5(bucket):
    put(bucket, "1", b"aa")
    put(bucket, "2", b"bb")
    bucket.blob("12").compose([put(bucket, "1", b"aa"), put(bucket, "2", b"bb")], **NO)
    bucket.blob("1212").compose([bucket.blob("12"), bucket.blob("12")], **NO)
    found = bucket.get_blob("1212")
    assert (found.component_count, found.md5_hash, found.crc32c) == (4, None, crc32c(b"aabbaabb"))


@pytest.mark.parametrize("count", [0, 33])
def test_compose_takes_1_to_32(server, raw, count):
    server.write(BUCKET, "a", b"a")
    body = {"sourceObjects": [{"name": "a"}] * count}
    assert raw("POST", f"{object_path('b')}/compose", body).status == 400
    assert raw("POST", f"{object_path('b')}/compose", {"sourceObjects": [{"name": "a"}] * 32}).status == 200


def test_compose_of_what_is_not_there(raw):
    assert raw("POST", f"{object_path('b')}/compose", {"sourceObjects": [{"name": "a"}]}).status == 404
    assert raw("POST", f"{object_path('b')}/compose", {"sourceObjects": [{}]}).status == 404


def test_compose_takes_the_generation_it_is_told(server, raw, versioned):
    first = put(versioned, "v", b"1").generation
    put(versioned, "v", b"2")
    body = {"sourceObjects": [{"name": "v", "generation": str(first)}, {"name": "v"}]}
    assert raw("POST", f"{object_path('w', 'versioned')}/compose", body).status == 200
    assert server.objects("versioned")["w"].data == b"12"


def test_copies_take_the_generation_they_are_told(server, versioned, bucket):
    source = put(versioned, "v", b"1")
    put(versioned, "v", b"2")
    versioned.copy_blob(source, bucket, "copy", source_generation=source.generation, **NO)
    bucket.blob("rewritten").rewrite(source, **NO)
    assert {stored.data for stored in server.objects(BUCKET).values()} == {b"1"}


def test_a_rewrite_may_change_the_metadata(bucket):
    blob = put(bucket, "a")
    before = blob.generation
    blob.update_storage_class("NEARLINE", **NO)
    found = bucket.get_blob("a")
    assert (found.storage_class, found.generation > before) == ("NEARLINE", True)


def test_a_move_is_one_step(server, bucket):
    source = put(bucket, "a")
    moved = bucket.move_blob(source, "b", if_generation_match=0, **NO)
    assert list(server.objects(BUCKET)) == ["b"]
    assert moved.generation > source.generation
    with pytest.raises(exceptions.BadRequest):
        bucket.move_blob(moved, "b", **NO)
    assert list(server.objects(BUCKET)) == ["b"]


def test_only_what_is_live_can_be_moved(server, raw, versioned):
    first = put(versioned, "v", b"1").generation
    put(versioned, "v", b"2")
    moved = raw("POST", f"{object_path('v', 'versioned')}/moveTo/o/w", {}, sourceGeneration=first)
    assert moved.status == 501
    assert {name: stored.data for name, stored in server.objects("versioned").items()} == {"v": b"2"}


# -- buckets -----------------------------------------------------------------------------------------------------------


def test_buckets(server, client):
    made = client.create_bucket("made")
    with pytest.raises(exceptions.Conflict):
        client.create_bucket("made")
    assert [bucket.name for bucket in client.list_buckets()] == [BUCKET, "made"]
    assert [bucket.name for bucket in client.list_buckets(prefix="m")] == ["made"]
    put(made, "a")
    with pytest.raises(exceptions.Conflict):
        made.delete(**NO)
    made.blob("a").delete(**NO)
    made.delete(**NO)
    assert client.lookup_bucket("made") is None
    with pytest.raises(exceptions.NotFound):
        made.reload(**NO)


@pytest.mark.parametrize("name", ["ab", "Upper", "-a-b-", "a" * 64, ""])
def test_bad_names_of_buckets(raw, name):
    assert raw("POST", "/storage/v1/b", {"name": name}, project="test").status == 400


def test_policies_of_a_bucket(client):
    bucket = client.bucket(BUCKET)
    bucket.reload()
    bucket.versioning_enabled = True
    bucket.labels = {"team": "x"}
    bucket.retention_period = 60
    bucket.iam_configuration.uniform_bucket_level_access_enabled = True
    bucket.add_lifecycle_delete_rule(age=7)
    bucket.patch(**NO)
    again = client.get_bucket(BUCKET)
    assert (again.versioning_enabled, again.labels, again.retention_period) == (True, {"team": "x"}, 60)
    assert again.iam_configuration.uniform_bucket_level_access_enabled
    assert [dict(rule) for rule in again.lifecycle_rules] == [{"action": {"type": "Delete"}, "condition": {"age": 7}}]
    assert again.retention_policy_effective_time
    assert again.metageneration == bucket.metageneration == 2
    again.retention_period = None
    again.clear_lifecycle_rules()
    again.patch(**NO)
    last = client.get_bucket(BUCKET)
    assert (last.retention_period, list(last.lifecycle_rules), last.versioning_enabled) == (None, [], True)


def test_a_policy_is_of_numbers(raw):
    for policy in (
        {"retentionPolicy": {"retentionPeriod": "x"}},
        {"softDeletePolicy": {"retentionDurationSeconds": -1}},
    ):
        assert raw("PATCH", f"/storage/v1/b/{BUCKET}", policy).status == 400


def test_servers_share_nothing(server):
    with GcsServer() as other, client_of(other.url) as client:
        assert [*itertools.islice(client.list_buckets(), 1)] == []
