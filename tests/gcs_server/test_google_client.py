"""What Google's client makes of each fault. Whoever builds on it has to live with these outcomes."""

from __future__ import annotations

import gc
import io
import random
import time

import pytest
from google.api_core import exceptions
from google.cloud.storage.exceptions import DataCorruption
from google.cloud.storage.retry import DEFAULT_RETRY

from casstore.testing.gcs import (
    GcsServer,
    corrupt_byte,
    corrupt_upload,
    cut_body,
    drop_after,
    drop_before,
    keep_part,
    stall,
    status,
)
from tests.gcs_server.conftest import client_of
from tests.gcs_server.raw import BUCKET, QUANTUM

RETRY = DEFAULT_RETRY.with_delay(initial=0.01, maximum=0.05, multiplier=2).with_timeout(20)
PATIENT = {"retry": RETRY, "timeout": (5, 20)}
HASTY = {"retry": RETRY, "timeout": (5, 0.3)}
ONCE = {"retry": None, "timeout": (5, 20)}
DATA = random.Random(1).randbytes(4 * QUANTUM)


def kinds(effects):
    return pytest.mark.parametrize("effect", effects, ids=lambda effect: effect.kind)


def put(bucket, name="a", data=b"mine", **options):
    bucket.blob(name).upload_from_string(data, **{**PATIENT, **options})


def put_in_chunks(bucket, name="a", data=DATA, **options):
    blob = bucket.blob(name, chunk_size=QUANTUM)
    blob.upload_from_file(io.BytesIO(data), **{**PATIENT, **options})  # of unknown size: resumable


def asked(server, operation):
    return [seen for seen in server.requests if seen.operation == operation]


# -- put ---------------------------------------------------------------------------------------------------------------


@kinds([status(503), status(429), status(408), status(500), drop_before()])
def test_put_that_failed_before_its_effect_is_tried_again(server, bucket, effect):
    server.faults.add(effect, times=2)
    put(bucket, if_generation_match=0)
    assert server.objects(BUCKET)["a"].data == b"mine"
    assert len(asked(server, "upload")) == 3


@kinds([status(503, after=True), drop_after(), stall(1, after=True)])
def test_create_only_put_whose_answer_was_lost_fails_against_itself(server, bucket, effect):
    server.faults.add(effect)
    with pytest.raises(exceptions.PreconditionFailed):
        put(bucket, if_generation_match=0, **HASTY)
    assert server.objects(BUCKET)["a"].data == b"mine"
    first, *others = [seen.status for seen in asked(server, "upload")]
    assert first in (503, 0, 200)
    assert set(others) == {412}


def test_put_tried_only_once_may_have_had_its_effect(server, bucket):
    server.faults.add(status(503, after=True))
    with pytest.raises(exceptions.ServiceUnavailable):
        put(bucket, if_generation_match=0, **ONCE)
    assert server.objects(BUCKET)["a"].data == b"mine"


def test_unconditional_put_that_is_late_overwrites_what_came_after_it(server, bucket):
    server.faults.add(stall(0.6))
    put(bucket, data=b"late", **HASTY)  # its second try is answered
    server.write(BUCKET, "a", b"newer")
    deadline = time.monotonic() + 20
    while server.objects(BUCKET)["a"].data != b"late":
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_put_corrupted_on_its_way_is_refused_and_not_tried_again(server, bucket):
    server.faults.add(corrupt_upload())
    with pytest.raises(exceptions.BadRequest):
        put(bucket)
    assert server.objects(BUCKET) == {}
    assert len(asked(server, "upload")) == 1


# -- resumable put -----------------------------------------------------------------------------------------------------


@kinds([drop_before(), drop_after(), status(503), status(503, after=True)])
@pytest.mark.parametrize("nth", [1, 2, 5])
def test_resumable_put_sends_a_chunk_again(server, bucket, effect, nth):
    """Also the last one, which here has no bytes: the session gives its answer again."""
    server.faults.add(effect, operation=("upload_chunk", "upload_status"), nth=nth)
    put_in_chunks(bucket, if_generation_match=0)
    assert server.objects(BUCKET)["a"].data == DATA
    assert len(asked(server, "upload_start")) == 1


def test_resumable_put_of_a_taken_name_fails_when_all_is_sent(server, bucket):
    server.write(BUCKET, "a", b"there")
    with pytest.raises(exceptions.PreconditionFailed):
        put_in_chunks(bucket, data=DATA[:-1], if_generation_match=0)
    assert sum(seen.body_bytes for seen in asked(server, "upload_chunk")) == len(DATA) - 1
    assert server.objects(BUCKET)["a"].data == b"there"


def test_or_at_once_where_the_server_looks_early():
    with GcsServer(conditions_at_start=True) as server, client_of(server.url) as client:
        server.create_bucket(BUCKET)
        server.write(BUCKET, "a", b"there")
        with pytest.raises(exceptions.PreconditionFailed):
            put_in_chunks(client.bucket(BUCKET), if_generation_match=0)
        assert asked(server, "upload_chunk") == []


@pytest.mark.parametrize("nth", [1, 3])
def test_resumable_put_corrupted_on_its_way_is_refused(server, bucket, nth):
    server.faults.add(corrupt_upload(), operation="upload_chunk", nth=nth)
    with pytest.raises(exceptions.BadRequest):
        put_in_chunks(bucket, data=DATA[:-1], checksum="crc32c")
    assert server.objects(BUCKET) == {}


