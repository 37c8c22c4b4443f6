"""What `doctor` says of a bucket: each setting that can cost blobs, on a server that has it."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casstore import AsyncStore
from casstore.blobs import keys
from casstore.blobs.gcs_settings import remarks
from casstore.testing.gcs import GcsServer, status

PLACE = f"team/{keys.PREFIX}"
GOOD = {
    "softDeletePolicy": {"retentionDurationSeconds": "604800"},
    "iamConfiguration": {"uniformBucketLevelAccess": {"enabled": True}, "publicAccessPrevention": "enforced"},
}


def rule(condition, action="Delete"):
    return {"action": {"type": action}, "condition": condition}


def findings(bucket):
    return {each.setting: each for each in remarks(GOOD | bucket, "team/")}


def test_a_good_bucket_is_good():
    assert all(each.ok and not each.hint for each in findings({}).values())


@pytest.mark.parametrize(
    ("one", "eats"),
    [
        (rule({"age": 30}), True),
        (rule({}), True),
        (rule({"age": 30, "isLive": True}), True),
        (rule({"age": 1, "matchesPrefix": ["team/"]}), True),
        (rule({"age": 1, "matchesPrefix": ["other/", f"{PLACE}0"]}), True),
        (rule({"age": 1, "matchesSuffix": ["0"]}), True),
        (rule({"matchesStorageClass": ["STANDARD"]}), True),
        (rule({"age": 1, "matchesPrefix": ["other/"]}), False),
        (rule({"age": 1, "matchesSuffix": [".log"]}), False),
        (rule({"age": 30, "isLive": False}), False),
        (rule({"numNewerVersions": 3}), False),
        (rule({"daysSinceNoncurrentTime": 7}), False),
        (rule({"age": 30}, "SetStorageClass"), False),
        (rule({"age": 7}, "AbortIncompleteMultipartUpload"), False),
    ],
)
def test_which_lifecycle_rules_eat_blobs(one, eats):
    found = findings({"lifecycle": {"rule": [rule({"age": 9}, "SetStorageClass"), one]}})["lifecycle"]
    assert found.ok is not eats
    assert ("lifecycle rule 2 of the bucket" in found.detail) is eats
    assert bool(found.hint) is eats


@given(
    st.lists(st.text("team/artifactsblobs0", max_size=20), min_size=1, max_size=3), st.binary(min_size=32, max_size=32)
)
def test_a_rule_whose_prefix_is_that_of_a_blob_is_always_told(prefixes, digest):
    eats = any((PLACE + digest.hex()).startswith(prefix) for prefix in prefixes)
    found = findings({"lifecycle": {"rule": [rule({"age": 1, "matchesPrefix": prefixes})]}})["lifecycle"]
    assert not (eats and found.ok)


def test_what_cannot_be_undone_is_told():
    off = {"softDeletePolicy": {"retentionDurationSeconds": "0"}}
    assert not findings(off)["undelete"].ok
    assert findings(off | {"versioning": {"enabled": True}})["undelete"].ok
    assert "7 days" in findings({})["undelete"].detail


def test_access_lists_and_retention_are_told():
    assert not findings({"iamConfiguration": {"uniformBucketLevelAccess": {"enabled": False}}})["access"].ok
    assert (
        "public access is not prevented"
        in findings({"iamConfiguration": {"uniformBucketLevelAccess": {"enabled": True}}})["access"].detail
    )
    assert "30 days" in findings({"retentionPolicy": {"retentionPeriod": "2592000"}})["retention"].detail


# -- through doctor, on a server -------------------------------------------------------------------------------------------


@pytest.fixture
def server(monkeypatch):
    with GcsServer() as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        yield server


def examined(tmp_path, bucket):
    found = asyncio.run(AsyncStore(tmp_path, blobs=f"gs://{bucket}/team").doctor())
    return {each.check: each for each in found if each.check.startswith(("blobs", "bucket"))}


def test_doctor_looks_at_the_bucket_and_leaves_nothing_in_it(server, tmp_path):
    server.create_bucket("good", soft_delete_seconds=604800, iamConfiguration=GOOD["iamConfiguration"])
    found = examined(tmp_path, "good")
    assert list(found) == ["blobs", "bucket lifecycle", "bucket undelete", "bucket access", "bucket signing"]
    assert all(each.ok for each in found.values()), found
    assert not server.objects("good")


def test_doctor_says_what_is_wrong_with_the_bucket(server, tmp_path):
    server.create_bucket("bad", lifecycle={"rule": [rule({"age": 1})]})
    found = examined(tmp_path, "bad")
    assert found["blobs"].ok
    assert {check for check, each in found.items() if not each.ok} == {
        "bucket lifecycle",
        "bucket undelete",
        "bucket access",
    }


def test_doctor_that_may_not_look_says_so(server, tmp_path):
    server.create_bucket("closed")
    server.faults.add(status(403), operation="bucket_stat", times=None)
    found = examined(tmp_path, "closed")
    assert found["blobs"].ok
    assert not found["bucket"].ok
    assert "roles/storage.bucketViewer" in found["bucket"].hint


def test_doctor_without_the_bucket_says_so_once(server, tmp_path):
    found = examined(tmp_path, "nowhere")
    assert [(each.check, each.ok) for each in found.values()] == [("blobs", False)]