def test_resumable_put_of_which_a_chunk_was_kept_in_part(server, bucket):
    """Google's client notices, and gives up."""
    server.faults.add(keep_part(QUANTUM), operation="upload_chunk")
    blob = bucket.blob("a", chunk_size=2 * QUANTUM)
    with pytest.raises(ValueError, match="unexpected state"):
        blob.upload_from_file(io.BytesIO(DATA), **PATIENT)
    assert server.objects(BUCKET) == {}


# -- get ---------------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_get_refused_for_now_is_tried_again(server, bucket):
    """On a second connection. The first is left to the garbage collector, which has to come before the test ends."""
    server.write(BUCKET, "a", DATA)
    server.faults.add(status(503))
    assert bucket.blob("a").download_as_bytes(**PATIENT) == DATA
    assert [seen.status for seen in asked(server, "download")] == [503, 200]
    gc.collect()


@kinds([drop_before(), drop_after(), stall(1), cut_body(), cut_body(1000), stall(1, after_bytes=1000)])
def test_get_is_tried_again_or_resumed(server, bucket, effect):
    server.write(BUCKET, "a", DATA)
    rule = server.faults.add(effect)
    assert bucket.blob("a").download_as_bytes(**HASTY) == DATA
    assert rule.struck == 1


def test_get_that_was_cut_is_resumed(server, bucket):
    server.write(BUCKET, "a", DATA)
    server.faults.add(cut_body(QUANTUM))
    assert bucket.blob("a").download_as_bytes(**PATIENT) == DATA
    assert [seen.status for seen in asked(server, "download")] == [200, 206]


def test_get_of_what_is_replaced_meanwhile_does_not_mix_the_two(server, bucket):
    server.write(BUCKET, "a", DATA)
    server.faults.add(cut_body(QUANTUM))

    class Replacing(io.BytesIO):
        def write(self, data):
            server.write(BUCKET, "a", bytes(len(DATA)))
            return super().write(data)

    with pytest.raises(exceptions.NotFound):
        bucket.blob("a").download_to_file(Replacing(), **PATIENT)


def test_get_corrupted_on_its_way_is_noticed(server, bucket):
    server.write(BUCKET, "a", DATA)
    server.faults.add(corrupt_byte(), operation="download")
    with pytest.raises(DataCorruption):
        bucket.blob("a").download_as_bytes(**PATIENT)


def test_get_corrupted_after_it_was_resumed_is_not_noticed(server, bucket):
    server.write(BUCKET, "a", DATA)
    server.faults.add(cut_body(QUANTUM), operation="download")
    server.faults.add(corrupt_byte(0), operation="download")
    got = bucket.blob("a").download_as_bytes(**PATIENT)
    assert len(got) == len(DATA)
    assert [at for at in range(len(DATA)) if got[at] != DATA[at]] == [QUANTUM]


# -- the others --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("condition", [False, True])
def test_delete_whose_answer_was_lost_finds_nothing(server, bucket, condition):
    generation = server.write(BUCKET, "a", b"x")
    server.faults.add(drop_after())
    with pytest.raises(exceptions.NotFound):
        bucket.blob("a").delete(if_generation_match=generation if condition else None, **PATIENT)
    assert server.objects(BUCKET) == {}


def patch(bucket):
    blob = bucket.get_blob("a")
    blob.metadata = {"k": "v"}
    blob.patch(if_metageneration_match=blob.metageneration, **PATIENT)


@pytest.mark.parametrize(
    ("operation", "act"),
    [
        ("patch", patch),
        ("compose", lambda bucket: bucket.blob("b").compose([bucket.blob("a")], if_generation_match=0, **PATIENT)),
        ("rewrite", lambda bucket: bucket.blob("b").rewrite(bucket.blob("a"), if_generation_match=0, **PATIENT)),
        ("copy", lambda bucket: bucket.copy_blob(bucket.blob("a"), bucket, "b", if_generation_match=0, **PATIENT)),
    ],
)
def test_conditional_changes_whose_answer_was_lost_fail_against_themselves(server, bucket, operation, act):
    server.write(BUCKET, "a", b"x")
    rule = server.faults.add(drop_after(), operation=operation)
    with pytest.raises(exceptions.PreconditionFailed):
        act(bucket)
    assert rule.struck == 1
    changed = server.objects(BUCKET)
    assert changed["a"].metadata.get("metadata") == {"k": "v"} if operation == "patch" else "b" in changed


def test_move_whose_answer_was_lost_finds_no_source(server, bucket):
    server.write(BUCKET, "a", b"x")
    server.faults.add(drop_after(), operation="move")
    with pytest.raises(exceptions.NotFound):
        bucket.move_blob(bucket.blob("a"), "b", if_generation_match=0, **PATIENT)
    assert list(server.objects(BUCKET)) == ["b"]


def test_listing_goes_on_after_a_failure(server, bucket):
    for name in "abcde":
        server.write(BUCKET, name, b"")
    server.faults.add(drop_before(), operation="list", nth=2)
    server.faults.add(status(503), operation="list", nth=3)
    assert [blob.name for blob in bucket.list_blobs(page_size=2, **PATIENT)] == list("abcde")


@kinds([status(503), drop_before()])
def test_failing_for_ever(server, bucket, effect):
    server.faults.add(effect, times=None)
    with pytest.raises(exceptions.RetryError):
        put(bucket, retry=RETRY.with_timeout(0.3))
    assert len(asked(server, "upload")) > 2


def test_an_unreachable_place(server, bucket):
    put(bucket)
    server.stop_answering()
    with pytest.raises(exceptions.RetryError):
        bucket.blob("a").download_as_bytes(retry=RETRY.with_timeout(0.3))
    server.resume()
    assert bucket.blob("a").download_as_bytes(**PATIENT) == b"mine"
